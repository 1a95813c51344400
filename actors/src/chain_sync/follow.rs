//! How much of the ledger a process follows.

/// How much of the ledger to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Every blob, from the store's cursor: what a storage node needs.
    Blobs,
    /// Only epochs and committees, from now on, and those as most of the ledger's servers say: what a client
    /// needs, which checks every byte anyway.
    Committees,
}
