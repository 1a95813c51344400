//! What somebody does who has never seen this before, with real processes: wrong settings, a wallet of one's own, a
//! damaged disk, and cleaning up.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A desk with folders of its own; its devnet is called "night".
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devnet"));
        command
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env("HOME", self.folder.path())
            .env_remove("HAULOUT_CONFIG")
            .current_dir(self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// What a verb that must succeed prints.
    fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "devnet {arguments:?}\n{stdout}\n{stderr}");
        stdout
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let stdout = self.text(arguments);
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error} in\n{stdout}"))
    }

    /// The failure of a verb that must fail, with its exit code checked against what it says.
    fn failure(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let told: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {arguments:?} {}", text(&output.stdout)));
        let code = output.status.code().map(i64::from);
        assert_eq!(told["error"]["code"].as_i64(), code, "{arguments:?} {told}");
        told["error"].clone()
    }

    fn devnet_folder(&self) -> PathBuf {
        self.folder.path().join("state/haulout/devnet/night")
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.run(&["--name", "night", "down", "--purge"]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn settings_that_cannot_be_are_refused_before_anything_starts() {
    let desk = Desk::new();
    for wrong in [
        vec!["--nodes", "4", "--epoch", "8s"],
        vec!["--shards", "3"],
        vec!["-n", "0"],
        vec!["--nodes", "101"],
        vec!["--port-base", "65500"],
        vec!["--epoch", "61000h"],
        vec!["--nodes", "many"],
        vec!["--timeout", "soon"],
    ] {
        let line = [&["--name", "night", "--json", "up", "-d"], &wrong[..]].concat();
        let error = desk.failure(&line);
        assert_eq!((&error["kind"], &error["code"]), (&"USAGE".into(), &2.into()), "{wrong:?}");
        assert!(!desk.devnet_folder().exists(), "nothing was started or written: {wrong:?}");
    }
    // By variables, too.
    let output =
        desk.command().args(["--name", "night", "up", "-d"]).env("DEVNET_SHARDS", "3").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("3 shards") && !desk.devnet_folder().exists());
}

#[test]
fn help_names_every_verb_and_says_what_the_words_and_the_errors_mean() {
    let desk = Desk::new();
    let all = desk.text(&["help"]);
    for verb in ["up", "faucet", "verify-ledger", "completions", "haulout"] {
        assert!(all.contains(verb), "{verb} in\n{all}");
    }
    assert!(desk.text(&["help", "restart"]).contains("--wipe"));
    assert!(desk.text(&["help", "epoch", "next"]).contains("--timeout"));
    assert!(desk.text(&["help", "errors", "DAMAGED"]).contains("exit code 16"));
    assert!(desk.text(&["help", "words"]).contains("1 WAL = 1,000,000,000 FROST"));
    assert_eq!(desk.failure(&["--json", "help", "nonsense"])["kind"], "USAGE");
    assert!(desk.text(&["completions", "bash"]).contains("_devnet"));
    assert!(desk.text(&["haulout", "completions", "bash"]).contains("_haulout"));
}

/// The names in a list, by blob id; `state` is the client's state folder, as on a machine of its own.
fn names(desk: &Desk, state: Option<&Path>) -> BTreeMap<String, Value> {
    let mut command = desk.command();
    command.args(["haulout", "--json", "ls"]);
    if let Some(state) = state {
        command.env("HAULOUT_CLIENT__STATE_DIR", state);
    }
    let listed: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let blobs = listed["blobs"].as_array().unwrap_or_else(|| panic!("{listed}"));
    let named = blobs.iter().map(|blob| (blob["blob_id"].as_str().unwrap(), blob["name"].clone()));
    named.map(|(id, name)| (id.to_owned(), name)).collect()
}

/// Puts bytes of a pipe with further arguments.
fn put_piped(desk: &Desk, bytes: &[u8], arguments: &[&str]) -> Output {
    let line = [&["haulout", "--json", "put", "-"], arguments].concat();
    let mut command = desk.command();
    command.args(line).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn stored_files_are_listed_by_name_here_and_by_their_public_name_elsewhere() {
    let desk = Desk::new();
    let size = ["--nodes", "4", "--shards", "7", "--port-base", "0", "--timeout", "120s"];
    desk.text(&[&["--name", "night", "up", "-d"], &size[..]].concat());
    let id_of = |put: &Value| put["blob_id"].as_str().unwrap().to_owned();

    // A file is known by its name here, a pipe by the name it was given, in both forms of a list.
    let letter = desk.folder.path().join("a letter.txt");
    fs::write(&letter, "dear").unwrap();
    let put = desk.json(&["haulout", "--json", "put", letter.to_str().unwrap()]);
    assert_eq!((&put["name"], &put["name_is_public"]), (&"a letter.txt".into(), &false.into()));
    let secret = id_of(&put);
    let dry = ["haulout", "--json", "put", "a letter.txt", "--public-name", "--dry-run"];
    assert_eq!(desk.json(&dry)["public_name"], "a letter.txt");
    let refused = put_piped(&desk, b"x", &["--public-name"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stdout));
    let public = ["--name", "back\u{1b}[2J\nup", "--public-name"];
    let piped = put_piped(&desk, b"archive", &public);
    let put: Value = serde_json::from_slice(&piped.stdout).unwrap();
    assert!(put["name_transaction"]["gas_mist"].as_u64().unwrap() > 0, "{put}");
    let shown = id_of(&put);
    let here = names(&desk, None);
    assert_eq!((&here[&secret], here.len()), (&"a letter.txt".into(), 2));
    assert_eq!(here[&shown], "back\u{1b}[2J\nup");
    let listed = desk.text(&["haulout", "ls"]);
    assert!(
        listed.contains(r"back\u{1b}[2J\nup  ") && listed.contains("a letter.txt  "),
        "{listed}"
    );
    let status = desk.text(&["haulout", "status", &secret]);
    assert!(status.contains("a letter.txt"), "{status}");

    // Elsewhere only the public name is known; writing it twice costs nothing.
    let elsewhere = desk.folder.path().join("elsewhere");
    let there = names(&desk, Some(&elsewhere));
    assert_eq!((&there[&secret], &there[&shown]), (&Value::Null, &here[&shown]));
    let again: Value =
        serde_json::from_slice(&put_piped(&desk, b"archive", &public).stdout).unwrap();
    assert_eq!((&again["name_transaction"], &again["cost"]["gas_mist"]), (&Value::Null, &0.into()));
    assert_eq!(again["name_is_public"], true);

    // A damaged file of names costs names, and a warning; nothing else fails, and it is not touched.
    let kept = desk.devnet_folder().join("client/names.jsonl");
    let sound = fs::read(&kept).unwrap();
    fs::write(&kept, b"\xff\0 no names").unwrap();
    assert_eq!(names(&desk, None), there);
    let put = put_piped(&desk, b"third", &["--name", "third"]);
    let stderr = text(&put.stderr);
    assert!(put.status.success() && stderr.contains("its name is not remembered"), "{stderr}");
    let third: Value = serde_json::from_slice(&put.stdout).unwrap();
    assert_eq!(third["name"], Value::Null);
    desk.text(&["haulout", "rm", &id_of(&third), "--yes"]);
    assert_eq!(fs::read(&kept).unwrap(), b"\xff\0 no names");

    // What is removed is forgotten.
    fs::write(&kept, sound).unwrap();
    desk.text(&["haulout", "rm", &secret, "--yes"]);
    assert!(!names(&desk, None).contains_key(&secret));
    let put = put_piped(&desk, b"dear", &[]);
    assert_eq!(id_of(&serde_json::from_slice(&put.stdout).unwrap()), secret);
    assert_eq!(names(&desk, None)[&secret], Value::Null);
}

#[cfg(target_os = "linux")]
#[test]
fn several_files_are_put_by_one_command_and_one_that_fails_stops_no_other() {
    let desk = Desk::new();
    let size = ["--nodes", "4", "--shards", "7", "--port-base", "0", "--timeout", "120s"];
    desk.text(&[&["--name", "night", "up", "-d"], &size[..]].concat());
    for (name, bytes) in [("a", "one"), ("b", "two"), ("c", "one"), ("d", "three")] {
        fs::write(desk.folder.path().join(name), bytes).unwrap();
    }
    let files = ["a", "b", "missing", "c"];
    // What it would cost is told for each, and once for bytes that come twice.
    let dry = desk.run(&[&["haulout", "put", "--dry-run"], &files[..]].concat());
    let told = text(&dry.stderr);
    assert!(told.contains("4 files, 1 failed: ") && !told.contains("too little"), "{told}");
    let out = text(&dry.stdout);
    assert_eq!(out.matches("register it as a new object").count(), 2, "{out}");

    let put = desk.run(&[&["haulout", "--json", "put"], &files[..]].concat());
    let lines: Vec<Value> =
        text(&put.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |file: &str| lines.iter().find(|line| line["file"] == file).unwrap();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(of("missing")["error"]["kind"], "FILE");
    assert_eq!(put.status.code().map(i64::from), of("missing")["error"]["code"].as_i64());
    let mut actions = ["a", "c"].map(|file| of(file)["action"].as_str().unwrap());
    actions.sort_unstable();
    assert_eq!(actions, ["none", "register"], "the same bytes are paid once");
    assert_eq!(of("a")["object_id"], of("c")["object_id"]);
    assert_eq!((&of("b")["name"], &of("b")["action"]), (&"b".into(), &"register".into()));
    let told = text(&put.stderr);
    assert!(told.contains("4 files: 2 stored, 1 already there, 1 failed; paid 0."), "{told}");

    // For people a line for each; for pipes the id with the name; nothing is wrong this time.
    let put = desk.run(&["haulout", "put", "b", "d", "--at-once", "1"]);
    let (out, told) = (text(&put.stdout), text(&put.stderr));
    assert!(put.status.success() && told.contains("1 stored, 1 already there, 0 failed"), "{told}");
    let starts = ["✓ Already stored  b  ", "✓ Stored  d  "];
    assert!(out.lines().zip(starts).all(|(line, start)| line.starts_with(start)), "{out}");
    let id = of("b")["blob_id"].as_str().unwrap();
    let quiet = desk.text(&["haulout", "-q", "put", "b", "b"]);
    assert_eq!(quiet, format!("{id}  b\n{id}  b\n"));
    for wrong in [&["a", "-"][..], &["a", "b", "--name", "x"], &["a", "b", "--at-once", "17"]] {
        let refused = desk.failure(&[&["haulout", "--json", "put"], wrong].concat());
        assert_eq!(refused["kind"], "USAGE", "{wrong:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_newcomer_gets_a_wallet_loses_a_disk_and_leaves_nothing_behind() {
    let desk = Desk::new();
    let size = ["--nodes", "4", "--shards", "7", "--port-base", "0", "--timeout", "120s"];
    let up = desk.text(&[&["--name", "night", "up", "-d"], &size[..]].concat());
    for command in ["`devnet --name night status`", "`devnet --name night down`"] {
        assert!(up.contains(command), "{up}");
    }
    let said = desk.text(&["--name", "night", "pause", "n1"]);
    assert!(said.contains("`devnet --name night resume n1`"), "{said}");
    desk.text(&["--name", "night", "resume", "n1"]);

    // A wallet of one's own: made once, funded, and used.
    let key = desk.folder.path().join("mine.key");
    let made = desk.text(&["haulout", "wallet", "new", "--file", "mine.key"]);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(made.contains("`devnet --name night faucet 0x"), "{made}");
    let secret = fs::read_to_string(&key).unwrap();
    assert!(!made.contains(secret.trim().split(':').nth(1).unwrap()), "a key is never printed");
    let again = desk.failure(&["haulout", "--json", "wallet", "new", "--file", "mine.key"]);
    assert_eq!((&again["kind"], fs::read_to_string(&key).unwrap()), (&"FILE".into(), secret));
    // What it says to paste works: the line for this folder, then the faucet.
    let paste = made.lines().find(|line| line.trim_start().starts_with("printf")).unwrap();
    let pasted = Command::new("sh").args(["-c", paste]).current_dir(desk.folder.path()).status();
    assert!(pasted.unwrap().success());
    let address = desk.json(&["haulout", "--json", "wallet", "address"])["address"].clone();
    let address = address.as_str().unwrap();
    let given = desk.json(&["--name", "night", "--json", "faucet", address, "20WAL", "5SUI"]);
    let expected =
        serde_json::json!({ "wal_frost": 20_000_000_000_u64, "sui_mist": 5_000_000_000_u64 });
    assert_eq!(given["balances"], expected);
    desk.text(&["--name", "night", "faucet", address.trim_start_matches("0x"), "1FROST", "0SUI"]);
    let wallet = desk.json(&["haulout", "--json", "wallet"]);
    assert_eq!(wallet["balances"]["wal_frost"], 20_000_000_001_u64);
    assert_eq!(wallet["balances"]["sui_mist"], 5_000_000_000_u64);
    let refused = desk.failure(&["--name", "night", "--json", "faucet", "nobody"]);
    assert_eq!(refused["kind"], "USAGE");
    let too_much = desk.failure(&["--name", "night", "--json", "faucet", "bob", "18000000000WAL"]);
    assert_eq!(too_much["kind"], "CHAIN");
    fs::write(desk.folder.path().join("letter.txt"), vec![7; 100_000]).unwrap();
    let put = desk.json(&["haulout", "--json", "put", "letter.txt"]);
    let id = put["blob_id"].as_str().unwrap().to_owned();

    // A damaged disk is named as such, and what is advised works.
    let index = desk.devnet_folder().join("n4/store/index.redb");
    desk.text(&["--name", "night", "kill", "n4"]);
    fs::OpenOptions::new().write(true).open(&index).unwrap().set_len(100_000).unwrap();
    let error = desk.failure(&["--name", "night", "--json", "restart", "n4"]);
    assert_eq!((&error["kind"], &error["code"]), (&"DAMAGED".into(), &16.into()));
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("`devnet --name night restart n4 --wipe`"), "{hint}");
    assert!(!error["message"].as_str().unwrap().contains("recovered"), "{error}");
    desk.text(&["--name", "night", "restart", "n4", "--wipe"]);
    desk.text(&["haulout", "-q", "get", &id, "-o", "copy"]);
    assert_eq!(fs::read(desk.folder.path().join("copy")).unwrap(), vec![7; 100_000]);

    // What is gone is not spoken of: neither folder nor context, and an older context is back.
    let contexts = desk.folder.path().join("config/haulout/contexts");
    fs::copy(contexts.join("devnet-night.toml"), contexts.join("other.toml")).unwrap();
    desk.text(&["haulout", "context", "use", "other"]);
    desk.text(&["haulout", "context", "use", "devnet-night"]);
    let down = desk.text(&["--name", "night", "down", "--purge"]);
    assert!(down.contains("\"other\" is active again"), "{down}");
    assert!(!desk.devnet_folder().exists() && !contexts.join("devnet-night.toml").exists());
    let listed = desk.json(&["haulout", "--json", "context", "ls"]);
    assert_eq!(
        (&listed["active"], listed["contexts"].as_array().unwrap().len()),
        (&"other".into(), 1)
    );
    desk.text(&["haulout", "context", "rm", "other"]);
    let error = desk.failure(&["haulout", "--json", "ls"]);
    assert_eq!(error["kind"], "CONFIG");
    assert!(
        error["message"].as_str().unwrap().contains("chain.rpc is not set")
            || error["message"].as_str().unwrap().contains("network.id is not set"),
        "{error}"
    );
}
