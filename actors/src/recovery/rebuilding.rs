//! Computes lost pairs from the symbols that came and the slivers that are here.
//!
//! Promises: a sliver that rotted here is not used; where fault is to be shown, only proved symbols count. Does not: say
//! what follows. Blocks: it is run where blocking is allowed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use haulout_protocol::encoding::{ExpandedSliver, RecoverError, SegmentPosition, recovery_symbols};
use haulout_protocol::inconsistency::{Evidence, InconsistencyProof, Repair};
use haulout_protocol::pairs::KnownPairs;
use haulout_protocol::rebuild::{RebuiltPair, SourceSymbols, rebuild_pairs};
use haulout_protocol::sliver::{Axis, PairIndex, shard_of_pair};
use haulout_storage::StoreError;

use super::job::Job;
use super::question::Given;

/// What pairs are rebuilt from.
pub(super) struct Material {
    pub(super) job: Job,
    /// What primary, and what secondary slivers of others gave.
    pub(super) given: [Vec<(PairIndex, Given)>; 2],
    /// Pairs that are here.
    pub(super) local: BTreeSet<PairIndex>,
    pub(super) known: KnownPairs,
    pub(super) targets: Vec<PairIndex>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Rebuilt {
    pub(super) pairs: BTreeMap<PairIndex, RebuiltPair>,
    /// What proves the writer's fault.
    pub(super) fault: Option<Box<InconsistencyProof>>,
    /// Pairs that are not here any more.
    pub(super) gone: BTreeSet<PairIndex>,
}

impl Material {
    /// Rebuilds the targets; with proved symbols of as many slivers as the pairs need, also shows the writer's fault.
    pub(super) fn rebuild(&self, accuse: bool) -> Result<Rebuilt, StoreError> {
        let mut rebuilt = Rebuilt::default();
        if accuse {
            rebuilt.fault = self.accuse()?;
        }
        // Too few symbols, because a sliver of ours went missing a moment ago, give nothing now.
        let pairs = self.pairs(&mut rebuilt.gone)?.unwrap_or_default();
        rebuilt.pairs = pairs.into_iter().map(|pair| (pair.pair, pair)).collect();
        Ok(rebuilt)
    }

    fn length(&self) -> u32 {
        let Job { session, header, segment, .. } = &self.job;
        session.parameters.segment_length(header.length, *segment)
    }

    fn pairs(
        &self,
        gone: &mut BTreeSet<PairIndex>,
    ) -> Result<Result<Vec<RebuiltPair>, RecoverError>, StoreError> {
        let parameters = &self.job.session.parameters;
        let mut sources = [Vec::new(), Vec::new()];
        for (axis, (sources, given)) in
            Axis::BOTH.into_iter().zip(sources.iter_mut().zip(&self.given))
        {
            let symbols = |given: &Given| {
                let symbols = self.targets.iter().map(|target| given.symbol(*target).cloned());
                symbols.collect::<Option<Vec<_>>>()
            };
            for (source, given) in given {
                sources.extend(
                    symbols(given).map(|symbols| SourceSymbols { source: *source, symbols }),
                );
            }
            let places: Vec<_> =
                self.targets.iter().map(|it| it.sliver_index(axis.other(), parameters)).collect();
            let across = usize::from(parameters.sliver_symbols(axis.other()));
            for source in &self.local {
                if sources.len() >= across {
                    break;
                }
                let Some(sliver) = self.sliver(*source, axis)? else {
                    gone.insert(*source);
                    continue;
                };
                let symbols = recovery_symbols(parameters, self.length(), axis, &sliver, &places);
                let symbols =
                    symbols.ok().map(|symbols| SourceSymbols { source: *source, symbols });
                sources.extend(symbols);
            }
        }
        let [primaries, secondaries] = &sources;
        Ok(rebuild_pairs(parameters, self.length(), &self.targets, [primaries, secondaries]))
    }

    /// A sliver that is here; nothing if it rotted.
    fn sliver(&self, pair: PairIndex, axis: Axis) -> Result<Option<Bytes>, StoreError> {
        let Job { session, store, blob_id, segment, .. } = &self.job;
        let shard = shard_of_pair(&session.parameters, blob_id, *segment, pair);
        match store.sliver(blob_id, *segment, shard, axis) {
            Err(StoreError::Corrupt { .. }) => Ok(None),
            sliver => sliver,
        }
    }

    /// Proves that the writer left no pair to rebuild, if proved symbols show it.
    fn accuse(&self) -> Result<Option<Box<InconsistencyProof>>, StoreError> {
        let Job { session, header, segment, .. } = &self.job;
        let parameters = &session.parameters;
        let evidence = Evidence {
            parameters,
            position: SegmentPosition { segment: *segment, blob_bytes: header.length },
            commitment: &header.segments[*segment as usize],
            pairs: &self.known,
        };
        let mut local = Vec::new();
        for (axis, source) in
            Axis::BOTH.into_iter().flat_map(|axis| self.local.iter().map(move |it| (axis, *it)))
        {
            let Some(sliver) = self.sliver(source, axis)? else { continue };
            let expanded = ExpandedSliver::new(parameters, self.length(), axis, sliver);
            local.extend(expanded.ok().map(|expanded| (axis, source, expanded)));
        }
        for target in &self.targets {
            // A target's primary sliver comes from secondary ones, and the other way round.
            let symbols = [Axis::Secondary, Axis::Primary].map(|axis| {
                let [primary, secondary] = &self.given;
                let given = if axis == Axis::Primary { primary } else { secondary };
                let place = target.sliver_index(axis.other(), parameters);
                let ours =
                    local.iter().filter(|(of, ..)| *of == axis).map(|(_, pair, expanded)| {
                        expanded.recovery_symbol(pair.sliver_index(axis, parameters), place)
                    });
                let given = given.iter().filter_map(|(_, given)| given.proved(*target).cloned());
                given.chain(ours).collect::<Vec<_>>()
            });
            if let Ok(Repair::Inconsistent(proof)) = evidence.prove_pair(*target, symbols) {
                return Ok(Some(Box::new(proof)));
            }
        }
        Ok(None)
    }
}
