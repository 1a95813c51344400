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

/// A command whose stdout a shell opens, or closes, as `redirection` says.
fn by_shell(home: &Path, redirection: &str, args: &[&str]) -> Output {
    let mut command = Command::new("sh");
    let line = format!("exec \"$0\" \"$@\" {redirection}");
    command.args(["-c", &line, env!("CARGO_BIN_EXE_haulout")]).args(args);
    command.env_clear().env("HOME", home).current_dir(home).stdin(Stdio::null());
    command.output().expect("there is a shell")
}

#[test]
fn an_answer_to_a_closed_stdout_stands_on_stderr() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), "some bytes").unwrap();
    let id = haulout(home.path()).args(["-q", "blob-id", "file"]).output().unwrap().stdout;
    let id = String::from_utf8(id).unwrap().trim().to_owned();
    for args in
        [&["blob-id", "file"][..], &["-q", "blob-id", "file"], &["--json", "blob-id", "file"]]
    {
        let told = by_shell(home.path(), ">&-", args);
        let text = harmless(&told);
        assert!(text.contains(&id) && text.contains("stdout is closed"), "{args:?}: {text}");
        // Who says that the answer is not wanted hears nothing of it.
        let told = by_shell(home.path(), ">/dev/null", args);
        assert!(told.status.success() && told.stderr.is_empty(), "{}", harmless(&told));
    }
}

#[test]
fn a_node_that_is_not_new_is_given_no_new_keys() {
    let home = tempfile::tempdir().unwrap();
    let text = "[network]\nid = \"0x1\"\n[chain]\nrpc = \"http://127.0.0.1:1\"\npackage = \"0x2\"\n\
                system = \"0x3\"\nstaking = \"0x4\"\nparams = \"0x5\"\ntreasury = \"0x6\"\n\
                [node]\ndata_dir = \"data\"\n";
    let run = |text: &str| {
        std::fs::write(home.path().join("node.toml"), text).unwrap();
        let run = ["--config", "node.toml", "node", "run"];
        let told = haulout(home.path()).args(run).output().unwrap();
        assert_eq!(told.status.code(), Some(3), "{}", harmless(&told));
        assert!(!home.path().join("data/keys").exists());
        harmless(&told)
    };
    let registered = run(&format!("{text}id = \"0x12\"\n"));
    assert!(registered.contains("data/keys/network.key is missing"), "{registered}");
    std::fs::create_dir_all(home.path().join("data/store")).unwrap();
    std::fs::write(home.path().join("data/store/index.redb"), "").unwrap();
    let stored = run(text);
    assert!(stored.contains("its store") && stored.contains("put the file back"), "{stored}");
    let hint = "`haulout --config node.toml node register`";
    assert!(stored.contains(hint), "{stored}");
}

#[test]
fn a_file_that_holds_no_key_is_said_to_be_none_whatever_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("haulout.toml"), "[wallet]\nkey_file = \"notes\"\n").unwrap();
    for bytes in [&b"dear diary"[..], b"\xff\xfe", b""] {
        std::fs::write(home.path().join("notes"), bytes).unwrap();
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(home.path().join("notes"), mode).unwrap();
        let told = haulout(home.path()).args(["wallet", "address"]).output().unwrap();
        let text = harmless(&told);
        assert_eq!(told.status.code(), Some(3), "{text}");
        assert!(text.contains("is not a key file") && !text.contains("chmod"), "{text}");
    }
}

#[test]
fn what_is_no_blob_id_leads_to_the_list_of_ids() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("my file"), "some bytes").unwrap();
    let object = format!("0x{}", "1".repeat(64));
    for (text, said) in [
        ("notes.txt", "43 characters"),
        (&*object, "this is an object's id"),
        ("my file", "`haulout get $(haulout -q blob-id 'my file')`"),
    ] {
        let told = haulout(home.path()).args(["get", text]).output().unwrap();
        let told = harmless(&told);
        assert!(told.contains(said) && told.contains("`haulout ls`"), "{text}: {told}");
    }
}

#[test]
fn a_broken_file_of_the_active_context_is_a_fault_of_the_configuration_and_can_be_mended() {
    let home = tempfile::tempdir().unwrap();
    let contexts = home.path().join(".config/haulout/contexts");
    std::fs::create_dir_all(&contexts).unwrap();
    std::fs::write(contexts.join("devnet.toml"), "[network]\nid = \"0x1\"\n").unwrap();
    let active = home.path().join(".config/haulout/active-context");
    for bytes in [&b"../../etc/passwd\n"[..], b"\xff\xfe\n", b"two words"] {
        std::fs::write(&active, bytes).unwrap();
        let told = haulout(home.path()).arg("info").output().unwrap();
        let text = harmless(&told);
        assert_eq!(told.status.code(), Some(3), "{text}");
        assert!(text.contains("active-context") && text.contains("`haulout context use"), "{text}");
        let listed = haulout(home.path()).args(["-q", "context", "ls"]).output().unwrap();
        assert_eq!(listed.stdout, b"devnet\n");
        let used = haulout(home.path()).args(["context", "use", "devnet"]).output().unwrap();
        assert!(used.status.success(), "{}", harmless(&used));
    }
}

#[test]
fn hints_name_the_devnet_that_a_configuration_is_of_and_none_that_it_is_not_of() {
    let home = tempfile::tempdir().unwrap();
    let text = "[network]\nid = \"0x1\"\n[chain]\nrpc = \"http://127.0.0.1:1\"\npackage = \"0x2\"\n\
                system = \"0x3\"\nstaking = \"0x4\"\nparams = \"0x5\"\ntreasury = \"0x6\"\n\
                [client]\ntimeout = \"200ms\"\n";
    let folder = home.path().join(".local/state/haulout/devnet/night");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("client.toml"), text).unwrap();
    std::fs::write(home.path().join("elsewhere.toml"), text).unwrap();
    let hint = |file: &str| {
        let told = haulout(home.path()).args(["info", "--config", file]).output().unwrap();
        harmless(&told)
    };
    let night = hint(".local/state/haulout/devnet/night/client.toml");
    assert!(night.contains("`devnet --name night status`"), "{night}");
    let elsewhere = hint("elsewhere.toml");
    assert!(elsewhere.contains("check chain.rpc") && !elsewhere.contains("devnet"), "{elsewhere}");
}

#[test]
fn help_explains_a_word_and_an_error_by_whatever_name() {
    let home = tempfile::tempdir().unwrap();
    for (topic, said) in [
        (&["words", "gas"][..], "gas        what the ledger takes"),
        (&["gas"], "gas        what the ledger takes"),
        (&["wal"], "WAL        the token"),
        (&["words", "WAL", "frost"], "FROST      the smallest"),
        (&["errors", "9"], "FUNDS  exit code 9"),
        (&["9"], "FUNDS  exit code 9"),
        (&["funds"], "FUNDS  exit code 9"),
        (&["errors", "5"], "LEDGER_UNREACHABLE  exit code 5"),
        (&["errors", "5"], "NO_NETWORK  exit code 5"),
        (&["stake", "add"], "Stake with a node"),
    ] {
        let told = haulout(home.path()).arg("help").args(topic).output().unwrap();
        assert!(told.status.success() && harmless(&told).contains(said), "{topic:?}");
    }
    for topic in [&["words", "rain"][..], &["errors", "99"], &["rain"], &["put", "rain"]] {
        let told = haulout(home.path()).arg("help").args(topic).output().unwrap();
        assert_eq!(told.status.code(), Some(2), "{topic:?}");
        assert!(harmless(&told).contains("`haulout help"), "{topic:?}");
    }
}
