//! The rows of short blobs, and who may change them.
//!
//! Promises: whoever adds symbols keeps those that are there; one at a time changes a row. Does not: check what is added, or
//! know where it comes from.

use std::sync::Arc;

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::Parameters;
use haulout_storage::row::CheckedRow;
use haulout_storage::{Store, StoreError};
use tokio::sync::{Mutex, MutexGuard};

/// Locks of rows: two blobs rarely share one.
const LOCKS: usize = 64;

/// Who may change which row; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct ShortRows(Arc<[Mutex<()>; LOCKS]>);

impl Default for ShortRows {
    fn default() -> Self {
        ShortRows(Arc::new(std::array::from_fn(|_| Mutex::default())))
    }
}

impl ShortRows {
    /// Waits until nobody else changes the blob's row. To be held while it is read and written again.
    async fn lock(&self, blob_id: &BlobId) -> MutexGuard<'_, ()> {
        self.0[usize::from(blob_id.as_bytes()[31]) % LOCKS].lock().await
    }

    /// Makes what was checked durable, with what is there; how many symbols there are then. Nobody waits here for a turn at a
    /// core, because others wait for the row. With the time at which it came; zero says that nobody brings it any more.
    pub(crate) async fn add(
        &self,
        store: &Store,
        parameters: Parameters,
        header: BlobHeader,
        (row, came_at_ms): (CheckedRow, u64),
    ) -> Result<usize, StoreError> {
        let (blob_id, reader) = (header.blob_id(), store.clone());
        let _alone = self.lock(&blob_id).await;
        let all = tokio::task::spawn_blocking(move || {
            let old = match reader.short(&blob_id) {
                Err(StoreError::Corrupt { .. }) => None, // a damaged one is replaced
                old => old?,
            };
            let all = row.with(&parameters, &header, old);
            Ok::<_, StoreError>(all.expect("both rows prove all that they hold"))
        });
        let all = all.await.expect("merging neither panics nor is cut off")?;
        let symbols = all.symbols.len();
        store.put_short(&blob_id, all, came_at_ms).await?;
        Ok(symbols)
    }
}
