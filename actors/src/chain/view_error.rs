//! Why the network cannot be read as proven checkpoints have it.

use haulout_protocol::machine::ledger_history::Doubt;
use haulout_storage::StoreError;

use super::error::CallError;

/// Why there is no proven view of the network.
#[derive(Debug)]
pub(crate) enum ViewError {
    /// We are too far behind the ledger to read what held where we are.
    Early,
    /// The objects are not those of the proven history.
    Doubt(Doubt),
    /// The ledger does not answer, or cannot be understood.
    Call(CallError),
    /// Our store failed.
    Store(StoreError),
}

impl From<Doubt> for ViewError {
    fn from(doubt: Doubt) -> ViewError {
        ViewError::Doubt(doubt)
    }
}

impl From<CallError> for ViewError {
    fn from(error: CallError) -> ViewError {
        ViewError::Call(error)
    }
}

impl From<StoreError> for ViewError {
    fn from(error: StoreError) -> ViewError {
        ViewError::Store(error)
    }
}
