//! What a client does: tasks that put and get blobs, peer to peer.
//!
//! Promises: memory is bounded by a few segments whatever the blob's size; every request ends in bounded time; bytes
//! handed out were checked against the blob id. Does not: decide whom to ask or when to give up; the machines in
//! `haulout_protocol::machine` do. Sessions are tasks, not actors: a request in flight when the network restarts
//! fails as transient and its caller retries.

pub mod download;
pub mod holdings;
pub mod locate;
pub mod upload;

mod client;
mod node;
mod progress;
mod symbols;

pub use self::client::Session;
pub(crate) use self::holdings::held_segments;
pub(crate) use self::locate::held_header;
pub(crate) use self::node::pair_proof;
pub use self::progress::{Observer, Pending, Progress, Unhelpful};
pub(crate) use self::symbols::{Came, symbols};
pub use crate::asking::Obstacle;
