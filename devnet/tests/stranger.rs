//! A stranger's node, with real processes: from a ticket to the committee, by the commands that `haulout node init` prints.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a fact may take to become true: machines are busy.
const PATIENCE: Duration = Duration::from_secs(180);

/// A folder with a devnet called "host" in it, and one for the stranger, who knows nothing of the devnet.
struct Desk {
    folder: tempfile::TempDir,
    nodes: Vec<Child>,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), nodes: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command line of somebody; each has a home of its own.
    fn command(&self, who: &str) -> Command {
        let home = self.path(who);
        fs::create_dir_all(&home).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_devnet"));
        command
            .env("XDG_STATE_HOME", home.join("state"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("HOME", &home)
            .env_remove("HAULOUT_CONFIG")
            .env_remove("RUST_LOG")
            .current_dir(home);
        command
    }

    fn run(&self, who: &str, arguments: &[&str]) -> Output {
        self.command(who).args(arguments).output().unwrap()
    }

    fn text(&self, who: &str, arguments: &[&str]) -> String {
        let output = self.run(who, arguments);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{who}: {arguments:?}\n{stdout}\n{stderr}");
        stdout
    }

    fn json(&self, who: &str, arguments: &[&str]) -> Value {
        let stdout = self.text(who, arguments);
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error} in\n{stdout}"))
    }

    /// The words of a command line that was printed, with `haulout` as this program knows it.
    fn pasted(line: &Value, more: &[&str]) -> Vec<String> {
        let line = line.as_str().unwrap();
        assert!(line.starts_with("haulout ") && !line.contains(['\'', '"']), "{line}");
        line.split(' ').map(str::to_owned).chain(more.iter().map(|it| (*it).to_owned())).collect()
    }

    /// Runs what was printed, as somebody who pastes it.
    fn paste(&self, line: &Value, more: &[&str]) -> String {
        let words = Self::pasted(line, more);
        self.text("stranger", &words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Starts the node that was printed, and waits until it accepts peers.
    fn start(&mut self, line: &Value) {
        let mut command = self.command("stranger");
        command.args(Self::pasted(line, &["--exit-with-parent"]));
        let log = fs::File::create(self.path("stranger.log")).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut node = command.spawn().unwrap();
        let mut first = String::new();
        BufReader::new(node.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let log = fs::read_to_string(self.path("stranger.log")).unwrap();
        assert!(first.starts_with("Ready. Peer 12D3"), "{first}\n{log}");
        self.nodes.push(node);
    }

    /// The node's status, whatever its exit code.
    fn status(&self, file: &str) -> Value {
        let output =
            self.run("stranger", &["haulout", "--json", "--config", file, "node", "status"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {} {}", text(&output.stdout), text(&output.stderr))
        })
    }

    fn eventually(&self, fact: &str, is_true: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_true() {
            let log = fs::read_to_string(self.path("stranger.log")).unwrap_or_default();
            assert!(Instant::now() < until, "{fact}: not true after {PATIENCE:?}\n{log}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            drop(node.stdin.take()); // it ends with its parent's pipe
            let _ = node.wait();
        }
        self.run("host", &["--name", "host", "down", "--purge"]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What every check found, by name.
fn outcomes(checks: &Value) -> Vec<(&str, &str)> {
    let checks = checks.as_array().unwrap().iter();
    checks
        .map(|check| (check["name"].as_str().unwrap(), check["outcome"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_stranger_with_a_ticket_is_in_the_next_committee_by_the_commands_it_was_told() {
    let mut desk = Desk::new();
    let size = ["--nodes", "4", "--shards", "10", "--port-base", "0", "--timeout", "120s"];
    desk.text("host", &[&["--name", "host", "up", "-d"], &size[..]].concat());
    fs::write(desk.path("host/letter.txt"), vec![7; 300_000]).unwrap();
    let put = desk.json("host", &["haulout", "--json", "put", "letter.txt", "--epochs", "20"]);
    let id = put["blob_id"].as_str().unwrap().to_owned();

    // A node invites; so does a client.
    let of_node = "state/haulout/devnet/host/n2/node.toml";
    let invited = desk.json("host", &["haulout", "--json", "--config", of_node, "node", "invite"]);
    assert!(invited["bootstrap"].as_array().unwrap().len() == 3, "{invited}");
    assert!(invited["reservations"][0].as_str().unwrap().contains("of this machine"), "{invited}");
    let ticket = invited["ticket"].as_str().unwrap().to_owned();
    let of_client = desk.text("host", &["haulout", "-q", "node", "invite", "--valid-for", "1h"]);
    assert!(of_client.starts_with("haulout1"), "{of_client}");

    // The stranger has the ticket, and nothing else.
    let ports = (free_port(), free_port());
    let (listen, http) = (
        [format!("/ip4/0.0.0.0/udp/{}/quic-v1", ports.0), format!("/ip4/0.0.0.0/tcp/{}", ports.0)],
        format!("127.0.0.1:{}", ports.1),
    );
    let init = |ticket: &str| {
        let arguments = [
            "haulout",
            "--json",
            "node",
            "init",
            "--ticket",
            ticket,
            "--data-dir",
            "node",
            "--name",
            "tern",
            "--listen",
            &listen[0],
            "--listen",
            &listen[1],
            "--http",
            &http,
        ];
        desk.run("stranger", &arguments)
    };
    let garbled = init(&ticket[..ticket.len() - 3]);
    let garbled: Value = serde_json::from_slice(&garbled.stdout).unwrap();
    assert_eq!(garbled["error"]["kind"], "USAGE", "{garbled}");
    // An address whose peer is another one is told as such.
    let peers =
        [0, 1].map(|at| invited["bootstrap"][at].as_str().unwrap().rsplit_once("/p2p/").unwrap());
    let swapped = format!("{}/p2p/{}", peers[0].0, peers[1].1);
    let other = [
        "haulout",
        "--json",
        "node",
        "init",
        "--ticket",
        &ticket,
        "--data-dir",
        "node",
        "--http",
        &http,
    ];
    let other = desk.run(
        "stranger",
        &[&other[..], &["--listen", &listen[1], "--bootstrap", &swapped]].concat(),
    );
    let other: Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_eq!(other["error"]["kind"], "NO_NETWORK", "{other}");
    assert!(other["error"]["message"].as_str().unwrap().contains("another key"), "{other}");
    assert!(!desk.path("stranger/node").exists(), "nothing is made");
    let made = init(&ticket);
    assert!(made.status.success(), "{}\n{}", text(&made.stdout), text(&made.stderr));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let bad = outcomes(&made["checks"]).into_iter().find(|(_, outcome)| *outcome == "bad");
    assert!(bad.is_none(), "{made}");
    assert!(outcomes(&made["checks"]).contains(&("reach", "good")), "peers dialled back: {made}");
    let file = made["file"].as_str().unwrap().to_owned();
    for key in ["network.key", "protocol.key", "operator.key"] {
        assert_eq!(mode(&desk.path("stranger/node/keys").join(key)), 0o600, "{key}");
    }
    let before = fs::read(&file).unwrap();
    assert!(!init(&ticket).status.success(), "nothing is written over");
    assert_eq!(fs::read(&file).unwrap(), before);

    // Before it runs, its check listens on its ports; what it was told to paste does the rest.
    let checked = desk.json("stranger", &["haulout", "--json", "--config", &file, "node", "check"]);
    assert_eq!(checked["ok"], true, "{checked}");
    assert!(outcomes(&checked["checks"]).contains(&("reach", "good")), "{checked}");
    let wallet = made["wallet"].as_str().unwrap();
    desk.text("host", &["--name", "host", "faucet", wallet, "2000000WAL", "5SUI"]);
    let next = made["next"].as_array().unwrap();
    desk.paste(&next[0], &["--yes"]);
    desk.start(&next[2]);
    let candidate = desk.status(&file);
    assert_eq!(
        (&candidate["role"], &candidate["shards"]),
        (&"unstaked".into(), &0.into()),
        "{candidate}"
    );
    desk.paste(&next[1], &["--yes"]);
    assert_eq!(desk.status(&file)["role"], "candidate");

    desk.text("host", &["--name", "host", "epoch", "next", "--timeout", "170s"]);
    desk.eventually("it is a member, and everything that belongs to its shards is there", || {
        let status = desk.status(&file);
        status["role"] == "committee"
            && status["repairs"]["complete"] == true
            && status["status"] == "ok"
    });
    let member = desk.status(&file);
    assert!(member["shards"].as_u64().unwrap() > 0, "{member}");
    desk.eventually("peers reach the running node", || {
        let doors = desk.status(&file)["reachability"]["doors"].clone();
        doors
            .as_array()
            .is_some_and(|doors| doors.iter().all(|door| door["reached"].as_u64() > Some(0)))
    });
    let people = desk.paste(&next[3], &[]);
    assert!(people.contains("  MEMBER\n") && people.contains("nothing is missing"), "{people}");
    let checked = desk.json("stranger", &["haulout", "--json", "--config", &file, "node", "check"]);
    assert_eq!(checked["reachability"], "as the running node heard", "{checked}");

    // What was stored before is read, also from the stranger by its ticket alone, and without one of the others.
    desk.text("host", &["haulout", "-q", "get", &id, "-o", "copy"]);
    desk.text("host", &["--name", "host", "kill", "n4"]);
    desk.text("stranger", &["haulout", "--config", &file, "-q", "get", &id, "-o", "copy"]);
    for copy in ["host/copy", "stranger/copy"] {
        assert_eq!(fs::read(desk.path(copy)).unwrap(), vec![7; 300_000]);
    }

    // The devnet counts the stranger while it is there, and says so when it is not.
    let other = |desk: &Desk| {
        let status = desk.run("host", &["--name", "host", "--json", "status"]);
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        (status["others"][0].clone(), status["health"].clone(), status["shards_up"].clone())
    };
    let (tern, health, up) = other(&desk);
    assert_eq!((&tern["name"], &tern["connected"]), (&"tern".into(), &true.into()), "{tern}");
    assert!(health == "degraded" && up.as_u64() >= Some(7), "{health} {up}");
    let mut node = desk.nodes.pop().unwrap();
    drop(node.stdin.take());
    node.wait().unwrap();
    desk.eventually("the devnet misses the stranger", || {
        let (tern, health, _) = other(&desk);
        tern["connected"] == false && health != "healthy"
    });
}

/// A port that was free a moment ago, for UDP and TCP.
fn free_port() -> u16 {
    loop {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        if std::net::UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}
