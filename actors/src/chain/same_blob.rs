//! One put of a blob at a time.
//!
//! Two puts of the same bytes would both find that the wallet has nothing, and the slower one would
//! learn only in its turn of the wallet that it needs nothing any more. In a row, the second finds
//! what the first has stored.
//!
//! Promises: puts of one blob in this process come one after the other; other blobs do not wait;
//! nothing is kept of a blob that nobody puts.
//! Does not: keep other processes out; the plan that is made in the wallet's turn does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use haulout_protocol::blob::BlobId;
use tokio::sync::OwnedMutexGuard;

type Gate = Arc<tokio::sync::Mutex<()>>;

/// The blobs that are being put.
#[derive(Debug, Default)]
pub(super) struct SameBlob {
    gates: Arc<Mutex<BTreeMap<BlobId, Gate>>>,
}

/// Being the only one to put a blob, until it is dropped.
#[derive(Debug)]
pub struct OnlyOne {
    gates: Arc<Mutex<BTreeMap<BlobId, Gate>>>,
    blob_id: BlobId,
    /// Nothing only while this is dropped.
    gate: Option<OwnedMutexGuard<()>>,
}

impl SameBlob {
    pub(super) async fn enter(&self, blob_id: &BlobId) -> OnlyOne {
        let gate = {
            let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
            gates.entry(*blob_id).or_default().clone()
        };
        let (gates, gate) = (self.gates.clone(), Some(gate.lock_owned().await));
        OnlyOne { gates, blob_id: *blob_id, gate }
    }
}

impl Drop for OnlyOne {
    fn drop(&mut self) {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.gate.take());
        // Whoever waits has the gate, too.
        if gates.get(&self.blob_id).is_some_and(|gate| Arc::strong_count(gate) == 1) {
            gates.remove(&self.blob_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn puts_of_one_blob_come_one_after_the_other_and_nothing_stays() {
        let puts = SameBlob::default();
        let [one, other] = [1, 2].map(|number| BlobId::from_bytes([number; 32]));
        let first = puts.enter(&one).await;
        let mut second = std::pin::pin!(puts.enter(&one));
        assert!(poll!(&mut second).is_pending());
        drop(puts.enter(&other).await);
        drop(first);
        drop(second.await);
        assert!(puts.gates.lock().unwrap().is_empty());
    }
}
