//! Lengths of time as people type them, and numbers of things as they say them.
//!
//! Promises: a length that comes out can be typed in again. Does not: read what was typed.

use std::time::Duration;

/// A length of time as it is typed, in its largest whole unit: `24h`, `90s`.
pub(crate) fn typed(length: Duration) -> String {
    let milliseconds = length.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let whole = units.into_iter().find(|(unit, _)| milliseconds.is_multiple_of(*unit));
    let (unit, word) = whole.filter(|_| milliseconds > 0).unwrap_or((1_000, "s"));
    format!("{}{word}", milliseconds / unit)
}

/// A number of things: `1 shard`, `2 shards`.
pub(crate) fn counted(number: impl Into<u64>, thing: &str) -> String {
    let number = number.into();
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}
