//! The network: a cheap handle for everybody, and the actor that keeps the swarm alive.
//!
//! Promises: the handle works across restarts of the actor (requests in flight fail as transient,
//! new ones wait for the new swarm within their own bound), the identity and the ports stay the
//! same, and what others hold (accept queues, gossip listeners, the peer book) is not disturbed.
//! libp2p's types never leave this module's folder. Does not: know what the streams carry.

mod actor;
mod address;
mod behaviours;
mod borrowing;
mod commands;
mod dialling_back;
mod errors;
mod frames;
mod gate;
mod handle;
mod identity;
mod inbound;
mod lending;
mod life;
mod lock;
mod names;
mod options;
mod paced;
mod peers;
mod place;
mod refusals;
mod shared;
mod strangers;
mod streams;
mod swarm;
mod transport;

pub use self::address::{address_from_bytes, address_to_bytes};
pub use self::commands::Verdict;
pub use self::dialling_back::doors;
pub use self::errors::{NetworkError, OpenError, PublishError};
pub use self::frames::{Stream, StreamError, StreamReader, StreamWriter};
pub use self::handle::Network;
pub use self::identity::peer_id;
pub use self::inbound::{Heard, Incoming, Listener};
pub use self::lending::{Borrowed, Errand};
pub use self::names::{Protocol, Topic};
pub use self::options::{NetworkOptions, Role, Transport};
pub use self::peers::{Blame, Peers};
pub use self::place::Place;

#[cfg(test)]
mod tests;
