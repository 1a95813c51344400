//! Tests of `bundles.rs`.
