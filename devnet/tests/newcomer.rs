//! What somebody does who has never seen this before, with real processes: wrong settings, slips in names, a wallet of
//! one's own, a damaged disk, a start that fails, a ledger that is away, and cleaning up.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

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

    /// What `devnet status` says, however it is.
    fn status(&self) -> Value {
        let output = self.run(&["--name", "night", "--json", "status"]);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
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
    assert!(desk.text(&["help", "words", "gas"]).starts_with("gas "));
    assert!(desk.text(&["help", "errors", "9"]).starts_with("FUNDS  exit code 9"));
    let unknown = desk.failure(&["--json", "help", "gas"]);
    assert!(unknown["hint"].as_str().unwrap().contains("`devnet help words`"), "{unknown}");
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
    let secret_object = put["object_id"].as_str().unwrap().to_owned();
    // Its id without a network is that of this network, whose shards are not the usual ones.
    assert_eq!(desk.text(&["haulout", "-q", "blob-id", "a letter.txt"]).trim(), secret);
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

    // What deleted blobs left is joined by one command, which may find nothing to do.
    for name in ["first left", "second left"] {
        fs::write(desk.folder.path().join(name), name).unwrap();
    }
    let left = ["first left", "second left"]
        .map(|name| id_of(&desk.json(&["haulout", "--json", "put", name])));
    for id in &left {
        desk.text(&["haulout", "rm", id, "--yes"]);
    }
    let listed =
        || desk.json(&["haulout", "--json", "storage", "ls"])["storages"].as_array().unwrap().len();
    let before = listed();
    assert_eq!(
        desk.failure(&["haulout", "--json", "storage", "fuse"])["kind"],
        "USAGE",
        "it asks first"
    );
    let dry = desk.json(&["haulout", "--json", "storage", "fuse", "--dry-run"]);
    let joined = dry["joined"][0]["objects"].as_array().unwrap().len();
    assert!(joined >= 2 && listed() == before, "{dry}");
    let told = desk.text(&["haulout", "storage", "fuse", "--yes"]);
    assert!(told.contains(&format!("✓ Joined  {joined} objects into ")), "{told}");
    assert_eq!(listed(), before - joined + 1);
    let told = desk.text(&["haulout", "storage", "fuse"]);
    assert!(told.starts_with("Nothing to join"), "{told}");
    let told = desk.text(&["haulout", "storage", "destroy", "--expired"]);
    assert!(told.starts_with("Nothing to destroy"), "{told}");
    let object = desk.text(&["haulout", "-q", "storage", "ls"]).lines().next().unwrap().to_owned();
    let now = listed();
    desk.text(&["haulout", "storage", "destroy", &object, "--yes"]);
    assert_eq!(listed(), now - 1);

    // A blob that is stored is named by a command of its own, which pays gas for that, once, and nothing else.
    let name = ["haulout", "--json", "name", &secret_object, "-- a letter"];
    let mut paid = Vec::new();
    for _ in 0..2 {
        let line = [&name[..4], &["--"], &name[4..]].concat();
        paid.push(desk.json(&line)["gas_mist"].as_u64().unwrap());
    }
    assert!(paid[0] > 0 && paid[1] == 0, "{paid:?}");
    assert_eq!(names(&desk, Some(&elsewhere))[&secret], "-- a letter");

    // What is removed is forgotten.
    fs::write(&kept, sound).unwrap();
    desk.text(&["haulout", "rm", &secret, "--yes"]);
    assert!(!names(&desk, None).contains_key(&secret));
    let put = put_piped(&desk, b"dear", &[]);
    assert_eq!(id_of(&serde_json::from_slice(&put.stdout).unwrap()), secret);
    assert_eq!(names(&desk, None)[&secret], Value::Null);

    // A name that cannot be written is told beside the blob that is stored, with the command that writes only it.
    let key = desk.devnet_folder().join("keys/bob.key");
    fs::write(desk.folder.path().join("their own"), "kept by bob").unwrap();
    let mut bobs = desk.command();
    bobs.args(["haulout", "put", "their own", "--permanent"]).env("HAULOUT_WALLET__KEY_FILE", key);
    assert!(bobs.output().unwrap().status.success());
    fs::write(desk.folder.path().join("my own"), "kept by alice").unwrap();
    for files in [&["their own"][..], &["their own", "my own"]] {
        let line = [&["haulout", "--json", "put", "--public-name"], files].concat();
        let told = desk.run(&line);
        let out = text(&told.stdout);
        let lines: Vec<Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let put = lines.iter().find(|put| put["name"] == "their own").unwrap();
        assert_eq!((told.status.code(), lines.len()), (Some(2), files.len()), "{out}");
        assert_eq!((&put["action"], &put["name_is_public"]), (&"none".into(), &false.into()));
        assert_eq!(put["name_error"]["code"], 2);
        let hint = put["name_error"]["hint"].as_str().unwrap();
        let command = "`haulout put 'their own' --public-name --epochs 5 --force`";
        assert!(hint.starts_with(command), "{hint}");
        let people = [&["haulout", "put", "--public-name"], files].concat();
        let told = desk.run(&people);
        let (out, err) = (text(&told.stdout), text(&told.stderr));
        assert!(
            told.status.code() == Some(2) && out.contains("✓ Already stored  their own"),
            "{out}"
        );
        assert!(err.contains("is stored, but somebody's") && err.contains(command), "{err}");
        let summary = "2 already there, 0 failed, 1 without the public name";
        assert_eq!(err.contains(summary), files.len() == 2, "{err}");
    }
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

    // Folders stand for their files, if that is asked for.
    let tree = desk.folder.path().join("tree");
    fs::create_dir_all(tree.join(".deep")).unwrap();
    fs::write(tree.join(".deep/x"), "x").unwrap();
    fs::write(tree.join("y"), "y").unwrap();
    std::os::unix::fs::symlink("y", tree.join("z")).unwrap();
    let refused = desk.failure(&["haulout", "--json", "put", "tree"]);
    let hint = refused["hint"].as_str().unwrap();
    assert!(refused["kind"] == "FILE" && hint.contains("haulout put -r`"), "{refused}");
    let missing = desk.failure(&["haulout", "--json", "put", "-r", "tree", "gone"]);
    assert!(missing["message"].as_str().unwrap().ends_with("; nothing was stored"), "{missing}");
    let put = desk.run(&["haulout", "--json", "put", "-r", "tree", "a"]);
    let told: Vec<Value> =
        text(&put.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut told: Vec<_> =
        told.iter().map(|line| (line["file"].as_str(), line["action"].as_str())).collect();
    told.sort_unstable();
    let (new, old) = (Some("register"), Some("none"));
    let all = [(Some("a"), old), (Some("tree/.deep/x"), new), (Some("tree/y"), new)];
    assert_eq!(told, all, "{}", text(&put.stderr));
    assert!(text(&put.stderr).contains("are left out"), "{}", text(&put.stderr));

    // An answer that cannot be written begins no more files, and ends those that are begun.
    let fresh = ["e", "f", "g"];
    for name in fresh {
        fs::write(desk.folder.path().join(name), format!("fresh {name}")).unwrap();
    }
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let put = [&["haulout", "put", "--at-once", "3"], &fresh[..]].concat();
    let put = desk.command().args(put).stdout(full).output().unwrap();
    let told = text(&put.stderr);
    assert_eq!(put.status.code(), Some(13), "{told}");
    assert!(told.contains("3 files: 3 stored") && told.matches("  g").count() > 0, "{told}");
    let listed = desk.text(&["haulout", "ls"]);
    let has = |name: &str| listed.lines().any(|line| line.starts_with(&format!("{name} ")));
    assert!(fresh.iter().all(|name| has(name)), "{listed}");

    // What holds for all is told once, and nothing is begun after it; programs hear of each file.
    desk.text(&["haulout", "wallet", "new", "--file", "poor.key"]);
    let many: Vec<String> = (0..7).map(|number| format!("poor {number}")).collect();
    many.iter().for_each(|name| fs::write(desk.folder.path().join(name), name).unwrap());
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let poor = |flags: &[&str]| {
        let line = [&["haulout"], flags, &["put", "--at-once", "2"], &many].concat();
        desk.command().args(line).env("HAULOUT_WALLET__KEY_FILE", "poor.key").output().unwrap()
    };
    let (people, programs) = (poor(&[]), poor(&["--json"]));
    let told = text(&people.stderr);
    assert_eq!((people.status.code(), told.matches("FUNDS").count()), (Some(9), 1), "{told}");
    assert!(
        told.contains("more not begun  FUNDS  ") && told.contains(" not begun; paid 0 WAL"),
        "{told}"
    );
    let lines: Vec<Value> =
        text(&programs.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), programs.status.code()), (7, Some(9)), "{lines:?}");
    assert!(lines.iter().all(|line| line["error"]["kind"] == "FUNDS"), "{lines:?}");
    let last = lines.iter().find(|line| line["file"] == "poor 6").unwrap();
    assert!(
        last["error"]["message"].as_str().unwrap().starts_with("not begun: the wallet"),
        "{last}"
    );

    for wrong in [&["a", "-"][..], &["a", "b", "--name", "x"], &["a", "b", "--at-once", "65"]] {
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

/// What starts a small devnet.
const UP: [&str; 12] = [
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

#[test]
fn a_slip_in_a_name_is_told_with_the_names_there_are() {
    let desk = Desk::new();
    let error = desk.failure(&["--name", "nihgt", "--json", "down"]);
    let hint = "there is none yet; `devnet --name nihgt up` starts this one";
    assert_eq!((&error["kind"], &error["hint"]), (&"NOT_FOUND".into(), &hint.into()));
    fs::create_dir_all(desk.devnet_folder()).unwrap();
    for verb in [
        &["logs"][..],
        &["logs", "n1"],
        &["down"],
        &["down", "--purge"],
        &["status"],
        &["kill", "n1"],
        &["epoch", "next"],
        &["faucet", "alice"],
        &["wait", "ready"],
        &["wait", "epoch=2"],
        &["wait", "n1=killed"],
    ] {
        let error = desk.failure(&[&["--name", "nihgt", "--json"], verb].concat());
        assert_eq!(error["kind"], "NOT_FOUND", "{verb:?} {error}");
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains("`devnet --name night status`"), "{verb:?} {error}");
    }
    // One that is known and down is not waited for; that it is stopped is true.
    for fact in ["ready", "checkpoint=1", "n1=running", "ledger=paused"] {
        let error = desk.failure(&["--name", "night", "--json", "wait", fact]);
        let hint = "start it with `devnet --name night up`";
        assert_eq!((&error["kind"], &error["hint"]), (&"NOT_FOUND".into(), &hint.into()), "{fact}");
    }
    let told = desk.json(&["--name", "night", "--json", "wait", "stopped"]);
    assert_eq!(told, serde_json::json!({ "fact": "stopped", "is_true": true }));
    let wait = ["--name", "night", "--json", "wait", "stopped"];
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let lost = desk.command().args(wait).stdout(full).output().unwrap();
    assert_eq!(lost.status.code(), Some(13), "{}", text(&lost.stderr));
    // Two amounts of one token are refused before anybody is asked.
    let error = desk.failure(&["--name", "night", "--json", "faucet", "carol", "1WAL", "2FROST"]);
    assert_eq!(error["kind"], "USAGE", "{error}");
    // One that is known and down stays as it is: whoever puts it away has what they want.
    desk.text(&["--name", "night", "down"]);
    desk.text(&["--name", "night", "down"]);
    desk.text(&["--name", "night", "down", "--purge"]);
    assert!(!desk.devnet_folder().exists());
    let error = desk.failure(&["--name", "night", "--json", "wait", "node=running"]);
    assert_eq!(error["kind"], "USAGE");
}

#[test]
fn help_that_cannot_be_written_is_a_failure_that_is_told() {
    let desk = Desk::new();
    for arguments in
        [&["help"][..], &["help", "up"], &["--help"], &["--version"], &["completions", "fish"]]
    {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let told = desk.command().args(arguments).stdout(full).output().unwrap();
        assert_eq!(told.status.code(), Some(13), "{arguments:?}");
        let stderr = text(&told.stderr);
        assert!(stderr.starts_with("✗ FULL  cannot write the answer to stdout"), "{stderr}");
        assert!(!stderr.contains("the answer:"), "help can be asked for again: {stderr}");
    }
}

/// Kills a node as soon as the card names it, while the network is still being tried.
fn kill_while_starting(desk: &Desk, node: usize) -> Option<Value> {
    let mut up =
        desk.command().args(UP).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let card = desk.devnet_folder().join("devnet.json");
    while up.try_wait().unwrap().is_none() {
        let card: Value =
            serde_json::from_slice(&fs::read(&card).unwrap_or_default()).unwrap_or_default();
        if card["state"] == "starting" {
            let pid = card["nodes"][node]["pid"].to_string();
            Command::new("kill").args(["-9", &pid]).status().unwrap();
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = up.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    (!output.status.success()).then(|| told["error"].clone())
}

#[cfg(target_os = "linux")]
#[test]
fn a_devnet_that_does_not_start_says_why_and_what_makes_it_start() {
    let desk = Desk::new();
    // A node that ends after it was ready is the reason, not what its absence does to others.
    let error = loop {
        // On a machine that is too busy for us to be in time, the start succeeds, and we try again.
        match kill_while_starting(&desk, 3) {
            Some(error) => break error,
            None => drop(desk.text(&["--name", "night", "down"])),
        }
    };
    assert_eq!(error["kind"], "INTERNAL");
    assert!(error["message"].as_str().unwrap().starts_with("n4 ended (signal: 9"), "{error}");

    // A damaged disk keeps no other node from starting, not even the first one's; what is advised works.
    desk.text(&UP);
    desk.text(&["--name", "night", "down"]);
    let damage = |node: &str| {
        let index = desk.devnet_folder().join(node).join("store/index.redb");
        OpenOptions::new().write(true).open(&index).unwrap().set_len(100_000).unwrap();
    };
    damage("n1");
    let hint = "`devnet --name night restart n1 --wipe` ";
    for what in ["✓ selftest", ""] {
        let partial = desk.run(&UP);
        let (card, told) = (text(&partial.stdout), text(&partial.stderr));
        assert_eq!(partial.status.code(), Some(17), "{card} {told}");
        let card: Value = serde_json::from_str(&card).unwrap();
        assert_eq!(
            (&card["state"], &card["nodes"][0]["state"], &card["nodes"][1]["state"]),
            (&"degraded".into(), &"exited".into(), &"running".into())
        );
        assert!(told.contains("n1 did not start: ") && told.contains(hint), "{told}");
        assert!(told.contains(what), "{told}");
    }
    let status = desk.status();
    assert_eq!((&status["health"], &status["writes"]), (&"degraded".into(), &true.into()));
    assert!(status["nodes"][0]["next_step"].as_str().unwrap().starts_with(hint), "{status}");
    let log = desk.text(&["--name", "night", "logs", "n1"]);
    assert!(log.contains("the node did not start kind=\"DAMAGED\""), "{log}");
    let never = desk.failure(&["--name", "night", "--json", "wait", "ready"]);
    assert_eq!(never["kind"], "DEGRADED");
    assert!(never["hint"].as_str().unwrap().starts_with(hint), "{never}");
    desk.text(&["--name", "night", "restart", "n1", "--wipe"]);
    desk.text(&["--name", "night", "wait", "ready", "--timeout", "120s"]);
    desk.text(&["--name", "night", "down"]);

    // If none starts, the devnet does not, and says so with a step that is possible though nothing runs.
    let all = "n1,n2,n3,n4";
    all.split(',').for_each(damage);
    for _ in 0..2 {
        let error = desk.failure(&UP);
        assert_eq!((&error["kind"], &error["code"]), (&"DAMAGED".into(), &16.into()), "{error}");
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.starts_with("`devnet --name night up --wipe n1,n2,n3,n4` "), "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("n2 did not start: ") && message.contains("n4 did not start: "),
            "{error}"
        );
    }
    let until = Instant::now() + Duration::from_secs(120);
    // It says so last of all, after everything has stopped.
    while !desk
        .text(&["--name", "night", "logs", "supervisor"])
        .contains("`devnet --name night up --wipe n1,n2,n3,n4`")
    {
        assert!(Instant::now() < until, "the log names no command that can be pasted");
    }
    let unknown = desk.failure(&[&UP[..], &["--wipe", "n5"]].concat());
    assert_eq!(
        (&unknown["kind"], &unknown["hint"]),
        (&"USAGE".into(), &"there are n1, n2, n3, n4".into())
    );

    desk.text(&[&UP[..], &["--wipe", all]].concat());
    let status = desk.status();
    let states: Vec<_> = (0..4).map(|node| &status["nodes"][node]["state"]).collect();
    assert!(states.iter().all(|state| *state != "exited"), "{status}");
}

/// How many hours the epoch has left, as soon as the ledger says so: on a busy machine it may be silent for a moment.
fn hours_left(desk: &Desk) -> u32 {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let status = desk.status();
        let phase = status["ledger"]["phase"].as_str().unwrap_or_default();
        if let Some(hours) = phase.strip_prefix("next in ").and_then(|it| it.strip_suffix(" h")) {
            return hours.parse().unwrap();
        }
        assert!(Instant::now() < until, "{status}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_devnet_that_runs_says_so_and_waits_for_its_ledger_and_moves_time_once() {
    let desk = Desk::new();
    desk.text(&UP);
    let again = desk.text(&["--name", "night", "up", "-d"]);
    assert!(again.contains("It runs already") && again.contains("shards up"), "{again}");
    assert!(!again.contains("selftest") && !again.contains("Ready in"), "{again}");
    assert!(!again.contains("written again"), "{again}");
    // A context that was removed is back after that, and says so.
    let removed = desk.text(&["haulout", "context", "rm", "devnet-night"]);
    assert!(removed.contains("`devnet --name night up -d` writes it again"), "{removed}");
    assert_eq!(desk.failure(&["--name", "night", "haulout", "--json", "info"])["kind"], "CONFIG");
    let back = desk.run(&["--name", "night", "up", "-d"]);
    assert!(text(&back.stderr).contains("is written again"), "{}", text(&back.stderr));
    desk.text(&["--name", "night", "haulout", "info"]);
    desk.text(&["haulout", "info"]);
    let wiped = desk.failure(&[&UP[..], &["--wipe", "n2"]].concat());
    let hint = "`devnet --name night restart n2 --wipe`";
    assert_eq!((&wiped["kind"], &wiped["hint"]), (&"USAGE".into(), &hint.into()));
    let unknown = desk.failure(&["--name", "night", "--json", "wait", "n9=running"]);
    assert_eq!(unknown["hint"], "there are ledger, n1, n2, n3, n4");
    let never =
        desk.failure(&["--name", "night", "--json", "wait", "n1=killed", "--timeout", "1ms"]);
    assert_eq!(never["message"], "n1=killed did not become true in 1ms");

    // A ledger that is away is waited for, which is said once, and its failure is said once.
    desk.text(&["--name", "night", "kill", "ledger"]);
    for verb in [&["epoch", "next"][..], &["faucet", "alice"]] {
        let told = desk.run(&[&["--name", "night"], verb, &["--timeout", "1s"]].concat());
        let stderr = text(&told.stderr);
        assert_eq!(told.status.code(), Some(5), "{stderr}");
        let waits = "the ledger does not run (`devnet --name night restart ledger`); waiting for it, up to 1s";
        assert_eq!(
            (stderr.matches(waits).count(), stderr.matches("does not answer").count()),
            (1, 1),
            "{stderr}"
        );
    }
    let next = ["--name", "night", "--json", "epoch", "next", "--timeout", "120s"];
    let mut waiting =
        desk.command().args(next).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    BufReader::new(waiting.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("waiting for it, up to 2m"), "{told}");
    desk.text(&["--name", "night", "restart", "ledger"]);
    let mut ended = String::new();
    waiting.stdout.take().unwrap().read_to_string(&mut ended).unwrap();
    assert!(waiting.wait().unwrap().success(), "{ended}");
    assert_eq!(serde_json::from_str::<Value>(&ended).unwrap()["epoch"], 2);

    // The ledger's time was moved by a day, and no date that people see was: the epoch ends in a day of theirs.
    let info = desk.json(&["haulout", "--json", "info"]);
    let tomorrow = Command::new("date").args(["-u", "-d", "+1442 minutes", "+%F %R UTC"]).output();
    let (ends, latest) = (info["epoch"]["ends"].as_str().unwrap(), tomorrow.unwrap().stdout);
    assert!(ends <= text(&latest).trim(), "{info}");
    assert!(info["ledger"]["clock_ahead_ms"].as_u64().unwrap() > 80_000_000, "{info}");

    // Without a node that runs no time is moved; with nodes that do nothing it is moved once.
    for node in ["n1", "n2", "n3", "n4"] {
        desk.text(&["--name", "night", "pause", node]);
    }
    let error = desk.failure(&["--name", "night", "--json", "epoch", "next"]);
    assert!(error["hint"].as_str().unwrap().contains("`devnet --name night resume n1`"), "{error}");
    assert!(hours_left(&desk) > 20);
    for node in ["n1", "n2", "n3", "n4"] {
        desk.text(&["--name", "night", "resume", node]);
    }
    let status = desk.status();
    let pids: Vec<_> = (0..4).map(|node| status["nodes"][node]["pid"].to_string()).collect();
    assert!(Command::new("kill").arg("-STOP").args(&pids).status().unwrap().success());
    let next = ["--name", "night", "--json", "epoch", "next", "--timeout"];
    let error = desk.failure(&[&next[..], &["3s"]].concat());
    assert!(error["message"].as_str().unwrap().contains("moved ahead by up to 12h"), "{error}");
    assert!((11..=12).contains(&hours_left(&desk)));
    desk.failure(&[&next[..], &["3s"]].concat());
    assert!((11..=12).contains(&hours_left(&desk)), "the second attempt moved time again");
    assert!(Command::new("kill").arg("-CONT").args(&pids).status().unwrap().success());
    assert_eq!(desk.json(&[&next[..], &["120s"]].concat())["epoch"], 3);
}
