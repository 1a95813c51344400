//! The wallet of a Sui user, read in place: `client.yaml` says which keystore and which address.
//!
//! Promises: what is not understood is refused with the line and with what to write instead;
//! a keystore that others can read is refused; secrets are wiped from memory and never printed.
//! Does not: change either file, or read YAML beyond the three keys needed: no well-kept YAML
//! crate is worth three keys, and Sui itself writes this file, always in the same plain form.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use haulout_actors::chain::Wallet;
use haulout_protocol::chain::ObjectId;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::guarded;
use crate::terminal;
use crate::words;

/// A configuration longer than this is none.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// A keystore longer than this has more keys than we look through: some twenty thousand.
const KEYSTORE_BYTES_MAX: u64 = 1 << 20;
/// The keystore of a configuration that does not name one.
const KEYSTORE: &str = "sui.keystore";

/// The three keys of a `client.yaml` that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuiConfig {
    /// The keystore's file.
    pub keystore: Option<String>,
    /// The account in use.
    pub active_address: Option<String>,
}

/// A keystore with the account that is meant.
#[derive(Debug)]
pub struct Keystore {
    /// Its file.
    pub file: PathBuf,
    /// Keys we can use, in the order of the file.
    pub wallets: Vec<Wallet>,
    /// How many keys are of other schemes.
    pub others: usize,
    /// The account the configuration calls active.
    pub active: Option<ObjectId>,
}

impl SuiConfig {
    /// Reads the text of a `client.yaml`; an error names the line.
    pub fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let mut config = SuiConfig::default();
        let mut section = "";
        for (number, line) in (1..).zip(text.lines()) {
            let indented = line.starts_with([' ', '\t']);
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') || matches!(content, "---" | "...") {
                continue;
            }
            let Some((key, value)) = content.split_once(':') else { continue };
            let value = value.trim();
            if !indented {
                section = key;
            }
            match (indented, section, key) {
                (false, "keystore", _) if !value.is_empty() && !value.starts_with('#') => {
                    // How some versions write the same: `keystore: !File PATH`.
                    let path = value.strip_prefix("!File ");
                    let path = path.ok_or((number, "only a keystore in a File can be used"))?;
                    config.keystore = scalar(path).map_err(|reason| (number, reason))?;
                }
                (true, "keystore", "File") => {
                    config.keystore = scalar(value).map_err(|reason| (number, reason))?;
                }
                (true, "keystore", _) if config.keystore.is_none() => {
                    return Err((number, "only a keystore in a File can be used"));
                }
                (false, "active_address", _) => {
                    config.active_address = scalar(value).map_err(|reason| (number, reason))?;
                }
                _ => {}
            }
        }
        Ok(config)
    }
}

/// A value on one line: plain, or in quotes without escapes; nothing for null.
fn scalar(text: &str) -> Result<Option<String>, &'static str> {
    let text = text.trim();
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let (inner, rest) = text[1..].split_once(quote).ok_or("the quotes do not end")?;
        let rest = rest.trim();
        if inner.contains('\\') || !(rest.is_empty() || rest.starts_with('#')) {
            return Err("write the value without escapes");
        }
        return Ok(Some(inner.to_owned()));
    }
    if text.starts_with(['{', '[', '|', '>', '&', '*', '!']) {
        return Err("write the value as plain text on this line");
    }
    let plain = text.split(" #").next().unwrap_or_default().trim();
    Ok((!matches!(plain, "" | "~" | "null")).then(|| plain.to_owned()))
}

impl Keystore {
    /// Reads a `client.yaml` and the keystore it names.
    pub fn open(config: &Path) -> Result<Self> {
        let text = guarded::read_bounded(config, CONFIG_BYTES_MAX)?;
        let parsed = SuiConfig::parse(&text).map_err(|(line, reason)| {
            Error::new(Kind::Config, format!("{}:{line}: {reason}", terminal::path(config)))
                .hint("export the key (`sui keytool export`) and name its file as wallet.key_file")
        })?;
        let folder = config.parent().unwrap_or(Path::new(""));
        let file = folder.join(parsed.keystore.as_deref().unwrap_or(KEYSTORE));
        let active = parsed.active_address.as_deref().map(|text| {
            text.parse().map_err(|_| {
                let message = format!("{}: active_address is no address", terminal::path(config));
                Error::new(Kind::Config, message).hint("choose one with `sui client switch`")
            })
        });
        let active = active.transpose()?;
        let is_keystore = |text: &str| parse_entries(&file, text).is_ok();
        let entries = guarded::read_guarded(&file, KEYSTORE_BYTES_MAX, is_keystore)?;
        let (wallets, others) = parse_entries(&file, &entries)?;
        Ok(Keystore { file, wallets, others, active })
    }

    /// The wallet of an address, or of the active one.
    pub fn wallet(&self, address: Option<&ObjectId>) -> Result<Wallet> {
        let Some(wanted) = address.or(self.active.as_ref()) else {
            return Err(Error::new(Kind::Config, "Sui's configuration has no active address")
                .hint("choose one with `sui client switch`, or set wallet.address"));
        };
        let found = self.wallets.iter().find(|wallet| wallet.address() == *wanted);
        found.cloned().ok_or_else(|| self.missing(wanted))
    }

    fn missing(&self, wanted: &ObjectId) -> Error {
        let (file, wanted) = (terminal::path(&self.file), wanted.to_string());
        let error = Error::new(Kind::Config, format!("{file} holds no usable key of {wanted}"));
        match self.others {
            0 => error.hint("`haulout wallet ls` lists its addresses; set wallet.address to one"),
            others => error.hint(format!(
                "{} of other schemes than ed25519 and secp256k1, which cannot be used: choose \
                 another address with `sui client switch` or wallet.address",
                words::count(others, "key is").replace("keys is", "keys are")
            )),
        }
    }
}

/// The keys of a keystore: those we can use, and how many are of other schemes.
fn parse_entries(file: &Path, text: &str) -> Result<(Vec<Wallet>, usize)> {
    let malformed = |what: String| {
        Error::new(Kind::Config, format!("{} is no keystore of Sui: {what}", terminal::path(file)))
            .hint("it must be a JSON list of base64 keys, as `sui keytool` writes it")
    };
    let entries: Vec<Zeroizing<String>> = serde_json::from_str::<Vec<String>>(text)
        .map_err(|error| malformed(format!("line {}", error.line())))?
        .into_iter()
        .map(Zeroizing::new)
        .collect();
    let (mut wallets, mut others) = (Vec::new(), 0);
    for (place, entry) in (1..).zip(&entries) {
        match (Wallet::parse(entry), scheme(entry)) {
            (Ok(wallet), _) => wallets.push(wallet),
            (Err(_), Some(flag)) if flag > 1 => others += 1,
            (Err(_), _) => return Err(malformed(format!("entry {place} is no key"))),
        }
    }
    Ok((wallets, others))
}

/// The scheme's number, the first byte of an entry; a secret of 32 bytes follows.
fn scheme(entry: &str) -> Option<u8> {
    let bytes = Zeroizing::new(BASE64.decode(entry).ok()?);
    bytes.first().copied().filter(|_| bytes.len() == 33)
}

#[cfg(test)]
mod tests;
