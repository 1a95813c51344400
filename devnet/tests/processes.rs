//! The devnet command as a person uses it, with real processes and real signals.
//!
//! Few tests, because each start costs seconds and the sentences follow from each other.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a fact may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long `devnet status` may take here: it gives nobody a second to answer, and the machine may be busy.
const STATUS_PATIENCE: Duration = Duration::from_secs(20);

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devnet"));
        command
            .args(arguments)
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env_remove("HAULOUT_CONFIG");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a verb that must succeed and returns the JSON it prints.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "devnet {arguments:?}\n{stdout}\n{stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error} in\n{stdout}"))
    }

    fn up(&self) -> Value {
        self.up_as(&[])
    }

    fn up_as(&self, more: &[&str]) -> Value {
        let size = ["--nodes", "4", "--shards", "7"];
        let rest = ["--port-base", "0", "--timeout", "120s", "--json"];
        self.json(&[&["up"], &size[..], &rest[..], more].concat())
    }

    /// Waits until `devnet status` says so.
    fn sees(&self, fact: &str, is_true: impl Fn(&Value) -> bool) {
        wait_until(fact, || is_true(&self.status()));
    }

    /// What `devnet status` says; its exit code says the same.
    fn status(&self) -> Value {
        let output = self.run(&["status", "--json"]);
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        let code = match status["health"].as_str().unwrap() {
            "healthy" => 0,
            "stopped" => 4,
            _ => 17,
        };
        assert_eq!(output.status.code(), Some(code), "{status}");
        status
    }

    /// Fetches a blob with the `haulout` command of this very executable.
    fn get(&self, id: &str) -> Vec<u8> {
        let copy = self.folder.path().join("copy");
        let _ = fs::remove_file(&copy);
        self.json(&["haulout", "--json", "get", id, "-o", copy.to_str().unwrap()]);
        fs::read(copy).unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.run(&["down", "--purge"]);
    }
}

fn pids(card: &Value) -> Vec<u64> {
    let nodes = card["nodes"].as_array().unwrap().iter().map(|node| &node["pid"]);
    nodes.chain([&card["chain"]["pid"]]).map(|pid| pid.as_u64().unwrap()).collect()
}

fn lives(pid: u64) -> bool {
    // A zombie is dead: it holds nothing.
    let stat = fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat"))).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !matches!(rest.trim().chars().next(), None | Some('Z')))
}

fn wait_until(fact: &str, is_true: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < until, "{fact}: not true after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a node says of itself, by the simplest HTTP there is.
fn healthz(card: &Value, node: usize) -> Value {
    let address = card["nodes"][node]["http"].as_str().unwrap().trim_start_matches("http://");
    let Ok(mut connection) = TcpStream::connect(address) else { return Value::Null };
    let mut answer = String::new();
    let asked = connection.write_all(b"GET /healthz HTTP/1.0\r\n\r\n");
    if asked.and_then(|()| connection.read_to_string(&mut answer)).is_err() {
        return Value::Null;
    }
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_default()
}

/// The names of all that `devnet status`, or a node, says is not well.
fn conditions_of(status: &Value) -> Vec<&str> {
    let all = status["conditions"].as_array();
    all.into_iter().flatten().map(|condition| condition["name"].as_str().unwrap()).collect()
}

fn signal(pid: u64, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.unwrap().success());
}

fn sample_file(folder: &Path) -> (PathBuf, Vec<u8>) {
    let mut bytes = vec![0; 300_000];
    blake3::Hasher::new_derive_key("devnet tests").finalize_xof().fill(&mut bytes);
    let path = folder.join("file");
    fs::write(&path, &bytes).unwrap();
    (path, bytes)
}

#[cfg(target_os = "linux")]
#[test]
fn a_devnet_starts_serves_survives_sigkill_of_everything_and_leaves_nothing_behind() {
    let desk = Desk { folder: tempfile::tempdir().unwrap() };
    let card = desk.up();
    assert_eq!((&card["schema"], &card["state"]), (&1.into(), &"ready".into()));
    assert!(pids(&card).into_iter().all(lives));

    // `haulout` finds the devnet through its context.
    let (file, bytes) = sample_file(desk.folder.path());
    let put = desk.json(&["haulout", "--json", "put", file.to_str().unwrap()]);
    let id = put["blob_id"].as_str().unwrap().to_owned();
    assert!(desk.get(&id) == bytes);

    // A second `up` finds the first one; another size is refused with the way out, and so is a node
    // that does not exist.
    assert_eq!(pids(&desk.up()), pids(&card));
    let refused = desk.run(&["up", "-d", "--nodes", "5"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--fresh"));
    let refused = desk.run(&["restart", "n9", "--json"]);
    assert_eq!(refused.status.code(), Some(2));
    let error: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(error["error"]["kind"], "USAGE");
    // Of several none is touched if one of them does not exist.
    assert_eq!(desk.run(&["kill", "n4", "n9", "--json"]).status.code(), Some(2));
    assert_eq!(desk.status()["nodes"][3]["state"], "serving");
    let both = desk.json(&["pause", "n3", "n4", "--json"]);
    assert!(both["done"].as_str().unwrap().contains("n3 is paused"), "{both}");
    desk.sees("both paused", |status| {
        [2, 3].iter().all(|at| status["nodes"][*at]["state"] == "paused")
    });
    desk.json(&["resume", "n3", "n4", "--json"]);

    // A dead node is shown as dead, and is not missed.
    desk.json(&["kill", "n4", "--json"]);
    desk.sees("n4 killed, and everything works", |status| {
        status["nodes"][3]["state"] == "killed"
            && status["reads"] == true
            && status["writes"] == true
    });
    assert!(desk.get(&id) == bytes);
    let never = desk.run(&["wait", "n4=running", "--json"]);
    let error: Value = serde_json::from_slice(&never.stdout).unwrap();
    assert_eq!((never.status.code(), &error["error"]["kind"]), (Some(17), &"DEGRADED".into()));
    assert!(
        error["error"]["hint"].as_str().unwrap().starts_with("`devnet restart n4` "),
        "{error}"
    );
    assert!(desk.run(&["wait", "ready"]).status.success(), "n4 was killed, so it should not run");
    desk.json(&["restart", "n4", "--wipe", "--json"]);
    desk.json(&["pause", "n3", "--for", "200ms", "--json"]);
    assert!(desk.run(&["wait", "n3=running", "--timeout", "30s"]).status.success());

    // Signals of others are told as such, and what is advised works.
    let pid = card["nodes"][2]["pid"].as_u64().unwrap();
    signal(pid, "STOP");
    desk.sees("n3 stopped by somebody else", |status| {
        let (cause, step) = (&status["nodes"][2]["cause"], &status["nodes"][2]["next_step"]);
        cause.as_str().is_some_and(|cause| cause.contains("SIGSTOP"))
            && step.as_str().is_some_and(|step| step.starts_with("`devnet resume n3` "))
    });
    for fact in ["ready", "n3=running"] {
        let never = desk.run(&["wait", fact, "--json"]);
        let error: Value = serde_json::from_slice(&never.stdout).unwrap();
        let hint = error["error"]["hint"].as_str().unwrap();
        assert_eq!(never.status.code(), Some(17), "{fact} {error}");
        assert!(hint.starts_with("`devnet resume n3` "), "{fact} {error}");
    }
    desk.json(&["resume", "n3", "--json"]);
    assert_eq!(desk.json(&["wait", "ready", "--json"])["is_true"], true);
    desk.json(&["pause", "n3", "--json"]);
    desk.sees("n3 paused", |status| status["nodes"][2]["state"] == "paused");
    signal(pid, "CONT");
    desk.sees("n3 continued by somebody else", |status| status["nodes"][2]["state"] == "serving");

    // Who was killed by somebody else ended, and says so.
    signal(pid, "KILL");
    desk.sees("n3 ended", |status| {
        let cause = status["nodes"][2]["cause"].as_str();
        status["nodes"][2]["state"] == "exited"
            && cause.is_some_and(|cause| cause.contains("signal: 9 (SIGKILL)"))
    });
    assert_eq!(desk.run(&["wait", "ready"]).status.code(), Some(17));
    desk.json(&["restart", "n3", "--json"]);
    assert!(desk.run(&["wait", "ready"]).status.success());

    // The node with the lost disk has everything again, from the others; an epoch ends when it is told to.
    assert_eq!(desk.json(&["wait", "repaired", "--json", "--timeout", "120s"])["is_true"], true);
    desk.sees("n4 with all of its shards", |status| {
        let nodes = status["nodes"].as_array().unwrap();
        nodes.iter().all(|node| node["shards_missing"] == 0 && node["state"] == "serving")
    });
    let next = desk.json(&["epoch", "next", "--json", "--timeout", "60s"]);
    assert_eq!((&next["epoch"], &next["nodes"]), (&2.into(), &4.into()));
    let held = desk.json(&["haulout", "--json", "status", &id]);
    assert_eq!(held["slivers"]["held"], held["slivers"]["total"], "{held}");
    assert!(desk.get(&id) == bytes);

    // Who is stopped, the supervisor too, keeps nobody from seeing the rest.
    let stopped =
        [card["nodes"][1]["pid"].as_u64().unwrap(), card["supervisor_pid"].as_u64().unwrap()];
    stopped.iter().for_each(|pid| signal(*pid, "STOP"));
    let asked = Instant::now();
    let status = desk.status();
    let took = asked.elapsed();
    stopped.iter().for_each(|pid| signal(*pid, "CONT"));
    assert!(took < STATUS_PATIENCE, "`devnet status` took {took:?}");
    assert_eq!((&status["running"], &status["supervisor"]), (&true.into(), &"silent".into()));
    assert_eq!(status["nodes"][1]["state"], "silent");
    desk.sees("n2 serving again", |status| status["nodes"][1]["state"] == "serving");

    // The ledger goes away: nodes start and serve from what they keep, a client that knew the network
    // reads, and everybody says what is missing.
    desk.json(&["kill", "ledger", "--json"]);
    for node in ["n1", "n2", "n3"] {
        desk.json(&["restart", node, "--json"]);
    }
    assert!(desk.get(&id) == bytes);
    // A put waits for it, and says so when its patience is over.
    let other = desk.folder.path().join("other");
    fs::write(&other, &bytes[1..]).unwrap();
    let put = ["haulout", "--json", "put", other.to_str().unwrap()];
    let refused = desk.command(&put).env("HAULOUT_CLIENT__TIMEOUT", "2s").output().unwrap();
    let error: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(
        (refused.status.code(), &error["error"]["kind"]),
        (Some(5), &"LEDGER_UNREACHABLE".into())
    );
    desk.sees("that writes wait for the ledger", |status| {
        status["reads"] == true
            && status["writes"] == false
            && status["writes_wait_for"] == "ledger"
    });
    let told = String::from_utf8(desk.run(&["status"]).stdout).unwrap();
    assert!(told.contains("writes WAIT for the ledger: `devnet restart ledger`"), "{told}");
    let health = || healthz(&card, 0);
    wait_until("n1 says that the ledger is silent", || {
        let health = health();
        health["status"] == "degraded" && conditions_of(&health).contains(&"ledger silent")
    });
    desk.json(&["restart", "ledger", "--json"]);
    wait_until("n1 hears the ledger again", || {
        let health = health();
        health["status"].is_string() && !conditions_of(&health).contains(&"ledger silent")
    });
    let late = desk.json(&put);
    assert!(desk.get(late["blob_id"].as_str().unwrap()) == bytes[1..]);

    // SIGKILL of the supervisor takes every process with it, and loses nothing.
    let supervisor = card["supervisor_pid"].as_u64().unwrap();
    let all = pids(&desk.up());
    assert!(Command::new("kill").args(["-9", &supervisor.to_string()]).status().unwrap().success());
    wait_until("every child is gone", || !all.iter().copied().any(lives));
    let again = desk.up();
    assert_eq!(again["nodes"][0]["peer_id"], card["nodes"][0]["peer_id"]);
    assert!(desk.get(&id) == bytes);

    // The ledger's log is verified when the devnet is down, and not before.
    let refused = desk.run(&["verify-ledger", "--json"]);
    let error: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(error["error"]["kind"], "LOCKED");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("devnet down"));

    // `down` leaves no process.
    let all = pids(&again);
    desk.json(&["down", "--json"]);
    let verified = desk.json(&["verify-ledger", "--json"]);
    assert_eq!(verified["verified"], true);
    assert!(verified["transactions"].as_u64().unwrap() > 2, "{verified}");
    assert!(!all.into_iter().any(lives));
    let status = desk.status();
    assert_eq!(status["running"], false);

    // `--fresh` starts over, and remembers nothing.
    let fresh = desk.up_as(&["--fresh", "--epoch", "30s"]);
    assert_eq!(fresh["epoch_ms"], 30_000);
    let gone = desk.run(&["haulout", "get", &id]);
    assert_eq!(gone.status.code(), Some(4), "{}", String::from_utf8_lossy(&gone.stderr));
}

/// Puts short blobs one after the other until it is told to stop; returns what was acknowledged.
#[cfg(target_os = "linux")]
fn put_many(desk: &Desk, writer: usize, is_over: &AtomicBool, done: &AtomicUsize) -> Vec<Stored> {
    let mut stored = Vec::new();
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let mut bytes = vec![0; 100 + 700 * (number % 8)];
        let mut seed = blake3::Hasher::new_derive_key("devnet tests: many short puts");
        seed.update(format!("{writer}.{number}").as_bytes()).finalize_xof().fill(&mut bytes);
        let file = desk.folder.path().join(format!("short-{writer}-{number}"));
        fs::write(&file, &bytes).unwrap();
        let output = desk.run(&["haulout", "--json", "put", file.to_str().unwrap()]);
        // What fails while nodes are dead was not promised to anybody.
        if output.status.success() {
            let put: Value = serde_json::from_slice(&output.stdout).unwrap();
            stored.push((put["blob_id"].as_str().unwrap().to_owned(), bytes));
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
    stored
}

/// An id and what it stands for.
type Stored = (String, Vec<u8>);

#[cfg(target_os = "linux")]
#[test]
fn of_many_short_puts_none_that_was_acknowledged_is_lost_when_nodes_and_then_all_are_killed() {
    let desk = Desk { folder: tempfile::tempdir().unwrap() };
    let card = desk.up();
    let (is_over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut all = Vec::new();
    let acknowledged = |count| wait_until("puts go on", || done.load(Ordering::Relaxed) >= count);
    let stored: Vec<Stored> = std::thread::scope(|scope| {
        let start = |writer| {
            let (desk, is_over, done) = (&desk, &is_over, &done);
            scope.spawn(move || put_many(desk, writer, is_over, done))
        };
        let writers: Vec<_> = (0..3).map(start).collect();
        acknowledged(3);
        for (at, node) in (1..).zip(["n2", "n3"]) {
            desk.json(&["kill", node, "--json"]);
            acknowledged(3 + 2 * at);
            desk.json(&["restart", node, "--json"]);
        }
        acknowledged(9);
        all = pids(&desk.up());
        signal(card["supervisor_pid"].as_u64().unwrap(), "KILL"); // takes every process with it
        is_over.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    wait_until("every child is gone", || !all.iter().copied().any(lives));
    assert!(stored.len() >= 9, "{} were acknowledged", stored.len());
    desk.up();
    for (id, bytes) in &stored {
        assert!(desk.get(id) == *bytes, "{id} of {} bytes", bytes.len());
        let status = desk.json(&["haulout", "--json", "status", id]);
        assert_eq!((&status["state"], &status["lost"]), (&"certified".into(), &false.into()));
        assert_eq!(status["slivers"]["of"], "a short blob");
    }
}
