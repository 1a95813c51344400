//! The scripts of `devnet/scripts`, each as a test, and its README.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::commands::COMMANDS;
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

/// Runs a script of the folder; its lines count from 1, and the first is the header.
fn run(name: &str) {
    let script = read(name);
    let done = Runner::run(&script);
    done.unwrap_or_else(|(at, stop)| panic!("{name}, line {}: {stop:?}", at + 2));
}

#[test]
fn a_blob_lives_and_ends() {
    run("blob-life.jsonl");
}

#[test]
fn t06_wrong_certificates_have_their_own_codes() {
    run("certificates.jsonl");
}

#[test]
fn t122_refusals_have_their_own_codes_and_change_nothing() {
    run("refusals.jsonl");
}

#[test]
fn what_does_not_fit_a_number_is_refused() {
    run("overflow.jsonl");
}

#[test]
fn a_node_and_its_stake_come_earn_and_leave() {
    run("stake-life.jsonl");
}

#[test]
fn the_example_economy_adds_up_as_a_script() {
    run("economy.jsonl");
}

#[test]
fn every_script_of_the_folder_runs_and_is_printed_as_it_was_read() {
    let files = std::fs::read_dir(folder()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.filter(|name| name.ends_with(".jsonl")).collect();
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        let script = read(&name);
        assert_eq!(Script::read(&script.print()), Ok(script), "{name}");
        run(&name);
    }
}

#[test]
fn the_readme_names_every_command_with_its_arguments() {
    let text = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for shape in &COMMANDS {
        let start = format!("| `{}` |", shape.name);
        let line = text.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("{} is missing", shape.name));
        let keys: BTreeSet<_> = shape.slots.iter().flat_map(|slot| slot.keys()).collect();
        for key in keys {
            assert!(line.contains(&format!("`{key}`")), "{}: {key} is missing", shape.name);
        }
        let function = format!("`{}::{}`", shape.function.module, shape.function.name);
        assert!(line.contains(&function), "{}: it calls {function}", shape.name);
    }
}

#[test]
fn what_is_no_script_is_refused() {
    let header = r#"{"script":1,"about":""}"#;
    for wrong in [
        "",
        r#"{"script":2,"about":""}"#,
        r#"{"script":1,"about":"","wrold":{}}"#,
        &format!("{header}\n{{\"t\":1,\"cmd\":[]}}"),
        &format!("{header}\n{{\"t\":1,\"cmds\":[[7]]}}"),
        &format!("{header}\n{{\"t\":1,\"cmds\":[[\"burn\",{{}},\"s\"]]}}"),
        &format!("{header}\n{{\"t\":-1}}"),
    ] {
        assert!(Script::read(wrong).is_err(), "{wrong}");
    }
    for unclear in [
        r#"{"t":1,"sender":"alice","cmds":[["fly",{}]]}"#,
        r#"{"t":1,"sender":"alice","cmds":[["destroy",{"storage":"@s"}]]}"#,
        r#"{"t":1,"sender":"alice","cmds":[["settle",{"node":"N0","knot":1}]]}"#,
        r#"{"t":1,"sender":"nobody","cmds":[["settle",{"node":"N0"}]]}"#,
        r#"{"t":1,"check":{"weather":"fine"}}"#,
    ] {
        let script = Script::read(&format!("{header}\n{unclear}")).unwrap();
        let stop = Runner::run(&script).err();
        assert!(matches!(stop, Some((0, super::runner::Stop::Script(_)))), "{unclear}: {stop:?}");
    }
    for untrue in [
        r#"{"t":1,"check":{"wal":{"alice":1}}}"#,
        r#"{"t":1,"check":{"shards":{"N0":2}}}"#,
        r#"{"t":1,"sender":"alice","cmds":[["settle",{"node":"N9"}]],"expect":{"ok":true}}"#,
        r#"{"t":1,"sender":"alice","cmds":[["settle",{"node":"N9"}]],"expect":{"code":1608}}"#,
        r#"{"t":1,"sender":"alice","cmds":[["settle",{"node":"N0"}]],"events":["Burned"]}"#,
    ] {
        let script = Script::read(&format!("{header}\n{untrue}")).unwrap();
        let stop = Runner::run(&script).err();
        assert!(
            matches!(stop, Some((0, super::runner::Stop::Unexpected(_)))),
            "{untrue}: {stop:?}"
        );
    }
}
