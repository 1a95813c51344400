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
        "devnet status --json",
        "devnet logs -f n3",
        "devnet kill n3",
        "devnet pause n3 --for 30s",
        "devnet resume n3",
        "devnet restart n3 --wipe",
        "devnet wait ready --timeout 2m",
        "devnet wait checkpoint=12",
        "devnet wait epoch=3",
        "devnet up --epoch 60s",
        "devnet epoch next --timeout 2m",
        "devnet wait n3=killed",
        "devnet verify-ledger --json --name other",
        "devnet verify-ledger --file ledger.redb",
        "devnet down --purge",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn what_is_no_time_and_no_fact_is_refused() {
    for line in ["devnet pause n3 --for soon", "devnet wait rain", "devnet wait n3=happy", "devnet"]
    {
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
}

#[test]
fn a_supervisor_is_given_exactly_what_was_asked() {
    let Command::Up(up) = parse("devnet up --nodes 7 --fresh --timeout 90s").unwrap().command
    else {
        panic!("not up");
    };
    let options = up.options("night", true);
    let arguments = supervisor::arguments(&options);
    let mut line = vec![OsString::from("devnet")];
    line.extend(arguments);
    let parsed = Cli::try_parse_from(line).unwrap();
    assert_eq!(parsed.name, "night");
    let Command::InternalSupervisor { up, attached } = parsed.command else {
        panic!("no supervisor")
    };
    assert!(attached && up.fresh);
    assert_eq!((up.nodes, up.shards, up.timeout), (Some(7), None, Duration::from_secs(90)));
}
