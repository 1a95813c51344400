//! Serves symbols to members that repair what they lost.
//!
//! Promises: nothing is read before there is room for it, nothing coded without a core; a sliver that rotted counts as
//! missing; only members are served, and only of blobs that somebody pays for. Does not: prove what was not asked to be.

use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::{ExpandedSliver, Parameters, recovery_symbols};
use haulout_protocol::sliver::{PairIndex, shard_of_pair};
use haulout_protocol::wire::Refusal;
use haulout_protocol::wire::symbol::{Layout, Reply, Request};
use haulout_storage::{Store, StoreError};
use tokio::time::sleep;
use tracing::warn;

use crate::context::Context;
use crate::limits;
use crate::serving::{Ended, Fault, Visit, blocking, charged};

/// What metrics call what is served.
const SYMBOL: &str = "recovery_symbols";

/// Serves one visitor.
pub(super) async fn serve(context: Context, is_member: bool, mut visit: Visit) -> Ended {
    let served = answer(&context, is_member, &mut visit).await;
    visit.end::<Reply>(served).await
}

async fn answer(context: &Context, is_member: bool, visit: &mut Visit) -> Result<(), Fault> {
    let request: Request = visit.frame().await?;
    visit.place.asked();
    if !is_member {
        let reason = "symbols are for members of the committee; readers get slivers";
        return Err(Fault::Refused(Refusal::Invalid(reason.to_owned())));
    }
    let position = context.position.current();
    let parameters = position.parameters;
    if !is_sound(&request, parameters.shards()) {
        return Err(Fault::out_of_place("a list of sources and targets like this"));
    }
    let blob_id = BlobId::from_bytes(request.blob_id);
    let store = context.store.clone();
    let record = blocking(move || store.blob(&blob_id)).await??;
    let record = record.filter(|record| record.is_registered(position.epoch));
    let blob_bytes =
        record.and_then(|record| record.size()).ok_or(Fault::Refused(Refusal::NotFound))?;
    let is_there = u64::from(request.segment) < parameters.segment_count(blob_bytes);
    if parameters.is_short(blob_bytes) || !is_there {
        return Err(Fault::Refused(Refusal::NotFound));
    }
    let length = parameters.segment_length(blob_bytes, request.segment);
    let wanted = Wanted { parameters, blob_id, length, request };
    for source in wanted.request.sources.iter().copied().map(PairIndex) {
        let layout = wanted.layout(source);
        let turn = visit.turn(layout.bytes())?;
        if !turn.is_zero() {
            visit.stream.flush().await?;
            sleep(turn).await;
        }
        let _room = visit.room(charged(wanted.memory_bytes(&layout))).await?;
        let (store, asked) = (context.store.clone(), wanted.clone());
        match visit.in_background(move || asked.look_up(&store, source)).await?? {
            None => visit.stream.write_frame(&Reply::Missing { source: source.0 }).await?,
            Some(raw) => {
                let bytes = u32::try_from(raw.len()).map_err(|_| Fault::Panicked)?;
                visit.stream.write_frame(&Reply::Symbols { source: source.0, bytes }).await?;
                visit.stream.write_all(&raw).await?;
                context.metrics.sliver_served(SYMBOL, u64::from(bytes));
            }
        }
    }
    visit.stream.write_frame(&Reply::End).await?;
    Ok(visit.stream.flush().await?)
}

/// Whether each source and target is named once, there are such pairs, and none is both.
fn is_sound(request: &Request, shards: u16) -> bool {
    let mut all: Vec<_> = request.sources.iter().chain(&request.targets).copied().collect();
    let fits = all.len() <= limits::PAIRS_PER_GET_MAX;
    all.sort_unstable();
    let has_twins = all.windows(2).any(|pair| pair[0] == pair[1]);
    let is_empty = request.sources.is_empty() || request.targets.is_empty();
    fits && !is_empty && !has_twins && all.last().is_none_or(|last| *last < shards)
}

/// A request, and the segment that it is about.
#[derive(Clone, Debug)]
struct Wanted {
    parameters: Parameters,
    blob_id: BlobId,
    length: u32,
    request: Request,
}

impl Wanted {
    fn layout(&self, source: PairIndex) -> Layout {
        let Request { targets, with_proofs, .. } = &self.request;
        Layout::new(&self.parameters, self.length, source, targets.len(), *with_proofs)
    }

    /// Memory for one source: its sliver, what is sent, and, to prove it, all of its symbols.
    fn memory_bytes(&self, layout: &Layout) -> usize {
        let sliver = self.parameters.sliver_bytes(self.request.axis, self.length);
        let symbol =
            usize::try_from(self.parameters.symbol_bytes(self.length)).unwrap_or(usize::MAX);
        let all = usize::from(self.parameters.shards()).saturating_mul(symbol.saturating_add(64));
        let expanded = if self.request.with_proofs { all } else { 0 };
        sliver.saturating_add(layout.bytes()).saturating_add(expanded)
    }

    /// What a source gives, as it is sent; nothing if it is not here. Blocks.
    fn look_up(&self, store: &Store, source: PairIndex) -> Result<Option<Vec<u8>>, StoreError> {
        match self.read(store, source) {
            Err(StoreError::Corrupt { what }) => {
                warn!(blob_id = %self.blob_id, what, "a stored sliver or its proof rotted; not serving it");
                Ok(None)
            }
            read => read,
        }
    }

    fn read(&self, store: &Store, source: PairIndex) -> Result<Option<Vec<u8>>, StoreError> {
        let Wanted { parameters, blob_id, length, request } = self;
        let shard = shard_of_pair(parameters, blob_id, request.segment, source);
        let Some(sliver) = store.sliver(blob_id, request.segment, shard, request.axis)? else {
            return Ok(None);
        };
        let place =
            |target: &u16| PairIndex(*target).sliver_index(request.axis.other(), parameters);
        let places: Vec<_> = request.targets.iter().map(place).collect();
        if !request.with_proofs {
            let symbols = recovery_symbols(parameters, *length, request.axis, &sliver, &places);
            return Ok(symbols.ok().map(|symbols| symbols.concat()));
        }
        let Some(proof) = store.pair_proof(blob_id, request.segment, shard)? else {
            return Ok(None);
        };
        let Ok(expanded) = ExpandedSliver::new(parameters, *length, request.axis, sliver) else {
            return Ok(None);
        };
        let mut raw = proof.to_vec();
        for place in places {
            raw.extend_from_slice(&expanded.symbol(place));
            raw.extend_from_slice(expanded.proof(place).siblings.as_flattened());
        }
        Ok(Some(raw))
    }
}

#[cfg(test)]
mod tests {
    use haulout_protocol::sliver::Axis;

    use super::*;

    fn request(sources: &[u16], targets: &[u16]) -> Request {
        Request {
            blob_id: [1; 32],
            segment: 0,
            axis: Axis::Primary,
            sources: sources.to_vec(),
            targets: targets.to_vec(),
            with_proofs: false,
            trace: None,
        }
    }

    #[test]
    fn a_request_names_each_pair_once_as_a_source_or_a_target() {
        assert!(is_sound(&request(&[0, 2], &[1, 3]), 4));
        assert!(!is_sound(&request(&[0, 2], &[2]), 4), "a target has nothing to give");
        assert!(!is_sound(&request(&[0, 0], &[1]), 4));
        assert!(!is_sound(&request(&[0], &[1, 1]), 4));
        assert!(!is_sound(&request(&[0], &[4]), 4), "there is no such pair");
        assert!(!is_sound(&request(&[], &[1]), 4) && !is_sound(&request(&[1], &[]), 4));
    }
}
