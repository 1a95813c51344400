//! What came of a page is verified against its blobs' headers, and made durable.
//!
//! Promises: what is kept has its proof, and both slivers match it; of a short blob, its symbols, and what was there before
//! stays; what is another's by now is not kept; after the first lie nothing more of the page is looked at. Does not: blame.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, stream};
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::Parameters;
use haulout_protocol::machine::Blame;
use haulout_protocol::machine::duty::Duty;
use haulout_protocol::machine::handover::{Came, Checked, Sound, check};
use haulout_protocol::sliver::ShardIndex;
use haulout_storage::{ShortBlob, Store, StoreError};
use tracing::warn;

use super::super::job::write_pairs;
use super::arrived::{Arrived, ShortRow};
use super::tools::Tools;
use crate::limits;
use crate::short_rows::CheckedRow;

/// Whoever keeps what came of a page.
pub(super) struct Keeper<'a> {
    pub(super) tools: &'a Tools,
    pub(super) parameters: Parameters,
}

/// What became of it.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) came: Came,
    /// What was not what was committed to.
    pub(super) lie: Option<Blame>,
    /// Bytes of what is whole now.
    pub(super) bytes: u64,
}

impl Keeper<'_> {
    /// Verifies entry after entry, and makes durable what is right.
    pub(super) async fn keep(&self, arrived: Vec<Arrived>) -> Kept {
        let mut kept = Kept::default();
        let (mut headers, mut segments, mut rows) = (BTreeMap::new(), Vec::new(), Vec::new());
        let ours = self.tools.context.position.current();
        let ours = ours.shards_of(&self.tools.context.peer).to_vec();
        for mut entry in arrived {
            let (blob_id, segment) = (entry.blob_id, entry.segment);
            let missing = entry.missing.iter().map(|shard| (blob_id, segment, *shard));
            kept.came.missing.extend(missing);
            if let Some(row) = entry.short.take() {
                rows.push((blob_id, row));
            } else if !entry.pairs.is_empty() || entry.header.is_some() {
                entry.pairs.retain(|(shard, _)| {
                    let is_ours = ours.contains(shard);
                    if !is_ours {
                        kept.came.missing.push((blob_id, segment, *shard));
                    }
                    is_ours
                });
                let header = self.header(&mut entry, &mut headers, &mut kept).await;
                let checked = match header {
                    Some(header) => self.check(entry, header, &mut kept).await,
                    None => {
                        let useless =
                            entry.pairs.iter().map(|(shard, _)| (blob_id, segment, *shard));
                        kept.came.missing.extend(useless);
                        Vec::new()
                    }
                };
                segments.push((blob_id, segment, checked));
            }
            if kept.lie.is_some() {
                break;
            }
        }
        self.store(segments, &mut kept).await;
        self.keep_rows(rows, &ours, &mut kept).await;
        kept
    }

    /// The header of an entry's blob: as it came now, or before in this page, or as it is here.
    async fn header(
        &self,
        entry: &mut Arrived,
        known: &mut BTreeMap<BlobId, Arc<BlobHeader>>,
        kept: &mut Kept,
    ) -> Option<Arc<BlobHeader>> {
        let (parameters, blob_id) = (self.parameters, entry.blob_id);
        if let Some(bytes) = entry.header.take() {
            let Ok(header) = BlobHeader::read_verified(&bytes, &parameters, &blob_id) else {
                kept.lie = Some(Blame::WrongProof);
                return None;
            };
            // Time zero: nobody brings it any more, so it is not on its way.
            if let Err(error) = self.tools.context.store.put_header(&blob_id, bytes, 0).await {
                warn!(%blob_id, %error, "a header that was handed over cannot be kept");
                return None;
            }
            kept.came.headers.push(blob_id);
            known.insert(blob_id, Arc::new(header));
        }
        if let Some(header) = known.get(&blob_id) {
            return Some(header.clone());
        }
        let store = self.tools.context.store.clone();
        let read = tokio::task::spawn_blocking(move || {
            let bytes = store.header(&blob_id).ok().flatten()?;
            BlobHeader::from_bytes(&bytes, &parameters).ok()
        });
        let header = Arc::new(read.await.ok().flatten()?);
        known.insert(blob_id, header.clone());
        Some(header)
    }

    /// The pairs of an entry that are right; at the first that is not, the rest is not looked at.
    async fn check(&self, entry: Arrived, header: Arc<BlobHeader>, kept: &mut Kept) -> Vec<Sound> {
        let Arrived { blob_id, bytes, segment, pairs, .. } = entry;
        let parameters = self.parameters;
        let shards: Vec<_> = pairs.iter().map(|(shard, _)| *shard).collect();
        let work = move || check(&parameters, &header, (&blob_id, bytes), segment, pairs);
        let checked = self.tools.serving.in_background(Duty::Handover, work).await;
        match checked.flatten() {
            Some(Checked { sound, lie }) => {
                kept.lie = kept.lie.or(lie);
                sound
            }
            // The ledger's length promised more segments than there are, or we are shutting down.
            None => {
                kept.came.missing.extend(shards.iter().map(|shard| (blob_id, segment, *shard)));
                Vec::new()
            }
        }
    }

    /// Makes segments durable, many at once.
    async fn store(&self, segments: Vec<(BlobId, u32, Vec<Sound>)>, kept: &mut Kept) {
        let segments = segments.into_iter().filter(|(_, _, sound)| !sound.is_empty());
        let write = async |(blob_id, segment, sound): (BlobId, u32, Vec<Sound>)| {
            let pairs: Vec<_> = sound.iter().map(|sound| (blob_id, segment, sound.shard)).collect();
            let bytes: u64 = sound.iter().map(Sound::bytes).sum();
            let written = write(self.tools.context.store.clone(), blob_id, segment, sound).await;
            (pairs, bytes, written)
        };
        let mut written =
            stream::iter(segments.map(write)).buffer_unordered(limits::HANDOVER_KEEPS_AT_ONCE);
        while let Some((pairs, bytes, written)) = written.next().await {
            match written {
                Ok(()) => {
                    kept.came.kept.extend(pairs);
                    kept.bytes += bytes;
                }
                Err(error) => {
                    warn!(%error, "what was handed over cannot be kept");
                    kept.came.missing.extend(pairs);
                }
            }
        }
    }

    /// Verifies rows of short blobs and makes them durable, several at once; after the first that is wrong no more are begun.
    async fn keep_rows(&self, rows: Vec<(BlobId, ShortRow)>, ours: &[ShardIndex], kept: &mut Kept) {
        let keep = async |(blob_id, row)| self.keep_row(blob_id, row, ours).await;
        let mut all = stream::iter(rows.into_iter().map(keep))
            .buffer_unordered(limits::HANDOVER_KEEPS_AT_ONCE);
        while let Some(one) = all.next().await {
            kept.came.headers.extend(one.came.headers);
            kept.came.kept.extend(one.came.kept);
            kept.came.missing.extend(one.came.missing);
            kept.bytes += one.bytes;
            if one.lie.is_some() {
                kept.lie = kept.lie.or(one.lie);
                break;
            }
        }
    }

    /// Adds symbols of a short blob, as far as they are ours, to those that are here.
    async fn keep_row(&self, blob_id: BlobId, row: ShortRow, ours: &[ShardIndex]) -> Kept {
        let (mut kept, context) = (Kept::default(), &self.tools.context);
        let ShortRow { header, symbols, proof } = row;
        let (useful, useless): (Vec<_>, Vec<_>) =
            symbols.iter().map(|(shard, _)| *shard).partition(|shard| ours.contains(shard));
        kept.came.missing.extend(useless.iter().map(|shard| (blob_id, 0, *shard)));
        if useful.is_empty() {
            return kept;
        }
        let pairs: Vec<_> = useful.iter().map(|shard| (blob_id, 0, *shard)).collect();
        let bytes = symbols.iter().map(|(_, symbol)| symbol.len()).sum::<usize>() + proof.len();
        let parameters = self.parameters;
        let checked = self.tools.serving.in_background(Duty::Handover, move || {
            let known = BlobHeader::read_verified(&header, &parameters, &blob_id).ok()?;
            let row = ShortBlob { header: header.into(), symbols, proof: proof.into() };
            let row = CheckedRow::new(&parameters, &known, row).ok()?;
            Some((row.only(&parameters, &blob_id, &useful).ok()?, known))
        });
        let (row, header) = match checked.await {
            Some(Some(checked)) => checked,
            Some(None) => return Kept { lie: Some(Blame::WrongProof), ..kept },
            None => return kept, // a fault of the program, or we are shutting down
        };
        match context.short_rows.add(&context.store, parameters, header, (row, 0)).await {
            Ok(_) => {
                kept.came.kept.extend(pairs);
                kept.came.headers.push(blob_id);
                kept.bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            }
            Err(error) => {
                warn!(%blob_id, %error, "a short blob that was handed over cannot be kept");
                kept.came.missing.extend(pairs);
            }
        }
        kept
    }
}

/// Makes pairs of one segment durable.
async fn write(
    store: Store,
    blob_id: BlobId,
    segment: u32,
    sound: Vec<Sound>,
) -> Result<(), StoreError> {
    let written = tokio::task::spawn_blocking(move || {
        let pairs = sound.iter().map(|it| (it.shard, &it.proof[..], &it.slivers));
        write_pairs(&store, blob_id, segment, pairs)
    });
    written.await.expect("writing neither panics nor is cut off")?.commit().await
}
