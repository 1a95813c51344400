//! Slips of whoever types: settings that cannot be, names that are none, and help that cannot be written.

use std::fs::{self, OpenOptions};

use crate::desk::{Desk, text};

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
