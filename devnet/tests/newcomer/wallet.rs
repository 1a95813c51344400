//! A wallet of one's own, a disk that is lost, and cleaning up.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::desk::Desk;

#[cfg(target_os = "linux")]
#[test]
fn a_newcomer_gets_a_wallet_loses_a_disk_and_leaves_nothing_behind() {
    let desk = Desk::new();
    let size = ["--nodes", "4", "--shards", "7", "--port-base", "0", "--timeout", "120s"];
    let up = desk.text(&[&["--name", "night", "up", "-d"], &size[..]].concat());
    for command in ["`devnet --name night status`", "`devnet --name night down`"] {
        assert!(up.contains(command), "{up}");
    }
    let said = desk.text(&["--name", "night", "pause", "n1"]);
    assert!(said.contains("`devnet --name night resume n1`"), "{said}");
    desk.text(&["--name", "night", "resume", "n1"]);

    // A wallet of one's own: made once, funded, and used.
    let key = desk.folder.path().join("mine.key");
    let made = desk.text(&["haulout", "wallet", "new", "--file", "mine.key"]);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(made.contains("`devnet --name night faucet 0x"), "{made}");
    let secret = fs::read_to_string(&key).unwrap();
    assert!(!made.contains(secret.trim().split(':').nth(1).unwrap()), "a key is never printed");
    let again = desk.failure(&["haulout", "--json", "wallet", "new", "--file", "mine.key"]);
    assert_eq!((&again["kind"], fs::read_to_string(&key).unwrap()), (&"FILE".into(), secret));
    // What it says to paste works: the line for this folder, then the faucet.
    let paste = made.lines().find(|line| line.trim_start().starts_with("printf")).unwrap();
    let pasted = Command::new("sh").args(["-c", paste]).current_dir(desk.folder.path()).status();
    assert!(pasted.unwrap().success());
    let address = desk.json(&["haulout", "--json", "wallet", "address"])["address"].clone();
    let address = address.as_str().unwrap();
    let given = desk.json(&["--name", "night", "--json", "faucet", address, "20WAL", "5SUI"]);
    let expected =
        serde_json::json!({ "wal_frost": 20_000_000_000_u64, "sui_mist": 5_000_000_000_u64 });
    assert_eq!(given["balances"], expected);
    desk.text(&["--name", "night", "faucet", address.trim_start_matches("0x"), "1FROST", "0SUI"]);
    let wallet = desk.json(&["haulout", "--json", "wallet"]);
    assert_eq!(wallet["balances"]["wal_frost"], 20_000_000_001_u64);
    assert_eq!(wallet["balances"]["sui_mist"], 5_000_000_000_u64);
    let refused = desk.failure(&["--name", "night", "--json", "faucet", "nobody"]);
    assert_eq!(refused["kind"], "USAGE");
    let too_much = desk.failure(&["--name", "night", "--json", "faucet", "bob", "18000000000WAL"]);
    assert_eq!(too_much["kind"], "CHAIN");
    fs::write(desk.folder.path().join("letter.txt"), vec![7; 100_000]).unwrap();
    let put = desk.json(&["haulout", "--json", "put", "letter.txt"]);
    let id = put["blob_id"].as_str().unwrap().to_owned();

    // A damaged disk is named as such, and what is advised works.
    let index = desk.devnet_folder().join("n4/store/index.redb");
    desk.text(&["--name", "night", "kill", "n4"]);
    fs::OpenOptions::new().write(true).open(&index).unwrap().set_len(100_000).unwrap();
    let error = desk.failure(&["--name", "night", "--json", "restart", "n4"]);
    assert_eq!((&error["kind"], &error["code"]), (&"DAMAGED".into(), &16.into()));
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("`devnet --name night restart n4 --wipe`"), "{hint}");
    assert!(!error["message"].as_str().unwrap().contains("recovered"), "{error}");
    desk.text(&["--name", "night", "restart", "n4", "--wipe"]);
    desk.text(&["haulout", "-q", "get", &id, "-o", "copy"]);
    assert_eq!(fs::read(desk.folder.path().join("copy")).unwrap(), vec![7; 100_000]);

    // What is gone is not spoken of: neither folder nor context, and an older context is back.
    let contexts = desk.folder.path().join("config/haulout/contexts");
    fs::copy(contexts.join("devnet-night.toml"), contexts.join("other.toml")).unwrap();
    desk.text(&["haulout", "context", "use", "other"]);
    desk.text(&["haulout", "context", "use", "devnet-night"]);
    let down = desk.text(&["--name", "night", "down", "--purge"]);
    assert!(down.contains("\"other\" is active again"), "{down}");
    assert!(!desk.devnet_folder().exists() && !contexts.join("devnet-night.toml").exists());
    let listed = desk.json(&["haulout", "--json", "context", "ls"]);
    assert_eq!(
        (&listed["active"], listed["contexts"].as_array().unwrap().len()),
        (&"other".into(), 1)
    );
    desk.text(&["haulout", "context", "rm", "other"]);
    let error = desk.failure(&["haulout", "--json", "ls"]);
    assert_eq!(error["kind"], "CONFIG");
    assert!(
        error["message"].as_str().unwrap().contains("chain.rpc is not set")
            || error["message"].as_str().unwrap().contains("network.id is not set"),
        "{error}"
    );
}
