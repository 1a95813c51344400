//! The key that pays: signs ledger transactions and nothing else.
//!
//! Promises: the secret never appears in `Debug`, logs or errors.
//! Does not: read files, ask for balances, or guard the key on disk.

use haulout_protocol::chain::ObjectId;
use std::fmt;

use sui_crypto::SuiSigner;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_crypto::secp256k1::Secp256k1PrivateKey;
use sui_sdk_types::{Address, Transaction, UserSignature};

use super::bech32;

/// What a `suiprivkey` string starts with.
const EXPORT_PREFIX: &str = "suiprivkey";
/// Scheme flags of the Sui key formats.
const FLAG_ED25519: u8 = 0;
const FLAG_SECP256K1: u8 = 1;

/// A key pair with an address on the ledger.
#[derive(Clone)]
pub struct Wallet {
    key: Key,
    address: Address,
}

/// The two schemes the ledger and we agree on.
#[derive(Clone)]
enum Key {
    Ed25519(Ed25519PrivateKey),
    Secp256k1(Secp256k1PrivateKey),
}

/// Why a key could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    /// The text is in none of the known forms.
    #[error(
        "not a private key: expected `suiprivkey1...` or a base64 entry of sui.keystore (export one with `sui keytool export`)"
    )]
    Malformed,
    /// The scheme exists, but not here.
    #[error("key scheme {0} is not supported: use an ed25519 or secp256k1 key")]
    UnknownScheme(u8),
    /// The bytes are no valid scalar of the curve.
    #[error("the bytes are not a valid secp256k1 key")]
    InvalidKey,
}

impl Wallet {
    /// Takes an ed25519 seed.
    pub fn from_ed25519(seed: [u8; 32]) -> Wallet {
        let key = Ed25519PrivateKey::new(seed);
        let address = key.public_key().derive_address();
        Wallet { key: Key::Ed25519(key), address }
    }

    /// Takes a secp256k1 scalar.
    pub fn from_secp256k1(scalar: [u8; 32]) -> Result<Wallet, WalletError> {
        let key = Secp256k1PrivateKey::new(scalar).map_err(|_| WalletError::InvalidKey)?;
        let address = key.public_key().derive_address();
        Ok(Wallet { key: Key::Secp256k1(key), address })
    }

    /// Reads a key as the Sui command line writes it: `suiprivkey1...` or base64 of flag and key.
    pub fn parse(text: &str) -> Result<Wallet, WalletError> {
        let text = text.trim();
        if text.starts_with(EXPORT_PREFIX) {
            let bytes = bech32::decode(EXPORT_PREFIX, text).ok_or(WalletError::Malformed)?;
            let (&flag, key) = bytes.split_first().ok_or(WalletError::Malformed)?;
            let key = <[u8; 32]>::try_from(key).map_err(|_| WalletError::Malformed)?;
            return match flag {
                FLAG_ED25519 => Ok(Wallet::from_ed25519(key)),
                FLAG_SECP256K1 => Wallet::from_secp256k1(key),
                other => Err(WalletError::UnknownScheme(other)),
            };
        }
        if let Ok(key) = Ed25519PrivateKey::from_base64(text) {
            let address = key.public_key().derive_address();
            return Ok(Wallet { key: Key::Ed25519(key), address });
        }
        let key = Secp256k1PrivateKey::from_base64(text).map_err(|_| WalletError::Malformed)?;
        let address = key.public_key().derive_address();
        Ok(Wallet { key: Key::Secp256k1(key), address })
    }

    /// The account this key controls.
    pub fn address(&self) -> ObjectId {
        self.address.into_inner().into()
    }

    /// The account as the SDK names it.
    pub(super) fn sender(&self) -> Address {
        self.address
    }

    /// Signs one transaction.
    pub(super) fn sign(&self, transaction: &Transaction) -> Result<UserSignature, WalletError> {
        let signed = match &self.key {
            Key::Ed25519(key) => key.sign_transaction(transaction),
            Key::Secp256k1(key) => key.sign_transaction(transaction),
        };
        signed.map_err(|_| WalletError::InvalidKey)
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("address", &self.address).finish_non_exhaustive()
    }
}

impl fmt::Display for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_the_same_from_every_form() {
        let seed = [7; 32];
        let wallet = Wallet::from_ed25519(seed);
        let entry = Ed25519PrivateKey::new(seed).to_base64();
        assert_eq!(Wallet::parse(&format!(" {entry}\n")).unwrap().address(), wallet.address());
        let other = Wallet::from_secp256k1(seed).unwrap();
        let entry = Secp256k1PrivateKey::new(seed).unwrap().to_base64();
        assert_eq!(Wallet::parse(&entry).unwrap().address(), other.address());
        assert_ne!(wallet.address(), other.address());
    }

    #[test]
    fn an_exported_key_is_the_key_that_was_exported() {
        let text = "suiprivkey1qzdlfxn2qa2lj5uprl8pyhexs02sg2wrhdy7qaq50cqgnffw4c2477kg9h3";
        let bytes = bech32::decode(EXPORT_PREFIX, text).unwrap();
        let seed = <[u8; 32]>::try_from(&bytes[1..]).unwrap();
        let expected = Wallet::from_ed25519(seed);
        assert_eq!(Wallet::parse(text).unwrap().to_string(), expected.to_string());
    }

    #[test]
    fn what_is_no_key_is_refused_and_never_printed() {
        for text in ["", "hello", "suiprivkey1", "AAAA", "suiprivkey1qqqqqqqqqqqqqqqqqqqqqq"] {
            assert_eq!(Wallet::parse(text).unwrap_err(), WalletError::Malformed, "{text}");
        }
        assert_eq!(Wallet::from_secp256k1([0; 32]).unwrap_err(), WalletError::InvalidKey);
        let shown = format!("{:?}", Wallet::from_ed25519([7; 32]));
        assert!(!shown.contains("[7, 7") && !shown.contains("0707"), "{shown}");
    }
}
