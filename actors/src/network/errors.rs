//! Why the network did not do what was asked.
//!
//! Promises: whoever may ask again learns from the error whether that can help. Does not: blame;
//! faults of peers are `peers`' business, those of an open stream `frames`'.

use crate::limits;

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A configured address is not a multiaddr.
    #[error("`{text}` is not a multiaddr such as /ip4/0.0.0.0/udp/4001/quic-v1: {reason}")]
    Address {
        /// What was configured.
        text: String,
        /// What the parser says.
        reason: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; is the port in use by another process?")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// The transports cannot be set up.
    #[error("cannot set up the network: {0}")]
    Setup(String),
}

/// Why a stream could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No address of the peer answers, and Kademlia knows no other.
    #[error("the peer cannot be reached: {0}")]
    Unreachable(String),
    /// A machine is there and refuses connections: the peer does not run on it.
    #[error("the peer does not run: its machine refuses connections")]
    Refused,
    /// A machine is there and takes connections, but the peer behind them says nothing: it has no time, or is stopped.
    #[error("the peer is there and has no time to answer; retry later")]
    KeptWaiting,
    /// It took longer than it may, and nobody is known to be there.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// The peer has no room for another stream.
    #[error("the peer is busy; retry later")]
    Busy,
    /// The peer does not serve this protocol.
    #[error("the peer does not serve this protocol")]
    Unsupported,
    /// The connection ended while the stream was opened.
    #[error("the connection was lost")]
    ConnectionLost,
    /// Too many of our own requests wait.
    #[error("too many requests wait for the network")]
    Overloaded,
    /// The peer is banned here for what it did.
    #[error("the peer is banned for its faults")]
    Banned,
    /// The network is restarting or shut down.
    #[error("the network is restarting")]
    Restarting,
}

impl OpenError {
    /// Whether the same request, to the same peer, may succeed soon.
    pub fn is_transient(&self) -> bool {
        match self {
            OpenError::Unreachable(_)
            | OpenError::Refused
            | OpenError::KeptWaiting
            | OpenError::TimedOut
            | OpenError::Busy
            | OpenError::ConnectionLost
            | OpenError::Overloaded
            | OpenError::Restarting => true,
            OpenError::Unsupported | OpenError::Banned => false,
        }
    }
}

/// Why a message was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nobody we are connected to listens to the topic yet.
    #[error("no connected peer listens to this topic yet")]
    NoPeers,
    /// The message is above the limit.
    #[error("the message is larger than {} bytes", limits::GOSSIP_BYTES_MAX)]
    TooLarge,
    /// The queues of all peers are full.
    #[error("the queues of all peers are full")]
    Overloaded,
    /// The network is restarting or shut down.
    #[error("the network is restarting")]
    Restarting,
}
