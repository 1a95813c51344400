//! The real binary, offline: tickets, and what a new node's operator sees when something is not well.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use haulout_node::ticket::{self, Ticket};
use serde_json::Value;

const PEER: &str = "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";

fn run(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haulout"));
    command.env_clear().env("HOME", home).current_dir(home).stdin(Stdio::null());
    command.args(args).output().expect("the binary runs")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn failure(home: &Path, args: &[&str]) -> Value {
    let output = run(home, &[&["--json"], args].concat());
    let told = json(&output)["error"].clone();
    assert_eq!(told["code"].as_i64(), output.status.code().map(i64::from), "{told}");
    told
}

/// A client of a network whose ledger nobody serves.
fn write_client(home: &Path) {
    let text = format!(
        "[network]\nid = \"0x7\"\nbootstrap = [\"/ip4/127.0.0.1/tcp/9/p2p/{PEER}\"]\n[chain]\nrpc = \"http://127.0.0.1:9\"\n\
         package = \"0x1\"\nsystem = \"0x2\"\nstaking = \"0x3\"\nparams = \"0x4\"\ntreasury = \"0x5\"\n\
         [client]\ntimeout = \"100ms\"\n"
    );
    fs::write(home.join("client.toml"), text).unwrap();
}

fn free_ports() -> [String; 3] {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let http = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (tcp, http) = (tcp.local_addr().unwrap(), http.local_addr().unwrap());
    [format!("/ip4/127.0.0.1/tcp/{}", tcp.port()), http.to_string(), tcp.port().to_string()]
}

#[test]
fn a_ticket_is_made_of_a_clients_file_and_read_back() {
    let home = tempfile::tempdir().unwrap();
    write_client(home.path());
    let made =
        run(home.path(), &["--config", "client.toml", "-q", "node", "invite", "--valid-for", "1h"]);
    let text = String::from_utf8(made.stdout).unwrap();
    let ticket = Ticket::read(&text, ticket::now()).unwrap();
    assert_eq!(ticket.bootstrap, [format!("/ip4/127.0.0.1/tcp/9/p2p/{PEER}")]);
    assert_eq!(ticket.chain.rpc, ["http://127.0.0.1:9"]);
    assert!((3_500..=3_600).contains(&(ticket.expires_at - ticket::now())));
    let told = json(&run(home.path(), &["--config", "client.toml", "--json", "node", "invite"]));
    assert!(told["reservations"].as_array().unwrap().len() == 3, "{told}");
    let wrong =
        failure(home.path(), &["--config", "client.toml", "node", "invite", "--valid-for", "9y"]);
    assert_eq!(wrong["kind"], "USAGE");
}

#[test]
fn a_ticket_that_is_garbled_or_over_makes_nothing_and_says_whom_to_ask() {
    let home = tempfile::tempdir().unwrap();
    write_client(home.path());
    let made = run(home.path(), &["--config", "client.toml", "-q", "node", "invite"]);
    let text = String::from_utf8(made.stdout).unwrap();
    let text = text.trim();
    let over = Ticket { expires_at: 1, ..Ticket::read(text, 0).unwrap() }.to_text().unwrap();
    for (ticket, kind) in
        [("haulout1x", "USAGE"), (&text[..text.len() - 1], "USAGE"), (&over, "EXPIRED")]
    {
        let told =
            failure(home.path(), &["node", "init", "--ticket", ticket, "--data-dir", "node"]);
        assert_eq!(told["kind"], kind, "{told}");
        assert!(told["hint"].as_str().unwrap().contains("`haulout node invite`"), "{told}");
    }
    assert!(!home.path().join("node").exists());
}

#[test]
fn a_node_is_not_made_while_a_check_is_not_well_and_is_made_anyway() {
    let home = tempfile::tempdir().unwrap();
    write_client(home.path());
    let [listen, http, port] = free_ports();
    let init = [
        "node",
        "init",
        "--from",
        "client.toml",
        "--data-dir",
        "a node",
        "--name",
        "tern",
        "--listen",
        &listen,
        "--http",
        &http,
    ];
    let told = failure(home.path(), &init);
    assert_eq!(told["kind"], "LEDGER_UNREACHABLE", "{told}");
    assert!(told["message"].as_str().unwrap().ends_with("nothing was written"), "{told}");
    let checks = told["details"]["checks"].as_array().unwrap();
    let outcome =
        |name: &str| checks.iter().find(|check| check["name"] == name).unwrap()["outcome"].clone();
    assert_eq!(
        (outcome("keys"), outcome("port"), outcome("peer")),
        ("good".into(), "good".into(), "bad".into())
    );
    assert!(!home.path().join("a node").exists(), "nothing was written");

    let _taken = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let told = failure(home.path(), &init);
    assert_eq!(told["kind"], "PORT_IN_USE", "{told}");

    let made = json(&run(home.path(), &[&["--json"], &init[..], &["--anyway"]].concat()));
    let file = home.path().join("a node/node.toml");
    assert_eq!(made["file"], fs::canonicalize(&file).unwrap().to_str().unwrap(), "{made}");
    for key in ["network.key", "protocol.key", "operator.key"] {
        let facts = fs::metadata(home.path().join("a node/keys").join(key)).unwrap();
        assert_eq!(facts.permissions().mode() & 0o777, 0o600, "{key}");
    }
    let register = made["next"][0].as_str().unwrap();
    assert!(
        register.starts_with("haulout --config '")
            && register.contains("a node/node.toml' node register"),
        "{register}"
    );
    let before = fs::read(&file).unwrap();
    let again = failure(home.path(), &[&init[..], &["--anyway"]].concat());
    assert_eq!(again["kind"], "FILE", "{again}");
    assert_eq!(fs::read(&file).unwrap(), before, "never written over");

    // The same file is looked at later, and says that nobody runs there.
    let checked = run(home.path(), &["--json", "--config", "a node/node.toml", "node", "check"]);
    assert_eq!(
        (checked.status.code(), &json(&checked)["ok"]),
        (Some(14), &false.into()),
        "the port is taken still"
    );
    let status = run(home.path(), &["--json", "--config", "a node/node.toml", "node", "status"]);
    assert_eq!((status.status.code(), &json(&status)["status"]), (Some(17), &"down".into()));
}

#[test]
fn what_a_new_node_shall_be_is_refused_where_no_configuration_could_say_it() {
    let home = tempfile::tempdir().unwrap();
    write_client(home.path());
    for flags in [
        ["--listen", "nonsense"],
        ["--external", "/ip4/1.2.3/tcp/1"],
        ["--bootstrap", "/ip4/127.0.0.1/tcp/1"],
    ] {
        let told = failure(
            home.path(),
            &[&["node", "init", "--from", "client.toml"], &flags[..]].concat(),
        );
        assert!(told["message"].as_str().unwrap().contains(flags[0]), "{told}");
        assert!(["USAGE", "CONFIG"].contains(&told["kind"].as_str().unwrap()), "{told}");
    }
    let told =
        failure(home.path(), &["node", "init", "--from", "client.toml", "--wallet", "none.key"]);
    assert_eq!(told["kind"], "CONFIG", "{told}");
    assert!(!home.path().join(".local").exists(), "nothing was made");
}
