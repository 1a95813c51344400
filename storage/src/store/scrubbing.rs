//! The store's way to read all that it keeps, and to know what of it rotted.
//!
//! Promises: what a slice finds rotten is noted durably when it returns: it counts as missing from then on. Does not: choose a
//! pace, or replace anything.

use super::Store;
use crate::error::StoreError;
use crate::places::SliverRow;
use crate::scrub::{self, ScrubPlace, Slice};
use crate::tables::SliverKey;
use crate::writer::Change;

/// What [`Store::scrub`] read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Bytes read.
    pub bytes: u64,
    /// Values among them that are not what was written and were not known to be so.
    pub rotten: u64,
    /// Slivers that the system did not let us read now: nobody knows how they are.
    pub unreadable: u64,
    /// Where the next slice begins; nothing if this was the last.
    pub next: Option<ScrubPlace>,
}

impl Store {
    /// Reads what is stored from a place on, about so many bytes of it, and checks that it is what was written. What is not
    /// is missing from then on, and found by [`Store::missing`]; a certificate is forgotten, for nobody looks for it.
    ///
    /// # Errors
    /// The index cannot be read, or does not take what was found; then nothing of it is known.
    pub async fn scrub(&self, from: ScrubPlace, bytes: u64) -> Result<Scrubbed, StoreError> {
        let store = self.clone();
        let read = tokio::task::spawn_blocking(move || store.read_slice(&from, bytes)).await;
        let Slice { bytes, slivers, values, unreadable, refusal, next, .. } =
            read.map_err(|_| self.stopped())??;
        if let Some(error) = refusal {
            tracing::warn!(unreadable, %error, "stored slivers could not be read to see whether they rotted");
        }
        let mut rotten = slivers.len();
        if !(slivers.is_empty() && values.is_empty()) {
            let found = slivers.len().saturating_add(values.len());
            let weight = found.saturating_mul(size_of::<(SliverKey, SliverRow)>());
            self.write(Change::Rotten { slivers, values: values.clone() }, weight).await?;
            (0..rotten).for_each(|_| self.inner.rot.found());
            // What was found before and is not repaired yet is no news, but noted all the same.
            rotten += values.into_iter().filter(|value| self.inner.rot.remember(*value)).count();
            tracing::warn!(rotten, found, "stored values are not what was written");
        }
        let rotten = u64::try_from(rotten).unwrap_or(u64::MAX);
        Ok(Scrubbed { bytes, rotten, unreadable, next })
    }

    fn read_slice(&self, from: &ScrubPlace, bytes: u64) -> Result<Slice, StoreError> {
        let bundles = self.bundles().map(AsRef::as_ref);
        let mut slice = scrub::slice(&self.view()?, bundles, from, bytes)?;
        let mut rotten = Vec::new();
        for (key, _) in std::mem::take(&mut slice.slivers) {
            // The row may have changed since, and its bundle be gone with it.
            match self.find_sliver(&key) {
                Ok(found) => rotten.extend(found.rotten().map(|row| (key, row))),
                Err(error @ StoreError::Io { .. }) => {
                    slice.unreadable += 1;
                    slice.refusal = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        slice.slivers = rotten;
        Ok(slice)
    }
}
