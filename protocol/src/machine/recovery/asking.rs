//! What a recovery may ask, of whom, and whether that can be enough.
//!
//! Promises: nothing is asked for twice of one member at a time; nobody counts for more than it says it holds. Does not:
//! say what follows from what came.

use std::collections::{BTreeMap, BTreeSet};

use super::{Effect, SegmentRecovery, Stage, Thing};
use crate::machine::Timestamp;
use crate::machine::responsiveness::{Pace, Preference};
use crate::sliver::{Axis, PairIndex};

impl SegmentRecovery {
    pub(super) fn owner(&self, thing: Thing) -> usize {
        self.owners[usize::from(thing.pair().0)]
    }

    /// How many slivers of this axis have to give symbols, beyond those at hand. Rebuilt secondary slivers give the
    /// primary ones what they share with them, but nothing proves that.
    pub(super) fn needed(&self, axis: Axis) -> usize {
        let across = usize::from(self.parameters.sliver_symbols(axis.other()));
        let shared = match axis {
            Axis::Secondary if self.stage < Stage::Accusing => self.targets.len(),
            Axis::Primary | Axis::Secondary => 0,
        };
        across.saturating_sub(self.local.len() + shared)
    }

    pub(super) fn is_proving(&self) -> bool {
        self.stage >= Stage::Proving
    }

    pub(super) fn held_of(&self, axis: Axis) -> usize {
        self.held
            .iter()
            .filter(|thing| matches!(thing, Thing::Symbols(of, _) if *of == axis))
            .count()
    }

    /// Slivers of this axis that others may hold.
    pub(super) fn sources(&self, axis: Axis) -> impl Iterator<Item = Thing> {
        let pairs = (0..self.parameters.shards()).map(PairIndex);
        let free =
            move |pair: &PairIndex| !self.targets.contains(pair) && !self.local.contains(pair);
        pairs.filter(free).map(move |pair| Thing::Symbols(axis, pair))
    }

    /// Whether somebody else may give this, if whoever was not there so many times is not hoped for.
    pub(super) fn may_come(&self, thing: Thing, absent_times: u32) -> bool {
        let owner = self.owner(thing);
        self.ourselves != Some(owner)
            && !self.missing.contains(&thing)
            && !self.members.is_gone(owner)
            && !self.members.is_absent(owner, absent_times)
    }

    /// Whether its holder may be asked for this now.
    pub(super) fn is_free(&self, now: Timestamp, thing: Thing) -> bool {
        self.may_come(thing, u32::MAX)
            && !self.held.contains(&thing)
            && !self.questions.is_asked(thing)
            && !self.members.is_resting(now, self.owner(thing))
    }

    /// How gladly this is asked for: slivers that hold the segment's own symbols need no decoding.
    pub(super) fn rank(&self, thing: Thing) -> (bool, Preference, bool, u16) {
        let owner = self.owner(thing);
        let axis = match thing {
            Thing::Symbols(axis, _) => axis,
            Thing::Proof(_) => Axis::Primary,
        };
        let index = thing.pair().sliver_index(axis, &self.parameters);
        let is_repair = index >= self.parameters.source(axis);
        (self.members.is_silent(owner), self.preferences[owner], is_repair, index)
    }

    /// Symbols to ask for now, as many as are still missing beyond those on their way; members on trial do not count.
    pub(super) fn symbols_to_ask(&self, now: Timestamp, axis: Axis) -> Vec<Thing> {
        let of_axis = |thing: &&Thing| matches!(thing, Thing::Symbols(of, _) if *of == axis);
        let promised = self.questions.promised().filter(of_axis).count();
        let mut missing = self.needed(axis).saturating_sub(self.held_of(axis) + promised);
        let mut free: Vec<_> =
            self.sources(axis).filter(|thing| self.is_free(now, *thing)).collect();
        free.sort_by_key(|thing| self.rank(*thing));
        let mut wanted = Vec::new();
        for thing in free {
            if missing == 0 {
                break;
            }
            missing -= usize::from(self.paces[self.owner(thing)] != Pace::OnTrial);
            wanted.push(thing);
        }
        wanted
    }

    /// Asks for what is missing; one request for each member and kind.
    pub(super) fn ask_more(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut wanted = self.proofs_to_ask(now);
        wanted.extend(Axis::BOTH.into_iter().flat_map(|axis| self.symbols_to_ask(now, axis)));
        let mut requests: BTreeMap<(usize, Option<Axis>), Vec<Thing>> = BTreeMap::new();
        for thing in wanted {
            let kind = match thing {
                Thing::Symbols(axis, _) => Some(axis),
                Thing::Proof(_) => None,
            };
            requests.entry((self.owner(thing), kind)).or_default().push(thing);
        }
        let mut effects = Vec::new();
        for ((member, kind), things) in requests {
            let request = self.questions.ask(now, member, self.paces[member], &things);
            let pairs: Vec<_> = things.iter().map(|thing| thing.pair()).collect();
            effects.push(match kind {
                None => Effect::AskProofs { request, member, pairs },
                Some(axis) => {
                    let targets = self.targets.iter().copied().collect();
                    let with_proofs = self.is_proving();
                    Effect::Ask { request, member, axis, sources: pairs, targets, with_proofs }
                }
            });
            if self.paces[member] == Pace::OnTrial {
                effects.push(Effect::Silent { member }); // one trial, until it answers
            }
        }
        effects
    }

    /// Whether symbols of enough slivers came.
    pub(super) fn has_enough(&self) -> bool {
        Axis::BOTH.into_iter().all(|axis| self.held_of(axis) >= self.needed(axis))
    }

    /// Whether too few slivers may still give symbols, whoever answers.
    pub(super) fn is_short(&self, absent_times: u32) -> bool {
        Axis::BOTH.into_iter().any(|axis| self.shortage(axis, absent_times).is_some())
    }

    /// How many slivers of an axis may still give symbols, if that is too few.
    pub(super) fn shortage(&self, axis: Axis, absent_times: u32) -> Option<usize> {
        let mut by_owner: BTreeMap<usize, [usize; 2]> = BTreeMap::new();
        for thing in self.sources(axis) {
            let [held, open] = by_owner.entry(self.owner(thing)).or_default();
            *held += usize::from(self.held.contains(&thing));
            *open += usize::from(!self.held.contains(&thing) && self.may_come(thing, absent_times));
        }
        let of = |(owner, [held, open]): (usize, [usize; 2])| {
            held + open.min(self.said_of(owner, axis).saturating_sub(held))
        };
        let available = by_owner.into_iter().map(of).sum();
        (available < self.needed(axis)).then_some(available)
    }

    /// How many slivers a member holds at most, as it says.
    fn said_of(&self, member: usize, axis: Axis) -> usize {
        let place = Axis::BOTH.iter().position(|it| *it == axis).unwrap_or(0);
        self.said.get(&member).map_or(usize::MAX, |said| usize::from(said[place]))
    }

    /// How many primary slivers may be had for a read, ours among them; of members that are late only if they are hoped for.
    pub(super) fn readable(&self, absent_times: u32, hopes_for_late: bool) -> usize {
        let late: BTreeSet<_> = self.questions.late_members().collect();
        let is_away = |owner: &usize| self.members.is_silent(*owner) || late.contains(owner);
        let mut by_owner: BTreeMap<usize, usize> = BTreeMap::new();
        for pair in (0..self.parameters.shards()).map(PairIndex) {
            let thing = Thing::Symbols(Axis::Primary, pair);
            let owner = self.owner(thing);
            let is_others = !self.lost.contains(&pair) && !self.local.contains(&pair);
            if is_others
                && self.may_come(thing, absent_times)
                && (hopes_for_late || !is_away(&owner))
            {
                *by_owner.entry(owner).or_default() += 1;
            }
        }
        let of = |(owner, pairs): (usize, usize)| pairs.min(self.said_of(owner, Axis::Primary));
        self.local.len() + by_owner.into_iter().map(of).sum::<usize>()
    }
}
