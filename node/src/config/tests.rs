//! What configuration is read from where, and how errors say what to correct.

use super::*;

const PEER: &str = "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";

fn read(text: &str) -> Result<Config> {
    Config::from_toml(text, Path::new("/etc/haulout/node.toml"))
}

fn example_client() -> String {
    format!(
        "[network]\nid = \"0x01\"\nbootstrap = [\"/ip4/127.0.0.1/udp/1/quic-v1/p2p/{PEER}\"]\n\
         [chain]\nrpc = \"http://127.0.0.1:9000\"\npackage = \"0x2\"\nsystem = \"0x3\"\n\
         staking = \"0x4\"\nparams = \"0x5\"\ntreasury = \"0x6\"\n"
    )
}

#[test]
fn the_example_serves_both_roles() {
    let config = read(Config::example()).unwrap();
    let node = config.node().unwrap();
    assert_eq!(node.data_dir, Path::new("/var/lib/haulout"));
    assert_eq!(node.network_key, Path::new("/etc/haulout/keys/network.key"));
    assert_eq!(node.keep_free, 256 << 20);
    assert_eq!(node.clock_tolerance, Duration::from_secs(60));
    assert_eq!(node.repairs_at_once, 8);
    assert_eq!(node.scrub_every, Duration::from_secs(14 * 24 * 60 * 60));
    assert_eq!(node.stop_within, Duration::from_secs(30));
    let client = config.client().unwrap();
    let source = WalletSource::KeyFile("/etc/haulout/wallet.key".into());
    let setting = "wallet.key_file (/etc/haulout/node.toml)".to_owned();
    assert_eq!(client.wallet, Some(WalletPlace { source, address: None, setting }));
    assert_eq!(client.chain.package, "0x2a".parse().unwrap());
}

/// Each broken text, and what the error must say.
#[test]
fn errors_name_file_line_key_and_fix() {
    let cases = [
        ("[chain]\nrpc = \"ftp://x\"\n", ":2: chain.rpc: ", "http://127.0.0.1:9000"),
        ("[chain]\npackage = \"2a\"\n", ":2: chain.package: ", "write 0x and 1 to 64"),
        (
            "[chain]\ntrusted = \"0:abc\"\n",
            ":2: chain.trusted: ",
            "write NUMBER:DIGEST for the last",
        ),
        ("[network]\nid = \"0x1\"\nports = 3\n", ":3: network.ports: ", "unknown field `ports`"),
        ("[netwrok]\nid = \"0x1\"\n", ":1: ", "unknown field `netwrok`"),
        (
            "[network]\nbootstrap = [\"/ip4/1.2.3.4/udp/1/quic-v1\"]\n",
            ":2: network.bootstrap: ",
            "append the peer id, as in `/ip4/1.2.3.4/udp/1/quic-v1/p2p/12D3KooW...`",
        ),
        ("[network]\nlisten = [\"1.2.3.4:5\"]\n", ":2: network.listen: ", "must begin with /"),
        ("[network]\nlisten = [\"/ip4/1.2.3.4/udp/99999/quic-v1\"]\n", ":2: ", "value of udp"),
        ("[node]\nstop_within = \"30\"\n", ":2: node.stop_within: ", "as in \"30s\""),
        (
            "[node]\nscrub_every = \"2 weeks\"\n",
            ":2: node.scrub_every: ",
            "as in \"14d\", or \"0\"",
        ),
        ("[node]\nscrub_every = 14\n", ":2: node.scrub_every: ", "as in \"14d\", or \"0\""),
        ("[node]\ncache = \"64 mb\"\n", ":2: node.cache: ", "as in \"64MiB\""),
        ("[node]\n\n\ndata_dir = \"/var/lib", ":4: ", ""),
        ("[http]\nlisten = \"localhost\"\n", ":2: http.listen: ", "socket address"),
    ];
    for (text, place, reason) in cases {
        let error = read(text).unwrap_err();
        let message = error.message();
        assert_eq!(error.kind(), Kind::Config, "{text}");
        assert!(message.contains("/etc/haulout/node.toml"), "{text}: {message}");
        assert!(message.contains(place), "{text}: {message}");
        assert!(message.contains(reason), "{text}: {message}");
        assert!(error.next_step().contains("haulout config"), "{}", error.next_step());
    }
}

#[test]
fn how_often_everything_is_read_again_is_a_period_in_days_too_or_never() {
    for (text, hours) in [("\"14d\"", 336), ("\"36h\"", 36), ("\"0\"", 0), ("0", 0), ("\"0d\"", 0)]
    {
        let node = format!("[node]\ndata_dir = \"/x\"\nscrub_every = {text}\n");
        let node = read(&format!("{}{node}", example_client())).unwrap().node().unwrap();
        assert_eq!(node.scrub_every, Duration::from_secs(hours * 60 * 60), "{text}");
    }
}

#[test]
fn a_missing_key_says_how_to_set_it() {
    let error = read("[network]\nid = \"0x1\"\n").unwrap().client().unwrap_err();
    assert!(error.message().contains("chain.rpc is not set"), "{error}");
    assert!(error.next_step().contains("HAULOUT_CHAIN__RPC"), "{}", error.next_step());
}

#[test]
fn flags_cover_variables_and_variables_cover_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, example_client()).unwrap();
    let mut sources = Sources { file: Some(file), ..Sources::default() };
    let rpc = |sources: &Sources| Config::load(sources).unwrap().client().unwrap().chain.rpc;
    assert_eq!(rpc(&sources), ["http://127.0.0.1:9000"]);
    sources.env.push(("HAULOUT_CHAIN__RPC".into(), "http://env:1".into()));
    sources.env.push(("HAULOUT_CONFIG".into(), "not a key".into()));
    assert_eq!(rpc(&sources), ["http://env:1"]);
    let (section, key, value) = ("chain", "rpc", "http://flag:1".to_owned());
    sources.flags.push(Setting { flag: "--rpc", section, key, value });
    assert_eq!(rpc(&sources), ["http://flag:1"]);
}

#[test]
fn variables_set_numbers_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, format!("{}[node]\ndata_dir = \"/x\"\n", example_client())).unwrap();
    let mut sources = Sources { file: Some(file), ..Sources::default() };
    let set = |key: &str, value: &str| (format!("HAULOUT_NODE__{key}"), value.to_owned());
    sources.env = vec![set("REPAIRS_AT_ONCE", "3"), set("SCRUB_EVERY", "0")];
    let node = Config::load(&sources).unwrap().node().unwrap();
    assert_eq!((node.repairs_at_once, node.scrub_every), (3, Duration::ZERO));
    sources.env = vec![set("REPAIRS_AT_ONCE", "many")];
    let refused = Config::load(&sources).unwrap_err();
    assert!(refused.message().contains("`many` is not a number"), "{refused}");
}

#[test]
fn a_ledger_has_one_server_or_several_and_none_of_them_twice() {
    let rpc = |value: &str| {
        let text =
            example_client().replace("rpc = \"http://127.0.0.1:9000\"", &format!("rpc = {value}"));
        read(&text).map(|config| config.client().unwrap().chain.rpc)
    };
    assert_eq!(rpc("\"http://a:1\"").unwrap(), ["http://a:1"]);
    assert_eq!(rpc("[\"http://a:1\", \"https://b/\"]").unwrap(), ["http://a:1", "https://b"]);
    assert_eq!(rpc("\"http://a:1, http://b:1\"").unwrap(), ["http://a:1", "http://b:1"]);
    let many: Vec<String> = (0..17).map(|port| format!("\"http://a:{port}\"")).collect();
    for (wrong, reason) in [
        ("[]", "no server is named"),
        ("\"\"", "no server is named"),
        ("[\"http://a:1\", \"http://a:1/\"]", "named twice"),
        ("[\"http://a:1\", \"b\"]", "is not a URL"),
        (&format!("[{}]", many.join(", ")), "17 servers"),
    ] {
        let error = rpc(wrong).unwrap_err();
        assert!(error.message().contains(reason), "{wrong}: {error}");
        assert!(error.message().contains("chain.rpc"), "{wrong}: {error}");
    }
}

#[test]
fn lists_in_variables_have_commas_and_a_wrong_variable_is_named() {
    let mut sources = Sources::default();
    let two = format!("/ip4/1.2.3.4/tcp/1/p2p/{PEER}, /dns4/n1.example/tcp/2/p2p/{PEER}");
    sources.env.push(("HAULOUT_NETWORK__BOOTSTRAP".into(), two));
    let layer = Layer::from_variable(&sources.env[0].0, &sources.env[0].1).unwrap().unwrap();
    let mut layers = Layers::default();
    layers.push(layer);
    assert_eq!(layers.merge().unwrap().network.bootstrap.unwrap().0.len(), 2);
    for (name, value) in
        [("HAULOUT_CHAIN__RPC", "x"), ("HAULOUT_CHAIN__PORT", "1"), ("HAULOUT_A__B", "1")]
    {
        let error = Layer::from_variable(name, value).unwrap_err();
        assert!(error.message().contains(name), "{error}");
    }
}

#[test]
fn a_key_file_outranks_a_named_sui_config_and_both_the_one_in_its_usual_place() {
    let home = tempfile::tempdir().unwrap();
    let usual = home.path().join(".sui/sui_config/client.yaml");
    let mut sources = Sources::default();
    sources.env.push(("HOME".into(), home.path().to_string_lossy().into_owned()));
    let source = |sources: &Sources| Config::load(sources).unwrap().wallet().map(|it| it.source);
    assert_eq!(source(&sources), None, "there is none");
    std::fs::create_dir_all(usual.parent().unwrap()).unwrap();
    std::fs::write(&usual, "").unwrap();
    assert_eq!(source(&sources), Some(WalletSource::Sui(usual)));
    sources.env.push(("SUI_CONFIG_DIR".into(), "/nowhere".into()));
    assert_eq!(source(&sources), None, "the variable says where to look");
    sources.env.push(("HAULOUT_WALLET__SUI_CONFIG".into(), "/a/client.yaml".into()));
    assert_eq!(source(&sources), Some(WalletSource::Sui("/a/client.yaml".into())));
    sources.env.push(("HAULOUT_WALLET__ADDRESS".into(), "0x12".into()));
    sources.env.push(("HAULOUT_WALLET__KEY_FILE".into(), "/a/wallet.key".into()));
    let place = Config::load(&sources).unwrap().wallet().unwrap();
    assert_eq!(place.source, WalletSource::KeyFile("/a/wallet.key".into()));
    assert_eq!(place.address, Some("0x12".parse().unwrap()));
}

#[test]
fn a_named_file_must_exist() {
    let sources = Sources { file: Some("/nowhere/a.toml".into()), ..Sources::default() };
    let error = Config::load(&sources).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("/nowhere/a.toml"));
}

#[test]
fn a_path_that_is_empty_or_leads_to_something_else_is_named_with_its_setting() {
    for (section, key, leads) in file::PATHS {
        let error = read(&format!("[{section}]\n{key} = \"\"\n")).unwrap_err();
        let message = error.message();
        assert_eq!(error.kind(), Kind::Config);
        assert!(message.starts_with("/etc/haulout/node.toml: "), "{message}");
        assert!(message.contains(&format!("{section}.{key} is empty")), "{message}");
        let name = format!("HAULOUT_{}__{}", section.to_uppercase(), key.to_uppercase());
        let sources = Sources { env: vec![(name.clone(), String::new())], ..Sources::default() };
        let message = Config::load(&sources).unwrap_err().message();
        assert!(message.contains(&name) && message.contains("is empty"), "{message}");

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        let (wrong, found) = match leads {
            Leads::ToFile => ("folder", "is a folder; it must be a file"),
            Leads::ToFolder => ("file", "is a file; it must be a folder"),
        };
        let data_dir = if section == "node" { "" } else { "[node]\ndata_dir = \"data\"\n" };
        let text = format!("{}{data_dir}[{section}]\n{key} = \"{wrong}\"\n", example_client());
        let config = Config::from_toml(&text, &folder.path().join("c.toml")).unwrap();
        let used = match section {
            "client" => config.client().map(drop),
            "wallet" => config.wallet().expect("it is named").check(),
            _ => config.node().map(drop),
        };
        let message = used.unwrap_err().message();
        assert!(message.starts_with(&format!("{section}.{key} (")), "{message}");
        assert!(message.contains("c.toml") && message.contains(found), "{message}");
    }
    let sources = Sources { file: Some(PathBuf::new()), ..Sources::default() };
    assert!(Config::load(&sources).unwrap_err().message().contains("--config"));
}
