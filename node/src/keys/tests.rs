//! Key files are guarded, never overwritten, and only of the kind asked for.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o7777
}

#[test]
fn a_key_file_round_trips_and_only_its_owner_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    for kind in Kind::ALL {
        let path = folder.path().join("keys").join(kind.name());
        let made = load_or_create(&path, kind).unwrap();
        assert_eq!(load(&path, kind).unwrap().bytes(), made.bytes());
        assert_eq!(load_or_create(&path, kind).unwrap().bytes(), made.bytes());
        assert_eq!(mode(&path), 0o600);
    }
    assert_eq!(mode(&folder.path().join("keys")), 0o700);
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.key");
    create(&path, &Secret::new(Kind::Ed25519, [7; 32])).unwrap();
    for open in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
        let error = load(&path, Kind::Ed25519).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission, "mode {open:o}");
        assert!(error.next_step().starts_with("chmod 600"));
    }
}

#[test]
fn an_existing_key_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.key");
    create(&path, &Secret::new(Kind::Ed25519, [1; 32])).unwrap();
    create(&path, &Secret::new(Kind::Ed25519, [2; 32])).unwrap_err();
    assert_eq!(load(&path, Kind::Ed25519).unwrap().bytes(), &[1; 32]);
}

#[test]
fn a_key_of_another_kind_or_a_torn_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.key");
    create(&path, &Secret::new(Kind::Secp256k1, [1; 32])).unwrap();
    assert_eq!(load(&path, Kind::Ed25519).unwrap_err().kind(), ErrorKind::Config);
    for text in ["", "ed25519:", "ed25519:0011", "ed25519:zz", "rsa:00"] {
        fs::write(&path, text).unwrap();
        assert_eq!(load(&path, Kind::Ed25519).unwrap_err().kind(), ErrorKind::Config, "{text}");
    }
    let missing = folder.path().join("none");
    assert_eq!(load(&missing, Kind::Ed25519).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_secret_does_not_print_itself() {
    let text = format!("{:?}", Secret::new(Kind::Ed25519, [0xab; 32]));
    assert_eq!(text, "Secret(ed25519)");
}

#[test]
fn a_folder_is_no_key_file_and_nobody_is_told_to_change_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path(), Kind::Ed25519).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!error.next_step().contains("chmod"), "{error}");
}

#[test]
fn the_mode_of_a_key_file_is_mended_by_a_command_that_can_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my key's");
    create(&path, &Secret::new(Kind::Ed25519, [7; 32])).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let hint = load(&path, Kind::Ed25519).unwrap_err().next_step().to_owned();
    assert!(std::process::Command::new("sh").args(["-c", &hint]).status().unwrap().success());
    load(&path, Kind::Ed25519).unwrap();
}
