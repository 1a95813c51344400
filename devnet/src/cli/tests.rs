//! What people may type, and what they get for typing something else.

use super::*;

fn parse(line: &str) -> std::result::Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn every_verb_of_the_readme_parses() {
    for line in [
        "devnet up",
        "devnet up -d --nodes 7 --shards 13 --seed 42 --port-base 0 --timeout 90s --fresh",
        "devnet up --json --name other",
        "devnet up -d --wipe n2",
        "devnet faucet alice --timeout 2m",
        "devnet status --json",
        "devnet logs -f n3",
        "devnet kill n3",
        "devnet pause n3 --for 30s",
        "devnet resume n3",
        "devnet restart n3 --wipe",
        "devnet restart n1 n2 ledger",
        "devnet kill n1 n2",
        "devnet pause n1 n2 --for 5s",
        "devnet resume n1 n2",
        "devnet wait ready --timeout 2m",
        "devnet wait checkpoint=12",
        "devnet wait epoch=3",
        "devnet up --epoch 60s",
        "devnet epoch next --timeout 2m",
        "devnet wait n3=killed",
        "devnet wait repaired",
        "devnet wait n5=gone",
        "devnet add",
        "devnet add --stake 250WAL --timeout 2m --json",
        "devnet remove n5",
        "devnet remove n5 --force",
        "devnet remove n5 --graceful --json",
        "devnet verify-ledger --json --name other",
        "devnet verify-ledger --file ledger.redb",
        "devnet down --purge",
        "devnet faucet 0x12",
        "devnet faucet bob 20WAL 5SUI --name other",
        "devnet help epoch next",
        "devnet completions zsh",
        "devnet --name other haulout -q put --dry-run FILE",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn what_is_no_time_and_no_fact_is_refused() {
    for line in [
        "devnet pause n3 --for soon",
        "devnet wait rain",
        "devnet kill",
        "devnet wait n3=happy",
        "devnet wait node=running",
        "devnet wait =running",
        "devnet up --fresh --wipe n2",
        "devnet add --stake 5SUI",
        "devnet remove",
        "devnet remove n5 --graceful --force",
        "devnet wait ledger=gone",
        "devnet",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn times_are_read_as_people_write_them() {
    assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
    assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
    assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
    assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
    assert_eq!(duration("0s"), Ok(Duration::ZERO));
    assert!(duration("-1s").is_err());
    assert!(duration("").is_err());
    assert!(duration("99999999999999999999s").is_err());
    assert!(duration("8784h").is_ok() && duration("8785h").is_err(), "no clock overflows");
}

#[test]
fn a_supervisor_is_given_times_below_a_second_too() {
    let Command::Up(up) = parse("devnet up --timeout 500ms").unwrap().command else {
        panic!("not up");
    };
    let arguments = supervisor::arguments(&up.options("x", false));
    assert!(arguments.iter().any(|argument| argument == "500ms"), "{arguments:?}");
}

#[test]
fn the_completions_of_every_shell_know_the_verbs_and_hide_what_is_internal() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let Command::Completions(asked) =
            parse(&format!("devnet completions {shell}")).unwrap().command
        else {
            panic!("not completions");
        };
        let script = asked.script(Cli::command());
        assert!(script.contains("verify-ledger") && script.contains("faucet"), "{shell}");
        assert!(!script.contains("internal-supervisor"), "{shell}");
    }
}

#[test]
fn a_failure_names_commands_of_this_devnet() {
    let directory = StateDirectory::of("night").unwrap();
    let spoken = directory.spoken("start it with `devnet up`, see `haulout ls`");
    assert_eq!(spoken, "start it with `devnet --name night up`, see `haulout ls`");
    let default = StateDirectory::of("default").unwrap();
    assert_eq!(default.spoken("`devnet up`"), "`devnet up`");
}

#[test]
fn a_supervisor_is_given_exactly_what_was_asked() {
    let Command::Up(up) =
        parse("devnet up --nodes 7 --wipe n2,n4 --wipe n5 --timeout 90s").unwrap().command
    else {
        panic!("not up");
    };
    let options = up.options("night", true);
    let arguments = supervisor::arguments(&options);
    let mut line = vec![OsString::from("devnet")];
    line.extend(arguments);
    let parsed = internal::Internal::try_parse_from(line).unwrap();
    assert_eq!(parsed.name, "night");
    let internal::Process::InternalSupervisor { up, attached } = parsed.process else {
        panic!("no supervisor")
    };
    assert!(attached && !up.fresh);
    assert_eq!(up.wipe, ["n2", "n4", "n5"]);
    assert_eq!((up.nodes, up.shards, up.timeout), (Some(7), None, Duration::from_secs(90)));
}
