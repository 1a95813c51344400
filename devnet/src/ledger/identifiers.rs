//! Names of Move as the ledger's types want them.
//!
//! Promises: names of the protocol crate are valid ones. Does not: take others.

use sui_sdk_types::Identifier;

/// An identifier from a name written in the protocol crate.
pub(super) fn identifier(name: &str) -> Identifier {
    Identifier::new(name).expect("names of the package are valid identifiers")
}
