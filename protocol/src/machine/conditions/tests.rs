//! Each condition appears with its fact and goes with it, and none gives advice that destroys.

use std::collections::BTreeSet;

use super::*;
use crate::committee::NodeId;
use crate::machine::guests::Class;

fn doubt(verdict: Verdict) -> Facts {
    let doubt = Some(Doubt { verdict, checkpoint: 7 });
    Facts { ledger: Ledger { doubt, ..Ledger::default() }, ..Facts::default() }
}

fn stored(stored: Stored) -> Facts {
    Facts { stored, ..Facts::default() }
}

fn unclaimed() -> Facts {
    let owner = |name: &str, shards| Unclaimed { owner: name.to_owned(), shards };
    stored(Stored { unclaimed: vec![owner("n3", 2), owner("n4", 1)], ..Stored::default() })
}

fn turned_away(entrance: Entrance, class: Class) -> Facts {
    let mut turned_away = TurnedAway::default();
    turned_away.add(entrance, class, crowd::TURNED_AWAY_MIN);
    Facts { turned_away, ..Facts::default() }
}

fn keys() -> Facts {
    let fault = KeyFault::Signing { node: NodeId::from_bytes([1; 32]), name: "n1".to_owned() };
    Facts { ledger: Ledger { keys: Some(fault), ..Ledger::default() }, ..Facts::default() }
}

fn silent(doubt: Option<Doubt>) -> Facts {
    let silence = Some((9, Some("connection refused".to_owned())));
    Facts { ledger: Ledger { silence, doubt, ..Ledger::default() }, ..Facts::default() }
}

fn misled() -> Facts {
    let setting = Some(("chain.trusted names checkpoint 6".to_owned(), "set chain.trusted"));
    Facts { ledger: Ledger { setting, ..Ledger::default() }, ..Facts::default() }
}

fn server(standing: Standing) -> Facts {
    let (url, reason) = ("http://a".to_owned(), "connection refused".to_owned());
    let servers = vec![IllServer { url, standing, reason, of: 3 }];
    Facts { ledger: Ledger { servers, ..Ledger::default() }, ..Facts::default() }
}

fn clock(ahead_ms: i64) -> Facts {
    Facts {
        clock: Some(ClockDifference { ahead_ms, is_latest: true, allowed_ms: 60_000 }),
        ..Facts::default()
    }
}

/// Every condition, facts of which it follows, and the number its cause must say.
fn table() -> Vec<(Name, Facts, &'static str)> {
    let default = Stored::default;
    vec![
        (Name::PartsDown, Facts { down: vec!["gossip".to_owned()], ..Facts::default() }, "gossip"),
        (
            Name::DiskFailing,
            stored(Stored { failure: Some("sync failed: os error 5".to_owned()), ..default() }),
            "os error 5",
        ),
        (Name::KeysWrong, keys(), "n1"),
        (Name::TrustedUnusable, misled(), "checkpoint 6"),
        (
            Name::DiskFull,
            stored(Stored { free_bytes: Some(99), reserve_bytes: 100, ..default() }),
            "99 bytes",
        ),
        (Name::RotFound, stored(Stored { rotten: 2, ..default() }), "none of them served: 2"),
        (Name::BlobsIncomplete, stored(Stored { incomplete: 3, ..default() }), "not here: 3"),
        (Name::ShardsMissing, stored(Stored { shards_missing: 4, ..default() }), "4 of"),
        (Name::LedgerForked, doubt(Verdict::Fork), "7"),
        (Name::LedgerRolledBack, doubt(Verdict::Rollback), "7"),
        (Name::LedgerForged, doubt(Verdict::Forged), "7"),
        (Name::LedgerDisputed, doubt(Verdict::Disputed), "7"),
        (Name::LedgerGap, doubt(Verdict::Gap), "7"),
        (Name::LedgerBehind, doubt(Verdict::Behind), "7"),
        (Name::LedgerSilent, silent(None), "9 s: connection refused"),
        (
            Name::LedgerServerDoubted,
            server(Standing::Doubted(Doubt { verdict: Verdict::Fork, checkpoint: 7 })),
            "http://a: checkpoint 7",
        ),
        (Name::LedgerServerBehind, server(Standing::Behind { by_ms: 9_500 }), "http://a is 10 s"),
        (Name::LedgerServerSilent, server(Standing::Silent), "connection refused"),
        (Name::ClockWrong, clock(-61_000), "61 s behind"),
        (Name::MembersRefused, turned_away(Entrance::Connection, Class::Member), "60 s 6"),
        (Name::ShardsUnclaimed, unclaimed(), "n3 (2)"),
        (Name::StrangersRefused, turned_away(Entrance::Connection, Class::Stranger), "60 s 6"),
        (Name::PlacesExhausted, turned_away(Entrance::Stream, Class::Member), "6 of them members'"),
        (Name::MemoryExhausted, turned_away(Entrance::Memory, Class::Payer), "60 s 6"),
    ]
}

#[test]
fn every_condition_follows_from_its_fact_alone_and_says_it_in_numbers() {
    assert!(conditions(&Facts::default()).is_empty());
    let mut seen = Vec::new();
    for (name, facts, number) in table() {
        let found = conditions(&facts);
        let [condition] = found.as_slice() else { panic!("{name}: {found:?}") };
        assert_eq!(condition.name, name);
        assert!(condition.cause.contains(number), "{condition:?}");
        assert!(!condition.next_step.is_empty(), "{condition:?}");
        assert_eq!(severity(&found), Some(name.severity()));
        seen.push(name);
    }
    assert_eq!(seen, Name::ALL, "a condition without facts here is one that is never seen");
}

#[test]
fn what_only_strangers_feel_leaves_the_node_ready_and_all_else_does_not() {
    let doors = [Entrance::Connection, Entrance::Stream, Entrance::Memory];
    for class in [Class::Payer, Class::Stranger] {
        for door in doors {
            let found = conditions(&turned_away(door, class));
            assert!(is_ready(&found) && !found.is_empty(), "{found:?}");
        }
    }
    for door in doors {
        let found = conditions(&turned_away(door, Class::Member));
        assert!(!is_ready(&found), "{found:?}");
    }
    for (name, facts, _) in table() {
        let is_crowd = name >= Name::ShardsUnclaimed;
        let mut found = conditions(&facts);
        assert!(is_crowd || !is_ready(&found), "{name}");
        found.extend(conditions(&turned_away(Entrance::Connection, Class::Stranger)));
        assert!(is_crowd || !is_ready(&found), "{name} is not covered up by strangers");
    }
    assert!(is_ready(&[]));
}

#[test]
fn a_few_streams_that_found_no_place_are_no_condition_and_a_refused_member_is() {
    for class in [Class::Member, Class::Payer, Class::Stranger] {
        for door in [Entrance::Stream, Entrance::Memory] {
            let mut turned_away = TurnedAway::default();
            turned_away.add(door, class, crowd::TURNED_AWAY_MIN - 1);
            assert!(conditions(&Facts { turned_away, ..Facts::default() }).is_empty());
            turned_away.add(door, class, 1);
            assert_eq!(conditions(&Facts { turned_away, ..Facts::default() }).len(), 1);
        }
    }
    let mut turned_away = TurnedAway::default();
    turned_away.add(Entrance::Connection, Class::Member, 1);
    assert_eq!(conditions(&Facts { turned_away, ..Facts::default() }).len(), 1);
}

#[test]
fn shards_that_others_never_claimed_are_counted_and_their_owners_named_as_far_as_there_is_room() {
    let found = conditions(&unclaimed());
    assert!(found[0].cause.contains("3 shards") && found[0].cause.contains("n4 (1)"), "{found:?}");
    assert!(is_ready(&found), "it does all that it owes, and a restart mends nothing");
    let owner = |at: usize| Unclaimed { owner: format!("owner-{at}"), shards: 1 };
    let many = stored(Stored { unclaimed: (0..100).map(owner).collect(), ..Stored::default() });
    let found = conditions(&many);
    assert!(
        found[0].cause.contains("100 shards") && found[0].cause.contains("95 others"),
        "{found:?}"
    );
    assert!(!found[0].cause.contains("owner-5"), "{found:?}");
}

#[test]
fn what_is_within_its_bound_is_no_condition() {
    for facts in [
        stored(Stored { free_bytes: Some(100), reserve_bytes: 100, ..Stored::default() }),
        stored(Stored { reserve_bytes: 100, ..Stored::default() }),
        clock(60_000),
        clock(-60_000),
        doubt(Verdict::Next),
        server(Standing::Sound),
        server(Standing::Unknown),
    ] {
        assert!(conditions(&facts).is_empty(), "{facts:?}");
    }
}

#[test]
fn the_worst_comes_first_and_counts_for_all() {
    let mut facts = clock(i64::MIN);
    facts.down = vec!["epoch".to_owned(), "gossip".to_owned()];
    facts.stored.rotten = 1;
    let found = conditions(&facts);
    let names: Vec<_> = found.iter().map(|condition| condition.name).collect();
    assert_eq!(names, [Name::PartsDown, Name::RotFound, Name::ClockWrong]);
    assert_eq!(severity(&found), Some(Severity::Failing));
    assert_eq!(severity(&found[1..]), Some(Severity::Degraded));
    assert_eq!(severity(&[]), None);
}

#[test]
fn a_ledger_that_is_not_believed_is_not_called_silent_as_well() {
    let facts = silent(Some(Doubt { verdict: Verdict::Fork, checkpoint: 7 }));
    let found = conditions(&facts);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, Name::LedgerForked);
}

#[test]
fn names_are_words_of_their_own_and_severities_fall() {
    let names: BTreeSet<_> = Name::ALL.iter().map(|name| name.as_str()).collect();
    assert_eq!(names.len(), Name::ALL.len());
    assert!(Name::ALL.is_sorted_by_key(|name| std::cmp::Reverse(name.severity())));
}

#[test]
fn no_next_step_destroys_anything() {
    for (name, facts, _) in table() {
        let next_step = conditions(&facts).remove(0).next_step;
        for word in ["delete", "remove", "wipe", "away", "empty", "fresh", "rm ", "purge", "mv "] {
            assert!(!next_step.contains(word), "{name}: {word:?} in {next_step:?}");
        }
    }
}

#[test]
fn a_ledger_whose_time_was_moved_explains_that_much_of_a_difference_and_makes_none() {
    let day_ms = 86_400_000;
    for (ahead_ms, moved_ms, left_ms, is_too_much) in [
        (-day_ms, 86_400_000, 0, false),
        (-day_ms, 86_400_000 - 60_000, -60_000, false),
        (-day_ms, 86_400_000 - 60_001, -60_001, true),
        // Our clock is two hours behind, and the ledger's was moved by a day.
        (-day_ms - 7_200_000, 86_400_000, -7_200_000, true),
        (-day_ms + 7_200_000, 86_400_000, 7_200_000, true),
        // Nothing that it says makes a sound clock a wrong one, nor one that is ahead worse.
        (0, 86_400_000, 0, false),
        (day_ms, 86_400_000, day_ms, true),
        (-1_000, u64::MAX, -1_000, false),
        (i64::MIN, u64::MAX, -1, false),
    ] {
        let found = ClockDifference { ahead_ms, is_latest: true, allowed_ms: 60_000 };
        let found = found.explained(moved_ms);
        assert_eq!(
            (found.ahead_ms, found.is_too_much()),
            (left_ms, is_too_much),
            "{ahead_ms} {moved_ms}"
        );
    }
}

#[test]
fn an_old_checkpoint_says_only_that_a_clock_is_behind_however_far_the_ledgers_time_was_moved_since()
{
    let day_ms = 86_400_000;
    for (ahead_ms, moved_ms, left_ms) in [
        (-2 * day_ms, 8 * 86_400_000, 0), // it was moved by two days then
        (-6 * day_ms, 8 * 86_400_000, 0),
        (-9 * day_ms, 8 * 86_400_000, -day_ms),
        (-day_ms, 0, -day_ms),
    ] {
        let found = ClockDifference { ahead_ms, is_latest: false, allowed_ms: 60_000 };
        assert_eq!(found.explained(moved_ms).ahead_ms, left_ms, "{ahead_ms} {moved_ms}");
    }
}
