//! Contexts, and the flags that commands in hints carry.

use serde_json::Value;

use crate::home::{failure, json, run};

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
