//! Keys and wallets, and a node that starts with them.

use std::os::unix::fs::PermissionsExt;

use haulout_node::keys::{self, Kind, Secret};
use serde_json::Value;

use crate::home::{failure, haulout, json, run, write_client, write_wallet};

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
