//! A desk of somebody who has never seen this before.
//!
//! Promises: nothing of it is left when it is dropped. Does not: share anything with another one.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// A desk with folders of its own; its devnet is called "night".
pub(crate) struct Desk {
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devnet"));
        command
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env("HOME", self.folder.path())
            .env_remove("HAULOUT_CONFIG")
            .current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// What a verb that must succeed prints.
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "devnet {arguments:?}\n{stdout}\n{stderr}");
        stdout
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let stdout = self.text(arguments);
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error} in\n{stdout}"))
    }

    /// The failure of a verb that must fail, with its exit code checked against what it says.
    pub(crate) fn failure(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let told: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {arguments:?} {}", text(&output.stdout)));
        let code = output.status.code().map(i64::from);
        assert_eq!(told["error"]["code"].as_i64(), code, "{arguments:?} {told}");
        told["error"].clone()
    }

    /// What `devnet status` says, however it is.
    pub(crate) fn status(&self) -> Value {
        let output = self.run(&["--name", "night", "--json", "status"]);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
    }

    pub(crate) fn devnet_folder(&self) -> PathBuf {
        self.folder.path().join("state/haulout/devnet/night")
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.run(&["--name", "night", "down", "--purge"]);
    }
}

/// Bytes as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What starts a small devnet.
pub(crate) const UP: [&str; 12] = [
    "--name",
    "night",
    "--json",
    "up",
    "--nodes",
    "4",
    "--shards",
    "7",
    "--port-base",
    "0",
    "--timeout",
    "120s",
];
