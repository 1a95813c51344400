//! The real binary, offline: answers are not lost, and names that strangers chose do not act.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What a name may try: a colour, a line of ours, writing turned round, a C1 control, no width.
const ATTACK: &str = "\u{1b}[31mRED\n✗ BAD  forged\u{202e}\u{9b}2J\u{200b}";

/// A command line that sees no configuration but what a test gives it.
fn haulout(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haulout"));
    command.env_clear().env("HOME", home).current_dir(home).stdin(Stdio::null());
    command
}

fn acts(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
}

/// What was said on both ways, if nothing in it acts.
fn harmless(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8(said).expect("what is printed is UTF-8");
    assert!(!said.contains(acts), "{said:?}");
    assert!(!said.lines().any(|line| line.starts_with("✗ BAD")), "a forged line: {said}");
    said
}

fn full() -> Stdio {
    let device = std::fs::OpenOptions::new().write(true).open("/dev/full");
    device.expect("Linux has a device that is always full").into()
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_a_failure_and_stands_on_stderr() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), "some bytes").unwrap();
    let id = haulout(home.path()).args(["-q", "blob-id", "file"]).output().unwrap().stdout;
    let id = String::from_utf8(id).unwrap().trim().to_owned();
    for (args, answer) in [
        (vec!["blob-id", "file"], &*id),
        (vec!["-q", "blob-id", "file"], &*id),
        (vec!["--json", "blob-id", "file"], &*id),
        (vec!["context", "ls"], "no contexts yet"),
        (vec!["help", "errors", "full"], "FULL"),
        (vec!["config"], ""),
        (vec!["--json", "config"], ""),
        (vec!["help", "put"], ""),
        (vec!["--help"], ""),
        (vec!["--version"], ""),
    ] {
        let told = haulout(home.path()).args(&args).stdout(full()).output().unwrap();
        assert_eq!(told.status.code(), Some(13), "{args:?}");
        let text = harmless(&told);
        assert!(text.contains(answer) && text.contains("FULL"), "{args:?}: {text}");
        assert!(text.contains("cannot write the answer to stdout"), "{args:?}: {text}");
    }
    // A failure is told on stderr, too, and keeps its code.
    let told = haulout(home.path()).args(["--json", "get", "no-id"]).stdout(full()).output();
    let told = told.unwrap();
    let error: Value = serde_json::from_slice(&told.stderr).unwrap();
    assert_eq!((told.status.code(), &error["error"]["kind"]), (Some(2), &"USAGE".into()));
}

#[test]
fn a_reader_that_went_away_hears_nothing_and_the_exit_code_is_that_of_other_tools() {
    let home = tempfile::tempdir().unwrap();
    for args in [vec!["config"], vec!["help", "errors"], vec!["--json", "help", "errors"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let told = haulout(home.path()).args(&args).stdout(writer).output().unwrap();
        assert_eq!(told.status.code(), Some(141), "{args:?}");
        assert!(told.stderr.is_empty(), "{}", String::from_utf8_lossy(&told.stderr));
    }
}

#[test]
fn names_that_try_to_act_are_shown_and_do_not() {
    let home = tempfile::tempdir().unwrap();
    let id = "A".repeat(43);
    for args in [
        vec!["get", ATTACK],
        vec!["status", ATTACK],
        vec!["blob-id", ATTACK],
        vec!["put", ATTACK],
        vec!["rm", ATTACK, "--yes"],
        vec!["extend", "--object", ATTACK, "--epochs", "1", "--yes"],
        vec!["get", &id, "--config", ATTACK],
        vec!["get", &id, "--context", ATTACK],
        vec!["get", &id, "--bootstrap", ATTACK],
        vec!["get", &id, "--log-level", ATTACK],
        vec!["get", &id, ATTACK],
        vec!["bench", "encode", "--operation", ATTACK],
        vec!["stake", "add", "tern", ATTACK],
        vec!["stake", "add", ATTACK, "5", "--yes"],
        vec!["node", "set", "--metadata", ATTACK, "--yes"],
        vec!["node", "run", "--data-dir", ATTACK],
        vec!["context", "use", ATTACK],
        vec!["context", "show", ATTACK],
        vec!["help", ATTACK],
        vec!["help", "errors", ATTACK],
        vec![ATTACK],
    ] {
        for json in [&[][..], &["--json"]] {
            let told = haulout(home.path()).args(json).args(&args).output().unwrap();
            assert_ne!(told.status.code(), Some(0), "{args:?}");
            harmless(&told);
        }
    }
    // And where there is an answer: the file's own name, and the text of a context.
    std::fs::write(home.path().join("file\u{202e}\u{1b}[31m\n✗ BAD"), "some bytes").unwrap();
    let contexts = home.path().join(".config/haulout/contexts");
    std::fs::create_dir_all(&contexts).unwrap();
    std::fs::write(contexts.join("devnet.toml"), "# \u{1b}[31m\u{202e}\n").unwrap();
    let shown = haulout(home.path()).args(["context", "show", "devnet"]).output().unwrap();
    assert!(harmless(&shown).contains(r"# \u{1b}[31m\u{202e}"));
    // Programs that want the bytes get the bytes.
    let exact = haulout(home.path()).args(["-q", "context", "show", "devnet"]).output().unwrap();
    assert!(exact.stdout.starts_with("# \u{1b}[31m\u{202e}\n".as_bytes()));
}

#[test]
fn a_long_answer_ends_with_its_reader() {
    let home = tempfile::tempdir().unwrap();
    let mut child =
        haulout(home.path()).arg("config").stdout(Stdio::piped()).spawn().expect("it runs");
    let mut some = [0; 10];
    child.stdout.take().expect("piped").read_exact(&mut some).unwrap();
    assert!(child.wait().unwrap().code().is_some_and(|code| code == 0 || code == 141));
}

#[test]
fn a_wallet_setting_that_names_no_file_is_blamed_by_its_name_and_no_mode_is_changed() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("folder")).unwrap();
    for (value, said) in
        [("", "is empty"), ("folder", "which is a folder"), ("missing", "which does not exist")]
    {
        let text = format!("[wallet]\nkey_file = \"{value}\"\n");
        std::fs::write(home.path().join("haulout.toml"), text).unwrap();
        for verb in [vec!["wallet", "address"], vec!["wallet", "ls"]] {
            let told = haulout(home.path()).args(&verb).output().unwrap();
            let text = harmless(&told);
            assert_eq!(told.status.code(), Some(3), "{text}");
            for part in ["haulout.toml", "wallet.key_file", said] {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert!(!text.contains("chmod"), "{text}");
        }
    }
}
