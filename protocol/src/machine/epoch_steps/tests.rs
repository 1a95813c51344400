//! Whose turn it is, when, and that epochs go on whoever is dead.

use proptest::prelude::*;

use super::*;
use crate::committee::tests::sample_committee;

const EPOCH_MS: u64 = 60_000;
const TIMEOUT_MS: u64 = 15_000;
const TURN_MS: u64 = EPOCH_MS / TURNS_PER_EPOCH;

fn situation(epoch: u32, state: EpochState, turn: u64) -> Situation {
    Situation {
        epoch: Epoch(epoch),
        state,
        duration_ms: EPOCH_MS,
        sync_timeout_ms: TIMEOUT_MS,
        turn,
        may_report: false,
    }
}

/// What a machine sends at a moment, given a situation.
fn at(machine: &mut EpochSteps, now: u64, situation: Situation) -> Vec<Effect> {
    machine.handle(Timestamp(now), Input::Moved(situation))
}

#[test]
fn steps_are_sent_when_the_rules_allow_them_and_it_is_our_turn() {
    let begun = EpochState::Sync { weight: 0, started_ms: 1_000 };
    let done = EpochState::Done { since_ms: 2_000 };
    let selected = EpochState::Selected { since_ms: 2_000 };
    for (state, step, due) in [
        (begun, Step::ForceSync, 16_000),
        (done, Step::EndVoting, 32_000),
        (selected, Step::ChangeEpoch, 62_000),
    ] {
        for turn in [0, 3] {
            let mut machine = EpochSteps::default();
            let due = due + turn * TURN_MS;
            assert_eq!(at(&mut machine, due - 1, situation(5, state, turn)), []);
            assert_eq!(machine.deadline(), Some(Timestamp(due)));
            let sent = machine.handle(Timestamp(due), Input::TimeReached);
            assert_eq!(sent, [Effect::Send(step)]);
            assert_eq!(machine.deadline(), None, "one call at a time");
        }
    }
}

#[test]
fn a_node_reports_once_in_every_epoch_and_in_every_state_of_it() {
    let mut machine = EpochSteps::default();
    for (epoch, state) in [
        (5, EpochState::Sync { weight: 0, started_ms: 0 }),
        (6, EpochState::Done { since_ms: 0 }),
        (7, EpochState::Selected { since_ms: 0 }),
    ] {
        let missing = situation(epoch, state, 0);
        assert_eq!(at(&mut machine, 1, missing), [], "its shards are not here");
        let here = Situation { may_report: true, ..missing };
        assert_eq!(at(&mut machine, 2, here), [Effect::Send(Step::ReportShards)]);
        assert_eq!(machine.handle(Timestamp(3), Input::Done), []);
        assert_eq!(at(&mut machine, 4, here), []);
    }
}

#[test]
fn a_report_that_arrives_late_counts_for_its_own_epoch() {
    let mut machine = EpochSteps::default();
    let state = EpochState::Sync { weight: 0, started_ms: 0 };
    let may = |epoch| Situation { may_report: true, ..situation(epoch, state, 0) };
    assert_eq!(at(&mut machine, 1, may(5)), [Effect::Send(Step::ReportShards)]);
    assert_eq!(at(&mut machine, 2, may(6)), [], "the call of epoch 5 is still under way");
    let next = machine.handle(Timestamp(3), Input::Done);
    assert_eq!(next, [Effect::Send(Step::ReportShards)], "epoch 6 has no report yet");
}

#[test]
fn failed_calls_are_repeated_ever_more_slowly_until_the_ledger_moves() {
    let mut machine = EpochSteps::default();
    let done = situation(5, EpochState::Done { since_ms: 0 }, 0);
    let mut now = EPOCH_MS;
    assert_eq!(at(&mut machine, now, done), [Effect::Send(Step::EndVoting)]);
    for pause in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        assert_eq!(machine.handle(Timestamp(now), Input::Failed), []);
        assert_eq!(machine.deadline(), Some(Timestamp(now + pause)));
        assert_eq!(at(&mut machine, now + pause - 1, done), []);
        now += pause;
        let sent = machine.handle(Timestamp(now), Input::TimeReached);
        assert_eq!(sent, [Effect::Send(Step::EndVoting)]);
    }
    assert_eq!(machine.handle(Timestamp(now), Input::Failed), []);
    let selected = situation(5, EpochState::Selected { since_ms: 0 }, 0);
    assert_eq!(at(&mut machine, now, selected), [Effect::Send(Step::ChangeEpoch)]);
}

#[test]
fn turns_differ_and_change_with_every_epoch_and_step() {
    let (committee, _) = sample_committee(7, 21);
    let state = EpochState::Done { since_ms: 0 };
    let nodes: Vec<_> = committee.members().iter().map(|member| member.node_id).collect();
    let mut turns: Vec<_> =
        nodes.iter().map(|node| turn(&committee, Some(*node), &state)).collect();
    let selected = EpochState::Selected { since_ms: 0 };
    let others: Vec<_> =
        nodes.iter().map(|node| turn(&committee, Some(*node), &selected)).collect();
    assert_ne!(turns, others);
    turns.sort_unstable();
    assert_eq!(turns, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(turn(&committee, None, &state), 7);
}

/// A ledger that follows the rules of the clock, and nodes that see it some time later.
struct World {
    now: u64,
    epoch: u32,
    state: EpochState,
    history: Vec<(u64, u32, EpochState)>,
    sent: u32,
}

impl World {
    /// Executes a step as the rules would; says whether it was taken.
    fn execute(&mut self, step: Step, shards: u16) -> bool {
        self.sent += u32::from(step != Step::ReportShards);
        let now = self.now;
        self.state = match (step, self.state) {
            (Step::ReportShards, EpochState::Sync { weight, started_ms }) => {
                let weight = weight + 1;
                match u32::from(weight) * 3 > u32::from(shards) * 2 {
                    true => EpochState::Done { since_ms: now },
                    false => EpochState::Sync { weight, started_ms },
                }
            }
            (Step::ReportShards, state) => state,
            (Step::ForceSync, EpochState::Sync { started_ms, .. })
                if now >= started_ms + TIMEOUT_MS =>
            {
                EpochState::Done { since_ms: now }
            }
            (Step::EndVoting, EpochState::Done { since_ms }) if now >= since_ms + EPOCH_MS / 2 => {
                EpochState::Selected { since_ms }
            }
            (Step::ChangeEpoch, EpochState::Selected { since_ms })
                if now >= since_ms + EPOCH_MS =>
            {
                self.epoch += 1;
                EpochState::Sync { weight: 0, started_ms: now }
            }
            _ => return false,
        };
        self.history.push((now, self.epoch, self.state));
        true
    }

    /// What a node sees that is so many milliseconds behind.
    fn seen(&self, delay: u64) -> (u32, EpochState) {
        let visible = self.history.iter().rev().find(|(at, ..)| at + delay <= self.now);
        visible.map_or((1, EpochState::Done { since_ms: 0 }), |(_, epoch, state)| (*epoch, *state))
    }
}

/// Lets nodes live by their machines until an epoch begins; says how many calls that took.
fn live(nodes: u8, dead: &[usize], delays: &[u64], until: u32) -> (World, u32) {
    let (committee, _) = sample_committee(nodes, u16::from(nodes));
    let state = EpochState::Done { since_ms: 0 };
    let mut world = World { now: 0, epoch: 1, state, history: vec![(0, 1, state)], sent: 0 };
    let mut machines: Vec<_> = (0..nodes).map(|_| EpochSteps::default()).collect();
    while world.epoch < until && world.now < u64::from(until) * 3 * EPOCH_MS {
        world.now += 50;
        for (index, machine) in machines.iter_mut().enumerate() {
            if dead.contains(&index) {
                continue;
            }
            let (epoch, state) = world.seen(delays[index % delays.len()]);
            let node = committee.members()[index].node_id;
            let turn = turn(&committee, Some(node), &state);
            let seen = Situation { may_report: true, ..situation(epoch, state, turn) };
            for Effect::Send(step) in at(machine, world.now, seen) {
                let taken = world.execute(step, u16::from(nodes));
                let answer = if taken { Input::Done } else { Input::Failed };
                machine.handle(Timestamp(world.now), answer);
            }
        }
    }
    let sent = world.sent;
    (world, sent)
}

#[test]
fn one_node_sends_and_the_others_see_it_done() {
    let (world, sent) = live(7, &[], &[200, 500, 900], 21);
    assert_eq!((world.epoch, sent), (21, 40), "two steps an epoch, each sent once");
}

#[test]
fn without_a_quorum_of_reports_the_sync_is_forced() {
    let (world, _) = live(7, &[0, 1, 2], &[300], 4);
    assert_eq!(world.epoch, 4);
    assert!(world.now >= 2 * (EPOCH_MS + TIMEOUT_MS), "each sync took its whole time");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn epochs_go_on_whoever_is_dead_and_however_late_news_come(
        nodes in 4_u8..9,
        dead in proptest::collection::vec(0_usize..9, 0..8),
        delays in proptest::collection::vec(0_u64..4_000, 1..9),
    ) {
        let alive = (0..usize::from(nodes)).filter(|index| !dead.contains(index)).count();
        prop_assume!(alive > 0);
        let (world, sent) = live(nodes, &dead, &delays, 6);
        prop_assert_eq!(world.epoch, 6);
        prop_assert!(sent <= 15 * u32::from(nodes) * 4, "{} calls", sent);
    }
}
