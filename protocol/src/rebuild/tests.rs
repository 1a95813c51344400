//! Any pairs that are lost together, any segment: rebuilt from symbols of any others.

use proptest::prelude::*;

use super::*;
use crate::encoding::{EncodedSegment, SegmentPosition, encode_segment, recovery_symbols};

/// What these pairs' slivers of an axis give to the targets.
pub(crate) fn sample_symbols(
    parameters: &Parameters,
    segment: &EncodedSegment,
    length: u32,
    axis: Axis,
    (sources, targets): (&[PairIndex], &[PairIndex]),
) -> Vec<SourceSymbols> {
    let places: Vec<_> =
        targets.iter().map(|target| target.sliver_index(axis.other(), parameters)).collect();
    let symbols = |source: &PairIndex| {
        let sliver = segment.sliver(axis, source.sliver_index(axis, parameters));
        let symbols = recovery_symbols(parameters, length, axis, &sliver, &places);
        SourceSymbols { source: *source, symbols: symbols.expect("a sliver of its length") }
    };
    sources.iter().map(symbols).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn pairs_lost_together_come_back_from_less_than_their_own_bytes(
        shards in 4_u16..32,
        length in 0_u32..3000,
        order in proptest::collection::vec(any::<u32>(), 32),
        lost in 1_u16..11,
    ) {
        let parameters = Parameters::new(shards, 4096).expect("valid parameters");
        let lost = usize::from(lost.min(parameters.faults()).max(1));
        let mut pairs: Vec<_> = (0..shards).map(PairIndex).collect();
        pairs.sort_by_key(|pair| order[usize::from(pair.0)]);
        let (targets, others) = pairs.split_at(lost);
        let bytes: Vec<u8> = (0..length).map(|at| (at * 7 % 251).to_le_bytes()[0]).collect();
        let position = SegmentPosition { segment: 0, blob_bytes: u64::from(length) };
        let segment = encode_segment(&parameters, position, bytes.into());
        let (rows, columns) = (
            usize::from(parameters.primary_source()),
            usize::from(parameters.secondary_source()),
        );
        let given = |axis, count: usize| {
            sample_symbols(&parameters, &segment, length, axis, (&others[..count], targets))
        };
        let sources = [given(Axis::Primary, rows), given(Axis::Secondary, columns - lost)];
        let rebuilt = rebuild_pairs(&parameters, length, targets, [&sources[0], &sources[1]])
            .expect("enough symbols");
        for pair in rebuilt {
            prop_assert_eq!(pair.roots, segment.pairs().roots(pair.pair));
            for (axis, sliver) in Axis::BOTH.into_iter().zip(pair.slivers) {
                let index = pair.pair.sliver_index(axis, &parameters);
                prop_assert_eq!(sliver, segment.sliver(axis, index));
            }
        }
        let few = rebuild_pairs(&parameters, length, targets, [&sources[0][1..], &sources[1]]);
        prop_assert!(matches!(few, Err(RecoverError::TooFew { .. })), "one is too few");
    }
}
