//! Which sealed values turned out to be other bytes than were written, and how often that was found.
//!
//! Promises: what was found is known until it is right again, replaced or gone; memory is bounded by [`KNOWN_MAX`]. Does
//! not: know slivers one by one, whose rows say in the store that they are damaged; or last: who starts again finds it again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{ReadTransaction, ReadableTable};

use crate::error::StoreError;
use crate::sealed;
use crate::short;
use crate::tables::{self, BlobKey, CERTIFICATES, HEADERS, PROOFS, PairKey, Tables};
use crate::wanting;

/// Values remembered; whoever has found so many needs no more to know that the disk is bad.
const KNOWN_MAX: usize = 1024;

/// A sealed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sealed {
    /// A blob's header.
    Header(BlobKey),
    /// A blob's certificate.
    Certificate(BlobKey),
    /// A pair's proof.
    Proof(PairKey),
    /// A short blob.
    Short(BlobKey),
}

impl Sealed {
    /// Of which blob it is.
    pub(crate) fn blob(&self) -> BlobKey {
        match self {
            Sealed::Header(blob) | Sealed::Certificate(blob) | Sealed::Short(blob) => *blob,
            Sealed::Proof(pair) => tables::blob_of_segment(&tables::segment_of_pair(pair)),
        }
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Rot {
    found: AtomicU64,
    known: Mutex<BTreeSet<Sealed>>,
}

impl Rot {
    fn known(&self) -> MutexGuard<'_, BTreeSet<Sealed>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A read found wrong bytes somewhere.
    pub(crate) fn found(&self) {
        self.found.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that happened.
    pub(crate) fn times(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// Remembers that a sealed value was wrong; whether that was not known.
    pub(crate) fn remember(&self, value: Sealed) -> bool {
        self.found();
        let mut known = self.known();
        known.len() < KNOWN_MAX && known.insert(value)
    }

    /// Looks at what was wrong again, and says how much of it still is.
    pub(crate) fn look_again(&self, view: &ReadTransaction) -> Result<u64, StoreError> {
        let known = self.known().clone();
        let mut wrong = 0;
        for value in known {
            match read(view, &value) {
                Ok(_) => drop(self.known().remove(&value)),
                Err(StoreError::Corrupt { .. }) => wrong += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(wrong)
    }
}

/// Has the blob of a rotten value looked at. A certificate that is still rotten goes: no look asks for it, and the next
/// announcement brings it again.
pub(crate) fn mark(tables: &mut Tables<'_>, value: &Sealed) -> Result<(), StoreError> {
    let Sealed::Certificate(blob) = value else { return wanting::note(tables, &value.blob()) };
    let stored = tables.certificates.get(blob)?;
    let is_rotten = stored.is_some_and(|sealed| tables::unseal(sealed.value()).is_none());
    if is_rotten {
        tables.certificates.remove(blob)?;
    }
    Ok(())
}

fn read(view: &ReadTransaction, value: &Sealed) -> Result<Option<bytes::Bytes>, StoreError> {
    let what = String::new;
    match value {
        Sealed::Short(blob) => Ok(short::read(view, blob)?.map(|blob| blob.header)),
        Sealed::Header(blob) => sealed::read(view, HEADERS, blob, what),
        Sealed::Certificate(blob) => sealed::read(view, CERTIFICATES, blob, what),
        Sealed::Proof(pair) => sealed::read(view, PROOFS, pair, what),
    }
}

#[cfg(test)]
mod tests {
    use redb::{Database, ReadableDatabase};

    use super::*;
    use crate::schema;

    const BLOB: BlobKey = [7; 32];

    /// Writes a header as it is; reads it, watched.
    fn read_written(database: &Database, rot: &Rot, bytes: &[u8]) -> Result<(), StoreError> {
        let write = database.begin_write().expect("begins");
        write.open_table(HEADERS).expect("opens").insert(&BLOB, bytes).expect("written");
        write.commit().expect("committed");
        let header = Sealed::Header(BLOB);
        let read = read(&view(database), &header);
        if let Err(StoreError::Corrupt { .. }) = &read {
            rot.remember(header);
        }
        read.map(drop)
    }

    fn view(database: &Database) -> ReadTransaction {
        database.begin_read().expect("begins")
    }

    #[test]
    fn a_sealed_value_that_is_wrong_counts_until_it_is_right_or_gone() {
        let backend = redb::backends::InMemoryBackend::new();
        let database = schema::create_in(backend, 1 << 20).expect("created");
        let rot = Rot::default();
        let mut sealed = tables::seal(b"header");
        read_written(&database, &rot, &sealed).expect("right");
        assert_eq!((rot.times(), rot.look_again(&view(&database)).expect("read")), (0, 0));
        sealed[35] ^= 1;
        for times in [1, 2] {
            assert!(read_written(&database, &rot, &sealed).is_err());
            assert_eq!((rot.times(), rot.look_again(&view(&database)).expect("read")), (times, 1));
        }
        sealed[35] ^= 1;
        read_written(&database, &rot, &sealed).expect("right again");
        assert_eq!(rot.look_again(&view(&database)).expect("read"), 0);
        sealed[0] ^= 1;
        assert!(read_written(&database, &rot, &sealed).is_err());
        let write = database.begin_write().expect("begins");
        write.open_table(HEADERS).expect("opens").remove(&BLOB).expect("removed");
        write.commit().expect("committed");
        assert_eq!(rot.look_again(&view(&database)).expect("read"), 0, "gone");
    }

    #[test]
    fn however_much_is_wrong_only_so_much_is_remembered() {
        let rot = Rot::default();
        for number in 0..2 * u32::try_from(KNOWN_MAX).expect("small") {
            let mut pair = [0; 38];
            pair[32..36].copy_from_slice(&number.to_be_bytes());
            assert_eq!(
                rot.remember(Sealed::Proof(pair)),
                usize::try_from(number).unwrap() < KNOWN_MAX
            );
        }
        assert_eq!(rot.known().len(), KNOWN_MAX);
        assert_eq!(rot.times(), 2 * u64::try_from(KNOWN_MAX).expect("small"));
    }
}
