//! The two directions of slivers.
//!
//! Promises: each is across the other. Does not: know sizes.
//! Source: `protocol.md` section 2.

use std::fmt;

/// Direction of a sliver: a row or a column of the expanded matrix.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
pub enum Axis {
    /// A row: its first `S` symbols.
    Primary,
    /// A column: its first `P` symbols.
    Secondary,
}

impl Axis {
    /// Both, in the order of a pair.
    pub const BOTH: [Axis; 2] = [Axis::Primary, Axis::Secondary];

    /// The direction across: a symbol of a sliver is a symbol of one sliver of the other axis too.
    pub const fn other(self) -> Axis {
        match self {
            Axis::Primary => Axis::Secondary,
            Axis::Secondary => Axis::Primary,
        }
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Axis::Primary => "primary",
            Axis::Secondary => "secondary",
        })
    }
}
