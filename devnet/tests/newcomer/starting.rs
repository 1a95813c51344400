//! A start that fails, a devnet that runs already, and a ledger that is away.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::desk::{Desk, UP, text};

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
