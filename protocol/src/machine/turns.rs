//! Whose turn it is at something that one after the other uses for a while, as a core.
//!
//! Promises: nothing is idle while anybody waits; over any time in which two duties wait, what they use is as their weights
//! are, give or take one turn of each; who did not want anything saves nothing up; within a duty, who came first is first.
//! Does not: take a turn away, or read a clock: whoever has a turn says how long it took.

use std::collections::{BTreeMap, VecDeque};

use super::duty::{Duty, PerDuty};

/// Names a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// One duty's line.
#[derive(Clone, Debug, Default)]
struct Line {
    waiting: VecDeque<Ticket>,
    running: u64,
    /// Time used, for each unit of weight: in microseconds, with those from before it last came taken for used.
    used: u64,
    /// How long a turn of it took last: what a running one counts until it is over.
    typical_us: u64,
}

impl Line {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running == 0
    }

    /// What it has used with what runs, for each unit of weight.
    fn pass(&self, weight: u64) -> u64 {
        let running = self.running.saturating_mul(self.typical_us);
        self.used.saturating_add(running / weight.max(1))
    }
}

/// Who has a turn and who waits for one.
#[derive(Clone, Debug)]
pub struct Turns {
    places: usize,
    weights: PerDuty<u64>,
    lines: PerDuty<Line>,
    running: BTreeMap<Ticket, Duty>,
    next: u64,
}

/// A turn counts so much at first: about a sliver of a megabyte.
const TYPICAL_US: u64 = 1_000;

impl Turns {
    /// So many turns at a time, shared by weight.
    pub fn new(places: usize, weights: PerDuty<u64>) -> Self {
        let line = || Line { typical_us: TYPICAL_US, ..Line::default() };
        let lines =
            PerDuty { clients: line(), repair: line(), handover: line(), challenges: line() };
        Turns { places: places.max(1), weights, lines, running: BTreeMap::new(), next: 0 }
    }

    /// Somebody wants a turn.
    pub fn ask(&mut self, duty: Duty) -> Ticket {
        let busy = Duty::ALL.into_iter().filter(|other| !self.lines.of(*other).is_idle());
        let least = busy.map(|other| self.pass(other)).min();
        if least.is_none() {
            // Nobody was kept waiting by what anybody used before.
            Duty::ALL.into_iter().for_each(|other| self.lines.of_mut(other).used = 0);
        }
        let ticket = Ticket(self.next);
        self.next = self.next.saturating_add(1);
        let line = self.lines.of_mut(duty);
        if line.is_idle() {
            line.used = line.used.max(least.unwrap_or(0));
        }
        line.waiting.push_back(ticket);
        ticket
    }

    /// Gives turns to those who are next; who they are.
    pub fn grant(&mut self) -> Vec<Ticket> {
        let mut granted = Vec::new();
        while self.running.len() < self.places {
            let waiting = Duty::ALL.into_iter();
            let waiting = waiting.filter(|duty| !self.lines.of(*duty).waiting.is_empty());
            let Some(duty) = waiting.min_by_key(|duty| (self.pass(*duty), *duty)) else { break };
            let line = self.lines.of_mut(duty);
            let Some(ticket) = line.waiting.pop_front() else { break };
            line.running = line.running.saturating_add(1);
            self.running.insert(ticket, duty);
            granted.push(ticket);
        }
        let running = Duty::ALL.into_iter().map(|duty| self.lines.of(duty).running);
        debug_assert_eq!(running.sum::<u64>(), u64::try_from(self.running.len()).unwrap_or(0));
        debug_assert!(self.running.len() <= self.places, "nobody has a turn without a place");
        granted
    }

    /// A turn is over after so long, or is not wanted any more.
    pub fn release(&mut self, ticket: Ticket, took_us: u64) {
        let Some(duty) = self.running.remove(&ticket) else {
            Duty::ALL.into_iter().for_each(|duty| {
                self.lines.of_mut(duty).waiting.retain(|waiting| *waiting != ticket);
            });
            return;
        };
        let weight = (*self.weights.of(duty)).max(1);
        let line = self.lines.of_mut(duty);
        line.running = line.running.saturating_sub(1);
        line.used = line.used.saturating_add(took_us / weight);
        line.typical_us = took_us;
    }

    fn pass(&self, duty: Duty) -> u64 {
        self.lines.of(duty).pass(*self.weights.of(duty))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WEIGHTS: PerDuty<u64> = PerDuty { clients: 6, repair: 2, handover: 2, challenges: 1 };

    /// How much time each duty used when those with a turn length wait all the time, on so many cores.
    fn used(places: usize, takes_us: PerDuty<Option<u64>>, turns: usize) -> PerDuty<u64> {
        let mut cores = Turns::new(places, WEIGHTS);
        let mut used = PerDuty::default();
        let mut running: Vec<(u64, Ticket, Duty)> = Vec::new();
        let mut asked = BTreeMap::new();
        let (mut now, mut given) = (0, 0);
        let wants = |duty: Duty| *takes_us.of(duty);
        for duty in Duty::ALL.into_iter().filter(|duty| wants(*duty).is_some()) {
            asked.extend((0..2).map(|_| (cores.ask(duty), duty)));
        }
        while given < turns {
            for ticket in cores.grant() {
                let duty = asked.remove(&ticket).expect("whoever gets a turn asked for it");
                let takes = wants(duty).expect("only those that want turns ask");
                running.push((now + takes, ticket, duty));
                asked.insert(cores.ask(duty), duty);
                given += 1;
            }
            running.sort_unstable_by_key(|(ends, _, _)| *ends);
            let (ends, ticket, duty) = running.remove(0);
            let takes = wants(duty).expect("it ran");
            now = ends;
            cores.release(ticket, takes);
            *used.of_mut(duty) += takes;
        }
        used
    }

    #[test]
    fn who_is_alone_has_all_and_who_is_not_has_as_its_weight_is() {
        let alone = PerDuty { repair: Some(20_000), ..PerDuty::default() };
        assert!(used(2, alone, 100).repair >= 98 * 20_000);
        let beside = PerDuty { clients: Some(1_000), repair: Some(30_000), ..PerDuty::default() };
        let used = used(2, beside, 4_000);
        let share = used.clients * 100 / (used.clients + used.repair);
        assert!((70..=80).contains(&share), "six of eight, however long the turns: {share} %");
    }

    #[test]
    fn whoever_comes_after_a_rest_waits_for_one_turn_and_owns_no_past() {
        let mut cores = Turns::new(1, WEIGHTS);
        let repair = cores.ask(Duty::Repair);
        assert_eq!(cores.grant(), [repair]);
        let queue: Vec<_> = (0..5).map(|_| cores.ask(Duty::Repair)).collect();
        let reader = cores.ask(Duty::Clients);
        assert!(cores.grant().is_empty(), "no turn is taken away");
        cores.release(repair, 1_000_000);
        assert_eq!(cores.grant(), [reader], "it came last, and repair had more than its share");
        cores.release(reader, 1_000);
        let readers: Vec<_> = (0..2_000).map(|_| cores.ask(Duty::Clients)).collect();
        let mut before = 0;
        while let [next] = cores.grant()[..]
            && next != queue[0]
        {
            before += 1;
            cores.release(next, 1_000);
        }
        assert!((1..=3_000).contains(&before) && before < readers.len(), "{before}");
    }

    #[test]
    fn what_was_used_while_nobody_else_wanted_anything_is_forgotten_when_all_rest() {
        let mut cores = Turns::new(1, WEIGHTS);
        let reader = cores.ask(Duty::Clients);
        assert_eq!(cores.grant(), [reader]);
        cores.release(reader, 3_600_000_000);
        let queue: Vec<_> = (0..9).map(|_| cores.ask(Duty::Repair)).collect();
        let reader = cores.ask(Duty::Clients);
        let mut before = 0;
        while let [next] = cores.grant()[..]
            && next != reader
        {
            before += 1;
            cores.release(next, 1_000);
        }
        assert!(before < queue.len(), "an hour of reading must not be waited for");
    }

    #[test]
    fn a_request_that_is_given_up_frees_its_place_in_line_and_its_turn() {
        let mut cores = Turns::new(1, WEIGHTS);
        let [first, second, third] = [0; 3].map(|_| cores.ask(Duty::Clients));
        assert_eq!(cores.grant(), [first]);
        cores.release(second, 0);
        cores.release(first, 0);
        assert_eq!(cores.grant(), [third]);
    }

    proptest! {
        #[test]
        fn no_script_leaves_a_core_idle_while_somebody_waits_or_gives_more_turns_than_there_are(
            script in prop::collection::vec((0_usize..4, any::<bool>(), 0_u64..50_000), 1..200),
        ) {
            let mut cores = Turns::new(3, WEIGHTS);
            let (mut waiting, mut running) = (Vec::new(), Vec::new());
            for (duty, releases, took_us) in script {
                if releases && !running.is_empty() {
                    cores.release(running.remove(0), took_us);
                } else {
                    waiting.push(cores.ask(Duty::ALL[duty]));
                }
                let granted = cores.grant();
                waiting.retain(|ticket| !granted.contains(ticket));
                running.extend(granted);
                prop_assert!(running.len() <= 3);
                prop_assert!(running.len() == 3 || waiting.is_empty());
            }
        }
    }
}
