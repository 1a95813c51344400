//! Pairs that a node lost, rebuilt from symbols of pairs that others hold.
//!
//! Promises: enough symbols of one honest encoding give back the pairs, and their roots tell whether they are the ones that
//! were committed to. Moves no more than the pairs' own bytes: pairs that are lost together give each other what they share.
//! Does not: know the commitment, or fetch.
//!
//! For `m` targets, `P` primary slivers give each target's secondary sliver, one symbol each. These share a symbol with
//! each target's primary sliver, so `S - m` secondary slivers of others give the rest of it: `m * (P + S - m)` symbols in
//! all, while the pairs hold `m * (P + S)`.

use bytes::Bytes;

use crate::encoding::{ExpandedSliver, Parameters, RecoverError, recover_sliver};
use crate::pairs::PairRoots;
use crate::sliver::{Axis, PairIndex};

/// What one sliver gave: a symbol for each target, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSymbols {
    /// The sliver's pair.
    pub source: PairIndex,
    /// One for each target.
    pub symbols: Vec<Bytes>,
}

/// A pair as symbols gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuiltPair {
    /// Which.
    pub pair: PairIndex,
    /// Its primary and its secondary sliver.
    pub slivers: [Bytes; 2],
    /// The roots of these.
    pub roots: PairRoots,
}

/// Rebuilds pairs of a segment of this length, in bytes, from symbols of primary and of secondary slivers. Nothing is
/// proved: symbols that do not belong together give wrong pairs.
///
/// # Errors
/// [`RecoverError`].
///
/// # Panics
/// If a source has not one symbol for each target, or a target is not below the shard count.
pub fn rebuild_pairs(
    parameters: &Parameters,
    segment_length: u32,
    targets: &[PairIndex],
    [from_primaries, from_secondaries]: [&[SourceSymbols]; 2],
) -> Result<Vec<RebuiltPair>, RecoverError> {
    let expand = |axis, bytes: Bytes| {
        let expanded = ExpandedSliver::new(parameters, segment_length, axis, bytes);
        expanded.expect("a recovered sliver has its length")
    };
    let recover =
        |axis, symbols: &[(u16, Bytes)]| recover_sliver(parameters, segment_length, axis, symbols);
    let rows: Vec<_> =
        targets.iter().map(|it| it.sliver_index(Axis::Primary, parameters)).collect();
    let mut secondaries = Vec::with_capacity(targets.len());
    for place in 0..targets.len() {
        let symbols = symbols_at(parameters, Axis::Primary, from_primaries, place);
        let sliver = recover(Axis::Secondary, &symbols)?;
        let expanded = expand(Axis::Secondary, sliver.clone());
        // Copies: slices would keep all symbols of all secondary slivers in memory.
        let shared = rows.iter().map(|row| Bytes::copy_from_slice(&expanded.symbol(*row)));
        secondaries.push((sliver, expanded.root(), shared.collect::<Vec<_>>()));
    }
    let mut rebuilt = Vec::with_capacity(targets.len());
    for (place, pair) in targets.iter().enumerate() {
        let mut symbols = symbols_at(parameters, Axis::Secondary, from_secondaries, place);
        for (target, (.., shared)) in targets.iter().zip(&secondaries) {
            let source = target.sliver_index(Axis::Secondary, parameters);
            symbols.push((source, shared[place].clone()));
        }
        let primary = recover(Axis::Primary, &symbols)?;
        let primary_root = expand(Axis::Primary, primary.clone()).root();
        let (secondary, secondary_root, _) = &secondaries[place];
        rebuilt.push(RebuiltPair {
            pair: *pair,
            slivers: [primary, secondary.clone()],
            roots: PairRoots { primary: primary_root, secondary: *secondary_root },
        });
    }
    Ok(rebuilt)
}

/// What slivers of this axis gave to the target at a place, each with its index.
fn symbols_at(
    parameters: &Parameters,
    axis: Axis,
    sources: &[SourceSymbols],
    place: usize,
) -> Vec<(u16, Bytes)> {
    let symbol =
        |it: &SourceSymbols| (it.source.sliver_index(axis, parameters), it.symbols[place].clone());
    sources.iter().map(symbol).collect()
}

#[cfg(test)]
mod tests;
