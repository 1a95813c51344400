//! Files that hold keys, or lead to some, read with care.
//!
//! Promises: a file with secrets that others can read is refused; no more than a bounded part is read. Does not: know what is in them.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Error, Kind as ErrorKind, Result};
use crate::terminal;

/// The text of a key file, if only its owner can read it; no more than `most` bytes of it, and nothing of a file that
/// is no text. What holds no secret by `is_secret` may be open to others: the caller says what is wrong with it, and
/// nobody is told to change its mode.
pub(crate) fn read_guarded(
    path: &Path,
    most: u64,
    is_secret: impl Fn(&str) -> bool,
) -> Result<Zeroizing<String>> {
    let shown = terminal::path(path);
    let failed = |error: std::io::Error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let text = format!("cannot read the key file {shown}");
        let kind = if missing { ErrorKind::Config } else { ErrorKind::Permission };
        Error::new(kind, text)
            .because(error)
            .hint("check the path, and that you own the file (mode 0600)")
    };
    let file = fs::File::open(path).map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    if !facts.is_file() {
        return Err(Error::new(ErrorKind::Config, format!("{shown} is no file, so no key file"))
            .hint("check the path: it must lead to a file with one key"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    let text = Zeroizing::new(std::str::from_utf8(&bytes).unwrap_or_default().to_owned());
    let mode = facts.mode();
    if mode & 0o077 != 0 && is_secret(&text) {
        return Err(Error::new(
            ErrorKind::Permission,
            format!("others can read the key file {shown} (mode {:04o})", mode & 0o7777),
        )
        .hint(format!("chmod 600 {}", terminal::shell(&path.to_string_lossy()))));
    }
    Ok(text)
}

/// The text of a file without secrets; no more than `most` bytes of it.
pub(crate) fn read_bounded(path: &Path, most: u64) -> Result<String> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Config, format!("cannot read {}", terminal::path(path)))
            .because(error)
            .hint("check wallet.sui_config; `sui client` creates it")
    };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(most).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
