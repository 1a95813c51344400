//! Hands over to members what they lack of the shards that we had before, a page at a time.
//!
//! Promises: nothing is read before there is room for it; what rotted counts as missing; only members are served, and only of
//! blobs that somebody pays for. Does not: ask whose the shards are by now: whoever is a member may know what they hold.

use std::collections::BTreeMap;

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::Parameters;
use haulout_protocol::sliver::{Axis, ShardIndex};
use haulout_protocol::wire::Refusal;
use haulout_protocol::wire::shard::{Cost, Entry, PairLayout, Reply, Request};
use haulout_storage::{ShortBlob, Store, StoreError};
use tokio::time::sleep;
use tracing::warn;

use crate::context::Context;
use crate::position::Position;
use crate::serving::{Ended, Fault, Visit, blocking, charged};
use crate::short_rows::{check, placed};

/// What metrics call what is served.
const HANDOVER: &str = "handover";

/// Serves one visitor.
pub(in crate::recovery) async fn serve(
    context: Context,
    is_member: bool,
    mut visit: Visit,
) -> Ended {
    let served = answer(&context, is_member, &mut visit).await;
    visit.end::<Reply>(served).await
}

async fn answer(context: &Context, is_member: bool, visit: &mut Visit) -> Result<(), Fault> {
    let request: Request = visit.frame().await?;
    visit.place.asked();
    if !is_member {
        let reason = "shards are handed over to members of the committee; readers get slivers";
        return Err(Fault::Refused(Refusal::Invalid(reason.to_owned())));
    }
    let position = context.position.current();
    let parameters = position.parameters;
    if !request.is_sound(parameters.shards()) {
        return Err(Fault::out_of_place("a page like this"));
    }
    let lengths = lengths(context, &position, &request).await?;
    if !request.fits(&parameters, |blob_id| lengths.get(blob_id).copied()) {
        return Err(Fault::out_of_place("a page of so many bytes"));
    }
    let mut desk = Desk { context, parameters, visit };
    for entry in &request.entries {
        let blob_id = BlobId::from_bytes(entry.blob_id);
        let length = lengths.get(&blob_id).copied();
        let is_there = |length: &u64| {
            u64::from(entry.segment) < parameters.segment_count(*length)
                && (entry.segment == 0 || !parameters.is_short(*length))
        };
        match length.filter(is_there) {
            None => desk.lack().await?,
            Some(length) if parameters.is_short(length) => {
                desk.send_short(blob_id, length, entry).await?;
            }
            Some(length) => desk.send_pairs(blob_id, length, entry).await?,
        }
    }
    desk.visit.stream.write_frame(&Reply::End).await?;
    Ok(desk.visit.stream.flush().await?)
}

/// How long the blobs of a page are; those that somebody pays for.
async fn lengths(
    context: &Context,
    position: &Position,
    request: &Request,
) -> Result<BTreeMap<BlobId, u64>, Fault> {
    let (store, epoch) = (context.store.clone(), position.epoch);
    let ids = request.entries.iter().map(|entry| BlobId::from_bytes(entry.blob_id));
    let ids: Vec<_> = ids.collect();
    let read = blocking(move || {
        let mut lengths = BTreeMap::new();
        for blob_id in ids {
            let record = store.blob(&blob_id)?.filter(|record| record.is_registered(epoch));
            lengths.extend(record.and_then(|record| record.size()).map(|size| (blob_id, size)));
        }
        Ok::<_, StoreError>(lengths)
    });
    Ok(read.await??)
}

/// What is read of a store; what rotted is not there.
fn sound<T>(
    blob_id: &BlobId,
    read: Result<Option<T>, StoreError>,
) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Corrupt { what }) => {
            warn!(%blob_id, what, "what is to be handed over rotted; not serving it");
            Ok(None)
        }
        read => read,
    }
}

/// Where a page is served.
struct Desk<'a> {
    context: &'a Context,
    parameters: Parameters,
    visit: &'a mut Visit,
}

impl Desk<'_> {
    /// Nothing of an entry is here.
    async fn lack(&mut self) -> Result<(), Fault> {
        Ok(self.visit.stream.write_frame(&Reply::Absent).await?)
    }

    /// Waits for the turn of so many bytes.
    async fn take_turn(&mut self, bytes: usize) -> Result<(), Fault> {
        let turn = self.visit.turn(bytes)?;
        if !turn.is_zero() {
            self.visit.stream.flush().await?;
            sleep(turn).await;
        }
        Ok(())
    }

    /// Sends the header of a blob, if it is wanted, and pairs of one of its segments.
    async fn send_pairs(
        &mut self,
        blob_id: BlobId,
        length: u64,
        entry: &Entry,
    ) -> Result<(), Fault> {
        if entry.with_header && !self.send_header(blob_id, length).await? {
            return self.lack().await;
        }
        let pair = Cost::of(&self.parameters, length, entry.segment).of_pairs(1, false);
        let pair = usize::try_from(pair).unwrap_or(usize::MAX);
        // Small ones are read together: all of them count as much as the least that a visit holds.
        let together = (charged(0) / pair.max(1)).max(1);
        for shards in entry.shards.chunks(together) {
            let bytes = pair.saturating_mul(shards.len());
            self.take_turn(bytes).await?;
            let _room = self.visit.room(charged(bytes)).await?;
            let (store, segment, parameters) =
                (self.context.store.clone(), entry.segment, self.parameters);
            let shards: Vec<_> = shards.iter().copied().map(ShardIndex).collect();
            let read = blocking(move || {
                let pair =
                    |shard| read_pair(&store, &parameters, (&blob_id, length), segment, shard);
                shards.into_iter().map(pair).collect::<Result<Vec<_>, _>>()
            });
            for found in read.await?? {
                self.send_pair(found).await?;
            }
        }
        Ok(())
    }

    async fn send_pair(&mut self, found: Option<[Bytes; 3]>) -> Result<(), Fault> {
        let Some(parts) = found else {
            return Ok(self.visit.stream.write_frame(&Reply::Missing).await?);
        };
        let bytes = parts.iter().map(Bytes::len).sum::<usize>();
        let bytes = u32::try_from(bytes).map_err(|_| Fault::Panicked)?;
        self.visit.stream.write_frame(&Reply::Pair { bytes }).await?;
        for part in &parts {
            self.visit.stream.write_all(part).await?;
        }
        self.context.metrics.sliver_served(HANDOVER, u64::from(bytes));
        Ok(())
    }

    /// Sends a header; whether it is here.
    async fn send_header(&mut self, blob_id: BlobId, length: u64) -> Result<bool, Fault> {
        let bytes = BlobHeader::bytes_of(length, &self.parameters);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.take_turn(bytes).await?;
        let _room = self.visit.room(charged(bytes)).await?;
        let store = self.context.store.clone();
        let found = blocking(move || sound(&blob_id, store.header(&blob_id))).await??;
        let Some(header) = found else { return Ok(false) };
        let bytes = u32::try_from(header.len()).map_err(|_| Fault::Panicked)?;
        self.visit.stream.write_frame(&Reply::Header { bytes }).await?;
        self.visit.stream.write_all(&header).await?;
        Ok(true)
    }

    /// Sends the symbols of a short blob that are wanted and here, with its header and their proof.
    async fn send_short(
        &mut self,
        blob_id: BlobId,
        length: u64,
        entry: &Entry,
    ) -> Result<(), Fault> {
        let cost = Cost::of(&self.parameters, length, 0).of_pairs(entry.shards.len(), true);
        self.take_turn(usize::try_from(cost).unwrap_or(usize::MAX)).await?;
        let length = u32::try_from(length).map_err(|_| Fault::Panicked)?;
        let _room = self.visit.room(charged(self.parameters.short_encoded_bytes(length))).await?;
        let core = self.visit.core().await;
        let (store, parameters) = (self.context.store.clone(), self.parameters);
        let wanted: Vec<_> = entry.shards.iter().copied().map(ShardIndex).collect();
        let read = blocking(move || {
            let _core = core;
            let stored = sound(&blob_id, store.short(&blob_id))?;
            Ok::<_, StoreError>(stored.and_then(|it| choose(&parameters, &blob_id, &wanted, it)))
        });
        let Some(row) = read.await?? else { return self.lack().await };
        let bytes = |bytes: &Bytes| u32::try_from(bytes.len()).map_err(|_| Fault::Panicked);
        let reply = Reply::Short {
            shards: row.symbols.iter().map(|(shard, _)| shard.0).collect(),
            header_bytes: bytes(&row.header)?,
            proof_bytes: bytes(&row.proof)?,
        };
        self.visit.stream.write_frame(&reply).await?;
        self.visit.stream.write_all(&row.header).await?;
        for (_, symbol) in &row.symbols {
            self.visit.stream.write_all(symbol).await?;
            self.context.metrics.sliver_served(HANDOVER, u64::from(bytes(symbol)?));
        }
        Ok(self.visit.stream.write_all(&row.proof).await?)
    }
}

/// A whole pair: its proof and its slivers; nothing if one of them is not here. Blocks.
fn read_pair(
    store: &Store,
    parameters: &Parameters,
    (blob_id, length): (&BlobId, u64),
    segment: u32,
    shard: ShardIndex,
) -> Result<Option<[Bytes; 3]>, StoreError> {
    let sliver = |axis| sound(blob_id, store.sliver(blob_id, segment, shard, axis));
    let Some(proof) = sound(blob_id, store.pair_proof(blob_id, segment, shard))? else {
        return Ok(None);
    };
    let (Some(primary), Some(secondary)) = (sliver(Axis::Primary)?, sliver(Axis::Secondary)?)
    else {
        return Ok(None);
    };
    let parts = [proof, primary, secondary];
    let (_, layout) = PairLayout::new(parameters, (blob_id, length), segment, shard);
    // What is stored was checked against the same length; else whoever asks would call us a liar.
    let is_whole = parts.iter().map(Bytes::len).sum::<usize>() == layout.bytes();
    Ok(is_whole.then_some(parts))
}

/// Symbols of a stored blob and the proof that they share; nothing if there is none of them.
fn choose(
    parameters: &Parameters,
    blob_id: &BlobId,
    wanted: &[ShardIndex],
    stored: ShortBlob,
) -> Option<ShortBlob> {
    let all = placed(parameters, blob_id, &stored);
    let header = BlobHeader::from_bytes(&stored.header, parameters).ok()?;
    let known = check(parameters, &header, &all, &stored.proof).ok()?;
    let both = stored.symbols.iter().zip(&all).filter(|((shard, _), _)| wanted.contains(shard));
    let (symbols, places): (Vec<_>, Vec<_>) =
        both.map(|(symbol, (place, _))| (symbol.clone(), usize::from(*place))).unzip();
    if symbols.is_empty() {
        return None;
    }
    let proof = known.prove_many(&places)?.to_bytes().into();
    Some(ShortBlob { header: stored.header, symbols, proof })
}
