//! The real binary, offline: what stakers and operators may type, and whose wallet is used.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// An entry of Sui's keystore: ed25519, thirty-two times 0x11.
const ENTRY: &str = "ABERERERERERERERERERERERERERERERERERERERERER";
/// Its address.
const ADDRESS: &str = "0x0881c07520943bbf13989b92892093c1b50672156fa5f873c22892701cb2e207";

/// A command line that sees no configuration but what a test gives it.
fn run(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haulout"));
    command.env_clear().env("HOME", home).current_dir(home).stdin(Stdio::null());
    command.args(args).output().expect("the binary runs")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// The kind of a failure, and all of it.
fn failure(home: &Path, args: &[&str]) -> (String, Value) {
    let output = run(home, &[&["--json"], args].concat());
    let error = json(&output)["error"].clone();
    let code = error["code"].as_i64().and_then(|code| i32::try_from(code).ok());
    assert_eq!(output.status.code(), code, "{args:?}");
    (error["kind"].as_str().expect("a kind").to_owned(), error)
}

/// Writes Sui's own files with one key.
fn write_sui(folder: &Path, address: &str, mode: u32) {
    std::fs::create_dir_all(folder).expect("the folder of a test can be written");
    let keystore = folder.join("sui.keystore");
    std::fs::write(&keystore, format!("[\n  \"{ENTRY}\"\n]"))
        .expect("the folder of a test can be written");
    std::fs::set_permissions(&keystore, std::fs::Permissions::from_mode(mode))
        .expect("the folder of a test can be written");
    let text = format!(
        "---\nkeystore:\n  File: {}\nenvs: []\nactive_env: ~\nactive_address: \"{address}\"\n",
        keystore.display()
    );
    std::fs::write(folder.join("client.yaml"), text).expect("the folder of a test can be written");
}

fn write_client(home: &Path, rpc: &str) {
    let text = format!(
        "[network]\nid = \"0x1\"\n[chain]\nrpc = \"{rpc}\"\npackage = \"0x2\"\nsystem = \"0x3\"\n\
         staking = \"0x4\"\nparams = \"0x5\"\ntreasury = \"0x6\"\n[client]\ntimeout = \"500ms\"\n"
    );
    std::fs::write(home.join("haulout.toml"), text).expect("the folder of a test can be written");
}

#[test]
fn stake_and_its_steps_must_be_named_exactly() {
    let home = tempfile::tempdir().unwrap();
    let receipt = format!("0x{}", "1".repeat(64));
    for wrong in [
        vec!["stake"],
        vec!["stake", "add", "tern", "--yes"],
        vec!["stake", "add", "tern", "5SUI", "--yes"],
        vec!["stake", "add", "tern", "-5", "--yes"],
        vec!["stake", "add", "tern", "0.0000000001", "--yes"],
        vec!["stake", "add", "tern", "5", "--yes", "--dry-run"],
        vec!["stake", "withdraw", "--yes"],
        vec!["stake", "withdraw", &receipt, "--all", "--yes"],
        vec!["stake", "withdraw", &receipt, "--node", "tern", "--yes"],
        vec!["stake", "withdraw", "12", "--yes"],
        vec!["stake", "split", &receipt, "--yes"],
        vec!["stake", "join", &receipt, "--yes"],
        vec!["stake", "nodes", "--sort", "beauty"],
        vec!["node", "vote", "--yes"],
        vec!["node", "vote", "--capacity", "much", "--yes"],
        vec!["node", "register", "--yes"],
        vec!["node", "register", "--capacity", "1TiB", "--commission", "101%", "--yes"],
        vec!["node", "register", "--capacity", "1TiB", "--metadata", "site", "--yes"],
        vec!["node", "set", "--yes"],
        vec!["node", "set", "--metadata", "site", "--yes"],
        vec!["node", "set", "--address", "/ip4/1.2.3.4/tcp/1", "--addresses-from-config", "--yes"],
        vec!["node", "commission"],
        vec!["node", "commission", "set", "--yes"],
        vec!["node", "commission", "set", "101%", "--yes"],
        vec!["node", "commission", "set", "7.5bps", "--yes"],
        vec!["node", "commission", "receiver", "--yes"],
        vec!["node", "commission", "receiver", "12", "--yes"],
        vec!["node", "commission", "receiver", &receipt, "--cap", "--yes"],
        vec!["wallet", "keys"],
    ] {
        assert_eq!(failure(home.path(), &wrong).0, "USAGE", "{wrong:?}");
    }
    for right in [
        vec!["stake", "nodes", "--sort", "price"],
        vec!["stake", "add", "tern", "0.5WAL", "--dry-run"],
        vec!["stake", "add", &receipt, "123FROST", "--yes"],
        vec!["stake", "ls"],
        vec!["stake", "withdraw", "--all", "--node", "tern", "--yes"],
        vec!["stake", "withdraw", &receipt, "--dry-run"],
        vec!["stake", "split", &receipt, "1", "--yes"],
        vec!["stake", "join", &receipt, &receipt, "--dry-run"],
        vec!["node", "register", "--capacity", "1TiB", "--commission", "2.5%", "--dry-run"],
        vec!["node", "vote", "--storage-price", "900FROST", "--yes"],
        vec!["node", "commission", "collect", "--dry-run"],
        vec!["node", "commission", "collect", "--node", "tern", "--yes"],
        vec!["node", "commission", "set", "7.5%", "--dry-run"],
        vec!["node", "commission", "set", "500bps", "--node", "tern", "--yes"],
        vec!["node", "commission", "receiver", &receipt, "--yes"],
        vec!["node", "commission", "receiver", "--cap", "--dry-run"],
        vec!["node", "set", "--name", "tern", "--address", "/ip4/1.2.3.4/tcp/1", "--yes"],
        vec!["node", "set", "--addresses-from-config", "--remove-metadata", "site", "--dry-run"],
        vec!["node", "exit", "--withdraw-bond", "--yes"],
        vec!["node", "show", "--node", "tern"],
        vec!["wallet", "ls"],
    ] {
        assert_eq!(failure(home.path(), &right).0, "CONFIG", "{right:?}: understood");
    }
}

#[test]
fn what_is_wrong_is_told_before_anybody_is_asked_to_agree() {
    let home = tempfile::tempdir().unwrap();
    for verb in [
        vec!["stake", "add", "tern", "5"],
        vec!["stake", "withdraw", "--all"],
        vec!["node", "vote", "--storage-price", "900FROST"],
        vec!["node", "exit"],
        vec!["node", "register", "--capacity", "1TiB"],
        vec!["node", "set", "--name", "tern"],
        vec!["node", "commission", "set", "5%"],
        vec!["node", "commission", "receiver", "--cap"],
    ] {
        let (kind, error) = failure(home.path(), &verb);
        assert_eq!(kind, "CONFIG", "nothing is configured, and that comes first: {verb:?}");
        assert!(!error["hint"].as_str().unwrap().contains("--yes"), "{verb:?}: {error}");
    }
}

#[test]
fn a_ledger_that_does_not_answer_is_named_as_such() {
    let home = tempfile::tempdir().unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    write_client(home.path(), &format!("http://{address}"));
    write_sui(&home.path().join(".sui/sui_config"), ADDRESS, 0o600);
    for verb in [
        vec!["stake", "nodes"],
        vec!["stake", "ls"],
        vec!["stake", "add", "tern", "5", "--dry-run"],
        vec!["stake", "withdraw", "--all", "--dry-run"],
        vec!["node", "show"],
        vec!["node", "commission", "collect", "--yes"],
        vec!["node", "set", "--name", "tern", "--yes"],
    ] {
        assert_eq!(failure(home.path(), &verb).0, "LEDGER_UNREACHABLE", "{verb:?}");
    }
}

#[test]
fn a_sui_user_has_a_wallet_at_once_and_may_choose_another_address() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(failure(home.path(), &["wallet", "address"]).0, "CONFIG", "there is none");
    write_sui(&home.path().join(".sui/sui_config"), ADDRESS, 0o600);
    let told = json(&run(home.path(), &["wallet", "address", "--json"]));
    assert_eq!(told["address"], ADDRESS);
    let listed = run(home.path(), &["wallet", "ls"]);
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), format!("* {ADDRESS}\n"));

    // Another configuration, with an address whose key is not there.
    let (other, absent) = (home.path().join("other"), format!("0x{}", "2".repeat(64)));
    write_sui(&other, &absent, 0o600);
    let wallet = "[wallet]\nsui_config = \"other/client.yaml\"\n";
    std::fs::write(home.path().join("haulout.toml"), wallet).unwrap();
    let (kind, error) = failure(home.path(), &["wallet", "address"]);
    assert_eq!(kind, "CONFIG");
    assert!(error["message"].as_str().unwrap().contains(&absent), "{error}");
    let listed = json(&run(home.path(), &["wallet", "ls", "--json"]));
    assert_eq!((&listed["address"], &listed["addresses"][0]), (&Value::Null, &ADDRESS.into()));
    let chosen = format!("{wallet}address = \"{ADDRESS}\"\n");
    std::fs::write(home.path().join("haulout.toml"), chosen).unwrap();
    let told = json(&run(home.path(), &["wallet", "address", "--json"]));
    assert_eq!(told["address"], ADDRESS);

    write_sui(&other, ADDRESS, 0o644);
    assert_eq!(failure(home.path(), &["wallet", "address"]).0, "PERMISSION");
}

#[test]
fn the_long_help_of_a_verb_says_more_than_its_line_in_the_list() {
    let home = tempfile::tempdir().unwrap();
    for (verb, said) in [
        (vec!["rm"], "deleting does not undo reading"),
        (vec!["extend"], "Shows the cost first and asks"),
        (vec!["stake", "withdraw"], "receipt"),
        (vec!["node", "set"], "What is not named stays"),
        (vec!["node", "commission", "set"], "so that stakers can leave before"),
    ] {
        for help in [[&verb[..], &["--help"]].concat(), [&["help"], &verb[..]].concat()] {
            let text = String::from_utf8(run(home.path(), &help).stdout).unwrap();
            assert!(text.contains(said), "{help:?}: {text}");
        }
    }
}
