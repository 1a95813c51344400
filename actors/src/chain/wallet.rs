//! The key that pays: signs ledger transactions and nothing else.
//!
//! Promises: the secret never appears in `Debug`, logs or errors.
//! Does not: read files, ask for balances, or guard the key on disk.

use haulout_protocol::chain::ObjectId;
use std::fmt;

use bech32::Bech32;
use bech32::primitives::decode::CheckedHrpstring;
use sui_crypto::SuiSigner;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_crypto::secp256k1::Secp256k1PrivateKey;
use sui_sdk_types::{Address, Transaction, UserSignature};

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
            let bytes = exported_bytes(text).ok_or(WalletError::Malformed)?;
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

/// The bytes of a `suiprivkey1...` text whose checksum holds.
///
/// The SDK reads this form, too, but does not say which scheme a key has that it refuses.
fn exported_bytes(text: &str) -> Option<Vec<u8>> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
    (checked.hrp().as_str() == EXPORT_PREFIX).then(|| checked.byte_iter().collect())
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

    // Made by the Sui command line for an ed25519 key that nobody uses.
    const EXPORTED: &str = "suiprivkey1qzdlfxn2qa2lj5uprl8pyhexs02sg2wrhdy7qaq50cqgnffw4c2477kg9h3";

    /// A key as the Sui command line would export it.
    fn exported(flag: u8, key: &[u8]) -> String {
        let prefix = bech32::Hrp::parse(EXPORT_PREFIX).unwrap();
        bech32::encode::<Bech32>(prefix, &[&[flag], key].concat()).unwrap()
    }

    #[test]
    fn an_exported_key_is_the_key_that_was_exported() {
        let bytes = exported_bytes(EXPORTED).unwrap();
        let seed = <[u8; 32]>::try_from(&bytes[1..]).unwrap();
        let expected = Wallet::from_ed25519(seed);
        assert_eq!(Wallet::parse(EXPORTED).unwrap().to_string(), expected.to_string());
        assert_eq!(exported(FLAG_ED25519, &seed), EXPORTED);
        let other = Wallet::parse(&exported(FLAG_SECP256K1, &seed)).unwrap();
        assert_eq!(other.address(), Wallet::from_secp256k1(seed).unwrap().address());
    }

    #[test]
    fn any_changed_character_of_an_exported_key_is_noticed() {
        for at in 0..EXPORTED.len() {
            let mut text = EXPORTED.to_owned().into_bytes();
            text[at] = if text[at] == b'q' { b'p' } else { b'q' };
            let text = String::from_utf8(text).unwrap();
            assert_eq!(Wallet::parse(&text).unwrap_err(), WalletError::Malformed, "at {at}");
        }
    }

    #[test]
    fn an_exported_key_that_we_cannot_use_says_why() {
        assert_eq!(
            Wallet::parse(&exported(2, &[7; 32])).unwrap_err(),
            WalletError::UnknownScheme(2)
        );
        for (flag, key) in [(FLAG_ED25519, &[7; 31][..]), (FLAG_SECP256K1, &[7; 33])] {
            assert_eq!(Wallet::parse(&exported(flag, key)).unwrap_err(), WalletError::Malformed);
        }
        let capital = EXPORTED.replace("qzdl", "QZDL");
        assert_eq!(Wallet::parse(&capital).unwrap_err(), WalletError::Malformed);
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
