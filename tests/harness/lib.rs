//! What the tests of this workspace share: sample bytes, and waiting for a fact with a deadline.
//!
//! Promises: everything here is repeatable from a seed. Does not: hold tests; they are in `tidy/`
//! and `cluster/`.
