//! The layout of a devnet's folder.
//!
//! Promises: the one before is known; another one is refused with the step that helps. Does not: read it.

use haulout_node::error::{Error, Kind};

/// The layout of `settings.json`.
pub(crate) const SCHEMA: u32 = 4;

/// The one before, which is read, too.
pub(crate) const BEFORE: u32 = 3;

/// The refusal of a devnet whose settings have another layout.
pub(crate) fn other_version(name: &str, schema: u32) -> Error {
    let message = format!("devnet {name:?} was made by another version (schema {schema})");
    Error::new(Kind::Version, message)
        .hint("start over with `devnet up --fresh`, which deletes its data")
}
