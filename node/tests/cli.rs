//! The real binary, offline: what people and scripts see.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use haulout_node::keys::{self, Kind, Secret};
use haulout_protocol::encoding::SHORT_BYTES;
use serde_json::Value;

/// A command line that sees no configuration but what a test gives it.
fn haulout(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haulout"));
    command.env_clear().env("HOME", home).current_dir(home).stdin(Stdio::null());
    command
}

fn run(home: &Path, args: &[&str]) -> Output {
    haulout(home).args(args).output().expect("the binary runs")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// The kind, the code and the exit code of a failure told as JSON.
fn failure(home: &Path, args: &[&str]) -> (String, Value) {
    let output = run(home, &[&["--json"], args].concat());
    let error = json(&output)["error"].clone();
    assert_eq!(
        output.status.code(),
        error["code"].as_i64().and_then(|code| i32::try_from(code).ok()),
        "{args:?}"
    );
    assert!(!error["hint"].as_str().expect("a hint").is_empty(), "{args:?}");
    // The failure itself is told once; that a ledger is waited for may be said in a sentence.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.lines().all(|line| line.starts_with("! ") && line.contains("waiting for it")),
        "{said}"
    );
    (error["kind"].as_str().expect("a kind").to_owned(), error)
}

/// Bytes that do not repeat: SplitMix64 from a seed, little-endian.
fn sample_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend((z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn the_content_hash_of_any_length_is_blake3_of_the_bytes() {
    let home = tempfile::tempdir().unwrap();
    for length in [0, 1, 1000, (32 << 20) - 1, 32 << 20, (32 << 20) + 1, (64 << 20) + 1025] {
        let bytes = sample_bytes(7, length);
        std::fs::write(home.path().join("file"), &bytes).unwrap();
        let output = run(home.path(), &["--json", "blob-id", "file", "--shards", "10"]);
        let answer = json(&output);
        assert_eq!(answer["content_hash"], blake3::hash(&bytes).to_hex().to_string(), "{length}");
        assert_eq!(answer["size"], length);
        let is_short = length <= usize::try_from(SHORT_BYTES).unwrap() && SHORT_BYTES > 0;
        assert_eq!(answer["encoding"], if is_short { 3 } else { 2 });
        assert_eq!(answer["blob_id"].as_str().map(str::len), Some(43));
    }
}

#[test]
fn a_blob_id_from_stdin_equals_the_one_of_the_file() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), sample_bytes(1, 100_000)).unwrap();
    let by_name = run(home.path(), &["-q", "blob-id", "file"]);
    let mut child = haulout(home.path())
        .args(["-q", "blob-id", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().expect("piped").write_all(&sample_bytes(1, 100_000)).unwrap();
    let by_stdin = child.wait_with_output().unwrap();
    assert!(by_name.status.success() && by_stdin.status.success());
    assert_eq!(by_name.stdout, by_stdin.stdout);
    let left = std::fs::read_dir(home.path().join(".local/state/haulout")).unwrap().count();
    assert_eq!(left, 0, "the copy of stdin has no name");
}

#[test]
fn walrus_ids_equal_those_of_walrus() {
    let vectors =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/vectors/walrus-rs2.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(vectors).unwrap()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for case in vectors.as_array().expect("a list") {
        let (seed, length) = (case["seed"].as_u64().unwrap(), case["length"].as_u64().unwrap());
        let shards = case["shards"].as_u64().unwrap().to_string();
        let bytes = sample_bytes(seed, usize::try_from(length).unwrap());
        std::fs::write(home.path().join("file"), bytes).unwrap();
        let args = ["--json", "blob-id", "file", "--walrus", "--shards", &shards];
        let answer = json(&run(home.path(), &args));
        assert_eq!(answer["walrus_blob_id"], case["walrus_blob_id"], "{seed} {length} {shards}");
        compared += 1;
    }
    assert!(compared > 0);
}

#[test]
fn a_malformed_id_is_a_usage_error_also_when_it_begins_with_a_hyphen() {
    let home = tempfile::tempdir().unwrap();
    for verb in ["get", "status", "read", "blob-status"] {
        for id in ["nonsense", "-sse", "AAAA="] {
            let (kind, error) = failure(home.path(), &[verb, id]);
            assert_eq!(kind, "USAGE");
            assert!(error["message"].as_str().expect("text").contains("not a blob id"), "{error}");
        }
    }
}

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
fn a_wallet_tells_its_address_without_a_ledger_and_never_its_key() {
    let home = tempfile::tempdir().unwrap();
    write_wallet(home.path(), 0o600);
    std::fs::write(home.path().join("haulout.toml"), "[wallet]\nkey_file = \"wallet.key\"\n")
        .unwrap();
    let told = run(home.path(), &["wallet", "address"]);
    let address = String::from_utf8(told.stdout).unwrap();
    assert!(address.starts_with("0x") && address.trim().len() == 66, "{address}");
    assert!(!address.contains(&"11".repeat(8)), "{address}");
    let told = json(&run(home.path(), &["wallet", "address", "--json"]));
    assert_eq!(told["address"], address.trim());
    assert_eq!(failure(home.path(), &["wallet"]).0, "CONFIG", "balances are the ledger's");
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
fn an_id_that_begins_with_a_hyphen_is_an_id() {
    let home = tempfile::tempdir().unwrap();
    let id = format!("-{}", "A".repeat(42));
    let (kind, _) = failure(home.path(), &["status", &id]);
    assert_eq!(kind, "CONFIG", "the id was understood; only the network is not configured");
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
fn a_file_in_place_of_an_id_is_told_with_a_command_that_works_when_pasted() {
    let home = tempfile::tempdir().unwrap();
    for name in ["a b", "-f"] {
        std::fs::write(home.path().join(name), "some bytes").unwrap();
    }
    for (line, before, after) in [
        (&["rm"][..], "haulout rm ", ""),
        (&["get"], "haulout get ", ""),
        (&["status"], "haulout status ", ""),
        (&["extend", "--epochs", "3"], "haulout extend ", " --epochs 3"),
    ] {
        for (name, word) in [("a b", "'a b'"), ("-f", "./-f")] {
            let (kind, error) = failure(home.path(), &[line, &[name]].concat());
            let expected = format!("`{before}$(haulout -q blob-id {word}){after}`");
            let hint = error["hint"].as_str().unwrap();
            assert!(kind == "USAGE" && hint.contains(&expected), "{hint}");
            let inner = format!("PATH={}:$PATH; haulout -q blob-id {word}", programs());
            let pasted = Command::new("sh").args(["-c", &inner]).current_dir(home.path()).output();
            assert_eq!(pasted.unwrap().stdout.trim_ascii().len(), 43, "{word}");
        }
    }
}

/// The folder of the binary.
fn programs() -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_haulout"));
    binary.parent().expect("a binary is in a folder").to_string_lossy().into_owned()
}

#[test]
fn a_new_wallet_makes_no_folder_that_was_named() {
    let home = tempfile::tempdir().unwrap();
    let line = ["wallet", "new", "--file", "no such/my.key"];
    let (kind, error) = failure(home.path(), &line);
    let folder = home.path().join("no such");
    let made = format!("`mkdir -p '{}'`", folder.to_string_lossy());
    assert!(kind == "FILE" && error["hint"].as_str().unwrap().contains(&made), "{error}");
    assert!(!folder.exists());
    std::fs::create_dir(&folder).unwrap();
    assert!(run(home.path(), &line).status.success());
    // The usual place is ours to make.
    assert!(run(home.path(), &["wallet", "new"]).status.success());
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

fn write_client(home: &Path, rpc: &str) {
    let text = format!(
        "[network]\nid = \"0x1\"\n[chain]\nrpc = \"{rpc}\"\npackage = \"0x2\"\nsystem = \"0x3\"\n\
         staking = \"0x4\"\nparams = \"0x5\"\ntreasury = \"0x6\"\n[client]\ntimeout = \"500ms\"\n[node]\ndata_dir = \"data\"\n\
         [wallet]\nkey_file = \"wallet.key\"\n"
    );
    std::fs::write(home.join("haulout.toml"), text).expect("the home folder is ours");
}

fn write_wallet(home: &Path, mode: u32) {
    let wallet = home.join("wallet.key");
    let written = std::fs::write(&wallet, format!("ed25519:{}\n", "11".repeat(32)));
    written.expect("the home folder is ours");
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&wallet, mode).expect("the wallet is ours");
}

#[test]
fn a_wallet_that_others_can_read_is_refused() {
    let home = tempfile::tempdir().unwrap();
    write_client(home.path(), "http://127.0.0.1:1");
    write_wallet(home.path(), 0o644);
    let (kind, error) = failure(home.path(), &["put", "haulout.toml"]);
    assert_eq!((kind.as_str(), &error["code"]), ("PERMISSION", &Value::from(8)));
    assert!(error["hint"].as_str().expect("text").contains("chmod 600"));
}

#[test]
fn a_node_makes_its_keys_for_its_owner_only() {
    let home = tempfile::tempdir().unwrap();
    write_client(home.path(), "http://127.0.0.1:1");
    write_wallet(home.path(), 0o600);
    let (kind, _) = failure(home.path(), &["--log-level", "off", "node", "run"]);
    assert_eq!(kind, "LEDGER_UNREACHABLE");
    for (path, mode) in [("", 0o700), ("network.key", 0o600), ("protocol.key", 0o600)] {
        let facts = std::fs::metadata(home.path().join("data/keys").join(path)).unwrap();
        assert_eq!(facts.permissions().mode() & 0o777, mode, "{path}");
    }
}

#[test]
fn a_taken_port_ends_a_node_before_it_starts() {
    let home = tempfile::tempdir().unwrap();
    write_client(home.path(), "http://127.0.0.1:1");
    write_wallet(home.path(), 0o600);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let address = format!("/ip4/127.0.0.1/tcp/{port}");
    let args = ["--log-level", "off", "node", "run", "--listen", &address];
    let (kind, error) = failure(home.path(), &args);
    assert_eq!((kind.as_str(), &error["code"]), ("PORT_IN_USE", &Value::from(14)));
    let http = format!("127.0.0.1:{port}");
    let (kind, _) = failure(home.path(), &["--log-level", "off", "node", "run", "--http", &http]);
    assert_eq!(kind, "PORT_IN_USE");
}

#[test]
fn a_second_process_on_a_data_directory_names_the_first() {
    let home = tempfile::tempdir().unwrap();
    write_client(home.path(), "http://127.0.0.1:1");
    write_wallet(home.path(), 0o600);
    let store = home.path().join("data/store");
    std::fs::create_dir_all(&store).unwrap();
    for (name, kind) in [("network", Kind::Ed25519), ("protocol", Kind::Bls12381)] {
        let file = home.path().join(format!("data/keys/{name}.key"));
        keys::create(&file, &Secret::generate(kind).unwrap()).unwrap();
    }
    let _held = haulout_storage::Store::open(&store, haulout_storage::Options::default()).unwrap();
    let (kind, error) = failure(home.path(), &["--log-level", "off", "node", "run"]);
    assert_eq!((kind.as_str(), &error["code"]), ("LOCKED", &Value::from(14)));
    assert_eq!(error["details"]["pid"], std::process::id());
}

#[test]
fn contexts_are_listed_shown_and_switched() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/haulout/contexts");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("devnet.toml"), "[network]\nid = \"0x1\"\n").unwrap();
    std::fs::write(folder.join("other.toml"), "[network]\nid = \"0x2\"\n").unwrap();
    let switched = json(&run(home.path(), &["--json", "context", "use", "devnet"]));
    assert_eq!((&switched["active"], &switched["previous"]), (&"devnet".into(), &Value::Null));
    let listed = json(&run(home.path(), &["--json", "context", "ls"]));
    assert_eq!(listed["contexts"].as_array().map(Vec::len), Some(2));
    assert_eq!(listed["active"], "devnet");
    let shown = run(home.path(), &["-q", "context", "show"]);
    assert!(String::from_utf8(shown.stdout).unwrap().contains("0x1"));
    assert_eq!(failure(home.path(), &["context", "use", "../x"]).0, "USAGE");
    assert_eq!(failure(home.path(), &["context", "use", "none"]).0, "CONFIG");
    let (_, error) = failure(home.path(), &["status", &"A".repeat(43)]);
    assert!(error["message"].as_str().expect("text").contains("devnet.toml"), "{error}");
}

#[test]
fn a_context_that_goes_gives_way_to_the_one_before_it() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/haulout/contexts");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["one", "two", "three"] {
        std::fs::write(folder.join(format!("{name}.toml")), "[network]\nid = \"0x1\"\n").unwrap();
        assert!(run(home.path(), &["context", "use", name]).status.success());
    }
    let removed =
        |name: &str| json(&run(home.path(), &["--json", "context", "rm", name]))["active"].clone();
    assert_eq!(removed("two"), "three", "one that is not active goes without a change");
    assert_eq!(removed("three"), "one");
    assert_eq!(removed("one"), Value::Null);
    assert_eq!(failure(home.path(), &["context", "rm", "one"]).0, "CONFIG");
    assert_eq!(failure(home.path(), &["context", "rm", "../one"]).0, "USAGE");
    // One whose file was deleted by hand is named, and can be forgotten.
    std::fs::write(folder.join("four.toml"), "").unwrap();
    assert!(run(home.path(), &["context", "use", "four"]).status.success());
    std::fs::remove_file(folder.join("four.toml")).unwrap();
    let (kind, error) = failure(home.path(), &["ls"]);
    assert_eq!(kind, "CONFIG");
    assert!(error["hint"].as_str().expect("text").contains("`haulout context rm four`"), "{error}");
    assert_eq!(removed("four"), Value::Null);
}

#[test]
fn commands_in_hints_carry_the_configuration_and_the_context_that_were_given() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("my file.toml"), "[network]\nid = \"0x1\"\n").unwrap();
    // What is said on stderr meanwhile, of a ledger that is waited for, is not looked at here.
    let hint = |args: &[&str]| {
        let told = json(&run(home.path(), &[&["--json"], args].concat()));
        told["error"]["hint"].as_str().expect("a hint").to_owned()
    };
    let by_file = hint(&["--config", "my file.toml", "ls"]);
    assert!(by_file.contains("`haulout --config 'my file.toml' config`"), "{by_file}");
    let folder = home.path().join(".config/haulout/contexts");
    std::fs::create_dir_all(&folder).unwrap();
    let text = "[network]\nid = \"0x1\"\n[chain]\nrpc = \"http://127.0.0.1:1\"\npackage = \"0x2\"\n\
                system = \"0x3\"\nstaking = \"0x4\"\nparams = \"0x5\"\ntreasury = \"0x6\"\n\
                [client]\ntimeout = \"200ms\"\n";
    std::fs::write(folder.join("devnet-night.toml"), text).unwrap();
    let by_context = hint(&["info", "--context", "devnet-night"]);
    assert!(by_context.contains("`devnet --name night status`"), "{by_context}");
    let nothing_given = hint(&["ls"]);
    assert!(nothing_given.contains("`haulout config`"), "{nothing_given}");
}

#[test]
fn a_new_wallet_needs_no_configuration_and_is_never_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let made = json(&run(home.path(), &["--json", "wallet", "new"]));
    let file = home.path().join(".config/haulout/wallet.key");
    assert_eq!(made["key_file"], file.display().to_string());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&file).unwrap();
    let (kind, error) = failure(home.path(), &["wallet", "new"]);
    assert_eq!(kind, "FILE");
    assert!(error["hint"].as_str().expect("text").contains("another file"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let used = haulout(home.path())
        .args(["--json", "wallet", "address"])
        .env("HAULOUT_WALLET__KEY_FILE", &file)
        .output()
        .unwrap();
    assert_eq!(json(&used)["address"], made["address"]);
    let text =
        String::from_utf8(run(home.path(), &["wallet", "new", "--file", "b.key"]).stdout).unwrap();
    assert!(
        text.contains("devnet faucet 0x") && text.contains("HAULOUT_WALLET__KEY_FILE="),
        "{text}"
    );
}

#[test]
fn every_kind_has_a_page_and_the_example_configuration_is_printed() {
    let home = tempfile::tempdir().unwrap();
    let listed = json(&run(home.path(), &["--json", "help", "errors"]));
    let errors = listed["errors"].as_array().expect("a list").clone();
    assert!(errors.len() > 15);
    for error in errors {
        let name = error["kind"].as_str().expect("a name").to_owned();
        let page = run(home.path(), &["help", "errors", &name]);
        assert!(String::from_utf8(page.stdout).unwrap().starts_with(&name));
    }
    let example = run(home.path(), &["config"]);
    assert_eq!(String::from_utf8(example.stdout).unwrap(), haulout_node::Config::example());
    assert!(run(home.path(), &["help", "put"]).status.success());
    assert!(run(home.path(), &["--version"]).status.success());
}

#[test]
fn a_bench_tells_each_operation_its_limit_and_their_ratio() {
    let home = tempfile::tempdir().unwrap();
    let some = ["bench", "encode", "--shards", "4,10", "--size", "1KiB", "--time", "1"];
    let output =
        run(home.path(), &[&some[..], &["--operation", "encode,serve-symbol", "--json"]].concat());
    assert_eq!(output.status.code(), Some(0));
    let told = json(&output);
    let rows = told["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    for (row, (operation, shards)) in
        rows.iter().zip([("encode", 4), ("encode", 10), ("serve-symbol", 4), ("serve-symbol", 10)])
    {
        assert_eq!(
            (row["operation"].as_str(), row["shards"].as_u64()),
            (Some(operation), Some(shards))
        );
        assert_eq!(row["bytes"], 1024);
        let number = |name: &str| row[name].as_f64().expect("a number");
        let ratio = number("cpu_seconds") / number("limit_seconds");
        assert!((number("ratio") - ratio).abs() < 1e-9 && ratio > 0.0);
    }
    let (kind, _) = failure(home.path(), &["bench", "encode", "--size", "2GiB"]);
    assert_eq!(kind, "USAGE");
    let (kind, _) = failure(home.path(), &["bench", "encode", "--shards", "3"]);
    assert_eq!(kind, "USAGE");
    let (kind, _) = failure(home.path(), &["bench", "encode", "--operation", "sing"]);
    assert_eq!(kind, "USAGE");
}
