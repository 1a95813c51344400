//! Key files: one key each, made with mode 0600 in a folder of mode 0700, and never overwritten.
//!
//! A file holds one line, `<kind>:<64 hex digits>`, so that a key of one kind cannot be used as
//! another by mistake. A wallet file may also hold what Sui tools export (`suiprivkey1...`).
//! Promises: a file that others can read is refused; a new file is created exclusively and is
//! durable before anybody learns its public half; secrets are wiped from memory.
//! A wallet may also be an entry of Sui's own keystore (`sui_wallet.rs` reads it).
//! Does not: encrypt keys at rest, or derive keys from each other.

use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use haulout_actors::chain::Wallet;
use haulout_protocol::crypto::SecretKey;
use zeroize::Zeroizing;

use crate::config::{WalletPlace, WalletSource};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::guarded::read_guarded;
use crate::sui_wallet::Keystore;
use crate::terminal;

/// A key file is one short line; anything longer is not one.
const FILE_BYTES_MAX: u64 = 1024;

/// What a key is for, by its algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The identity of a peer, and wallets.
    Ed25519,
    /// Wallets.
    Secp256k1,
    /// What a storage node signs confirmations with.
    Bls12381,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Ed25519, Kind::Secp256k1, Kind::Bls12381];

    /// The word before the colon.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ed25519 => "ed25519",
            Kind::Secp256k1 => "secp256k1",
            Kind::Bls12381 => "bls12381",
        }
    }
}

/// A secret key; wiped from memory when dropped, and never printed.
#[derive(Clone)]
pub struct Secret {
    kind: Kind,
    bytes: Zeroizing<[u8; 32]>,
}

impl Secret {
    /// A secret of known bytes.
    pub fn new(kind: Kind, bytes: [u8; 32]) -> Self {
        Self { kind, bytes: Zeroizing::new(bytes) }
    }

    /// A new secret from the operating system's entropy.
    pub fn generate(kind: Kind) -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|error| {
            Error::new(ErrorKind::Internal, "the operating system gives no entropy")
                .because(std::io::Error::other(error.to_string()))
        })?;
        let bytes = match kind {
            Kind::Bls12381 => SecretKey::from_seed(&seed).to_bytes(),
            Kind::Ed25519 | Kind::Secp256k1 => seed,
        };
        Ok(Self { kind, bytes })
    }

    /// The algorithm.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The raw secret.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The one line of its file, with the line end.
    fn to_line(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(hex::encode(self.bytes.as_slice()));
        Zeroizing::new(format!("{}:{}\n", self.kind.name(), digits.as_str()))
    }

    /// Reads the one line of a key file.
    fn from_line(line: &str) -> Option<Self> {
        let (name, digits) = line.trim_end().split_once(':')?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name)?;
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).ok()?;
        Some(Self { kind, bytes })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.kind.name())
    }
}

/// Writes a new key file and its folder. Refuses to touch a file that exists.
pub fn create(path: &Path, secret: &Secret) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if !folder.as_os_str().is_empty() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| Error::from_io("create the key folder", folder, error))?;
    }
    let failed = |error: std::io::Error| {
        let exists = error.kind() == std::io::ErrorKind::AlreadyExists;
        let error = Error::from_io("create the key file", path, error);
        if exists {
            error.hint(
                "keys are never overwritten: name another file, or move the old one away first",
            )
        } else {
            error
        }
    };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(secret.to_line().as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::File::open(non_empty(folder))?.sync_all())
        .map_err(failed)
}

/// Reads a key file that must hold a key of this kind.
pub fn load(path: &Path, kind: Kind) -> Result<Secret> {
    let line = read_guarded(path, FILE_BYTES_MAX, |text| Secret::from_line(text).is_some())?;
    let secret = Secret::from_line(&line).ok_or_else(|| malformed(path, kind.name()))?;
    if secret.kind == kind {
        Ok(secret)
    } else {
        Err(Error::new(
            ErrorKind::Config,
            format!(
                "{} holds a key for {}, not {}",
                terminal::path(path),
                secret.kind.name(),
                kind.name()
            ),
        )
        .hint("check which file each key setting names"))
    }
}

/// Reads the key, or makes and stores a new one when there is no file yet: for a node that stored nothing so far.
pub fn load_or_create(path: &Path, kind: Kind) -> Result<Secret> {
    if path.exists() {
        return load(path, kind);
    }
    let secret = Secret::generate(kind)?;
    create(path, &secret)?;
    Ok(secret)
}

/// Makes a wallet in a new file, and reads it back from there.
pub(crate) fn create_wallet(path: &Path) -> Result<Wallet> {
    create(path, &Secret::generate(Kind::Ed25519)?)?;
    load_wallet_file(path)
}

/// Reads a wallet from where it is kept. If an address was chosen, it must be the wallet's.
pub fn load_wallet(place: &WalletPlace) -> Result<Wallet> {
    place.check()?;
    let path = match &place.source {
        WalletSource::KeyFile(path) => path,
        WalletSource::Sui(config) => {
            return Keystore::open(config)?.wallet(place.address.as_ref());
        }
    };
    let wallet = load_wallet_file(path)?;
    match place.address {
        Some(address) if address != wallet.address() => {
            let (file, found) = (terminal::path(path), wallet.address().to_string());
            let message = format!("{file} is the key of {found}, and wallet.address is another");
            Err(Error::new(ErrorKind::Config, message)
                .hint("correct wallet.address, or name another wallet.key_file"))
        }
        _ => Ok(wallet),
    }
}

/// Reads an ed25519 or secp256k1 key file, or one line exported by Sui's tools.
fn load_wallet_file(path: &Path) -> Result<Wallet> {
    let is_key =
        |text: &str| Secret::from_line(text).is_some() || Wallet::parse(text.trim()).is_ok();
    let line = read_guarded(path, FILE_BYTES_MAX, is_key)?;
    let refused = |_| malformed(path, "ed25519:... or secp256k1:...");
    match Secret::from_line(&line) {
        Some(secret) => match secret.kind {
            Kind::Ed25519 => Ok(Wallet::from_ed25519(*secret.bytes())),
            Kind::Secp256k1 => Wallet::from_secp256k1(*secret.bytes()).map_err(refused),
            Kind::Bls12381 => Err(malformed(path, "ed25519:... or secp256k1:...")),
        },
        None => Wallet::parse(line.trim()).map_err(refused),
    }
}

/// The error of a command that needs a wallet where none is configured.
pub(crate) fn no_wallet(purpose: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("{purpose} needs a wallet, and there is neither wallet.key_file nor one of Sui's"),
    )
    .hint(
        "`haulout wallet new` makes one and says how to use it; one that exists: add `key_file = ...` \
         under [wallet], or set HAULOUT_WALLET__KEY_FILE; a devnet's context has one",
    )
}

fn malformed(path: &Path, expected: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("{} is not a key file of the expected kind", terminal::path(path)),
    )
    .hint(format!(
        "it must hold one line: {expected} and 64 hex digits after the colon; `haulout help wallet` \
         lists what else a wallet's may hold"
    ))
}

/// The folder to open for a relative file name: the current one.
fn non_empty(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

#[cfg(test)]
mod tests;
