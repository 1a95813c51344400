//! The real binary, offline: what people and scripts see.

#[path = "cli/contexts.rs"]
mod contexts;
#[path = "cli/failures.rs"]
mod failures;
#[path = "cli/home.rs"]
mod home;
#[path = "cli/ids.rs"]
mod ids;
#[path = "cli/keys.rs"]
mod keys;
