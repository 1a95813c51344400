//! What should be here and is not, found without going through everything.
//!
//! Promises: each live certified blob of which something is missing or rotten has a row in `WANTING`. A row means "look at
//! this blob", no more: what is missing is what a look does not find, so rows that came too early or are out of date do no
//! harm, and a look that finds nothing missing of any shard that is ours removes its row, unless something was noted of it since. A page looks at a
//! bounded number of rows and segments. Does not: read slivers' bytes (a damaged one is known once a read found it), fetch
//! what is missing.
//!
//! ```text
//! certified, extended                          -> noted
//! a shard becomes ours                         -> all certified blobs are noted
//! a sliver, header or proof found rotten       -> noted
//! a bundle found gone at start                 -> noted
//! looked at, whole or nobody's duty            -> row goes
//! content goes, last object of nothing goes    -> row goes
//! ```

use std::collections::BTreeMap;
use std::ops::Bound;

use haulout_protocol::blob::BlobId;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::epoch_change::Holding;
use haulout_protocol::sliver::ShardIndex;
use redb::ReadTransaction;

use crate::blobs;
use crate::error::StoreError;
use crate::places::SliverRow;
use crate::shards;
use crate::short;
use crate::slivers;
use crate::tables::{self, BlobKey, CONTENT, PROOFS, SLIVERS, WANTING};

/// Rows of `WANTING` that one page looks at.
pub const PAGE_BLOBS_MAX: usize = 256;
/// Segments that one page looks at: some megabytes of rows for a node of a hundred shards.
pub const PAGE_SEGMENTS_MAX: u32 = 1_024;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    /// The epoch in which blobs must be live.
    pub epoch: Epoch,
    /// The shards whose slivers should be here. Others that the store calls ours are looked at, too, so that no note goes
    /// that they need, but not listed.
    pub shards: &'a [ShardIndex],
    /// Blobs whose first bytes came since then, in milliseconds of the writers' clock, may still be on their way.
    pub arriving_since_ms: u64,
}

/// A blob of which something is missing, as far as a page looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Which blob.
    pub blob_id: BlobId,
    /// Whether its header is here; of a short blob, which has none of its own, whether all of its symbols are.
    pub has_header: bool,
    /// The pairs of which the proof or a sliver is not here, or is damaged: segment and shard. Of a short blob that is here in
    /// part, the symbols that are not, in segment 0.
    pub pairs: Vec<(u32, ShardIndex)>,
}

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageEnd {
    blob: BlobKey,
    /// The first segment that was not looked at; none if the blob was seen to its end.
    segment: Option<u32>,
    /// The note that had the blob looked at.
    note: u64,
    /// The blob's segments until there were whole.
    is_whole: bool,
}

/// What some rows of `WANTING` stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What is missing, in the order of blob ids.
    pub lacking: Vec<Lacking>,
    /// Incomplete blobs that are not in it, because they may still be on their way.
    pub arriving: u64,
    /// Slivers in it that a read found to be other bytes than were written, of whatever shard.
    pub rotten: u64,
    /// Where the next page begins; none if this was the last.
    pub end: Option<PageEnd>,
    /// Whether a blob is in it that has a header of its own, and lacks that.
    pub(crate) is_headless: bool,
    /// Blobs of which nothing is missing, each with the number of the note that had it looked at.
    pub(crate) whole: Vec<(BlobKey, u64)>,
}

/// Looks at the rows after a page; `segments_of` says how many segments a blob of so many bytes has.
pub(crate) fn page(
    view: &ReadTransaction,
    scope: &Scope<'_>,
    segments_of: impl Fn(u64) -> u64,
    after: Option<PageEnd>,
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let listed = slivers::sorted(scope.shards);
    let ours = shards::read(view)?.into_iter().filter(|(_, holding)| holding.is_ours());
    let all: Vec<_> = ours.map(|(shard, _)| shard).chain(listed.iter().copied()).collect();
    let shards = slivers::sorted(&all);
    let mut look = Look { view, scope, listed, shards, segments_left: PAGE_SEGMENTS_MAX };
    let wanting = view.open_table(WANTING)?;
    let start = match &after {
        None => Bound::Unbounded,
        Some(PageEnd { blob, segment: None, .. }) => Bound::Excluded(blob),
        Some(PageEnd { blob, .. }) => Bound::Included(blob),
    };
    let rows = wanting.range::<&BlobKey>((start, Bound::Unbounded))?;
    for (count, row) in rows.enumerate() {
        let (blob, note) = row.map(|(blob, note)| (*blob.value(), note.value()))?;
        // What was noted since the page before may be of what that one saw.
        let begun = after.filter(|end| end.blob == blob && end.note == note);
        let end = look.at(&blob, note, begun, &segments_of, &mut page)?;
        if end.segment.is_some() || count + 1 == PAGE_BLOBS_MAX {
            page.end = Some(end);
            break;
        }
    }
    Ok(page)
}

/// The shards that the store calls missing, each since when, and of which nothing is missing in that epoch. Ends as soon as it
/// has seen something missing of each, which takes a page if much is missing.
pub(crate) fn filled(
    view: &ReadTransaction,
    epoch: Epoch,
    segments_of: impl Fn(u64) -> u64,
) -> Result<Vec<(ShardIndex, Epoch)>, StoreError> {
    let missing = |(shard, holding)| match holding {
        Holding::Missing { since } => Some((shard, since)),
        Holding::Held | Holding::Locked { .. } => None,
    };
    let mut filled: BTreeMap<_, _> = shards::read(view)?.into_iter().filter_map(missing).collect();
    let mut after = None;
    while !filled.is_empty() {
        let shards: Vec<_> = filled.keys().copied().collect();
        // What is on its way is not here.
        let scope = Scope { epoch, shards: &shards, arriving_since_ms: u64::MAX };
        let page = page(view, &scope, &segments_of, after)?;
        if page.is_headless {
            filled.clear(); // no shard is whole without the header
        }
        for lacking in page.lacking {
            if lacking.pairs.is_empty() {
                filled.clear(); // a row that is damaged is nobody's
            }
            filled.retain(|shard, _| !lacking.pairs.iter().any(|(_, lacks)| lacks == shard));
        }
        after = page.end;
        if after.is_none() {
            break;
        }
    }
    Ok(filled.into_iter().collect())
}

/// What a page has to look with.
struct Look<'a> {
    view: &'a ReadTransaction,
    scope: &'a Scope<'a>,
    /// The shards that somebody asked for.
    listed: Vec<ShardIndex>,
    /// With them all others that are ours.
    shards: Vec<ShardIndex>,
    segments_left: u32,
}

impl Look<'_> {
    /// Looks at one blob, from where the page before ended in it.
    fn at(
        &mut self,
        blob: &BlobKey,
        note: u64,
        begun: Option<PageEnd>,
        segments_of: impl Fn(u64) -> u64,
        page: &mut Page,
    ) -> Result<PageEnd, StoreError> {
        let done = PageEnd { blob: *blob, segment: None, note, is_whole: true };
        let blob_id = BlobId::from_bytes(*blob);
        let record = blobs::read(self.view, &blob_id)?;
        let record = record.filter(|record| record.is_certified(self.scope.epoch));
        // Whoever has no shard lacks nothing; all is noted again for whoever gains one.
        let bytes =
            record.as_ref().and_then(|record| record.size()).filter(|_| !self.shards.is_empty());
        let content = self.view.open_table(CONTENT)?.get(blob)?.map(|row| row.value().1);
        let is_arriving = content.is_some_and(|since| since >= self.scope.arriving_since_ms);
        let mut lacking = Lacking { blob_id, has_header: true, pairs: Vec::new() };
        let (mut end, mut rotten, mut is_short) = (done, 0, false);
        if let Some(bytes) = bytes {
            let header = slivers::has_header(self.view, blob)?;
            if header.is_none() && short::read(self.view, blob).map_or(true, |row| row.is_some()) {
                is_short = true;
                lacking.has_header = short::holds(self.view, blob, &[])?;
                let symbols = short::lacking(self.view, blob, &self.shards)?;
                lacking.pairs.extend(symbols.into_iter().map(|shard| (0, shard)));
            } else {
                lacking.has_header = header == Some(true);
                // More segments than there can be are not here.
                let segments = u32::try_from(segments_of(bytes)).unwrap_or(u32::MAX);
                let first = begun.and_then(|end| end.segment).unwrap_or(0);
                (end, rotten) = self.at_segments(first..segments, done, &mut lacking)?;
            }
        }
        page.rotten += rotten;
        let is_whole = lacking.has_header && lacking.pairs.is_empty() && rotten == 0;
        end.is_whole = is_whole && begun.is_none_or(|end| end.is_whole);
        if end.is_whole && end.segment.is_none() {
            page.whole.push((*blob, note));
        }
        lacking.pairs.retain(|(_, shard)| self.listed.binary_search(shard).is_ok());
        lacking.has_header &= !is_short || lacking.pairs.is_empty();
        match lacking.has_header && lacking.pairs.is_empty() {
            true => {}
            false if is_arriving => page.arriving += 1, // its writer may be at it: the row stays
            false => {
                page.is_headless |= !is_short && !lacking.has_header;
                page.lacking.push(lacking);
            }
        }
        Ok(end)
    }

    /// Looks at segments of a blob, as many as the page has left; where that ended, and how much is rotten.
    fn at_segments(
        &mut self,
        segments: std::ops::Range<u32>,
        done: PageEnd,
        lacking: &mut Lacking,
    ) -> Result<(PageEnd, u64), StoreError> {
        let mut rotten = 0;
        for segment in segments {
            let Some(left) = self.segments_left.checked_sub(1) else {
                return Ok((PageEnd { segment: Some(segment), ..done }, rotten));
            };
            self.segments_left = left;
            rotten += self.at_segment(segment, lacking)?;
        }
        Ok((done, rotten))
    }

    /// Looks at one segment; how many slivers of it are rotten.
    fn at_segment(&self, segment: u32, lacking: &mut Lacking) -> Result<u64, StoreError> {
        let key = tables::segment_key(lacking.blob_id.as_bytes(), segment);
        let (proofs, slivers) = (self.view.open_table(PROOFS)?, self.view.open_table(SLIVERS)?);
        let (mut sound, mut rotten) = (BTreeMap::<ShardIndex, u8>::new(), 0);
        let rows = tables::slivers_of(key..=key);
        for row in slivers.range::<&tables::SliverKey>(tables::keys(&rows))? {
            let (key, row) = row?;
            let (shard, _) = tables::place_of_sliver(key.value());
            match SliverRow::from_tuple(row.value()).damaged {
                true => rotten += 1,
                false => *sound.entry(shard).or_default() += 1,
            }
        }
        for shard in &self.shards {
            let has_both = sound.get(shard) == Some(&2);
            let proof = proofs.get(&tables::pair_key(&key, *shard))?;
            if !has_both || proof.is_none_or(|proof| tables::unseal(proof.value()).is_none()) {
                lacking.pairs.push((segment, *shard));
            }
        }
        Ok(rotten)
    }
}

#[cfg(test)]
mod tests;
