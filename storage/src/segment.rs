//! What one write of a segment's slivers and pair proofs changes in the index.
//!
//! Promises: all of it is one transaction; what it replaces is released, and bundles nothing points to any more are named.
//! Does not: touch files.

use std::collections::{BTreeMap, BTreeSet};

use haulout_protocol::blob::BlobId;

use crate::bundles::PlacedBundle;
use crate::content;
use crate::error::StoreError;
use crate::holes;
use crate::places::{Place, SliverRow};
use crate::tables::{PairKey, SegmentKey, SliverKey, Tables, bytes_of};

/// A segment whose bundle is durable and whose rows are not yet.
#[derive(Debug)]
pub(crate) struct SegmentChange {
    /// Of which blob.
    pub(crate) blob_id: BlobId,
    /// Which segment of it.
    pub(crate) segment: SegmentKey,
    /// Sealed.
    pub(crate) proofs: BTreeMap<PairKey, Vec<u8>>,
    /// Where each sliver lies.
    pub(crate) rows: Vec<(SliverKey, SliverRow)>,
    /// The bytes of those in no bundle.
    pub(crate) small: Vec<(SliverKey, Vec<u8>)>,
    /// The bundle of the others.
    pub(crate) bundle: Option<PlacedBundle>,
    /// The caller's time.
    pub(crate) now_ms: u64,
}

impl SegmentChange {
    /// Writes the rows. What they replace is released; bundles nothing points to any more are added to `unused`.
    pub(crate) fn apply(
        &self,
        tables: &mut Tables<'_>,
        unused: &mut BTreeSet<u64>,
    ) -> Result<(), StoreError> {
        debug_assert!(self.lies_where_it_says(), "each sliver is a row or within the bundle");
        let mut removed = 0;
        if let Some(bundle) = &self.bundle {
            let in_bundle = self.rows.len().saturating_sub(self.small.len());
            let live = u32::try_from(in_bundle).unwrap_or(u32::MAX);
            let old = tables.bundles.insert(bundle.id, (&self.segment, bundle.length, live))?;
            debug_assert!(old.is_none(), "bundle {} is written once", bundle.id);
        }
        for (key, row) in &self.rows {
            let old = tables
                .slivers
                .insert(key, row.as_tuple())?
                .map(|old| SliverRow::from_tuple(old.value()));
            let Some(old) = old else { continue };
            removed = u64::saturating_add(removed, u64::from(old.length));
            match old.place {
                Place::Inline => {
                    tables.small.remove(key)?;
                }
                Place::Bundle { id, .. } => holes::release(tables, id, unused)?,
            }
        }
        for (key, bytes) in &self.small {
            tables.small.insert(key, bytes.as_slice())?;
        }
        for (key, proof) in &self.proofs {
            let old = tables.proofs.insert(key, proof.as_slice())?;
            removed = removed.saturating_add(old.map_or(0, |old| bytes_of(old.value().len())));
        }
        let slivers: u64 = self.rows.iter().map(|(_, row)| u64::from(row.length)).sum();
        let added = slivers.saturating_add(bytes_of(self.proof_bytes()));
        content::account(tables, self.blob_id.as_bytes(), added, removed, self.now_ms)
    }

    /// Whether each sliver has a place of its own: its bytes are here, or within the bundle, behind those before it.
    fn lies_where_it_says(&self) -> bool {
        let (mut at, mut small) = (0, 0);
        for (_, row) in &self.rows {
            match (row.place, &self.bundle) {
                (Place::Inline, _) => small += 1,
                (Place::Bundle { id, offset }, Some(bundle)) if id == bundle.id && offset == at => {
                    at = offset.saturating_add(u64::from(row.length));
                }
                (Place::Bundle { .. }, _) => return false,
            }
        }
        small == self.small.len() && at == self.bundle.as_ref().map_or(0, |bundle| bundle.length)
    }

    /// Bytes that will go into the database, without keys.
    pub(crate) fn database_bytes(&self) -> usize {
        let small: usize = self.small.iter().map(|(_, bytes)| bytes.len()).sum();
        self.proof_bytes().saturating_add(small)
    }

    fn proof_bytes(&self) -> usize {
        self.proofs.values().map(Vec::len).sum()
    }

    /// From here on the index decides about the bundle file.
    pub(crate) fn keep_bundle(&mut self) {
        if let Some(bundle) = &mut self.bundle {
            bundle.keep();
        }
    }
}
