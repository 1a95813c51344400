//! The scripts of `devnet/scripts`, each as a test.

use std::path::PathBuf;

use super::format::Script;
use super::runner::Runner;

/// Where the scripts are.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts")
}

/// A script of the folder.
fn read(name: &str) -> Script {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    Script::read(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs a script of the folder; its line counts from 1, and the first is the header.
fn run(name: &str) -> Runner {
    let script = read(name);
    Runner::run(&script).unwrap_or_else(|(at, stop)| panic!("{name}, line {}: {stop:?}", at + 2))
}

#[test]
fn a_blob_lives_and_ends() {
    run("blob-life.jsonl");
}
