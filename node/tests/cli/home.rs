//! A home with nothing in it but what a test gives it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A command line that sees no configuration but what a test gives it.
pub(crate) fn haulout(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haulout"));
    command.env_clear().env("HOME", home).current_dir(home).stdin(Stdio::null());
    command
}

/// Runs a command line there.
pub(crate) fn run(home: &Path, args: &[&str]) -> Output {
    haulout(home).args(args).output().expect("the binary runs")
}

/// What it answered, as JSON.
pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// The kind, the code and the exit code of a failure told as JSON.
pub(crate) fn failure(home: &Path, args: &[&str]) -> (String, Value) {
    let output = run(home, &[&["--json"], args].concat());
    let error = json(&output)["error"].clone();
    assert_eq!(
        output.status.code(),
        error["code"].as_i64().and_then(|code| i32::try_from(code).ok()),
        "{args:?}"
    );
    assert!(!error["hint"].as_str().expect("a hint").is_empty(), "{args:?}");
    // The failure itself is told once; that a ledger is waited for may be said in a sentence.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.lines().all(|line| line.starts_with("! ") && line.contains("waiting for it")),
        "{said}"
    );
    (error["kind"].as_str().expect("a kind").to_owned(), error)
}

/// Bytes that do not repeat: SplitMix64 from a seed, little-endian.
pub(crate) fn sample_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend((z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A configuration whose ledger is there.
pub(crate) fn write_client(home: &Path, rpc: &str) {
    let text = format!(
        "[network]\nid = \"0x1\"\n[chain]\nrpc = \"{rpc}\"\npackage = \"0x2\"\nsystem = \"0x3\"\n\
         staking = \"0x4\"\nparams = \"0x5\"\ntreasury = \"0x6\"\n[client]\ntimeout = \"500ms\"\n[node]\ndata_dir = \"data\"\n\
         [wallet]\nkey_file = \"wallet.key\"\n"
    );
    std::fs::write(home.join("haulout.toml"), text).expect("the home folder is ours");
}

/// The wallet that it names, with these rights.
pub(crate) fn write_wallet(home: &Path, mode: u32) {
    let wallet = home.join("wallet.key");
    let written = std::fs::write(&wallet, format!("ed25519:{}\n", "11".repeat(32)));
    written.expect("the home folder is ours");
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&wallet, mode).expect("the wallet is ours");
}
