//! The stake side against the tables and tests of `contracts.md`.
