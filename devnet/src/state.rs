//! Where a devnet lives on disk: its folder, the settings it was born with, and `devnet.json`.
//!
//! ```text
//! ~/.local/state/haulout/devnet/<name>/
//!   devnet.json      what `up --json` prints (schema 1)
//!   settings.json    seed, size and ports, and who came and went since: a later `up` continues with exactly these
//!   client.toml      the client's configuration, also saved as a context
//!   keys/            alice.key bob.key carol.key
//!   ledger/          the embedded ledger's database and log
//!   n1/ n2/ ...      one folder for each node: node.toml, keys/, store/, node.log
//!   lock             held by the supervisor while it runs
//!   control.sock     how the other verbs talk to it
//! ```
//! Promises: one supervisor at a time owns a folder; files are replaced whole, never half-written.
//! Does not: start anything.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use haulout_node::devnets;
use haulout_node::error::{Error, Kind, Result};
use haulout_node::hints;
use haulout_node::terminal;
use haulout_node::whole_file;
use serde::Serialize;

use crate::schema;

mod card;
mod settings;

pub(crate) use card::{AccountCard, Card, ChainCard, NodeCard, Packages};
pub(crate) use settings::{Added, NodePorts, Settings};
use settings::{Layout, SettingsBefore};

/// The longest path a Unix socket can be bound to, with some room (108 bytes on Linux, 104 elsewhere).
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// Names become folder names and contexts, so they stay short and plain.
const NAME_BYTES_MAX: usize = 40;

/// What a supervisor has open in its folder, and what starting over must leave.
const HELD: [&str; 3] = ["lock", "control.sock", "supervisor.log"];

/// The folder of one devnet.
#[derive(Clone, Debug)]
pub(crate) struct StateDirectory {
    name: String,
    path: PathBuf,
}

impl StateDirectory {
    /// The folder of the devnet of this name; nothing is created yet.
    pub(crate) fn of(name: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
            return Err(Error::new(Kind::Usage, format!("{name:?} is not a name for a devnet"))
                .hint("use letters, digits, - and _, at most 40 of them"));
        }
        let base = match std::env::var_os("XDG_STATE_HOME").filter(|value| !value.is_empty()) {
            Some(base) => PathBuf::from(base),
            None => home()?.join(".local/state"),
        };
        let base =
            std::path::absolute(&base).map_err(|error| Error::from_io("find", &base, error))?;
        let path = base.join("haulout/devnet").join(name);
        Ok(Self { name: name.to_owned(), path })
    }

    /// The error of a devnet that was never started here, or is purged, with those that there are.
    pub(crate) fn unknown(&self) -> Error {
        let folders = self.path.parent().map(fs::read_dir).and_then(std::result::Result::ok);
        let names = folders.into_iter().flatten().flatten().map(|entry| entry.file_name());
        let mut names: Vec<String> =
            names.filter_map(|name| Self::of(name.to_str()?).ok()).map(|one| one.name).collect();
        names.sort_unstable();
        let there_are = match names.as_slice() {
            [] => "there is none yet".to_owned(),
            [one] => format!("there is {one:?} (`devnet --name {one} status`)"),
            several => {
                format!("there are {} (`devnet --name {} status`)", several.join(", "), several[0])
            }
        };
        Error::new(Kind::NotFound, format!("there is no devnet {:?}", self.name))
            .hint(format!("{there_are}; `devnet up` starts this one"))
    }

    /// The name of the devnet.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A text in which every `devnet` command means this devnet, so that it works when pasted, and what brings its ledger
    /// or its nodes back is what does it now.
    pub(crate) fn spoken(&self, text: &str) -> String {
        let text = devnets::put_into(text, &self.name);
        let flags =
            if self.name == "default" { String::new() } else { format!("--name {}", self.name) };
        hints::with_flags(&text, "devnet", &flags)
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder inside.
    pub(crate) fn join(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.path.join(inside)
    }

    /// The log of `ledger`, `supervisor` or a node.
    pub(crate) fn log(&self, of: &str) -> PathBuf {
        match of {
            "supervisor" => self.join("supervisor.log"),
            "ledger" => self.join("ledger/ledger.log"),
            node => self.join(node).join("node.log"),
        }
    }

    /// Where the supervisor listens; long folders get a short path under the temporary folder.
    pub(crate) fn control_socket(&self) -> PathBuf {
        let path = self.join("control.sock");
        if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return path;
        }
        let digest = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
        std::env::temp_dir().join(format!("haulout-devnet-{}.sock", &digest[..16]))
    }

    /// Creates the folder, readable by its owner only.
    pub(crate) fn create(&self) -> Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|error| Error::from_io("create", &self.path, error))
    }

    /// Takes the folder for this process; held until the returned file is dropped.
    pub(crate) fn lock(&self) -> Result<fs::File> {
        let path = self.join("lock");
        let failed = |error| Error::from_io("lock", &path, error);
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .read(true)
            .open(&path)
            .map_err(failed)?;
        if file.try_lock().is_err() {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            return Err(Error::new(
                Kind::Locked,
                format!("devnet {:?} is already run by pid {}", self.name, holder.trim()),
            )
            .hint("see `devnet status`, or run another one beside it with --name"));
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(file)
    }

    /// Removes everything but what the caller holds: its lock, its socket and its log.
    pub(crate) fn wipe(&self) -> Result<()> {
        let entries =
            fs::read_dir(&self.path).map_err(|error| Error::from_io("list", &self.path, error))?;
        for entry in entries {
            let path = entry.map_err(|error| Error::from_io("list", &self.path, error))?.path();
            if path.file_name().is_some_and(|name| HELD.iter().any(|held| name == *held)) {
                continue;
            }
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|error| Error::from_io("remove", &path, error))?;
        }
        Ok(())
    }

    /// What an earlier `up` settled, if there was one; that of the layout before is read as it would be written now.
    pub(crate) fn settings(&self) -> Result<Option<Settings>> {
        match self.read_json::<Layout>("settings.json")? {
            Some(Layout { schema: schema::BEFORE }) => {
                let before = self.read_json::<SettingsBefore>("settings.json")?;
                Ok(before.map(Settings::from))
            }
            // What other versions wrote need not look like ours, and is not damaged.
            Some(Layout { schema }) if schema != schema::SCHEMA => {
                Err(schema::other_version(&self.name, schema))
            }
            _ => self.read_json("settings.json"),
        }
    }

    /// Keeps the settings for every later `up`.
    pub(crate) fn keep_settings(&self, settings: &Settings) -> Result<()> {
        self.write_json("settings.json", settings)
    }

    /// `devnet.json`, if one was written.
    pub(crate) fn card(&self) -> Result<Option<Card>> {
        self.read_json("devnet.json")
    }

    /// Replaces `devnet.json`.
    pub(crate) fn keep_card(&self, card: &Card) -> Result<()> {
        self.write_json("devnet.json", card)
    }

    fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.join(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::from_io("read", &path, error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Error::new(Kind::Config, format!("{} is damaged", terminal::path(&path)))
                .because(error)
                .hint("start over with `devnet up --fresh`, which deletes its data")
        })
    }

    fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|error| Error::new(Kind::Internal, "cannot write JSON").because(error))?;
        text.push('\n');
        whole_file::replace(&self.join(name), text.as_bytes())
    }
}

fn home() -> Result<PathBuf> {
    std::env::var_os("HOME").filter(|value| !value.is_empty()).map(PathBuf::from).ok_or_else(|| {
        Error::new(Kind::Config, "neither XDG_STATE_HOME nor HOME is set")
            .hint("set XDG_STATE_HOME to a folder you own")
    })
}

#[cfg(test)]
mod tests;
