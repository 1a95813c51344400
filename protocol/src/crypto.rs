//! Hashes, BLS keys and signatures, and peer ids: the only module that names BLS and BLAKE2b. `encoding` names BLAKE3, too:
//! it hashes many leaves at once and merges subtrees.
//!
//! Promises: a [`PublicKey`] is a point of the right subgroup and not the identity; a [`Signature`] is well formed;
//! verification never panics on any bytes. Does not: create randomness; keys come from seeds the caller provides.

mod bls;
mod hash;
mod peer;

pub use bls::{
    KeyError, PublicKey, SecretKey, Signature, aggregate_public_keys, aggregate_signatures,
};
pub use hash::{Digest, blake2b_256, hash_node, hash_pair, hash_segment, hash_symbol, role};
pub use peer::{ParsePeerIdError, PeerId};
