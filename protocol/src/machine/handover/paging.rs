//! What waits for its former owner, and how pages are cut from it.
//!
//! Promises: a page is one that the owner takes: bounded, each segment once, a header with the first of a blob's segments
//! that needs it. Does not: choose whom to ask.

use std::collections::{BTreeMap, BTreeSet};

use super::{Handover, Pair};
use crate::blob::BlobId;
use crate::sliver::ShardIndex;
use crate::wire::shard::{Cost, ENTRIES_MAX, Entry, PAGE_BYTES_MAX, PAIRS_MAX};

/// Pairs of one segment that wait for their former owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) blob: BlobId,
    pub(super) segment: u32,
    /// In ascending order.
    pub(super) shards: Vec<ShardIndex>,
}

impl Piece {
    /// These pairs again, segment by segment.
    pub(super) fn of(pairs: BTreeSet<Pair>) -> Vec<Piece> {
        let mut pieces: BTreeMap<(BlobId, u32), Vec<ShardIndex>> = BTreeMap::new();
        for (blob, segment, shard) in pairs {
            pieces.entry((blob, segment)).or_default().push(shard);
        }
        let piece = |((blob, segment), shards)| Piece { blob, segment, shards };
        pieces.into_iter().map(piece).collect()
    }

    /// Its pairs.
    pub(super) fn into_pairs(self) -> impl Iterator<Item = Pair> {
        let Piece { blob, segment, shards } = self;
        shards.into_iter().map(move |shard| (blob, segment, shard))
    }
}

impl Handover {
    /// The next page of an owner, off its queue, what that owes, and how many bytes it holds.
    pub(super) fn page(&mut self, owner: usize) -> (Vec<Entry>, BTreeSet<Pair>, u64) {
        let (mut entries, mut owed) = (Vec::<Entry>::new(), BTreeSet::new());
        let (mut bytes, mut headers) = (0_u64, BTreeSet::new());
        let pairs_max = self.terms.pairs_max.clamp(1, PAIRS_MAX);
        let Some(owner) = self.owners.get_mut(&owner) else { return (entries, owed, bytes) };
        while entries.len() < ENTRIES_MAX
            && let Some(piece) = owner.queue.front_mut()
        {
            let (blob_id, segment) = (*piece.blob.as_bytes(), piece.segment);
            let Some(blob) = self.blobs.get(&piece.blob) else {
                owner.queue.pop_front(); // a blob is known as long as something of it waits
                continue;
            };
            // What broke off may come in two pieces.
            if entries.iter().any(|entry| (entry.blob_id, entry.segment) == (blob_id, segment)) {
                break;
            }
            let cost = Cost::of(&self.parameters, blob.bytes, segment);
            let with_header = !blob.has_header && !headers.contains(&blob_id);
            let room = PAGE_BYTES_MAX.saturating_sub(bytes);
            let room = room.saturating_sub(cost.of_pairs(0, with_header)) / cost.pair.max(1);
            let fits = usize::try_from(room).unwrap_or(usize::MAX);
            let fits = fits.min(pairs_max - owed.len()).min(piece.shards.len());
            // A pair that is larger than a page has one for itself.
            let fits = if entries.is_empty() { fits.max(1) } else { fits };
            if fits == 0 {
                break;
            }
            let shards: Vec<_> = piece.shards.drain(..fits).collect();
            owed.extend(shards.iter().map(|shard| (piece.blob, segment, *shard)));
            bytes = bytes.saturating_add(cost.of_pairs(fits, with_header));
            headers.insert(blob_id);
            let shards = shards.iter().map(|shard| shard.0).collect();
            entries.push(Entry { blob_id, segment, with_header, shards });
            if piece.shards.is_empty() {
                owner.queue.pop_front();
            }
        }
        (entries, owed, bytes)
    }
}
