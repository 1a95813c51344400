//! Whether a read and a write can succeed, from what the nodes do and the ledger says.
//!
//! A write needs a quorum of shards whose nodes take slivers: a node whose disk was lost takes new ones, one whose disk is
//! full does not. A read needs slivers of enough shards: there it is the other way round. Promises: the same facts give the
//! same answer; what nobody knows is called neither working nor failing. Does not: ask anybody.

use haulout_protocol::machine::conditions::{Duty, Name};

/// What a node can do for reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its shards in this epoch.
    pub(super) shards: usize,
    /// Those of which it has everything that was stored before.
    pub(super) held: usize,
    pub(super) serving: Duty,
    pub(super) storing: Duty,
    /// It runs, and does not answer: nobody knows what it does.
    pub(super) is_unheard: bool,
}

impl Part {
    /// A node that answers and says so of itself. A condition we do not know keeps it from nothing unless it is failing.
    pub(super) fn of<'a>(
        (shards, held): (usize, usize),
        conditions: impl Iterator<Item = (&'a str, bool)>,
    ) -> Self {
        let mut part =
            Part { shards, held, serving: Duty::Done, storing: Duty::Done, is_unheard: false };
        for (name, is_failing) in conditions {
            let unknown = if is_failing { Duty::Refused } else { Duty::Done };
            let name = Name::named(name);
            part.serving = part.serving.max(name.map_or(unknown, Name::serving));
            part.storing = part.storing.max(name.map_or(unknown, Name::storing));
        }
        part
    }

    /// A node that does nothing now.
    pub(super) fn away(shards: usize) -> Self {
        let (serving, storing) = (Duty::Refused, Duty::Refused);
        Part { shards, held: 0, serving, storing, is_unheard: false }
    }

    /// A node that runs, as far as anybody knows, and does not answer.
    pub(super) fn unheard(shards: usize) -> Self {
        Part { is_unheard: true, ..Part::away(shards) }
    }

    /// Shards from which one may be able to read: those of a node that is only slow, and those of which what was stored
    /// before is not here: what was stored since is, and so is what was brought back.
    fn in_doubt(&self) -> usize {
        match (self.is_unheard, self.serving) {
            (true, _) => self.shards,
            (false, Duty::Done) => self.shards.saturating_sub(self.held),
            (false, _) => 0,
        }
    }
}

/// Whether something can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Verdict {
    Works,
    /// Those that surely help are too few, and with those of which nobody knows they may be enough.
    InDoubt,
    Fails,
}

/// How many shards count, how many more may, and how many are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Sum {
    pub(in crate::cli) up: usize,
    pub(super) in_doubt: usize,
    pub(in crate::cli) needed: usize,
}

impl Sum {
    pub(in crate::cli) fn is_enough(self) -> bool {
        self.up >= self.needed
    }

    pub(super) fn verdict(self) -> Verdict {
        if self.is_enough() {
            Verdict::Works
        } else if self.up + self.in_doubt >= self.needed {
            Verdict::InDoubt
        } else {
            Verdict::Fails
        }
    }
}

/// For whom writes wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// The ledger answers nothing.
    Ledger,
    /// It answers, and too few nodes have heard of it lately.
    Nodes,
}

/// Whether reads and writes can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) reads: Sum,
    pub(super) writes: Sum,
    /// For whom writes wait, though there are nodes enough.
    pub(super) waits_for: Option<WaitsFor>,
}

impl Service {
    /// With these nodes, of which a read needs so many shards and a write so many.
    pub(super) fn of(
        parts: &[Part],
        (source, quorum): (usize, usize),
        ledger_answers: bool,
    ) -> Self {
        let sum = |count: &dyn Fn(&Part) -> usize| parts.iter().map(count).sum::<usize>();
        let stored_by =
            |duty: Duty| sum(&|part| if part.storing <= duty { part.shards } else { 0 });
        let read = sum(&|part| if part.serving == Duty::Done { part.held } else { 0 });
        let unheard = sum(&|part| if part.is_unheard { part.shards } else { 0 });
        let in_doubt = sum(&Part::in_doubt);
        let writes = Sum { up: stored_by(Duty::Waits), in_doubt: unheard, needed: quorum };
        let waits_for = match ledger_answers {
            _ if !writes.is_enough() => None,
            false => Some(WaitsFor::Ledger),
            true if stored_by(Duty::Done) < quorum => Some(WaitsFor::Nodes),
            true => None,
        };
        Service { reads: Sum { up: read, in_doubt, needed: source }, writes, waits_for }
    }

    /// Whether reads work.
    pub(super) fn reading(self) -> Verdict {
        self.reads.verdict()
    }

    /// Whether writes do; those that wait do not.
    pub(super) fn writing(self) -> Verdict {
        if self.waits_for.is_some() { Verdict::Fails } else { self.writes.verdict() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 100 shards a read needs 34 and a write 67, as in every devnet of that size.
    const NEEDED: (usize, usize) = (34, 67);

    fn node(shards: usize) -> Part {
        Part::of((shards, shards), std::iter::empty())
    }

    fn wiped(shards: usize) -> Part {
        Part::of((shards, 0), [("shards missing", false)].into_iter())
    }

    fn said(shards: usize, name: &str, is_failing: bool) -> Part {
        Part::of((shards, shards), [(name, is_failing)].into_iter())
    }

    fn judged(parts: &[Part]) -> (bool, bool) {
        let service = Service::of(parts, NEEDED, true);
        (service.reading() == Verdict::Works, service.writing() == Verdict::Works)
    }

    #[test]
    fn what_nobody_knows_is_called_neither_working_nor_failing() {
        let of = |parts: &[Part]| {
            let service = Service::of(parts, NEEDED, true);
            (service.reading(), service.writing())
        };
        // Lost disks: old blobs may be gone, what was stored since or brought back is there.
        let lost = [node(20), wiped(20), wiped(20), wiped(20), wiped(20)];
        assert_eq!(of(&lost), (Verdict::InDoubt, Verdict::Works));
        // Nodes that run and are slow, and nodes that surely do nothing.
        let slow = [node(20), Part::unheard(50), Part::away(30)];
        assert_eq!(of(&slow), (Verdict::InDoubt, Verdict::InDoubt));
        assert_eq!(of(&[node(34), Part::unheard(32)]), (Verdict::Works, Verdict::Fails));
        assert_eq!(of(&[node(20), Part::away(80)]), (Verdict::Fails, Verdict::Fails));
    }

    #[test]
    fn a_wiped_node_is_written_to_and_not_read_from() {
        // One node of five dead and one wiped: a put succeeds, and so does a get.
        let parts = [node(20), node(20), node(20), wiped(20), Part::away(20)];
        assert_eq!(judged(&parts), (true, true));
        assert_eq!(judged(&[node(33), wiped(34)]), (false, true));
        assert_eq!(judged(&[node(34), wiped(33)]), (true, true));
        assert_eq!(judged(&[node(34), wiped(32)]), (true, false));
    }

    #[test]
    fn each_need_is_met_at_its_number_and_not_one_below() {
        for (shards, expected) in
            [(33, (false, false)), (34, (true, false)), (66, (true, false)), (67, (true, true))]
        {
            let parts = [node(shards), Part::away(100 - shards)];
            assert_eq!(judged(&parts), expected, "{shards}");
        }
    }

    #[test]
    fn a_full_disk_is_read_from_and_not_written_to() {
        for name in ["disk full", "disk failing", "ledger forked"] {
            assert_eq!(judged(&[said(67, name, true), node(33)]), (true, false), "{name}");
        }
        assert_eq!(judged(&[said(67, "parts down", true), node(33)]), (false, false));
        assert_eq!(judged(&[said(67, "clock wrong", false), node(33)]), (true, true));
        assert_eq!(judged(&[said(67, "what is new", false), node(33)]), (true, true));
        assert_eq!(judged(&[said(67, "what is new", true), node(33)]), (false, false));
        let both = Part::of((67, 67), [("disk full", false), ("rot found", false)].into_iter());
        assert_eq!(judged(&[both, node(33)]), (true, false));
    }

    #[test]
    fn writes_wait_for_a_ledger_and_for_nodes_that_have_not_heard_of_it() {
        let well = [node(67), node(33)];
        let service = Service::of(&well, NEEDED, false);
        assert_eq!((service.reading(), service.writing()), (Verdict::Works, Verdict::Fails));
        assert_eq!(service.waits_for, Some(WaitsFor::Ledger));
        let deaf = |shards| said(shards, "ledger silent", false);
        for (parts, expected) in [
            ([node(67), deaf(33)], None),
            ([node(66), deaf(34)], Some(WaitsFor::Nodes)),
            ([node(66), Part::away(34)], None), // it fails: nobody waits
        ] {
            let service = Service::of(&parts, NEEDED, true);
            assert_eq!(service.waits_for, expected, "{parts:?}");
        }
        assert_eq!(Service::of(&[node(66)], NEEDED, false).waits_for, None);
    }
}
