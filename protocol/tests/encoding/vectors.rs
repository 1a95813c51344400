//! Vectors made with Walrus's own encoder: the same slivers, and the same ids from our Walrus-compatible hashing.

use haulout_protocol::encoding::{EncodedSegment, Parameters, walrus};
use haulout_protocol::sliver::{Axis, PairIndex};
use sha2::{Digest, Sha256};

use crate::{encode, parameters, sample};

#[derive(serde::Deserialize)]
struct Vector {
    shards: u16,
    length: usize,
    seed: u64,
    symbol_size: u32,
    walrus_blob_id: String,
    primary_slivers_sha256: String,
    secondary_slivers_sha256: String,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../vectors/walrus-rs2.json")).unwrap()
}

/// Slivers in the order of their pairs.
fn sha256_of_slivers(encoded: &EncodedSegment, axis: Axis, parameters: &Parameters) -> String {
    let mut hasher = Sha256::new();
    for pair in (0..parameters.shards()).map(PairIndex) {
        hasher.update(encoded.sliver(axis, pair.sliver_index(axis, parameters)));
    }
    hex::encode(hasher.finalize())
}

#[test]
fn all_slivers_equal_those_of_the_walrus_encoder() {
    for vector in vectors() {
        let Vector { shards, length, .. } = vector;
        let context = format!("n={shards}, {length} bytes");
        let parameters = parameters(shards);
        let blob = sample(vector.seed, length);
        let encoded = encode(&parameters, &blob);
        assert_eq!(parameters.symbol_bytes(crate::length(&blob)), vector.symbol_size, "{context}");
        let primary = sha256_of_slivers(&encoded, Axis::Primary, &parameters);
        assert_eq!(primary, vector.primary_slivers_sha256, "{context}");
        let secondary = sha256_of_slivers(&encoded, Axis::Secondary, &parameters);
        assert_eq!(secondary, vector.secondary_slivers_sha256, "{context}");
    }
}

#[test]
fn walrus_ids_equal_those_of_the_walrus_encoder() {
    for vector in vectors() {
        let id = walrus::blob_id(vector.shards, &sample(vector.seed, vector.length)).unwrap();
        let context = format!("n={}, {} bytes", vector.shards, vector.length);
        assert_eq!(to_text(id), vector.walrus_blob_id, "{context}");
    }
}

#[test]
fn the_id_that_the_walrus_documentation_prints_is_ours_too() {
    let id = walrus::blob_id(1000, b"some other string").unwrap();
    assert_eq!(to_text(id), "M4hsZGQ1oCktdzegB6HnI6Mi28S2nqOPHxK-W7_4BUk");
}

#[test]
fn what_walrus_refuses_has_no_walrus_id() {
    let limit = 2 * 3 * 65534;
    assert!(walrus::blob_id(4, &vec![0; limit]).is_ok());
    assert!(walrus::blob_id(4, &vec![0; limit + 1]).is_err());
    assert!(walrus::blob_id(3, b"").is_err());
}

fn to_text(id: [u8; 32]) -> String {
    haulout_protocol::blob::BlobId::from_bytes(id).to_string()
}
