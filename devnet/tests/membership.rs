//! Nodes come and go while files are stored, with real processes: who comes gets shards, and who goes takes nothing along.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a fact may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// No bytes, a short blob, and one of some segments' worth of slivers.
const LENGTHS: [usize; 3] = [0, 1_000, 3_000_000];

/// A desk with folders of its own.
struct Desk {
    folder: tempfile::TempDir,
}

/// A blob's id and what it stands for.
type Stored = (String, Vec<u8>);

impl Desk {
    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devnet"));
        command
            .args(line.split_whitespace())
            .arg("--json")
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env_remove("HAULOUT_CONFIG");
        command.output().unwrap()
    }

    /// What a verb that must succeed says.
    fn does(&self, line: &str) -> Value {
        let Output { status, stdout, stderr } = self.run(line);
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "devnet {line}\n{stdout}\n{stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error} in\n{stdout}"))
    }

    /// The failure of a verb that must fail.
    fn fails(&self, line: &str) -> Value {
        let output = self.run(line);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["error"]["code"].as_i64(), output.status.code().map(i64::from), "{told}");
        told["error"].clone()
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&self.run("status").stdout).unwrap()
    }

    /// Waits until `devnet status` says so.
    fn sees(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if is_so(&status) {
                return;
            }
            assert!(Instant::now() < until, "{what}: not so after {PATIENCE:?}: {status}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn devnet(&self) -> PathBuf {
        self.folder.path().join("state/haulout/devnet/default")
    }

    fn puts(&self) -> Vec<Stored> {
        let store = |length: &usize| {
            let mut bytes = vec![0; *length];
            blake3::Hasher::new_derive_key("devnet membership").finalize_xof().fill(&mut bytes);
            let file = self.folder.path().join(format!("file-{length}"));
            fs::write(&file, &bytes).unwrap();
            let put = self.does(&format!("haulout put {} --epochs 10", file.display()));
            (put["blob_id"].as_str().unwrap().to_owned(), bytes)
        };
        LENGTHS.iter().map(store).collect()
    }

    /// Reads all of them to the last byte.
    fn reads(&self, stored: &[Stored]) {
        for (id, bytes) in stored {
            let copy = self.folder.path().join("copy");
            let _ = fs::remove_file(&copy);
            self.does(&format!("haulout get {id} -o {}", copy.display()));
            assert!(fs::read(&copy).unwrap() == *bytes, "{} bytes", bytes.len());
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.run("down --purge");
    }
}

/// One node of a card, or of a status.
fn node<'a>(of: &'a Value, name: &str) -> &'a Value {
    let nodes = of["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["name"] == name).unwrap_or(&Value::Null)
}

fn names(of: &Value) -> Vec<&str> {
    of["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect()
}

fn bootstrap_of(folder: &Path) -> usize {
    let text = fs::read_to_string(folder.join("node.toml")).unwrap();
    let line = text.lines().find(|line| line.starts_with("bootstrap")).unwrap();
    line.matches("/p2p/").count()
}

const UP: &str = "up --nodes 4 --shards 10 --port-base 0 --timeout 180s";

#[test]
fn a_node_that_comes_gets_shards_and_one_that_leaves_in_peace_takes_nothing_along() {
    let desk = Desk { folder: tempfile::tempdir().unwrap() };
    desk.does(UP);
    let stored = desk.puts();

    // It is a candidate, which is no fault of the devnet, and it knew one address.
    let added = desk.does("add");
    assert_eq!((&added["name"], &added["member_from_epoch"]), (&"n5".into(), &2.into()));
    assert!(added["next_step"].as_str().unwrap().contains("`devnet epoch next`"), "{added}");
    assert_eq!(bootstrap_of(&desk.devnet().join("n5")), 1);
    desk.sees("n5 is a candidate, and all is well", |status| {
        let n5 = node(status, "n5");
        status["health"] == "healthy" && n5["state"] == "candidate" && n5["shards"] == 0
    });
    desk.reads(&stored);

    // With the next epoch it has shards, and everything in them.
    assert_eq!(desk.does("epoch next --timeout 120s")["nodes"], 5);
    desk.reads(&stored);
    desk.does("wait repaired --timeout 180s");
    desk.sees("n5 serves", |status| {
        let n5 = node(status, "n5");
        n5["state"] == "serving" && n5["shards"].as_u64() > Some(0) && n5["shards_missing"] == 0
    });
    desk.reads(&stored);

    // It is there after a stop, with the same keys.
    desk.does("down");
    let card = desk.does(UP);
    assert_eq!(names(&card), ["n1", "n2", "n3", "n4", "n5"]);
    assert_eq!(node(&card, "n5")["peer_id"], added["peer_id"]);
    assert!(!node(&card, "n5")["shards"].as_array().unwrap().is_empty(), "{card}");
    desk.reads(&stored);

    // The first node leaves, from which all others start; it serves until the others have its shards.
    assert_eq!(desk.fails("wait n1=gone")["kind"], "DEGRADED");
    let leaving = desk.does("remove n1 --graceful");
    assert_eq!((&leaving["state"], &leaving["epochs_to_end"]), (&"leaving".into(), &1.into()));
    assert!(leaving["stake_asked_back_frost"].as_u64() > Some(0), "{leaving}");
    let again = desk.does("remove n1 --graceful");
    assert_eq!(again["stake_asked_back_frost"], 0, "nothing is done twice");
    desk.sees("n1 leaves and serves", |status| {
        let n1 = node(status, "n1");
        n1["state"] == "leaving" && n1["shards"].as_u64() > Some(0)
    });
    desk.does("epoch next --timeout 120s");
    desk.reads(&stored);
    desk.does("wait n1=gone --timeout 180s");
    assert_eq!(names(&desk.status()), ["n2", "n3", "n4", "n5"]);
    desk.sees("all is well without n1", |status| status["health"] == "healthy");
    desk.reads(&stored);
    assert!(!desk.devnet().join("n1/store").exists() && desk.devnet().join("n1/keys").exists());

    // Who is gone stays gone, and nobody gets its name.
    desk.does("down");
    assert_eq!(names(&desk.does(UP)), ["n2", "n3", "n4", "n5"]);
    desk.reads(&stored);
    assert_eq!(desk.does("add --stake 50WAL")["name"], "n6");
    desk.reads(&stored);
}

#[test]
fn of_two_nodes_that_are_removed_at_once_one_stays_if_reads_need_it() {
    let desk = Desk { folder: tempfile::tempdir().unwrap() };
    desk.does(UP);
    let stored = desk.puts();
    desk.does("wait repaired --timeout 180s");
    // Of ten shards n1 and n2 have three each and the others two; reads need four.
    desk.does("kill n4");
    let gone = std::thread::scope(|scope| {
        let desk = &desk;
        let removes = ["n1", "n2"]
            .map(|node| scope.spawn(move || desk.run(&format!("remove {node}")).status.success()));
        removes.map(|remove| remove.join().unwrap())
    });
    assert_eq!(gone.iter().filter(|is_gone| **is_gone).count(), 1, "{gone:?}");
    desk.reads(&stored);
}

#[test]
fn a_node_is_not_cut_off_unasked_if_reads_need_it() {
    let desk = Desk { folder: tempfile::tempdir().unwrap() };
    desk.does(UP);
    let stored = desk.puts();
    assert_eq!(desk.fails("remove n9")["kind"], "USAGE");
    assert_eq!(desk.fails("remove ledger")["kind"], "USAGE");

    // Reads need four shards of ten; the largest two nodes are away.
    desk.does("kill n1 n2");
    let refused = desk.fails("remove n3");
    assert_eq!(refused["kind"], "PERMISSION");
    let step = refused["hint"].as_str().unwrap();
    assert!(step.contains("`devnet remove n3 --graceful`") && step.contains("--force"), "{step}");
    desk.reads(&stored);
    desk.does("restart n1 n2");
    desk.does("wait ready --timeout 180s");

    let gone = desk.does("remove n3");
    assert_eq!((&gone["state"], &gone["shards_up"]), (&"gone".into(), &8.into()));
    assert!(gone["ledger"].as_str().unwrap().contains("was told nothing"), "{gone}");
    assert_eq!(names(&desk.status()), ["n1", "n2", "n4"]);
    assert!(!desk.devnet().join("n3/store").exists());
    desk.reads(&stored);

    // The ledger counts on it until somebody tells it, which the node's own key does.
    desk.sees("what n3 had is missed, and why is told", |status| {
        let (gone, step) = (&status["gone"][0]["name"], &status["gone"][0]["next_step"]);
        let says_exit = step.as_str().is_some_and(|step| step.contains("node exit --yes"));
        status["health"] == "degraded" && *gone == "n3" && says_exit
    });
    let config = desk.devnet().join("n3/node.toml");
    desk.does(&format!("haulout --config {} node exit --yes", config.display()));
    desk.does("epoch next --timeout 120s");
    desk.does("wait repaired --timeout 180s");
    desk.sees("all is well without n3", |status| status["health"] == "healthy");
    desk.reads(&stored);

    // With force also what reads need; the last node stays.
    desk.does("kill n1");
    desk.does("remove n2 --force");
    desk.does("remove n4 --force");
    assert_eq!(desk.fails("remove n1 --force")["kind"], "PERMISSION");
}
