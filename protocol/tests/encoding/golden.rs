//! Our own ids and roots, written down once: a change here is a new encoding and needs a new number.

use haulout_protocol::blob::BlobHeader;
use haulout_protocol::encoding::{Parameters, Pipeline, SHORT_BYTES_MAX, encode_short};

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
        let header = BlobHeader::new(&parameters(*shards), *length as u64, vec![commitment]);
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

/// Shards, length (which is also the seed), root over the symbols, BLAKE3 of what proves the first, second and last of them,
/// blob id.
const SHORT: &[(u16, usize, &str, &str, &str)] = &[
    (
        4,
        0,
        "c770e41e33bfc5bcce2a3d66e323e27a4310a799dbf06cfd6bc2d85a81a2c057",
        "07101aa196178fdef2fd5ce46d153ff7f81229987976c6596fc0720bd3d75073",
        "rGWJeTZj6MevQZ0EJwGzv5UO4sBtEPO257g8e97Yan8",
    ),
    (
        4,
        65536,
        "2b0d5bb7f0c10405e3721d1018abe140d4bd4dc73c52fb87baf69b83cf890df5",
        "f6aae53a69de5a363a07888d6ce350e1ab75633ee3ee78a1c0dbc1ccb11a10ab",
        "zD7m-C-DkwdER1OCyp_HOyeZ_4NXfcj4-tyqWaxNhDM",
    ),
    (
        7,
        1000,
        "3391b830bf60e3c6b6451b675820e9514a05b2f17ad00cf10165af4c626214cd",
        "ede1d90efe035db8cbdd9d5b4452fafa52aac93699eb6198fbe6508f484f698b",
        "z7zNILkf49jlOz1ccglE_JExc26VaiSQSoufkArp2V8",
    ),
    (
        10,
        1024,
        "c21cd70878d2fcee79665021d93467925fa637d183aa5244c97852f2604ec92f",
        "f4010e659772573dc0953a1c4c022979a20deda91e754a7920440a2d829269f3",
        "m9DgJzZy94PtvZIlCM3RDd4koq5G1lJQfqtfSFca3OM",
    ),
    (
        31,
        12345,
        "ea7f9d3fb2d4eb4d8ab4a29d138f098adf9abecd282f0ee57b7bf245bd715c97",
        "b5b2cb949234ca59ef6aaeec7d8c425316caabeb8d27259aa8c7962cb9556f5b",
        "NbYoT5VRtHhkJHyDY0KEq-H-eKym5JYBsvK4YJcCc1o",
    ),
    (
        100,
        1,
        "43be7067ba88d77c56293665aac9e6cc16cd06390274d4b423ba13609b7dc832",
        "3161dbb76e7d1772866da269727a986fb7c6cfefd8f9f7d5cde7ff371381fdc8",
        "Oq3GvnjGINjGykUAg2c6-xRuloVNzBE5CqSAs-hqowk",
    ),
    (
        100,
        10240,
        "c6ce4878d4e0c615782b2d05b89f1370b62ffd7af2a77443936f1c6e18aa10bf",
        "204ce8fef6805beeec26329e6c33d0e64fdf85eeda14c5b47c840fb115ceb0da",
        "WI3jdXfARIlMIKzKWiXWNcaJ4ORgj_8DljdCrzxQXl4",
    ),
    (
        1000,
        0,
        "1a968b59f9022d7405571b6586b52898c8e08aa9274fb280bb0e52a0ada158ce",
        "76d1d041216472a58251b3bf489eaec83a04c8606e1db657c925f771b84ff2e4",
        "IAjuWe6m_mmWlspZVhF8tciQN_8whWYnkziQt-F5lu0",
    ),
    (
        1000,
        1024,
        "6354f83f3ccf988b090e5f5b59bf6d7d9231c2aafd9de443695dc9dd2a7f3632",
        "22d09d378c951c36d12a1b6e83c92e0078e425837bdfee729f7ba0d2ef4c7acc",
        "7vn6JdP1qDxmiTiDXwgwzUJFs4SKbAX061vFke27GIA",
    ),
    (
        1000,
        10240,
        "9bf6689808b99c67b4f33acd3a207aaa7dee34038a556115305668afb6f23a95",
        "a39ec8acb71197585134976c9899c586345220675ddd8e8e20d63cda9f0ac81d",
        "sUYNkdaJJbg9CkRLTFx5oCW20xhewnjgXbYAbGUw1ps",
    ),
    (
        1000,
        65536,
        "111880578e3434663932919addc3253949ee614a1f610ac22162cb8f7e62e53b",
        "6075a7d53254fa35ab45fc97bdb69dc4cee411663d2002f2d0accf42616f91f8",
        "iGbq4-cDrb5XyB-Mbt5sjNv5HwTu4DRzpF9Wd_jg4Dk",
    ),
];

#[test]
fn roots_proofs_and_ids_of_short_blobs_are_those_of_the_first_version() {
    let mut found = Vec::new();
    for (shards, length, ..) in SHORT {
        let (shards, length) = (*shards, *length);
        let parameters = parameters(shards).with_short_blobs(SHORT_BYTES_MAX);
        let encoded = encode_short(&parameters.unwrap(), &sample(length as u64, length));
        let proof = encoded.prove(&[0, 1, shards - 1]).unwrap();
        let proof = blake3::hash(proof.siblings.as_flattened()).to_string();
        let root = hex::encode(encoded.commitment().slivers_root);
        found.push((shards, length, root, proof, encoded.header().blob_id().to_string()));
    }
    let expected: Vec<_> = SHORT
        .iter()
        .map(|(shards, length, root, proof, id)| {
            (*shards, *length, root.to_string(), proof.to_string(), id.to_string())
        })
        .collect();
    assert_eq!(found, expected);
}
