//! BLS12-381 signatures with keys in G1 and signatures in G2 (min-pk), as Sui's `bls12381_min_pk_verify` checks them.
//!
//! Promises: every point from outside is checked for its subgroup and against infinity before it is used, so an
//! aggregate cannot be steered by small-order points; rogue keys are the proof of possession's business (`message`).

use blst::BLST_ERROR;
use blst::min_pk::{AggregatePublicKey, AggregateSignature};
use zeroize::Zeroizing;

/// Hash-to-curve domain: the one Walrus and Sui use.
const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_";

/// The bit of a compressed point that says: at infinity.
const INFINITY_FLAG: u8 = 0x40;

/// Bytes that are not a key or signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a point of the right subgroup, or the point at infinity.
    #[error("the bytes are not a valid BLS12-381 point; ask the signer for its current key")]
    InvalidPoint,
    /// Nothing to aggregate.
    #[error("an aggregate needs at least one key or signature")]
    Empty,
}

/// A BLS signing key. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct SecretKey(blst::min_pk::SecretKey);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretKey(..)")
    }
}

impl SecretKey {
    /// Derives the key from 32 bytes of secret entropy (KeyGen of the IETF BLS draft).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = blst::min_pk::SecretKey::key_gen(seed, &[]);
        SecretKey(key.expect("32 bytes of seed are always enough"))
    }

    /// Reads the canonical 32-byte scalar; nothing if it is zero or too large.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        blst::min_pk::SecretKey::from_bytes(bytes).ok().map(SecretKey)
    }

    /// The 32-byte scalar, wiped when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.sk_to_pk())
    }

    /// Signs the exact bytes.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message, DOMAIN, &[]))
    }
}

/// A checked public key: 48 bytes compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(blst::min_pk::PublicKey);

impl PublicKey {
    /// Bytes of a compressed key.
    pub const BYTES: usize = 48;

    /// Reads a compressed key and checks its subgroup (about 50 microseconds: keep the result).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != Self::BYTES {
            return Err(KeyError::InvalidPoint);
        }
        let key = blst::min_pk::PublicKey::key_validate(bytes);
        key.map(PublicKey).map_err(|_| KeyError::InvalidPoint)
    }

    /// Reads a compressed key that was checked when it was written down, as those of a committee on
    /// the ledger were: a third of the time of [`PublicKey::from_bytes`], whose check it leaves out.
    pub fn from_checked_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != Self::BYTES {
            return Err(KeyError::InvalidPoint);
        }
        let key = blst::min_pk::PublicKey::uncompress(bytes);
        key.map(PublicKey).map_err(|_| KeyError::InvalidPoint)
    }

    /// The compressed key.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        self.0.compress()
    }
}

/// A well-formed signature: 96 bytes compressed, in its subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(blst::min_pk::Signature);

impl Signature {
    /// Bytes of a compressed signature.
    pub const BYTES: usize = 96;

    /// Reads a compressed signature and checks its subgroup.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != Self::BYTES {
            return Err(KeyError::InvalidPoint);
        }
        let signature = blst::min_pk::Signature::sig_validate(bytes, true);
        signature.map(Signature).map_err(|_| KeyError::InvalidPoint)
    }

    /// The compressed signature.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        self.0.compress()
    }

    /// Whether the holder of `key` (or all holders of an aggregate key) signed exactly `message`.
    pub fn verify(&self, key: &PublicKey, message: &[u8]) -> bool {
        // The types already carry the subgroup checks.
        self.0.verify(false, message, DOMAIN, &[], &key.0, false) == BLST_ERROR::BLST_SUCCESS
    }
}

/// Adds keys. Safe only for keys whose proof of possession was checked.
pub fn aggregate_public_keys(keys: &[PublicKey]) -> Result<PublicKey, KeyError> {
    let keys: Vec<_> = keys.iter().map(|key| &key.0).collect();
    if keys.is_empty() {
        return Err(KeyError::Empty);
    }
    let sum = AggregatePublicKey::aggregate(&keys, false).map_err(|_| KeyError::InvalidPoint)?;
    // The group is closed: of a sum of its members, only infinity has to be refused.
    let sum = sum.to_public_key();
    let is_infinity = sum.compress()[0] & INFINITY_FLAG != 0;
    if is_infinity { Err(KeyError::InvalidPoint) } else { Ok(PublicKey(sum)) }
}

/// Adds signatures over the same message.
pub fn aggregate_signatures(signatures: &[Signature]) -> Result<Signature, KeyError> {
    let signatures: Vec<_> = signatures.iter().map(|signature| &signature.0).collect();
    if signatures.is_empty() {
        return Err(KeyError::Empty);
    }
    let sum = AggregateSignature::aggregate(&signatures, false);
    sum.map(|sum| Signature(sum.to_signature())).map_err(|_| KeyError::InvalidPoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinity_and_points_outside_the_subgroup_are_refused() {
        let mut infinity = [0; 48];
        infinity[0] = 0xc0;
        assert_eq!(PublicKey::from_bytes(&infinity), Err(KeyError::InvalidPoint));
        let mut infinity = [0; 96];
        infinity[0] = 0xc0;
        assert_eq!(Signature::from_bytes(&infinity), Err(KeyError::InvalidPoint));
        // x = 4 is on the curve of G1 but not in the prime-order subgroup.
        let mut small = [0; 48];
        small[0] = 0x80;
        small[47] = 4;
        assert!(blst::min_pk::PublicKey::from_bytes(&small).is_ok(), "the point is on the curve");
        assert_eq!(PublicKey::from_bytes(&small), Err(KeyError::InvalidPoint));
    }

    #[test]
    fn an_aggregate_verifies_under_the_aggregate_of_its_keys_only() {
        let keys: Vec<_> = (1..4).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
        let signatures: Vec<_> = keys.iter().map(|key| key.sign(b"walrus")).collect();
        let public: Vec<_> = keys.iter().map(SecretKey::public_key).collect();
        let signature = aggregate_signatures(&signatures).expect("three signatures");
        let all = aggregate_public_keys(&public).expect("three keys");
        let two = aggregate_public_keys(&public[..2]).expect("two keys");
        let read = PublicKey::from_checked_bytes(&all.to_bytes());
        assert_eq!(read, Ok(all), "reading without the check gives the same key");
        assert!(signature.verify(&all, b"walrus"));
        assert!(!signature.verify(&all, b"seal"));
        assert!(!signature.verify(&two, b"walrus"));
    }

    #[test]
    fn secret_keys_survive_their_bytes_and_stay_out_of_logs() {
        let key = SecretKey::from_seed(&[7; 32]);
        let again = SecretKey::from_bytes(&key.to_bytes()).expect("our own bytes");
        assert_eq!(again.public_key(), key.public_key());
        assert_eq!(format!("{key:?}"), "SecretKey(..)");
    }
}
