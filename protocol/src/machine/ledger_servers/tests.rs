//! Who is asked, in every mix of honest, lying, late and silent servers.

use proptest::prelude::*;

use super::*;
use crate::machine::ledger_history::Verdict;

const NOW: u64 = 100_000;

fn forged() -> Finding {
    Finding::Doubted(Doubt { verdict: Verdict::Forged, checkpoint: 7 })
}

fn sound(time_ms: u64) -> Finding {
    Finding::Sound { time_ms, is_proven: true }
}

fn claimed(time_ms: u64) -> Finding {
    Finding::Sound { time_ms, is_proven: false }
}

#[test]
fn whoever_fails_is_left_and_whoever_is_well_is_kept() {
    let mut servers = Servers::new(3);
    servers.found(0, sound(NOW));
    assert_eq!(servers.current(), 0);
    servers.found(1, sound(NOW));
    servers.found(2, forged());
    assert_eq!(servers.current(), 0, "nobody is better");
    servers.found(0, Finding::Silent);
    assert_eq!(servers.current(), 1);
    servers.found(0, sound(NOW));
    assert_eq!(servers.current(), 1, "it is well: no reason to go back");
    servers.found(1, forged());
    assert_eq!((servers.current(), servers.doubt()), (0, None));
}

#[test]
fn those_that_all_fail_are_asked_in_turn() {
    let mut servers = Servers::new(3);
    let mut asked = Vec::new();
    for _ in 0..6 {
        asked.push(servers.current());
        servers.found(servers.current(), Finding::Silent);
    }
    assert_eq!(asked, [0, 1, 2, 0, 1, 2]);
    let mut alone = Servers::new(1);
    alone.found(0, forged());
    assert_eq!(alone.current(), 0);
}

#[test]
fn a_server_is_late_by_the_ledgers_time_as_far_as_that_is_certain() {
    let mut servers = Servers::new(3);
    servers.verified(NOW);
    for (first, others, standing) in [
        (NOW - LAG_MS_MAX, claimed(NOW), Standing::Sound),
        (NOW - LAG_MS_MAX - 1, claimed(NOW), Standing::Behind { by_ms: LAG_MS_MAX + 1 }),
        (NOW, sound(NOW + 9_000), Standing::Behind { by_ms: 9_000 }),
        (NOW, claimed(NOW + 9_000), Standing::Behind { by_ms: 9_000 }),
    ] {
        servers.found(0, sound(first));
        (1..3).for_each(|other| servers.found(other, others));
        assert_eq!(servers.standing(0), standing, "{others:?}");
    }
    // One alone that claims to be far ahead makes nobody late.
    servers.found(1, sound(NOW));
    servers.found(2, claimed(NOW + 900_000));
    assert_eq!(servers.standing(0), Standing::Sound);
}

#[test]
fn the_ledger_is_doubted_when_somebody_contradicts_and_nobody_confirms() {
    let doubt = Some(Doubt { verdict: Verdict::Forged, checkpoint: 7 });
    for (others, expected) in [
        ([Finding::Unknown, Finding::Silent], None),
        ([sound(NOW), Finding::Silent], None),
        ([Finding::Silent, Finding::Silent], doubt),
        ([forged(), forged()], doubt),
    ] {
        let mut servers = Servers::new(3);
        servers.found(0, forged());
        servers.found(1, others[0]);
        servers.found(2, others[1]);
        assert_eq!(servers.doubt(), expected, "{others:?}");
    }
    let mut silent = Servers::new(2);
    silent.found(0, Finding::Silent);
    silent.found(1, Finding::Silent);
    assert_eq!(silent.doubt(), None, "silence is no doubt");
}

#[test]
fn two_of_three_decide_and_one_alone_never() {
    let [one, two, three] = [1, 2, 3].map(|byte| Some(CheckpointDigest([byte; 32])));
    let agreed = Agreement::Agreed(CheckpointDigest([1; 32]));
    for (shown, expected) in [
        (vec![one], Agreement::Disputed),
        (vec![one, one], agreed),
        (vec![one, None], Agreement::Open),
        (vec![one, two], Agreement::Disputed),
        (vec![one, one, two], agreed),
        (vec![two, one, one], agreed),
        (vec![one, one, None], agreed),
        (vec![one, two, None], Agreement::Open),
        (vec![one, None, None], Agreement::Open),
        (vec![one, two, three], Agreement::Disputed),
        (vec![one, one, two, two], Agreement::Disputed),
        (vec![one, one, one, two], agreed),
        (vec![one, one, two, two, None], Agreement::Open),
    ] {
        assert_eq!(agree(&shown), expected, "{shown:?}");
    }
}

/// How a server behaves.
#[derive(Clone, Copy, Debug)]
enum Nature {
    Honest,
    Late,
    Silent,
    Liar,
}

fn nature() -> impl Strategy<Value = Nature> {
    prop_oneof![Just(Nature::Honest), Just(Nature::Late), Just(Nature::Silent), Just(Nature::Liar)]
}

fn shows(nature: Nature) -> Finding {
    match nature {
        Nature::Honest => sound(NOW),
        Nature::Late => sound(NOW - LAG_MS_MAX - 1),
        Nature::Silent => Finding::Silent,
        Nature::Liar => forged(),
    }
}

proptest! {
    /// One that tells the truth is enough, whatever the others are, and whatever all of them were before.
    #[test]
    fn one_honest_server_is_found_and_kept(
        before in proptest::collection::vec((0_usize..5, nature()), 0..20),
        mut natures in proptest::collection::vec(nature(), 1..6),
        honest in any::<prop::sample::Index>(),
    ) {
        let count = natures.len();
        natures[honest.index(count)] = Nature::Honest;
        let mut servers = Servers::new(count);
        servers.verified(NOW);
        before.iter().for_each(|(server, nature)| servers.found(*server, shows(*nature)));
        // All are looked at now and then, as they come.
        natures.iter().enumerate().for_each(|(server, nature)| servers.found(server, shows(*nature)));
        for _ in 0..count {
            prop_assert!(matches!(natures[servers.current()], Nature::Honest), "{servers:?}");
            servers.found(servers.current(), sound(NOW));
        }
        prop_assert_eq!(servers.doubt(), None);
    }

    /// Without anybody looking at the others: who is asked and fails makes way until an honest one is asked.
    #[test]
    fn asking_alone_finds_an_honest_server(
        mut natures in proptest::collection::vec(nature(), 1..6),
        honest in any::<prop::sample::Index>(),
    ) {
        let count = natures.len();
        natures[honest.index(count)] = Nature::Honest;
        let mut servers = Servers::new(count);
        servers.verified(NOW);
        for _ in 0..count {
            let asked = servers.current();
            servers.found(asked, shows(natures[asked]));
        }
        prop_assert!(matches!(natures[servers.current()], Nature::Honest));
    }

    /// Fewer liars than decide never make anything true, and a quorum of honest ones always does.
    #[test]
    fn liars_below_the_quorum_decide_nothing(
        votes in proptest::collection::vec(prop_oneof![Just(None), (0_u8..3).prop_map(Some)], 1..9),
    ) {
        let truth = CheckpointDigest([0; 32]);
        let shown: Vec<_> = votes.iter().map(|vote| vote.map(|byte| CheckpointDigest([byte; 32]))).collect();
        let honest = shown.iter().flatten().filter(|digest| **digest == truth).count();
        let liars = shown.iter().flatten().count() - honest;
        let agreed = agree(&shown);
        if liars < quorum(shown.len()) {
            let is_a_lie = matches!(agreed, Agreement::Agreed(digest) if digest != truth);
            prop_assert!(!is_a_lie);
        }
        if honest >= quorum(shown.len()) {
            prop_assert_eq!(agreed, Agreement::Agreed(truth));
        }
    }
}
