//! Names of peers: the ed25519 key a libp2p connection proves.
//!
//! Source: the libp2p peer id specification; an ed25519 key of 32 bytes is inlined as an identity multihash.

use crate::text;

/// Header of the identity multihash of an ed25519 key in libp2p's protobuf form.
const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// A peer's ed25519 public key. Text form: base58btc of the multihash, `12D3KooW...`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId([u8; 32]);

/// A text that is no ed25519 peer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ed25519 peer id; it starts with 12D3KooW and has 52 characters")]
pub struct ParsePeerIdError;

impl PeerId {
    /// The peer that holds this ed25519 public key.
    pub const fn from_key(key: [u8; 32]) -> Self {
        PeerId(key)
    }

    /// The ed25519 public key.
    pub const fn key(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the peer signed a message, as Sui checks it: keys and signatures of small order prove
    /// nothing, and neither does any bytes that are no key.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        ed25519_dalek::VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }

    /// The 38 bytes libp2p calls the peer id.
    pub fn to_multihash(&self) -> [u8; 38] {
        let mut bytes = [0; 38];
        bytes[..6].copy_from_slice(&PREFIX);
        bytes[6..].copy_from_slice(&self.0);
        bytes
    }

    /// Reads libp2p's bytes; nothing for other key types.
    pub fn from_multihash(bytes: &[u8]) -> Option<Self> {
        let key = bytes.strip_prefix(&PREFIX)?;
        Some(PeerId(key.try_into().ok()?))
    }
}

impl std::fmt::Display for PeerId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(&text::to_base58(&self.to_multihash()))
    }
}

impl std::fmt::Debug for PeerId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

impl std::str::FromStr for PeerId {
    type Err = ParsePeerIdError;

    fn from_str(text: &str) -> Result<Self, ParsePeerIdError> {
        let bytes = text::from_base58(text).ok_or(ParsePeerIdError)?;
        PeerId::from_multihash(&bytes).ok_or(ParsePeerIdError)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    #[test]
    fn a_signature_holds_for_its_peer_and_message_only() {
        let secret = SigningKey::from_bytes(&[3; 32]);
        let peer = PeerId::from_key(secret.verifying_key().to_bytes());
        let signature = secret.sign(b"message").to_bytes();
        assert!(peer.verify(b"message", &signature));
        assert!(!peer.verify(b"messages", &signature));
        assert!(!PeerId::from_key([3; 32]).verify(b"message", &signature));
        assert!(!peer.verify(b"message", &[255; 64]));
    }

    #[test]
    fn the_key_of_small_order_signs_nothing() {
        // The neutral point: without the strict check, itself and zero sign every message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&neutral);
        assert!(!PeerId::from_key(neutral).verify(b"any message", &signature));
    }

    #[test]
    fn peer_ids_read_what_they_write() {
        let peer = PeerId::from_key([9; 32]);
        let text = peer.to_string();
        assert!(text.starts_with("12D3KooW") && text.len() == 52, "{text}");
        assert_eq!(text.parse(), Ok(peer));
        assert_eq!("12D3KooW".parse::<PeerId>(), Err(ParsePeerIdError));
    }
}
