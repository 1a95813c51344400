//! How much a node may say of itself: the limits of `node_registry`.
//!
//! Promises: whoever checks before paying and the ledger that refuses read the same numbers.
//! Does not: check anything.

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 100;
/// The most addresses of a node.
pub const ADDRESSES_MAX: usize = 8;
/// The longest binary address, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// The most texts of a node.
pub const TEXTS_MAX: usize = 16;
/// The longest topic of a text, in bytes.
pub const TOPIC_BYTES_MAX: usize = 64;
/// The longest text, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;
