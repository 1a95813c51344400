//! Which live certified blobs have no certificate here, found by going through what the ledger says of blobs, a page at a time.
//!
//! Promises: whoever reads page after page from the beginning to the end has heard of each such blob that was there all the
//! while, once; one whose certificate rotted is among them; a page reads a bounded number of rows. Does not: note anything: a
//! missing certificate makes no blob incomplete, for nothing of what is stored depends on it.

use haulout_protocol::blob::BlobId;
use haulout_protocol::epoch::Epoch;
use redb::ReadTransaction;

use crate::error::StoreError;
use crate::tables::{self, BlobKey, CERTIFICATES, INVALID, OBJECTS, ObjectKey};

/// Rows of the ledger's objects that one page reads: some milliseconds.
pub(crate) const PAGE_ROWS_MAX: usize = 4_096;
/// Blobs that one page lists.
pub(crate) const PAGE_BLOBS_MAX: usize = 256;

/// A place among all that the ledger says of blobs; the default is the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificatePlace(ObjectKey);

impl Default for CertificatePlace {
    fn default() -> Self {
        CertificatePlace([0; 64])
    }
}

/// A page of blobs without a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateGaps {
    /// Live certified blobs whose certificate is not here, or is not what was written.
    pub blobs: Vec<BlobId>,
    /// Where the next page begins; nothing if this was the last.
    pub next: Option<CertificatePlace>,
    /// Those whose certificate is here and rotted.
    pub(crate) rotten: Vec<BlobId>,
}

/// Reads a page from a place on.
pub(crate) fn page(
    view: &ReadTransaction,
    epoch: Epoch,
    from: &CertificatePlace,
    (rows_max, blobs_max): (usize, usize),
) -> Result<CertificateGaps, StoreError> {
    let (invalid, certificates) = (view.open_table(INVALID)?, view.open_table(CERTIFICATES)?);
    let mut page = CertificateGaps::default();
    let mut seen: Option<BlobKey> = None;
    for (count, row) in view.open_table(OBJECTS)?.range::<&ObjectKey>(&from.0..)?.enumerate() {
        let (key, row) = row?;
        let blob = tables::blob_of_object(key.value());
        let is_seen = seen == Some(blob);
        if count == rows_max || (page.blobs.len() == blobs_max && !is_seen) {
            page.next = if is_seen { after(&blob) } else { Some(CertificatePlace(*key.value())) };
            break;
        }
        let (_, end, _, _, certified) = row.value();
        if is_seen || certified.is_none() || epoch.0 >= end || invalid.get(&blob)?.is_some() {
            continue;
        }
        // What one live certified object says of a blob is enough.
        seen = Some(blob);
        let sealed = certificates.get(&blob)?;
        let is_rotten = sealed.as_ref().map(|sealed| tables::unseal(sealed.value()).is_none());
        if is_rotten != Some(false) {
            page.blobs.push(BlobId::from_bytes(blob));
        }
        if is_rotten == Some(true) {
            page.rotten.push(BlobId::from_bytes(blob));
        }
    }
    Ok(page)
}

/// The place of the first object of a later blob.
fn after(blob: &BlobKey) -> Option<CertificatePlace> {
    tables::next_key(blob).map(|next| CertificatePlace(tables::object_key(&next, &[0; 32])))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Store;
    use crate::testing::{sample_blob, sample_bytes};
    use crate::{BlobEffect, StoreError};
    use haulout_protocol::chain::ObjectId;

    const NOW: Epoch = Epoch(3);

    /// What the ledger says of an object: registered, and certified if that is wanted.
    fn object(blob: u64, object: u8, end: u32, is_certified: bool) -> Vec<BlobEffect> {
        let (blob_id, object_id) = (sample_blob(blob), ObjectId::from_bytes([object; 32]));
        let (epoch, end_epoch) = (Epoch(1), Epoch(end));
        let registered = BlobEffect::Registered {
            blob_id,
            object_id,
            epoch,
            end_epoch,
            size: 10,
            deletable: true,
        };
        let certified = BlobEffect::Certified { blob_id, object_id, epoch, end_epoch };
        [Some(registered), is_certified.then_some(certified)].into_iter().flatten().collect()
    }

    /// All pages of that size, from the beginning to the end.
    fn tour(store: &Store, size: (usize, usize)) -> Vec<BlobId> {
        let (mut all, mut next) = (Vec::new(), Some(CertificatePlace::default()));
        while let Some(from) = next {
            let page = store.read(|view| page(view, NOW, &from, size)).expect("read");
            assert!(page.blobs.len() <= size.1);
            all.extend(page.blobs);
            next = page.next;
        }
        all
    }

    #[tokio::test]
    async fn each_live_certified_blob_without_a_certificate_is_listed_once_however_small_pages_are()
    {
        let store = Store::in_memory().expect("opens");
        let mut effects = Vec::new();
        for blob in 0..9 {
            // Several objects each, the first of which are over or not certified.
            effects.extend(
                [(1, 2, true), (2, 9, false), (3, 9, true), (4, 9, true)]
                    .map(|(id, end, is_certified)| object(blob, id, end, is_certified)),
            );
        }
        effects.push(object(20, 1, 9, false)); // not certified
        effects.push(object(21, 1, 3, true)); // over
        effects.push(object(22, 1, 9, true)); // found invalid
        effects.push(vec![BlobEffect::Invalidated { blob_id: sample_blob(22), epoch: Epoch(2) }]);
        store.apply(1, effects.concat()).await.expect("applied");
        for blob in 0..3 {
            store.put_certificate(&sample_blob(blob), vec![1; 90]).await.expect("stored");
        }
        let expected: BTreeSet<_> = (3..9).map(sample_blob).collect();
        for size in [(usize::MAX, usize::MAX), (1, 1), (2, 9), (3, 1), (100, 2), (7, 3)] {
            let listed = tour(&store, size);
            assert!(listed.iter().eq(&expected), "in pages of {size:?}: {listed:?}");
        }
    }

    #[tokio::test]
    async fn a_certificate_that_rotted_is_found_counted_and_forgotten_and_another_one_ends_it() {
        let store = Store::in_memory().expect("opens");
        store.apply(1, object(1, 1, 9, true)).await.expect("applied");
        let (blob, certificate) = (sample_blob(1), sample_bytes(1, 90));
        store.put_certificate(&blob, certificate.clone()).await.expect("stored");
        let listed = || store.without_certificate(NOW, CertificatePlace::default());
        assert_eq!(listed().expect("read"), CertificateGaps::default());
        let write = store.database().begin_write().expect("begins");
        let mut sealed = tables::seal(&certificate);
        sealed[40] ^= 1;
        let mut table = write.open_table(CERTIFICATES).expect("opens");
        table.insert(blob.as_bytes(), sealed.as_slice()).expect("written");
        drop(table);
        write.commit().expect("committed");
        assert_eq!(listed().expect("read").blobs, [blob]);
        assert_eq!(store.rot_found(), 1);
        store.settled().await; // the mark that the look left is written
        assert!(matches!(store.certificate(&blob), Ok::<_, StoreError>(None)));
        assert_eq!(listed().expect("read").blobs, [blob], "it is lacking all the same");
        store.put_certificate(&blob, certificate).await.expect("stored");
        assert_eq!(listed().expect("read"), CertificateGaps::default());
        assert_eq!((store.rotten_values().expect("read"), store.rot_found()), (0, 1));
    }
}
