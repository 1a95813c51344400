//! Versions at which our objects became shared, as they are known and kept.
//!
//! Does not: find them out (`shared_since` does).

use serde::{Deserialize, Serialize};

/// Versions at which our objects became shared; transactions must name them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SharedSince {
    pub(super) system: u64,
    pub(super) params: u64,
    pub(super) staking: u64,
    pub(super) treasury: u64,
}
