//! The ledger as a whole, driven by scripts. `t07_...` is test T07 of the design.

mod aborts;
pub(super) mod scripts;
