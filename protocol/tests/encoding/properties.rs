//! What must hold for any blob, any network and any slivers.

use bytes::Bytes;
use haulout_protocol::encoding::{
    Buffers, DecodeError, Parameters, SegmentPosition, SliverError, SliverVerifier, content_digest,
    decode_segment, decode_segment_into, encode_segment, encode_segment_into, identify_segment,
    merge_content, verify_sliver,
};
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::{Axis, PairIndex};
use proptest::prelude::*;

use crate::{encode, length, parameters, sample, slivers};

pub(crate) fn any_axis() -> impl Strategy<Value = Axis> {
    prop_oneof![Just(Axis::Primary), Just(Axis::Secondary)]
}

/// A network, and its slivers' indexes in any order.
pub(crate) fn any_network() -> impl Strategy<Value = (u16, Vec<u16>)> {
    (4u16..70).prop_flat_map(|shards| {
        let indexes: Vec<u16> = (0..shards).collect();
        (Just(shards), Just(indexes).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_slivers_that_are_enough_decode(
        (shards, order) in any_network(),
        axis in any_axis(),
        bytes in 0usize..60_000,
        seed: u64,
        surplus in 0usize..3,
    ) {
        let parameters = parameters(shards);
        let blob = sample(seed, bytes);
        let encoded = encode(&parameters, &blob);
        let needed = usize::from(parameters.source(axis));
        let chosen = &order[..(needed + surplus).min(order.len())];
        let given = slivers(&encoded, axis, chosen);
        prop_assert_eq!(decode_segment(&parameters, length(&blob), axis, &given), Ok(blob.clone()));
        let few = decode_segment(&parameters, length(&blob), axis, &given[..needed - 1]);
        prop_assert_eq!(few, Err(DecodeError::TooFew { axis, found: needed - 1, needed }));
    }

    #[test]
    fn any_flipped_bit_of_a_sliver_is_noticed(
        (shards, order) in any_network(),
        axis in any_axis(),
        bytes in 0usize..20_000,
        seed: u64,
        place: prop::sample::Index,
        bit in 0u8..8,
    ) {
        let parameters = parameters(shards);
        let blob = sample(seed, bytes);
        let encoded = encode(&parameters, &blob);
        let index = order[0];
        let root = encoded.pairs().sliver_root(axis, index);
        let mut sliver = encoded.sliver(axis, index).to_vec();
        prop_assert_eq!(verify_sliver(&parameters, length(&blob), axis, index, &sliver, root), Ok(()));
        let place = place.index(sliver.len());
        sliver[place] ^= 1 << bit;
        let verdict = verify_sliver(&parameters, length(&blob), axis, index, &sliver, root);
        prop_assert_eq!(verdict, Err(SliverError::WrongRoot { axis, index }));
    }

    #[test]
    fn the_hash_of_a_blob_is_blake3_however_it_is_cut(bytes in 0usize..40_000, seed: u64, size in 10u32..14) {
        let parameters = Parameters::new(4, 1 << size).unwrap();
        let blob = sample(seed, bytes);
        let blob_bytes = bytes as u64;
        let segments = segments(&parameters, &blob);
        let digests: Vec<_> = segments
            .iter()
            .map(|(position, bytes)| content_digest(&parameters, *position, bytes))
            .collect();
        prop_assert_eq!(merge_content(&parameters, blob_bytes, &digests), *blake3::hash(&blob).as_bytes());
    }
}

pub(crate) fn segments(parameters: &Parameters, blob: &Bytes) -> Vec<(SegmentPosition, Bytes)> {
    let blob_bytes = blob.len() as u64;
    let count = u32::try_from(parameters.segment_count(blob_bytes)).unwrap();
    let mut start = 0;
    (0..count)
        .map(|segment| {
            let position = SegmentPosition { segment, blob_bytes };
            let end = start + usize::try_from(position.length(parameters)).unwrap();
            let bytes = blob.slice(start..end);
            start = end;
            (position, bytes)
        })
        .collect()
}

#[test]
fn every_segment_of_a_blob_encodes_and_decodes_by_itself() {
    let parameters = Parameters::new(7, 4096).unwrap();
    let blob = sample(5, 3 * 4096 + 1000);
    let segments = segments(&parameters, &blob);
    assert_eq!(segments.len(), 4);
    for (position, bytes) in segments {
        let encoded = encode_segment(&parameters, position, bytes.clone());
        assert_eq!(identify_segment(&parameters, position, &bytes), encoded.commitment());
        let given = slivers(&encoded, Axis::Primary, &[1, 4, 6]);
        let length = position.length(&parameters);
        assert_eq!(decode_segment(&parameters, length, Axis::Primary, &given), Ok(bytes));
    }
}

#[test]
fn used_memory_gives_the_same_slivers_and_segments() {
    let buffers = Buffers::new(1 << 24);
    for (shards, bytes) in
        [(100, 1 << 20), (100, 900_000), (10, 1 << 20), (1000, 700_000), (10, 999_999)]
    {
        let parameters = parameters(shards);
        let blob = sample(bytes as u64, bytes);
        let fresh = encode(&parameters, &blob);
        let position = SegmentPosition { segment: 0, blob_bytes: bytes as u64 };
        let reused = encode_segment_into(&buffers, &parameters, position, blob.clone());
        assert_eq!(reused.pairs(), fresh.pairs());
        for axis in Axis::BOTH {
            assert!((0..shards).all(|i| reused.sliver(axis, i) == fresh.sliver(axis, i)));
            let last: Vec<u16> = (shards - parameters.source(axis)..shards).collect();
            let given = slivers(&reused, axis, &last);
            let decoded = decode_segment_into(&buffers, &parameters, length(&blob), axis, &given);
            assert_eq!(decoded.as_ref(), Ok(&blob));
        }
    }
}

#[test]
fn every_bit_of_every_sliver_and_of_every_pair_proof_counts() {
    let parameters = parameters(4);
    let blob = sample(1, 100);
    let encoded = encode(&parameters, &blob);
    let mut verifier = SliverVerifier::new(&parameters, 100);
    for axis in Axis::BOTH {
        for index in 0..4 {
            let root = encoded.pairs().sliver_root(axis, index);
            let sliver = encoded.sliver(axis, index);
            for bit in 0..sliver.len() * 8 {
                let mut sliver = sliver.to_vec();
                sliver[bit / 8] ^= 1 << (bit % 8);
                assert!(verifier.verify(axis, index, &sliver, root).is_err());
            }
            assert_eq!(verifier.verify(axis, index, &sliver, root), Ok(()));
        }
    }
    let root = encoded.commitment().slivers_root;
    for pair in (0..4).map(PairIndex) {
        let proof = encoded.pairs().prove(pair).to_bytes();
        let read = |proof: &[u8]| PairProof::read_verified(proof, pair, &parameters, &root);
        assert!(read(&proof).is_ok());
        for bit in 0..proof.len() * 8 {
            let mut proof = proof.clone();
            proof[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&proof).is_err(), "bit {bit} of pair {pair}");
        }
    }
}

#[test]
fn a_sliver_passes_for_no_other() {
    let parameters = parameters(7);
    let blob = sample(9, 1000);
    let encoded = encode(&parameters, &blob);
    for axis in Axis::BOTH {
        for index in 0..7 {
            for other in (0..7).filter(|other| *other != index) {
                let root = encoded.pairs().sliver_root(axis, other);
                let sliver = encoded.sliver(axis, index);
                assert!(verify_sliver(&parameters, 1000, axis, other, &sliver, root).is_err());
            }
        }
    }
}

#[test]
fn wrong_slivers_are_errors_that_say_what_is_wrong() {
    let parameters = parameters(4);
    let blob = sample(2, 50);
    let encoded = encode(&parameters, &blob);
    let axis = Axis::Primary;
    let good = slivers(&encoded, axis, &[0, 3]);
    let decode = |slivers: &[(u16, Bytes)]| decode_segment(&parameters, 50, axis, slivers);
    assert_eq!(decode(&good), Ok(blob.clone()));
    assert_eq!(decode(&[]), Err(DecodeError::TooFew { axis, found: 0, needed: 2 }));
    let twice = [good[0].clone(), good[0].clone()];
    assert_eq!(decode(&twice), Err(DecodeError::Duplicate { axis, index: 0 }));
    let outside = [good[0].clone(), (4, good[1].1.clone())];
    assert_eq!(decode(&outside), Err(DecodeError::NoSuchSliver { axis, index: 4 }));
    let expected = good[1].1.len();
    let short = [good[0].clone(), (3, good[1].1.slice(2..))];
    let error = DecodeError::WrongLength { axis, index: 3, expected, found: expected - 2 };
    assert_eq!(decode(&short), Err(error));
    let root = encoded.pairs().sliver_root(axis, 3);
    let short = verify_sliver(&parameters, 50, axis, 3, &good[1].1[2..], root);
    assert_eq!(
        short,
        Err(SliverError::WrongLength { axis, index: 3, expected, found: expected - 2 })
    );
    let outside = verify_sliver(&parameters, 50, axis, 4, &good[1].1, root);
    assert_eq!(outside, Err(SliverError::NoSuchSliver { axis, index: 4 }));
}

#[test]
fn systematic_slivers_are_slices_of_the_segment() {
    let parameters = parameters(10);
    let blob = sample(3, 28 * 100);
    let encoded = encode(&parameters, &blob);
    let first = encoded.sliver(Axis::Primary, 0);
    assert_eq!(first.as_ptr(), blob.as_ptr());
    assert_eq!(first, blob[..700]);
}

#[test]
fn a_thousand_shards_decode_from_repair_slivers_alone() {
    let parameters = parameters(1000);
    for bytes in [0, 1000, 445_557, 1 << 20] {
        let blob = sample(4, bytes);
        let encoded = encode(&parameters, &blob);
        for axis in Axis::BOTH {
            let source = parameters.source(axis);
            let all_repair: Vec<u16> = (0..1000).rev().take(usize::from(source)).collect();
            let given = slivers(&encoded, axis, &all_repair);
            assert_eq!(decode_segment(&parameters, length(&blob), axis, &given), Ok(blob.clone()));
        }
    }
}

#[test]
fn four_shards_carry_symbols_of_megabytes() {
    let parameters = parameters(4);
    let blob = sample(6, (1 << 25) - 3);
    let encoded = encode(&parameters, &blob);
    assert_eq!(parameters.symbol_bytes(length(&blob)), 5_592_406);
    for (axis, indexes) in [(Axis::Primary, &[2, 3][..]), (Axis::Secondary, &[0, 2, 3][..])] {
        let given = slivers(&encoded, axis, indexes);
        assert!(decode_segment(&parameters, length(&blob), axis, &given).unwrap() == blob);
        let (index, sliver) = &given[1];
        let root = encoded.pairs().sliver_root(axis, *index);
        assert_eq!(verify_sliver(&parameters, length(&blob), axis, *index, sliver, root), Ok(()));
    }
}
