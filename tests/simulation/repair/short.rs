//! The row of a short blob that a node lacks: read as a whole, or handed over by whoever had its shards before.
//!
//! Promises: what is kept was checked as nodes check it, and is what was written, or that is a violation. Does not: choose what
//! is repaired.

use std::collections::BTreeMap;

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::encode_short;
use haulout_protocol::machine::handover::Came;
use haulout_protocol::machine::responsiveness::Pace;
use haulout_protocol::machine::{Blame, download};
use haulout_protocol::sliver::{ShardIndex, pair_of_shard};
use haulout_storage::row::{CheckedRow, places_of};
use haulout_storage::{ShortBlob, StoreError};

use super::PATIENCE_MS;
use crate::check::Invariant;
use crate::env::Env;
use crate::node::Node;
use crate::reading::{Of, Reading};
use crate::serve::short::split;

impl Node {
    /// Whoever lacks a symbol reads the blob.
    pub(super) fn begin_row(&mut self, env: &mut Env) {
        let roster = env.roster(self.epoch);
        let terms = download::Terms {
            paces: vec![Pace::Untried; roster.len()],
            patience_ms: PATIENCE_MS,
            noise: env.random.next(),
            certified: None,
        };
        let job = self.repairs.job.as_ref().expect("it is being done");
        let header = job.header.clone().expect("it came first");
        let of = Of { blob_id: job.blob_id, header, segment: 0 };
        let who = (self.task(), format!("n{} reads a short blob", self.index));
        let reading = Reading::begin(env, who, &roster, of, terms, BTreeMap::new());
        self.repairs.job.as_mut().expect("it is being done").row = Some(reading);
        self.look_at_row(env);
    }

    /// Looks whether the blob was read: then it is encoded, and our symbols are kept.
    pub(super) fn look_at_row(&mut self, env: &mut Env) {
        let Some(job) = self.repairs.job.as_mut() else { return };
        let end = job.row.as_mut().and_then(|reading| reading.end.take());
        let Some(end) = end else { return };
        job.row = None;
        let Ok(blob) = end else {
            job.has_failed = true;
            return self.end_job(env);
        };
        let (blob_id, parameters) = (job.blob_id, self.parameters);
        let encoded = encode_short(&parameters, &blob);
        let header = encoded.header();
        if header.blob_id() != blob_id {
            let what = format!("n{} reads other bytes than were written", self.index);
            return env.violated(Invariant::SoundRepair, what);
        }
        job.has_moved = true;
        let places = places_of(&parameters, &blob_id, &self.shards);
        let indexes: Vec<_> = places.iter().map(|(place, _)| *place).collect();
        let proof = encoded.prove(&indexes).expect("there are such symbols").to_bytes();
        let row = ShortBlob {
            header: header.to_bytes().into(),
            symbols: places.iter().map(|(place, shard)| (*shard, encoded.symbol(*place))).collect(),
            proof: proof.into(),
        };
        let row = CheckedRow::new(&parameters, header, row).expect("it was encoded a moment ago");
        let Some(store) = self.store.clone() else { return };
        let kept = self.add_row(&store, header, row, 0);
        drop(store);
        match kept {
            Ok(()) => self.end_job(env),
            Err(error) => self.failed(env, &error),
        }
    }

    /// The row behind a frame of a page, unverified; nothing if it is none that was asked for.
    pub(super) fn read_row(
        &self,
        wanted: &[ShardIndex],
        shards: &[u16],
        (header_bytes, proof_bytes): (u32, u32),
        raw: &Bytes,
    ) -> Option<ShortBlob> {
        let shards: Vec<_> = shards.iter().copied().map(ShardIndex).collect();
        let is_wanted = !shards.is_empty() && shards.iter().all(|shard| wanted.contains(shard));
        let bytes = usize::try_from(header_bytes).ok().filter(|bytes| *bytes <= raw.len())?;
        let header = BlobHeader::from_bytes(&raw[..bytes], &self.parameters).ok()?;
        let row = split(&self.parameters, &header, shards, (proof_bytes, &raw.slice(bytes..)));
        row.filter(|_| is_wanted)
    }

    /// Checks a row that was handed over, and adds it; what is wrong with it.
    pub(super) fn keep_row(
        &mut self,
        env: &mut Env,
        blob_id: &BlobId,
        row: ShortBlob,
        came: &mut Came,
    ) -> Result<Option<Blame>, StoreError> {
        let Some(store) = self.store.clone() else { return Ok(None) };
        let (useful, useless): (Vec<_>, Vec<_>) =
            row.symbols.iter().map(|(shard, _)| *shard).partition(|it| self.shards.contains(it));
        came.missing.extend(useless.iter().map(|shard| (*blob_id, 0, *shard)));
        if useful.is_empty() {
            return Ok(None);
        }
        let parameters = self.parameters;
        let symbols = row.symbols.clone();
        let checked = BlobHeader::read_verified(&row.header, &parameters, blob_id).ok();
        let checked = checked.and_then(|header| {
            let row = CheckedRow::new(&parameters, &header, row).ok()?;
            Some((row.only(&parameters, blob_id, &useful).ok()?, header))
        });
        let Some((row, header)) = checked else { return Ok(Some(Blame::WrongProof)) };
        let known = env.blobs.iter().find(|known| known.blob_id == *blob_id).expect("a blob");
        let encoded = encode_short(&parameters, &known.bytes);
        let is_right = |(shard, symbol): &(ShardIndex, Bytes)| {
            *symbol == encoded.symbol(pair_of_shard(&parameters, blob_id, 0, *shard).0)
        };
        if !symbols.iter().all(is_right) {
            let what = format!("n{} keeps other symbols than were written", self.index);
            env.violated(Invariant::SoundRepair, what);
        }
        self.add_row(&store, &header, row, 0)?;
        came.kept.extend(useful.iter().map(|shard| (*blob_id, 0, *shard)));
        came.headers.push(*blob_id);
        Ok(None)
    }
}
