//! What a network needs to know, as it is stated and as it is used.
//!
//! Promises: the secret key is in no `Debug`; what was checked parses, so nothing that starts later
//! can fail because of a word. Does not: try whether an address can be listened on or dialled.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use haulout_protocol::message::NetworkId;
use libp2p::multiaddr::Protocol as Part;
use libp2p::{Multiaddr, PeerId, identity};
use prometheus_client::registry::Registry;

use super::address;
use super::errors::NetworkError;

/// What this peer is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A node: answers Kademlia queries and is found by them.
    Server,
    /// A client: asks, and is not listed.
    Client,
}

/// A transport, where there is a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// QUIC: bounded memory, one round trip to connect.
    #[default]
    Quic,
    /// TCP with Noise and Yamux: about half the CPU for bulk.
    Tcp,
}

/// What a network needs to know.
#[derive(Clone)]
pub struct NetworkOptions {
    /// The ed25519 secret key that names this peer.
    pub secret_key: [u8; 32],
    /// Peers of other networks are strangers: protocol names carry this.
    pub network: NetworkId,
    /// Multiaddrs to listen on; port 0 takes a free one and keeps it across restarts of the actor.
    pub listen: Vec<String>,
    /// Multiaddrs others should dial, if not those we listen on.
    pub external: Vec<String>,
    /// Multiaddrs of peers to start from, best with `/p2p/<peer id>` at the end.
    pub bootstrap: Vec<String>,
    /// Node or client.
    pub role: Role,
    /// Which transport to dial first.
    pub prefer: Transport,
    /// Takes libp2p's metrics. It belongs to the network alone: a new swarm replaces what it holds.
    pub registry: Arc<Mutex<Registry>>,
}

impl std::fmt::Debug for NetworkOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("NetworkOptions")
            .field("network", &self.network)
            .field("listen", &self.listen)
            .field("external", &self.external)
            .field("bootstrap", &self.bootstrap)
            .field("role", &self.role)
            .field("prefer", &self.prefer)
            .finish_non_exhaustive()
    }
}

/// The options, checked.
pub(super) struct Parsed {
    pub(super) keypair: identity::Keypair,
    pub(super) network: String,
    pub(super) listen: Vec<Multiaddr>,
    pub(super) external: Vec<Multiaddr>,
    pub(super) bootstrap: Vec<Multiaddr>,
    /// Those of them whose peer id is stated.
    pub(super) bootstrap_peers: HashSet<PeerId>,
    pub(super) role: Role,
    pub(super) prefer: Transport,
    pub(super) registry: Arc<Mutex<Registry>>,
}

impl std::fmt::Debug for Parsed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Parsed").field("network", &self.network).finish_non_exhaustive()
    }
}

impl Parsed {
    pub(super) fn new(options: NetworkOptions) -> Result<Self, NetworkError> {
        let parse = |texts: &[String]| -> Result<Vec<Multiaddr>, NetworkError> {
            texts.iter().map(|text| address::parse(text)).collect()
        };
        let keypair = identity::Keypair::ed25519_from_bytes(options.secret_key)
            .map_err(|error| NetworkError::Setup(error.to_string()))?;
        let bootstrap = parse(&options.bootstrap)?;
        let bootstrap_peers = bootstrap.iter().filter_map(|address| match address.iter().last() {
            Some(Part::P2p(peer)) => Some(peer),
            _ => None,
        });
        Ok(Parsed {
            keypair,
            network: hex::encode(&options.network.as_bytes()[..4]),
            listen: parse(&options.listen)?,
            external: parse(&options.external)?,
            bootstrap_peers: bootstrap_peers.collect(),
            bootstrap,
            role: options.role,
            prefer: options.prefer,
            registry: options.registry,
        })
    }
}
