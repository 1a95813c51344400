//! Symbols that nodes serve each other, and the slivers that are recovered from them.

use bytes::Bytes;
use haulout_protocol::encoding::{
    EncodedSegment, ExpandError, ExpandedSliver, Parameters, RecoverError, RecoverySymbol,
    SymbolError, recover_sliver, recovery_symbols,
};
use haulout_protocol::sliver::Axis;
use haulout_protocol::{merkle, wire};
use proptest::prelude::*;

use crate::properties::{any_axis, any_network};
use crate::{encode, length, parameters, reference, sample};

/// A symbol for the target from each source, without proofs.
fn bare_symbols(
    parameters: &Parameters,
    blob: &Bytes,
    encoded: &EncodedSegment,
    axis: Axis,
    target: u16,
    sources: &[u16],
) -> Vec<(u16, Bytes)> {
    let serve = |source: &u16| {
        let sliver = encoded.sliver(axis.other(), *source);
        let symbols =
            recovery_symbols(parameters, length(blob), axis.other(), &sliver, &[target]).unwrap();
        (*source, symbols[0].clone())
    };
    sources.iter().map(serve).collect()
}

fn expand(
    parameters: &Parameters,
    blob: &Bytes,
    encoded: &EncodedSegment,
    axis: Axis,
    sliver: u16,
) -> ExpandedSliver {
    let bytes = encoded.sliver(axis, sliver);
    ExpandedSliver::new(parameters, length(blob), axis, bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_symbols_that_are_enough_recover_any_sliver(
        (shards, order) in any_network(),
        axis in any_axis(),
        bytes in 0usize..60_000,
        seed: u64,
        target: prop::sample::Index,
        surplus in 0usize..3,
    ) {
        let parameters = parameters(shards);
        let blob = sample(seed, bytes);
        let encoded = encode(&parameters, &blob);
        let target = order[target.index(order.len())];
        let needed = usize::from(parameters.sliver_symbols(axis));
        let sources = &order[..(needed + surplus).min(order.len())];
        let symbols = bare_symbols(&parameters, &blob, &encoded, axis, target, sources);
        let sliver = encoded.sliver(axis, target);
        prop_assert_eq!(recover_sliver(&parameters, length(&blob), axis, &symbols), Ok(sliver));
        let few = recover_sliver(&parameters, length(&blob), axis, &symbols[..needed - 1]);
        prop_assert_eq!(few, Err(RecoverError::TooFew { axis, found: needed - 1, needed }));
    }

    #[test]
    fn expanded_slivers_serve_what_the_cheap_path_serves(
        (shards, order) in any_network(),
        axis in any_axis(),
        bytes in 0usize..60_000,
        seed: u64,
        count: prop::sample::Index,
    ) {
        let parameters = parameters(shards);
        let blob = sample(seed, bytes);
        let encoded = encode(&parameters, &blob);
        let expanded = expand(&parameters, &blob, &encoded, axis, order[0]);
        prop_assert_eq!(&expanded.root(), encoded.pairs().sliver_root(axis, order[0]));
        let sliver = encoded.sliver(axis, order[0]);
        // In any order, and the first of them twice.
        let targets = [&order[..count.index(order.len())], &order[..1]].concat();
        let symbols = recovery_symbols(&parameters, length(&blob), axis, &sliver, &targets);
        let expected = targets.iter().map(|target| expanded.symbol(*target)).collect();
        prop_assert_eq!(symbols, Ok(expected));
    }
}

#[test]
fn served_symbols_are_those_of_the_definition_and_are_proved_at_their_place() {
    // Symbols of one block, of a block with a tail, and of several chunks with a tail.
    for (shards, bytes) in [(4, 0), (7, 1000), (10, 28 * 66), (31, 12_345), (10, 28 * 3000)] {
        let parameters = parameters(shards);
        let blob = sample(bytes as u64, bytes);
        let encoded = encode(&parameters, &blob);
        let matrix = reference::expand(&parameters, &blob);
        for axis in Axis::BOTH {
            for source in 0..shards {
                let expanded = expand(&parameters, &blob, &encoded, axis.other(), source);
                for target in 0..shards {
                    let (row, column) = match axis {
                        Axis::Primary => (target, source),
                        Axis::Secondary => (source, target),
                    };
                    let symbol = expanded.recovery_symbol(source, target);
                    assert_eq!(symbol.bytes, matrix[usize::from(row)][usize::from(column)]);
                    let root = encoded.pairs().sliver_root(axis.other(), source);
                    let verdict = symbol.verify(&parameters, length(&blob), axis, target, root);
                    assert_eq!(verdict, Ok(()), "{row}, {column} of n={shards}, {bytes} bytes");
                }
            }
        }
    }
}

#[test]
fn a_symbol_passes_at_no_other_place() {
    let parameters = parameters(7);
    let blob = sample(9, 1000);
    let encoded = encode(&parameters, &blob);
    let verify = |symbol: &RecoverySymbol, axis: Axis, target| {
        let root = encoded.pairs().sliver_root(axis.other(), symbol.source);
        symbol.verify(&parameters, 1000, axis, target, root)
    };
    let places = (0..7).flat_map(|source| (0..7).map(move |target| (source, target)));
    for axis in Axis::BOTH {
        for (source, target) in places.clone() {
            let expanded = expand(&parameters, &blob, &encoded, axis.other(), source);
            let symbol = expanded.recovery_symbol(source, target);
            for (other_source, other_target) in places.clone() {
                let moved = RecoverySymbol { source: other_source, ..symbol.clone() };
                let is_same = (other_source, other_target) == (source, target);
                assert_eq!(verify(&moved, axis, other_target).is_ok(), is_same);
                assert!(verify(&moved, axis.other(), other_target).is_err());
            }
        }
    }
}

#[test]
fn any_flipped_bit_of_a_symbol_is_noticed() {
    for (shards, bytes) in [(4, 100), (7, 1000), (13, 40_000)] {
        let parameters = parameters(shards);
        let blob = sample(3, bytes);
        let encoded = encode(&parameters, &blob);
        let is_good = |symbol: &RecoverySymbol, axis: Axis, target| {
            let source = symbol.source.min(shards - 1);
            let root = encoded.pairs().sliver_root(axis.other(), source);
            symbol.verify(&parameters, length(&blob), axis, target, root).is_ok()
        };
        for axis in Axis::BOTH {
            let (source, target) = (shards - 2, shards - 1);
            let symbol = expand(&parameters, &blob, &encoded, axis.other(), source)
                .recovery_symbol(source, target);
            assert!(is_good(&symbol, axis, target));
            // Source, bytes and proof are all of the frame.
            let frame = wire::encode(&symbol);
            for bit in 0..frame.len() * 8 {
                let mut frame = frame.clone();
                frame[bit / 8] ^= 1 << (bit % 8);
                let read = wire::decode::<RecoverySymbol>(&frame);
                assert!(!read.is_ok_and(|symbol| is_good(&symbol, axis, target)), "bit {bit}");
            }
            for bit in 0..16 {
                assert!(!is_good(&symbol, axis, target ^ (1 << bit)));
            }
        }
    }
}

#[test]
fn wrong_symbols_are_errors_that_say_what_is_wrong() {
    let parameters = parameters(4);
    let blob = sample(2, 50);
    let encoded = encode(&parameters, &blob);
    let (axis, other) = (Axis::Secondary, Axis::Primary);
    let good = bare_symbols(&parameters, &blob, &encoded, axis, 3, &[0, 3]);
    let recover = |symbols: &[(u16, Bytes)]| recover_sliver(&parameters, 50, axis, symbols);
    assert_eq!(recover(&good), Ok(encoded.sliver(axis, 3)));
    assert_eq!(recover(&[]), Err(RecoverError::TooFew { axis, found: 0, needed: 2 }));
    let twice = [good[0].clone(), good[0].clone()];
    let error = RecoverError::Duplicate { axis: other, source_sliver: 0 };
    assert_eq!(recover(&twice), Err(error));
    let outside = [good[0].clone(), (4, good[1].1.clone())];
    let error = RecoverError::NoSuchSource { axis: other, source_sliver: 4 };
    assert_eq!(recover(&outside), Err(error));
    let expected = good[1].1.len();
    let short = [good[0].clone(), (3, good[1].1.slice(2..))];
    let (source_sliver, found) = (3, expected - 2);
    let error = RecoverError::WrongLength { axis: other, source_sliver, expected, found };
    assert_eq!(recover(&short), Err(error));

    let symbol = expand(&parameters, &blob, &encoded, other, 3).recovery_symbol(3, 1);
    let verify = |symbol: &RecoverySymbol, target| {
        let root = encoded.pairs().sliver_root(other, symbol.source.min(3));
        symbol.verify(&parameters, 50, axis, target, root)
    };
    assert_eq!(verify(&symbol, 4), Err(SymbolError::NoSuchTarget { axis, target: 4 }));
    let outside = RecoverySymbol { source: 4, ..symbol.clone() };
    let error = SymbolError::NoSuchSource { axis: other, source_sliver: 4 };
    assert_eq!(verify(&outside, 1), Err(error));
    let short = RecoverySymbol { bytes: symbol.bytes[2..].to_vec(), ..symbol.clone() };
    let error = SymbolError::WrongLength { axis: other, source_sliver, expected, found };
    assert_eq!(verify(&short, 1), Err(error));
    let error = SymbolError::WrongProof { axis: other, source_sliver, target: 2 };
    assert_eq!(verify(&symbol, 2), Err(error));
    // A padded symbol has the same leaf; its length gives it away.
    let padded = RecoverySymbol { bytes: [&symbol.bytes[..], &[0, 0]].concat(), ..symbol.clone() };
    assert!(matches!(verify(&padded, 1), Err(SymbolError::WrongLength { .. })));
}

#[test]
fn slivers_of_the_wrong_length_are_not_expanded() {
    let parameters = parameters(7);
    let blob = sample(2, 500);
    let sliver = encode(&parameters, &blob).sliver(Axis::Primary, 1);
    let (axis, expected) = (Axis::Primary, sliver.len());
    let error = ExpandError::WrongLength { axis, expected, found: expected - 2 };
    let short = sliver.slice(2..);
    let expanded = ExpandedSliver::new(&parameters, 500, axis, short.clone());
    assert_eq!(expanded.err(), Some(error));
    assert_eq!(recovery_symbols(&parameters, 500, axis, &short, &[0]), Err(error));
    let outside = recovery_symbols(&parameters, 500, axis, &sliver, &[0, 7]);
    assert_eq!(outside, Err(ExpandError::NoSuchSymbol { axis, target: 7 }));
    assert_eq!(recovery_symbols(&parameters, 500, axis, &sliver, &[]), Ok(Vec::new()));
}

#[test]
fn symbols_that_a_sliver_holds_are_slices_of_it() {
    let parameters = parameters(10);
    let blob = sample(3, 28 * 100);
    let sliver = encode(&parameters, &blob).sliver(Axis::Primary, 8);
    let symbols = recovery_symbols(&parameters, 2800, Axis::Primary, &sliver, &[6, 9, 0]).unwrap();
    assert_eq!(symbols[0].as_ptr(), sliver[600..].as_ptr());
    assert_eq!(symbols[2].as_ptr(), sliver.as_ptr());
    let expanded = ExpandedSliver::new(&parameters, 2800, Axis::Primary, sliver.clone()).unwrap();
    assert_eq!(expanded.symbol(6).as_ptr(), sliver[600..].as_ptr());
}

#[test]
fn a_symbol_that_is_asked_for_twice_is_in_memory_once() {
    let parameters = parameters(10);
    let sliver = encode(&parameters, &sample(3, 2800)).sliver(Axis::Primary, 8);
    let symbols = recovery_symbols(&parameters, 2800, Axis::Primary, &sliver, &[9, 8, 9]).unwrap();
    assert_eq!(symbols[0].as_ptr(), symbols[2].as_ptr());
    assert_ne!(symbols[0], symbols[1]);
}

#[test]
fn a_proof_of_a_symbol_is_the_one_that_its_leaves_have() {
    let parameters = parameters(31);
    let blob = sample(8, 12_345);
    let encoded = encode(&parameters, &blob);
    let expanded = expand(&parameters, &blob, &encoded, Axis::Primary, 29);
    let row = &reference::expand(&parameters, &blob)[29];
    let leaves: Vec<_> = row.iter().map(reference::leaf).collect();
    for target in 0..31 {
        assert_eq!(Some(expanded.proof(target)), merkle::prove(&leaves, usize::from(target)));
    }
}

#[test]
fn a_thousand_shards_recover_slivers_from_repair_symbols_alone() {
    let parameters = parameters(1000);
    for bytes in [1000, 445_557] {
        let blob = sample(4, bytes);
        let encoded = encode(&parameters, &blob);
        for axis in Axis::BOTH {
            let needed = usize::from(parameters.sliver_symbols(axis));
            let sources: Vec<u16> = (0..1000).rev().take(needed).collect();
            for target in [0, 999] {
                let symbols = bare_symbols(&parameters, &blob, &encoded, axis, target, &sources);
                let recovered = recover_sliver(&parameters, length(&blob), axis, &symbols);
                assert_eq!(recovered, Ok(encoded.sliver(axis, target)));
            }
        }
    }
}

#[test]
fn four_shards_recover_slivers_of_symbols_of_megabytes() {
    let parameters = parameters(4);
    let blob = sample(6, (1 << 25) - 3);
    let encoded = encode(&parameters, &blob);
    for (axis, sources) in [(Axis::Primary, &[0, 2, 3][..]), (Axis::Secondary, &[2, 3][..])] {
        let symbols = bare_symbols(&parameters, &blob, &encoded, axis, 3, sources);
        let recovered = recover_sliver(&parameters, length(&blob), axis, &symbols).unwrap();
        assert!(recovered == encoded.sliver(axis, 3));
    }
}
