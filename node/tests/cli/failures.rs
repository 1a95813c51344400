//! What goes wrong, as people and programs hear of it.

use serde_json::Value;

use crate::home::{failure, run, write_client, write_wallet};

#[test]
fn what_an_owner_changes_must_be_named_exactly_once() {
    let home = tempfile::tempdir().unwrap();
    let (id, object) = ("A".repeat(43), format!("0x{}", "1".repeat(64)));
    for wrong in [
        vec!["rm"],
        vec!["rm", &id, "--object", &object, "--yes"],
        vec!["rm", &id, "--yes", "--dry-run"],
        vec!["rm", "--object", "12", "--yes"],
        vec!["rm", "-sse", "--yes"],
        vec!["extend", &id, "--yes"],
        vec!["extend", &id, "--epochs", "0", "--yes"],
        vec!["extend", "--epochs", "1", "--yes"],
        vec!["extend", "nonsense", "--epochs", "1", "--yes"],
        vec!["wallet", "key"],
    ] {
        assert_eq!(failure(home.path(), &wrong).0, "USAGE", "{wrong:?}");
    }
    for right in [
        vec!["rm", &id, "--yes"],
        vec!["rm", &object, "--burn", "--yes"],
        vec!["extend", "--object", &object, "--epochs", "1", "--dry-run"],
        vec!["ls"],
        vec!["info"],
        vec!["wallet"],
    ] {
        assert_eq!(failure(home.path(), &right).0, "CONFIG", "{right:?}: understood");
    }
}

#[test]
fn commands_of_the_ledger_tell_when_it_does_not_answer() {
    let home = tempfile::tempdir().unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    write_client(home.path(), &format!("http://{address}"));
    write_wallet(home.path(), 0o600);
    let id = "A".repeat(43);
    for verb in [
        vec!["ls"],
        vec!["info"],
        vec!["wallet"],
        vec!["rm", &id, "--yes"],
        vec!["extend", &id, "--epochs", "1", "--dry-run"],
        vec!["put", "haulout.toml", "--dry-run"],
        // What is asked for is looked at before anybody is asked to agree to it.
        vec!["rm", &id],
        vec!["stake", "add", "tern", "5"],
    ] {
        assert_eq!(failure(home.path(), &verb).0, "LEDGER_UNREACHABLE", "{verb:?}");
    }
}

#[test]
fn errors_of_the_parser_are_json_too() {
    let home = tempfile::tempdir().unwrap();
    for (line, message, hint) in [
        (
            &["put"][..],
            "the following required arguments were not provided: <FILE>...",
            "usage: haulout put <FILE>...; `haulout help put` explains it",
        ),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'", "`haulout help` explains it"),
        (&["lss"], "unrecognized subcommand 'lss'", "a similar subcommand exists: 'ls'; usage: "),
        (
            &["put", "a", "--epochs", "0"],
            "'--epochs <N>': it is a whole number of epochs, 1 or more",
            "`haulout help put`",
        ),
        (&["stake", "add", "-z"], "unexpected argument '-z'", "`haulout help stake add` explains"),
        (&[], "no command was given", "`haulout help` lists them"),
        (&["stake"], "no command was given", "`haulout help stake` lists them"),
        (&["ls", "--sort", "x"], "[possible values: ", "`haulout help ls`"),
    ] {
        let (kind, error) = failure(home.path(), line);
        assert_eq!((kind.as_str(), &error["code"]), ("USAGE", &Value::from(2)), "{line:?}");
        let said = (error["message"].as_str().unwrap(), error["hint"].as_str().unwrap());
        assert!(said.0.contains(message) && said.1.contains(hint), "{line:?}: {said:?}");
        // People read the same in the form of every other failure.
        let output = run(home.path(), line);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]), "{line:?}");
        assert!(told.ends_with(&format!("✗ USAGE  {}\n  {}\n", said.0, said.1)), "{told}");
        assert_eq!(told.contains("Commands:"), message.starts_with("no command"), "{told}");
        // What it names works when pasted.
        let command = said.1.rsplit_once('`').unwrap().0.rsplit_once('`').unwrap().1;
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        assert!(run(home.path(), &words).status.success(), "{command}");
    }
}

#[test]
fn people_get_the_kind_the_message_and_the_next_step_on_stderr() {
    let home = tempfile::tempdir().unwrap();
    let output = run(home.path(), &["blob-id", "missing.bin"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.starts_with("✗ FILE  cannot read missing.bin"), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn a_truncated_configuration_names_file_and_line() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("haulout.toml"),
        "[network]\nid = \"0x1\"\n[chain]\nrpc = \"htt",
    )
    .unwrap();
    let id = "A".repeat(43);
    let (kind, error) = failure(home.path(), &["status", &id]);
    assert_eq!(kind, "CONFIG");
    assert!(error["message"].as_str().expect("text").contains("haulout.toml:4"), "{error}");
    assert_eq!(error["details"]["line"], 4);
}

#[test]
fn an_unreachable_ledger_has_its_own_kind() {
    let home = tempfile::tempdir().unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    write_client(home.path(), &format!("http://{address}"));
    let (kind, error) = failure(home.path(), &["status", &"A".repeat(43)]);
    assert_eq!((kind.as_str(), &error["code"]), ("LEDGER_UNREACHABLE", &Value::from(5)));
    assert_eq!(error["retryable"], true);
}

#[test]
fn a_ledger_that_is_waited_for_is_told_in_one_sentence_and_not_to_programs() {
    let home = tempfile::tempdir().unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    write_client(home.path(), &format!("http://{address}"));
    write_wallet(home.path(), 0o600);
    for verb in [&["put", "haulout.toml"][..], &["ls"], &["status", &"A".repeat(43)]] {
        let told = String::from_utf8(run(home.path(), verb).stderr).unwrap();
        let sentence = format!("! the ledger at http://{address} does not answer (");
        assert!(told.starts_with(&sentence), "{told}");
        assert_eq!(told.matches("waiting for it, up to 500ms").count(), 1, "{told}");
        let rest = told.split_once('\n').unwrap().1;
        assert!(
            rest.starts_with("✗ LEDGER_UNREACHABLE  the ledger at ") && rest.lines().count() == 2
        );
        assert_eq!(told.matches("check").count(), 1, "the way out is told once: {told}");
        assert!(told.contains("and `devnet restart ledger` starts it again"), "{told}");
        let told = run(home.path(), &[&["-q"], verb].concat());
        let told = String::from_utf8(told.stderr).unwrap();
        assert!(told.starts_with("✗ LEDGER_UNREACHABLE  "), "{told}");
        // Whoever asks for a log gets one.
        let told = run(home.path(), &[&["-v"], verb].concat());
        assert!(String::from_utf8(told.stderr).unwrap().contains(" WARN "));
    }
}

#[test]
fn a_ledger_that_is_slow_is_not_told_as_one_that_does_not_answer() {
    let home = tempfile::tempdir().unwrap();
    // It takes every connection and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    write_client(home.path(), &format!("http://{}", listener.local_addr().unwrap()));
    write_wallet(home.path(), 0o600);
    let output = run(home.path(), &["ls"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{told}");
    assert!(told.contains(" is slow (no answer in time)"), "{told}");
    assert!(!told.contains("does not answer"), "{told}");
}
