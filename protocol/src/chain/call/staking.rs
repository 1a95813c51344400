//! What the stake side can be told: plain arguments of its functions.
//!
//! Does not: name functions for transactions yet; the devnet's genesis is the only caller.

use super::super::object::Entry;
use super::super::object::staking::Asks;

/// `register_node(name, peer_key, peer_proof, multiaddrs, bls_key, bls_proof, bond, commission,
/// asks, capacity, metadata) -> NodeCap`, without the bond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterNode {
    /// A name for people, at most 100 bytes.
    pub name: String,
    /// The ed25519 key it speaks libp2p with.
    pub peer_key: [u8; 32],
    /// That key's signature over [`crate::message::peer_proof_message`], 64 bytes.
    pub peer_proof: Vec<u8>,
    /// One to eight binary multiaddrs without the peer id.
    pub multiaddrs: Vec<Vec<u8>>,
    /// The BLS key, 48 bytes.
    pub bls_public_key: Vec<u8>,
    /// Its signature over [`crate::message::proof_of_possession_message`], 96 bytes.
    pub bls_proof: Vec<u8>,
    /// The operator's part of rewards, in ten-thousandths.
    pub commission_bps: u16,
    /// What the node asks for its work.
    pub asks: Asks,
    /// Encoded bytes it can hold.
    pub capacity: u64,
    /// Free text by topic.
    pub metadata: Vec<Entry<String, String>>,
}
