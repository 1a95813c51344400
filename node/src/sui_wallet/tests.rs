//! Sui's own files, as Sui writes them and as people break them.

use std::os::unix::fs::PermissionsExt;

use haulout_protocol::crypto::SecretKey;

use super::*;

/// What `sui client` writes.
fn client_yaml(keystore: &str, address: &str) -> String {
    format!(
        "---\nkeystore:\n  File: {keystore}\nexternal_keys: ~\nenvs:\n  - alias: testnet\n    \
         rpc: \"https://fullnode.testnet.sui.io:443\"\n    ws: ~\n    basic_auth: ~\n\
         active_env: testnet\nactive_address: \"{address}\"\n"
    )
}

/// An entry of a keystore: the scheme's flag and a secret.
fn entry(flag: u8, secret: u8) -> String {
    BASE64.encode([vec![flag], vec![secret; 32]].concat())
}

fn write(folder: &Path, name: &str, text: &str, mode: u32) {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn keystore(entries: &[String], mode: u32) -> (tempfile::TempDir, Result<Keystore>) {
    let folder = tempfile::tempdir().unwrap();
    let active = Wallet::from_ed25519([7; 32]).address().to_string();
    write(folder.path(), "client.yaml", &client_yaml("keys.json", &active), 0o644);
    let json = serde_json::to_string(entries).unwrap();
    write(folder.path(), "keys.json", &json, mode);
    let opened = Keystore::open(&folder.path().join("client.yaml"));
    (folder, opened)
}

#[test]
fn the_three_keys_are_read_in_every_form_sui_writes() {
    for (text, keystore, address) in [
        (client_yaml("/a/sui.keystore", "0x12"), Some("/a/sui.keystore"), Some("0x12")),
        ("keystore: !File /a b/k # mine\n".to_owned(), Some("/a b/k"), None),
        ("keystore:\n  File: '/a'\nactive_address: ~\n".to_owned(), Some("/a"), None),
        ("active_address: 0x1 # me\n".to_owned(), None, Some("0x1")),
        (String::new(), None, None),
    ] {
        let parsed = SuiConfig::parse(&text).unwrap();
        assert_eq!(parsed.keystore.as_deref(), keystore, "{text}");
        assert_eq!(parsed.active_address.as_deref(), address, "{text}");
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    for (text, line) in [
        ("keystore:\n  InMem:\n    keys: []\n", 2),
        ("keystore: {File: /a}\n", 1),
        ("\nactive_address: \"0x1\n", 2),
        ("active_address: [0x1]\n", 1),
        ("keystore:\n  File: \"/a\\n\"\n", 2),
    ] {
        assert_eq!(SuiConfig::parse(text).unwrap_err().0, line, "{text}");
    }
}

#[test]
fn no_text_whatever_makes_the_reader_panic() {
    let text = client_yaml("\"/a\"", "'0x12'");
    for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
        for odd in ["", "\"", ":", "é", "\t", "!"] {
            let _ = SuiConfig::parse(&format!("{}{odd}{}", &text[..at], &text[at..]));
            let _ = SuiConfig::parse(&format!("{}{odd}", &text[..at]));
        }
    }
}

#[test]
fn the_active_address_chooses_the_key_and_another_one_can_be_chosen() {
    let (_folder, opened) = keystore(&[entry(1, 5), entry(0, 7), entry(2, 9)], 0o600);
    let opened = opened.unwrap();
    assert_eq!((opened.wallets.len(), opened.others), (2, 1));
    let active = Wallet::from_ed25519([7; 32]).address();
    assert_eq!(opened.wallet(None).unwrap().address(), active);
    let other = Wallet::from_secp256k1([5; 32]).unwrap().address();
    assert_eq!(opened.wallet(Some(&other)).unwrap().address(), other);
    let missing = opened.wallet(Some(&ObjectId::from_bytes([1; 32]))).unwrap_err();
    assert_eq!(missing.kind(), Kind::Config);
    assert!(missing.next_step().contains("1 key is of other schemes"), "{}", missing.next_step());
    assert!(!format!("{opened:?}").contains("[7, 7"), "no secret is printed");
}

#[test]
fn a_keystore_that_others_can_read_or_that_is_none_is_refused() {
    let (_folder, open) = keystore(&[entry(0, 7)], 0o640);
    assert_eq!(open.unwrap_err().kind(), Kind::Permission);
    let (_folder, broken) = keystore(&["AAAA".to_owned()], 0o600);
    assert!(broken.unwrap_err().message().contains("entry 1 is no key"));
    let bls = hex::encode(SecretKey::from_seed(&[1; 32]).to_bytes());
    let (_folder, hex) = keystore(&[bls], 0o600);
    assert_eq!(hex.unwrap_err().kind(), Kind::Config);
    let missing = Keystore::open(Path::new("/nowhere/client.yaml")).unwrap_err();
    assert!(missing.message().contains("/nowhere/client.yaml"), "{missing}");
}
