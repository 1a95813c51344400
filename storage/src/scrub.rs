//! Reading everything that is stored, a slice at a time, to see whether it is what was written.
//!
//! Promises: whoever reads slice after slice from a place to the end has read every header, certificate, short blob, proof and
//! sliver that was there all the while, each once, slivers of bundles from the disk and not from memory; a slice goes
//! on after what cannot be read. Does not: read index rows, whose rot shows as that of what they describe, or as an error of the
//! database; read what is known to be damaged; mark what it finds, which the store does.

use redb::{ReadTransaction, TableDefinition};

use crate::bundles::{Bundles, Reading};
use crate::error::StoreError;
use crate::places::SliverRow;
use crate::rot::Sealed;
use crate::slivers::{self, Found};
use crate::tables::{
    self, BlobKey, CERTIFICATES, CONTENT, HEADERS, PROOFS, PairKey, SHORT, SHORT_PROOFS, SLIVERS,
    SliverKey, bytes_of,
};

/// What a value counts at least: finding it costs as much as reading so many bytes.
const VALUE_BYTES_MIN: u64 = 256;

/// A place among all that is stored, in the order in which it is read; the default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScrubPlace {
    blob: BlobKey,
    part: Part,
}

/// What of a blob comes next, and all behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Header, certificate, and what there is of a short blob.
    #[default]
    Values,
    /// Pair proofs from this one on.
    Proofs(PairKey),
    /// Slivers from this one on.
    Slivers(SliverKey),
}

impl ScrubPlace {
    /// The place that these bytes draw. Blob ids are hashes, so random bytes are as near to one blob as to another.
    pub fn drawn(bytes: [u8; 32]) -> Self {
        ScrubPlace { blob: bytes, part: Part::Values }
    }

    fn after_values(blob: &BlobKey) -> Part {
        Part::Proofs(*tables::pairs_of(tables::segments_of(blob)).start())
    }

    fn after_proofs(blob: &BlobKey) -> Part {
        Part::Slivers(*tables::slivers_of(tables::segments_of(blob)).start())
    }
}

/// What a slice holds.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// Bytes read.
    pub(crate) bytes: u64,
    /// What they count.
    weight: u64,
    /// Slivers that do not have the bytes their rows promise, and the rows. Rows may have changed since.
    pub(crate) slivers: Vec<(SliverKey, SliverRow)>,
    /// Other values that are not what was written.
    pub(crate) values: Vec<Sealed>,
    /// Slivers that could not be read now, and why not the last of them.
    pub(crate) unreadable: u64,
    pub(crate) refusal: Option<StoreError>,
    /// Where the next slice begins; nothing if this was the last.
    pub(crate) next: Option<ScrubPlace>,
}

impl Slice {
    fn count(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.weight = self.weight.saturating_add(bytes.max(VALUE_BYTES_MIN));
    }
}

/// Reads a slice of about so many bytes from a place on: one value more at most.
pub(crate) fn slice(
    view: &ReadTransaction,
    bundles: Option<&Bundles>,
    from: &ScrubPlace,
    bytes: u64,
) -> Result<Slice, StoreError> {
    let mut reader = Reader { view, bundles, bytes, slice: Slice::default() };
    let mut next = Some(*from);
    while let Some(place) = next {
        let Some(blob) = next_blob(view, &place.blob)? else { break };
        let part = if blob == place.blob { place.part } else { Part::Values };
        if let Some(part) = reader.read_blob(&blob, part)? {
            reader.slice.next = Some(ScrubPlace { blob, part });
            break;
        }
        next = tables::next_key(&blob).map(ScrubPlace::drawn);
    }
    debug_assert!(reader.slice.next.is_none_or(|next| next > *from), "a slice leads on");
    Ok(reader.slice)
}

/// The first blob from there on of which anything is stored.
fn next_blob(view: &ReadTransaction, from: &BlobKey) -> Result<Option<BlobKey>, StoreError> {
    let content = view.open_table(CONTENT)?.range::<&BlobKey>(from..)?.next().transpose()?;
    let certified = view.open_table(CERTIFICATES)?.range::<&BlobKey>(from..)?.next().transpose()?;
    let content = content.map(|(blob, _)| *blob.value());
    Ok(content.into_iter().chain(certified.map(|(blob, _)| *blob.value())).min())
}

/// What reads a slice.
struct Reader<'a> {
    view: &'a ReadTransaction,
    bundles: Option<&'a Bundles>,
    bytes: u64,
    slice: Slice,
}

impl Reader<'_> {
    fn is_full(&self) -> bool {
        self.slice.weight >= self.bytes
    }

    /// Reads a blob from one of its parts on; where that ended, unless it is done.
    fn read_blob(&mut self, blob: &BlobKey, from: Part) -> Result<Option<Part>, StoreError> {
        let mut part = from;
        if part == Part::Values {
            self.read_values(blob)?;
            part = ScrubPlace::after_values(blob);
        }
        if let Part::Proofs(first) = part {
            part = match self.read_proofs(blob, &first)? {
                Some(next) => return Ok(Some(Part::Proofs(next))),
                None => ScrubPlace::after_proofs(blob),
            };
        }
        let Part::Slivers(first) = part else { return Ok(None) };
        Ok(self.read_slivers(blob, &first)?.map(Part::Slivers))
    }

    fn read_values(&mut self, blob: &BlobKey) -> Result<(), StoreError> {
        self.read_value(HEADERS, blob, Sealed::Header)?;
        self.read_value(CERTIFICATES, blob, Sealed::Certificate)?;
        self.read_value(SHORT, blob, Sealed::Short)?;
        self.read_value(SHORT_PROOFS, blob, Sealed::Short)
    }

    fn read_value(
        &mut self,
        table: TableDefinition<'static, &'static BlobKey, &'static [u8]>,
        blob: &BlobKey,
        named: fn(BlobKey) -> Sealed,
    ) -> Result<(), StoreError> {
        let Some(value) = self.view.open_table(table)?.get(blob)? else { return Ok(()) };
        self.check(value.value(), named(*blob));
        Ok(())
    }

    fn check(&mut self, sealed: &[u8], value: Sealed) {
        self.slice.count(bytes_of(sealed.len()));
        if tables::unseal(sealed).is_none() && self.slice.values.last() != Some(&value) {
            self.slice.values.push(value);
        }
    }

    /// Reads proofs of a blob from one on; where that ended, unless there are no more.
    fn read_proofs(
        &mut self,
        blob: &BlobKey,
        first: &PairKey,
    ) -> Result<Option<PairKey>, StoreError> {
        let last = *tables::pairs_of(tables::segments_of(blob)).end();
        for row in self.view.open_table(PROOFS)?.range::<&PairKey>(first..=&last)? {
            let (key, proof) = row?;
            if self.is_full() {
                return Ok(Some(*key.value()));
            }
            self.check(proof.value(), Sealed::Proof(*key.value()));
        }
        Ok(None)
    }

    /// The same of slivers.
    fn read_slivers(
        &mut self,
        blob: &BlobKey,
        first: &SliverKey,
    ) -> Result<Option<SliverKey>, StoreError> {
        let last = *tables::slivers_of(tables::segments_of(blob)).end();
        for row in self.view.open_table(SLIVERS)?.range::<&SliverKey>(first..=&last)? {
            let (key, row) = row?;
            if self.is_full() {
                return Ok(Some(*key.value()));
            }
            self.read_sliver(key.value(), SliverRow::from_tuple(row.value()))?;
        }
        Ok(None)
    }

    fn read_sliver(&mut self, key: &SliverKey, row: SliverRow) -> Result<(), StoreError> {
        if row.damaged {
            self.slice.count(0);
            return Ok(());
        }
        self.slice.count(u64::from(row.length));
        match slivers::read(self.view, self.bundles, key, row, Reading::FromDisk) {
            Ok(Found::Bytes(_) | Found::Nothing) => {}
            Ok(Found::Damaged(_) | Found::Gone(_)) => self.slice.slivers.push((*key, row)),
            Err(error @ StoreError::Io { .. }) => {
                self.slice.unreadable += 1;
                self.slice.refusal = Some(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
