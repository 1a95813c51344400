//! Tests of `schema.rs`.
