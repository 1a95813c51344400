//! Names, sockets and files of a devnet's folder.

use super::*;

fn sample_directory(folder: &Path) -> StateDirectory {
    StateDirectory { name: "sample".into(), path: folder.to_path_buf() }
}

fn sample_settings() -> Settings {
    Settings {
        schema: schema::SCHEMA,
        seed: 7,
        nodes: 1,
        shards: 4,
        segment_bytes: 1024,
        short_bytes_max: 512,
        epoch_ms: 60_000,
        stake_per_shard: 9,
        ledger_port: 1,
        faucet_port: 4,
        node_ports: vec![NodePorts { peer: 2, http: 3 }],
        added: vec![Added {
            number: 2,
            ports: NodePorts { peer: 5, http: 6 },
            node_id: Some("0x2".into()),
        }],
        leaving: vec![1],
        removed: vec![],
    }
}

#[test]
fn names_that_would_leave_the_folder_are_refused() {
    for name in ["", "..", "a/b", "a b", "über", &"x".repeat(41)] {
        assert!(StateDirectory::of(name).is_err(), "{name:?}");
    }
    assert!(StateDirectory::of("night-run_2").is_ok());
}

#[test]
fn a_devnet_that_is_not_there_names_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let missing = sample_directory(&folder.path().join("missing"));
    let hint = |directory: &StateDirectory| directory.unknown().next_step().to_owned();
    assert_eq!(hint(&missing), "there is none yet; `devnet up` starts this one");
    fs::create_dir(folder.path().join("night")).unwrap();
    assert!(
        hint(&missing).starts_with("there is \"night\" (`devnet --name night status`); "),
        "{}",
        hint(&missing)
    );
    fs::create_dir(folder.path().join("day")).unwrap();
    fs::create_dir(folder.path().join("not a name")).unwrap();
    assert!(
        hint(&missing).starts_with("there are day, night (`devnet --name day status`); "),
        "{}",
        hint(&missing)
    );
    let nowhere = sample_directory(&folder.path().join("a/b/c"));
    assert!(hint(&nowhere).starts_with("there is none yet"), "{}", hint(&nowhere));
}

#[test]
fn a_second_supervisor_is_told_who_holds_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let directory = sample_directory(folder.path());
    let held = directory.lock().unwrap();
    let refused = directory.lock().unwrap_err();
    assert_eq!(refused.kind(), Kind::Locked);
    assert!(refused.message().contains(&std::process::id().to_string()), "{refused}");
    drop(held);
    directory.lock().unwrap();
}

#[test]
fn settings_come_back_as_they_were_and_damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let directory = sample_directory(folder.path());
    assert_eq!(directory.settings().unwrap(), None);
    directory.keep_settings(&sample_settings()).unwrap();
    assert_eq!(directory.settings().unwrap(), Some(sample_settings()));
    fs::write(folder.path().join("settings.json"), "{\"schema\":").unwrap();
    let refused = directory.settings().unwrap_err();
    assert_eq!(refused.kind(), Kind::Config);
    assert!(refused.next_step().contains("--fresh"), "{refused:?}");
}

#[test]
fn settings_of_the_layout_before_are_read_and_mean_what_they_meant() {
    let folder = tempfile::tempdir().unwrap();
    let directory = sample_directory(folder.path());
    let before = r#"{"schema":3,"seed":7,"nodes":1,"shards":4,"segment_bytes":1024,"short_bytes_max":512,
        "epoch_ms":60000,"ledger_port":1,"faucet_port":4,"node_ports":[{"peer":2,"http":3}]}"#;
    fs::write(folder.path().join("settings.json"), before).unwrap();
    let now = Settings {
        stake_per_shard: 100_000_000_000_000, // a devnet of before continues with the ledger it has
        added: vec![],
        leaving: vec![],
        ..sample_settings()
    };
    assert_eq!(directory.settings().unwrap(), Some(now.clone()));
    directory.keep_settings(&now).unwrap();
    assert_eq!(directory.settings().unwrap(), Some(now));
}

#[test]
fn the_keys_and_ports_of_nodes_that_are_gone_are_nobody_elses() {
    let mut settings = sample_settings();
    assert_eq!((settings.names(), settings.next_number()), (vec!["n1".into(), "n2".into()], 3));
    settings.removed = vec![2];
    assert_eq!((settings.names(), settings.next_number()), (vec!["n1".into()], 3));
    assert_eq!(settings.ports().collect::<Vec<_>>(), [2, 3, 5, 6, 1, 4]);
}

#[test]
fn settings_of_another_version_are_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let directory = sample_directory(folder.path());
    let before = r#"{"schema":2,"seed":1,"nodes":1,"shards":4,"segment_bytes":1024,"epoch_ms":60000,
        "ledger_port":1,"faucet_port":4,"node_ports":[]}"#;
    fs::write(folder.path().join("settings.json"), before).unwrap();
    let refused = directory.settings().unwrap_err();
    assert_eq!(refused.kind(), Kind::Version);
    assert!(refused.message().contains("schema 2"), "{refused}");
    assert!(refused.next_step().contains("devnet up --fresh"), "{refused:?}");
}

#[test]
fn wiping_keeps_only_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let directory = sample_directory(folder.path());
    let _held = directory.lock().unwrap();
    fs::create_dir_all(folder.path().join("n1/store")).unwrap();
    directory.keep_settings(&sample_settings()).unwrap();
    directory.wipe().unwrap();
    let left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
}

#[test]
fn a_deep_folder_still_gets_a_socket_path_that_fits() {
    let deep =
        StateDirectory { name: "x".into(), path: PathBuf::from(format!("/{}", "d".repeat(200))) };
    assert!(deep.control_socket().as_os_str().len() <= SOCKET_PATH_BYTES_MAX);
    assert_eq!(deep.control_socket(), deep.control_socket());
}
