//! Our own ids and roots, written down once: a change here is a new encoding and needs a new number.

use haulout_protocol::blob::BlobHeader;
use haulout_protocol::encoding::{Parameters, Pipeline};

use crate::{encode, parameters, sample};

/// Shards, length (which is also the seed), slivers root, blob id.
const GOLDEN: &[(u16, usize, &str, &str)] = &[
    (
        4,
        0,
        "497171f164b9edd1ec303b89e66a5d5f680cf9adc1e3eaac2ebe653aa141218e",
        "Y76RoWvGARfV2d3Q9hOAlZpVkz7jEgTQk9r_ltxSMK8",
    ),
    (
        4,
        1,
        "d07e9df143a1e02337e75c81e6e2762a127af17556adcfa7194e4ba3474702e7",
        "SPAkks4oHow1TW68pFl849dgkOu4kHAx6vtEk7Ssaqc",
    ),
    (
        4,
        100000,
        "84130ed4b6a708e265a1c1fa0c62e707c9e0e64eb7643a72b4cd707fb0e2332d",
        "KYGn2km85T4dmnZ9jZxU4hbkLuqnFe4XyCM9S_1AELs",
    ),
    (
        7,
        1000,
        "c8d8fbbf77425b4ee6db471e73be701eebd57f8e08821765bcb60759927becd4",
        "86mh3AcLa_v2ph30bUck1QWKCY4Xvd8rZxqWp6Zyd4s",
    ),
    (
        10,
        1024,
        "feeb7abbc0f853774acc5838998d72cd71f4a852500c92e74df874849e916fd0",
        "T08US_hwZh-EzqXDVeWNpXklHeAdTzsVq9FzARtq5RE",
    ),
    (
        10,
        1048576,
        "4b0503e103935d759d55c8fa0bd1bd85f7a35a9d7d788cdf973dec2968f8d649",
        "zRWe6q6mbiFiuCAlVsO3ra_nn0yWuEcIGtFGEYyODns",
    ),
    (
        31,
        12345,
        "908bbdd2fcbb61bd42186a0ad4762dc5b6d08edf0074959e4ad6ace8c4ec3dce",
        "4G87L_YNgGSbboqj1PRPimIWX5v53BXnT2Yum7GbSUk",
    ),
    (
        100,
        1024,
        "3e2a1ecb4358464dc9852e25cabdb0bb1c6d29b384dc7eccfdf3cafdbc4684f9",
        "NqTiGYY7Uj_edLhX3TTGXzJflhDA3zL1kA5lHMco8i8",
    ),
    (
        100,
        1048576,
        "223083e88c31fdd58359f79ff0cc8f156fc17436650230ba6050f26589f0e895",
        "RWgz0F7TpokgsJua6VS-mi3i4eXtv_z95lMIVzfZ3h4",
    ),
    (
        1000,
        0,
        "d25ab431e4b2990f6929ca6bfd85d291f9c60ec3be3e4c497262289b0b806766",
        "8bHlopuAEXKMBUCDs8MfxVF0-bdLMfUWnuMr6aaP3Rk",
    ),
    (
        1000,
        1024,
        "f49677d2315761026ad59c426ac7b1fa8aaf6596202077ae52d463eb733a2300",
        "Kia3Tha0X7_N85j_kxl7UXfiyLAqge66XrgnQjm-6sU",
    ),
    (
        1000,
        1048576,
        "791bfac34572fdfbde7f63f724d315efd30c775c056c9666a756b8ef27d31788",
        "N8f3J__wwN0ssNAt_LaqiatyU-jvagTUGr2qG8HV8TQ",
    ),
];

#[test]
fn roots_and_ids_are_those_of_the_first_version() {
    let mut found = Vec::new();
    for (shards, length, _, _) in GOLDEN {
        let blob = sample(*length as u64, *length);
        let commitment = encode(&parameters(*shards), &blob).commitment();
        let header = BlobHeader { length: *length as u64, segments: vec![commitment] };
        let root = hex::encode(commitment.slivers_root);
        found.push((*shards, *length, root, header.blob_id().to_string()));
    }
    let expected: Vec<_> = GOLDEN
        .iter()
        .map(|(shards, length, root, id)| (*shards, *length, root.to_string(), id.to_string()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_id_of_a_blob_of_several_segments_is_that_of_the_first_version() {
    let parameters = Parameters::new(7, 4096).expect("valid parameters");
    let header = Pipeline::new(&parameters, 3).identify(&sample(10_000, 10_000)[..], |_| ());
    let header = header.expect("memory can be read");
    assert_eq!(header.segments.len(), 3);
    assert_eq!(header.blob_id().to_string(), "BG8fHOb6p97R3eJuW_TibMKc5ZHZN1uB2i4mnF_BO4g");
}
