//! Reads the network as proven checkpoints have it.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::machine::ledger_history::Verified;
use haulout_storage::Store;

use super::kept;
use crate::chain::{Chain, SystemView, ViewError};

/// Reads the network as it was after the last checkpoint we applied.
pub(super) async fn read_proven(
    chain: &Chain,
    store: &Store,
    last: &Verified,
) -> Result<SystemView, ViewError> {
    let known = |ids: Vec<ObjectId>| {
        let store = store.clone();
        async move {
            let look_up = move || kept::written(&store, &ids);
            let found = tokio::task::spawn_blocking(look_up).await;
            found.expect("reading neither panics nor is cut off")
        }
    };
    chain.system_after(last, known).await
}
