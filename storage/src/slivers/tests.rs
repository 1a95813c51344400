//! Tests of `slivers.rs`.
