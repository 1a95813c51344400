//! Contexts: named client configurations, and which of them is active.
//!
//! A context is a file `$XDG_CONFIG_HOME/haulout/contexts/<name>.toml`; the name of the active one
//! is in `active-context` beside that folder, and those that were active before it are in
//! `previous-contexts`, the latest first.
//! Promises: names cannot leave the folder; files are replaced whole, never half written; when the
//! active context is removed, the one before it that still exists is active again, or none.
//! Does not: read what a context says (`config.rs`).

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::terminal;
use crate::whole_file;

/// Longest name of a context.
const NAME_BYTES_MAX: usize = 64;

/// The file with the name of the active context.
const ACTIVE: &str = "active-context";

/// How many contexts that were active before are remembered: more than anybody goes back.
const PREVIOUS_MAX: usize = 8;

/// The context of the devnet without a name, and how those of the others begin.
const DEVNET: &str = "devnet";

/// The context of a devnet: `devnet`, or `devnet-NAME` for one with a name.
pub fn of_devnet(name: &str) -> String {
    if name == "default" { DEVNET.to_owned() } else { format!("{DEVNET}-{name}") }
}

/// The name of the devnet whose context this is, if it is one's.
pub fn devnet_of(context: &str) -> Option<&str> {
    match context.strip_prefix(DEVNET)? {
        "" => Some("default"),
        rest => rest.strip_prefix('-').filter(|name| !name.is_empty()),
    }
}

/// The name of the devnet in whose folder a configuration is, as a node's is.
pub fn devnet_of_file(file: &Path) -> Option<String> {
    let file = std::path::absolute(file).ok()?;
    let place = file.strip_prefix(state_home().join("devnet")).ok()?;
    let name = place.components().next().filter(|_| place.components().count() > 1)?;
    Some(name.as_os_str().to_str()?.to_owned())
}

/// `$XDG_CONFIG_HOME/haulout`, or `~/.config/haulout`.
pub fn config_home() -> PathBuf {
    xdg("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_STATE_HOME/haulout`, or `~/.local/state/haulout`.
pub fn state_home() -> PathBuf {
    xdg("XDG_STATE_HOME", ".local/state")
}

/// `$XDG_DATA_HOME/haulout`, or `~/.local/share/haulout`.
pub fn data_home() -> PathBuf {
    xdg("XDG_DATA_HOME", ".local/share")
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
            .hint("use letters, digits, - and _; `haulout context ls` lists them"));
    }
    Ok(config_home().join("contexts").join(format!("{name}.toml")))
}

/// The name of the active context, if there is one.
///
/// # Errors
/// [`Kind::Config`] if the file that says so cannot be read, or says what is no name of a context.
pub fn active() -> Result<Option<String>> {
    let name = read_names(ACTIVE)?.into_iter().next();
    match name.as_ref().is_some_and(|name| path(name).is_err()) {
        true => Err(damaged(&config_home().join(ACTIVE), "it holds no name of a context")),
        false => Ok(name),
    }
}

/// The error of a file of names that cannot be used.
fn damaged(file: &Path, reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let message = format!("cannot tell the active context from {}", terminal::path(file));
    Error::new(Kind::Config, message)
        .because(reason)
        .hint("`haulout context use NAME` writes it anew, `haulout context ls` lists the names")
}

/// The lines of a file of names; none if there is no file.
fn read_names(file: &str) -> Result<Vec<String>> {
    let file = config_home().join(file);
    match fs::read_to_string(&file) {
        Ok(text) => {
            let lines = text.lines().map(str::trim).filter(|name| !name.is_empty());
            Ok(lines.map(str::to_owned).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(damaged(&file, error)),
    }
}

fn write_names(file: &str, names: &[String]) -> Result<()> {
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    replace(&config_home().join(file), &text)
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
        return Err(missing(name));
    }
    // What cannot be read cannot be gone back to; this replaces it.
    let previous = active().unwrap_or_default();
    if let Some(previous) = previous.as_ref().filter(|previous| *previous != name) {
        let mut names = read_names("previous-contexts").unwrap_or_default();
        names.retain(|one| one != previous && one != name);
        names.insert(0, previous.clone());
        names.truncate(PREVIOUS_MAX);
        write_names("previous-contexts", &names)?;
    }
    write_names(ACTIVE, &[name.to_owned()])?;
    Ok(previous)
}

/// Deletes a context, and returns the one that is active from now on, if any; an error if there is
/// no such context.
pub fn remove(name: &str) -> Result<Option<String>> {
    let file = path(name)?;
    match fs::remove_file(&file) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Its file may have been deleted by hand; then what is left is that it is active.
            if active()?.as_deref() != Some(name) {
                return Err(missing(name));
            }
        }
        Err(error) => return Err(Error::from_io("remove", &file, error)),
    }
    let mut previous = read_names("previous-contexts")?;
    previous.retain(|one| one != name);
    let now = match active()? {
        Some(other) if other != name => Some(other),
        _ => {
            let exists = |one: &String| path(one).is_ok_and(|file| file.exists());
            let back = previous.iter().position(exists).map(|at| previous.remove(at));
            write_names(ACTIVE, back.as_slice())?;
            back
        }
    };
    write_names("previous-contexts", &previous)?;
    Ok(now)
}

fn missing(name: &str) -> Error {
    Error::new(Kind::Config, format!("there is no context `{name}`")).hint(
        "`haulout context ls` lists them; `devnet up` writes a devnet's own, also while it runs",
    )
}

/// Replaces a file whose folder may not exist yet.
fn replace(file: &Path, text: &str) -> Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|error| Error::from_io("create", folder, error))?;
    whole_file::replace(file, text.as_bytes())
}
