//! Our names of peers and libp2p's.
//!
//! Promises: a peer is named by an ed25519 key or not at all. Does not: prove that a peer holds its
//! key; the transports do.

use haulout_protocol::crypto::PeerId;
use libp2p::identity;

/// The peer that holds this ed25519 secret key.
pub fn peer_id(secret_key: [u8; 32]) -> PeerId {
    let keypair = identity::Keypair::ed25519_from_bytes(secret_key)
        .expect("any 32 bytes are an ed25519 secret key");
    from_libp2p(&keypair.public().to_peer_id()).expect("an ed25519 key has an ed25519 peer id")
}

pub(super) fn to_libp2p(peer: &PeerId) -> libp2p::PeerId {
    libp2p::PeerId::from_bytes(&peer.to_multihash()).expect("our peer ids are valid multihashes")
}

/// Nothing for peers that are named by another kind of key.
pub(super) fn from_libp2p(peer: &libp2p::PeerId) -> Option<PeerId> {
    PeerId::from_multihash(&peer.to_bytes())
}
