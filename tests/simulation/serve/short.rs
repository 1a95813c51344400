//! Short blobs at a node: takes, keeps and gives the row of symbols that it has of one.
//!
//! Promises: what is kept was checked and is added to what is there, by the functions that real nodes use. Does not: fetch.

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId, Encoding};
use haulout_protocol::encoding::{EncodedShort, Parameters};
use haulout_protocol::sliver::{PairIndex, ShardIndex, pair_of_shard, shard_of_pair};
use haulout_protocol::wire::sliver::{Reply, Request};
use haulout_protocol::wire::{self, Refusal, shard};
use haulout_storage::row::{CheckedRow, chosen, places_of};
use haulout_storage::{ShortBlob, Store, StoreError};

use super::{Stop, invalid, length_of};
use crate::env::{Env, Part, Parts, StreamId};
use crate::node::Node;
use crate::settings::Lie;

impl Node {
    /// Takes the symbols of our shards.
    pub(super) fn take_row(
        &mut self,
        env: &mut Env,
        store: &Store,
        stream: StreamId,
        (places, proof_bytes): (&[u16], u32),
        raw: &Bytes,
    ) -> Result<Parts, Stop> {
        let Some(session) = self.sessions.remove(&stream) else { return Ok(Vec::new()) };
        if session.header.encoding != Encoding::Short {
            return Err(invalid("symbols of a blob that is not short"));
        }
        let ours = places_of(&self.parameters, &session.blob_id, &self.shards);
        if !places.iter().eq(ours.iter().map(|(place, _)| place)) {
            return Err(invalid("a short blob takes a symbol for each of our shards"));
        }
        let shards = ours.into_iter().map(|(_, shard)| shard).collect();
        let row = split(&self.parameters, &session.header, shards, (proof_bytes, raw));
        let row = row.ok_or_else(|| invalid("other bytes than were announced"))?;
        let row = CheckedRow::new(&self.parameters, &session.header, row).map_err(invalid)?;
        self.add_row(store, &session.header, row, env.now)?;
        env.note(format_args!("n{} keeps a row of {}", self.index, session.blob_id.short()));
        self.sessions.insert(stream, session);
        Ok(vec![Part::frame(wire::encode(&Reply::Stored { segment: 0 }))])
    }

    /// Makes a row durable, with what is there.
    pub(crate) fn add_row(
        &self,
        store: &Store,
        header: &BlobHeader,
        row: CheckedRow,
        came_at_ms: u64,
    ) -> Result<(), StoreError> {
        let blob_id = header.blob_id();
        let old = self.sound(store, store.short(&blob_id))?; // a damaged one is replaced
        let all = row.with(&self.parameters, header, old);
        let all = all.expect("both rows prove all that they hold");
        self.wait(store.put_short(&blob_id, all, came_at_ms))
    }

    /// Gives a reader symbols.
    pub(super) fn send_row(
        &mut self,
        env: &mut Env,
        store: &Store,
        blob_id: &BlobId,
        (wanted, with_proof): (&[u16], bool),
    ) -> Result<Parts, Stop> {
        self.registered(store, blob_id)?;
        let shard = |place: &u16| shard_of_pair(&self.parameters, blob_id, 0, PairIndex(*place));
        let wanted: Vec<_> = wanted.iter().map(shard).collect();
        let row = self.row_of(store, blob_id, &wanted)?;
        let row = row.ok_or(Stop::Refuse(Refusal::NotFound))?;
        let place = |(shard, _): &(ShardIndex, Bytes)| {
            pair_of_shard(&self.parameters, blob_id, 0, *shard).0
        };
        let proof = if with_proof { row.proof.clone() } else { Bytes::new() };
        let reply = Reply::Short {
            symbols: row.symbols.iter().map(place).collect(),
            proof_bytes: length_of(&proof),
        };
        env.note(format_args!("n{} serves symbols of {}", self.index, blob_id.short()));
        Ok(vec![Part::with(
            wire::encode(&reply),
            [bytes_of(&row).concat(), proof.to_vec()].concat(),
        )])
    }

    /// The symbols of an entry of a page, with their header; nothing if none is here.
    pub(super) fn page_row(
        &self,
        store: &Store,
        (blob_id, entry): (&BlobId, &shard::Entry),
    ) -> Result<Option<Parts>, StoreError> {
        let wanted: Vec<_> = entry.shards.iter().copied().map(ShardIndex).collect();
        let Some(row) = self.row_of(store, blob_id, &wanted)? else { return Ok(None) };
        let reply = shard::Reply::Short {
            shards: row.symbols.iter().map(|(shard, _)| shard.0).collect(),
            header_bytes: length_of(&row.header),
            proof_bytes: length_of(&row.proof),
        };
        let raw = [row.header.to_vec(), bytes_of(&row).concat(), row.proof.to_vec()].concat();
        Ok(Some(vec![Part::with(wire::encode(&reply), raw)]))
    }

    /// What there is of these symbols, or what a liar gives in their place.
    fn row_of(
        &self,
        store: &Store,
        blob_id: &BlobId,
        wanted: &[ShardIndex],
    ) -> Result<Option<ShortBlob>, StoreError> {
        let stored = self.sound(store, store.short(blob_id))?;
        let row = stored.and_then(|row| chosen(&self.parameters, blob_id, wanted, row));
        let Some(mut row) = row.filter(|_| self.lie != Some(Lie::Withholds)) else {
            return Ok(None);
        };
        let change = |bytes: &Bytes| {
            let mut bytes = bytes.to_vec();
            bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1);
            Bytes::from(bytes)
        };
        match self.lie {
            Some(Lie::WrongBytes) => row.symbols[0].1 = change(&row.symbols[0].1),
            Some(Lie::WrongProofs) => row.proof = change(&row.proof),
            Some(Lie::CutShort) => row.symbols[0].1 = row.symbols[0].1.slice(1..),
            Some(Lie::OtherPair) => {
                let last = row.symbols.len() - 1;
                row.symbols[0].1 = change(&row.symbols[last].1);
            }
            _ => {}
        }
        Ok(Some(row))
    }
}

fn bytes_of(row: &ShortBlob) -> Vec<Bytes> {
    row.symbols.iter().map(|(_, symbol)| symbol.clone()).collect()
}

/// The row in raw bytes: a symbol for each of these shards, and the proof that they share.
pub(crate) fn split(
    parameters: &Parameters,
    header: &BlobHeader,
    shards: Vec<ShardIndex>,
    (proof_bytes, raw): (u32, &Bytes),
) -> Option<ShortBlob> {
    let length = u32::try_from(header.length).ok()?;
    let symbol = usize::try_from(parameters.short_symbol_bytes(length)).ok()?;
    let (all, proof) = (shards.len() * symbol, usize::try_from(proof_bytes).ok()?);
    if raw.len() != all + proof {
        return None;
    }
    let slice = |(at, shard)| (shard, raw.slice(at * symbol..(at + 1) * symbol));
    let symbols = shards.into_iter().enumerate().map(slice).collect();
    Some(ShortBlob { header: header.to_bytes().into(), symbols, proof: raw.slice(all..) })
}

/// The row that a member is sent.
pub(crate) fn row(
    parameters: &Parameters,
    blob_id: &BlobId,
    encoded: &EncodedShort,
    shards: &[ShardIndex],
) -> Part {
    let places = places_of(parameters, blob_id, shards);
    let places: Vec<_> = places.into_iter().map(|(place, _)| place).collect();
    let proof = encoded.prove(&places).map(|proof| proof.to_bytes()).unwrap_or_default();
    let symbols: Vec<_> = places.iter().map(|place| encoded.symbol(*place)).collect();
    let frame = Request::Short { symbols: places, proof_bytes: length_of(&proof) };
    Part::with(wire::encode(&frame), [symbols.concat(), proof].concat())
}
