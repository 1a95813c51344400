//! Contexts: named client configurations, and which of them is active.
//!
//! A context is a file `$XDG_CONFIG_HOME/haulout/contexts/<name>.toml`; the name of the active one
//! is in `active-context` beside that folder.
//! Promises: names cannot leave the folder; files are replaced whole, never half written.
//! Does not: read what a context says (`config.rs`).

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::terminal;

/// Longest name of a context.
const NAME_BYTES_MAX: usize = 64;

/// `$XDG_CONFIG_HOME/haulout`, or `~/.config/haulout`.
pub fn config_home() -> PathBuf {
    xdg("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_STATE_HOME/haulout`, or `~/.local/state/haulout`.
pub fn state_home() -> PathBuf {
    xdg("XDG_STATE_HOME", ".local/state")
}

fn xdg(variable: &str, fallback: &str) -> PathBuf {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .unwrap_or_else(|| {
            let home = std::env::var_os("HOME").map(PathBuf::from);
            home.unwrap_or_else(|| PathBuf::from("/")).join(fallback)
        })
        .join("haulout")
}

/// The file of a context, whether or not it exists.
pub fn path(name: &str) -> Result<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty()
        || name.len() > NAME_BYTES_MAX
        || name.starts_with('.')
        || !name.chars().all(plain)
    {
        let shown = terminal::line(name);
        return Err(Error::new(Kind::Usage, format!("`{shown}` is not a name of a context"))
            .hint("use letters, digits, - and _; see `haulout context ls`"));
    }
    Ok(config_home().join("contexts").join(format!("{name}.toml")))
}

/// The name of the active context, if there is one.
pub fn active() -> Result<Option<String>> {
    let file = config_home().join("active-context");
    match fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|name| !name.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::from_io("read", &file, error)),
    }
}

/// The names of all contexts, sorted.
pub fn list() -> Result<Vec<String>> {
    let folder = config_home().join("contexts");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::from_io("read", &folder, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::from_io("read", &folder, error))?;
        let file = entry.file_name();
        let name = file.to_str().and_then(|name| name.strip_suffix(".toml"));
        // A file whose name is none of a context cannot be chosen.
        names.extend(name.filter(|name| path(name).is_ok()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Writes (or replaces) a context.
pub fn save(name: &str, text: &str) -> Result<PathBuf> {
    let file = path(name)?;
    replace(&file, text)?;
    Ok(file)
}

/// Makes a context the active one and returns the one that was.
pub fn activate(name: &str) -> Result<Option<String>> {
    if !path(name)?.exists() {
        return Err(Error::new(Kind::Config, format!("there is no context `{name}`"))
            .hint("see `haulout context ls`; a devnet makes its own when it starts"));
    }
    let previous = active()?;
    replace(&config_home().join("active-context"), &format!("{name}\n"))?;
    Ok(previous)
}

/// Writes a file beside its place, then renames it.
fn replace(file: &Path, text: &str) -> Result<()> {
    let failed = |error| Error::from_io("write", file, error);
    let folder = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(failed)?;
    let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, file)).map_err(failed)
}
