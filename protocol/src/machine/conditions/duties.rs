//! What a condition keeps a node from: whoever looks from outside can tell what a read and a write may count on.
//!
//! Promises: every condition has one answer for each duty. Does not: count shards, or know how many are enough.

use super::Name;

/// Whether a node does a duty while something is not well with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Duty {
    /// It does.
    Done,
    /// It will as soon as the ledger tells it what to do.
    Waits,
    /// It does not until somebody mends something.
    Refused,
}

impl Name {
    /// The condition that is called so in health, metrics and logs.
    pub fn named(text: &str) -> Option<Name> {
        Name::ALL.iter().copied().find(|name| name.as_str() == text)
    }

    /// Whether a node of which this is said takes slivers and confirms them.
    pub fn storing(self) -> Duty {
        match self {
            Name::PartsDown
            | Name::DiskFailing
            | Name::KeysWrong
            | Name::DiskFull
            | Name::TrustedUnusable
            | Name::LedgerForked
            | Name::LedgerRolledBack
            | Name::LedgerForged
            | Name::LedgerDisputed
            | Name::LedgerGap => Duty::Refused,
            // It hears of no registration, and confirms nothing before.
            Name::LedgerBehind | Name::LedgerSilent => Duty::Waits,
            Name::RotFound
            | Name::BlobsIncomplete
            | Name::ShardsMissing
            | Name::LedgerServerDoubted
            | Name::LedgerServerBehind
            | Name::LedgerServerSilent
            | Name::ClockWrong
            | Name::MembersRefused
            | Name::ShardsUnclaimed
            | Name::StrangersRefused
            | Name::PlacesExhausted
            | Name::MemoryExhausted => Duty::Done,
        }
    }

    /// Whether a node of which this is said serves the slivers it has.
    pub fn serving(self) -> Duty {
        match self {
            // Nobody can tell from outside which part it is, and with wrong keys it is somebody else.
            Name::PartsDown | Name::KeysWrong => Duty::Refused,
            Name::DiskFailing
            | Name::DiskFull
            | Name::RotFound
            | Name::BlobsIncomplete
            | Name::ShardsMissing
            | Name::TrustedUnusable
            | Name::LedgerForked
            | Name::LedgerRolledBack
            | Name::LedgerForged
            | Name::LedgerDisputed
            | Name::LedgerGap
            | Name::LedgerBehind
            | Name::LedgerSilent
            | Name::LedgerServerDoubted
            | Name::LedgerServerBehind
            | Name::LedgerServerSilent
            | Name::ClockWrong
            | Name::MembersRefused
            | Name::ShardsUnclaimed
            | Name::StrangersRefused
            | Name::PlacesExhausted
            | Name::MemoryExhausted => Duty::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::ledger_history::Verdict;

    #[test]
    fn a_condition_is_found_by_its_name_and_a_strange_one_is_none() {
        for name in Name::ALL {
            assert_eq!(Name::named(name.as_str()), Some(*name));
        }
        assert_eq!(Name::named("rain"), None);
    }

    #[test]
    fn a_ledger_that_stops_signatures_stops_storing_and_one_that_lags_lets_it_wait() {
        for (verdict, name) in [
            (Verdict::Fork, Name::LedgerForked),
            (Verdict::Rollback, Name::LedgerRolledBack),
            (Verdict::Forged, Name::LedgerForged),
            (Verdict::Gap, Name::LedgerGap),
            (Verdict::Disputed, Name::LedgerDisputed),
            (Verdict::Behind, Name::LedgerBehind),
        ] {
            let expected = if verdict.stops_us() { Duty::Refused } else { Duty::Waits };
            assert_eq!(name.storing(), expected, "{name}");
            assert_eq!(name.serving(), Duty::Done, "{name}: what is stored is served");
        }
    }

    #[test]
    fn a_full_disk_is_read_and_a_wiped_one_is_written_to() {
        assert_eq!(
            (Name::DiskFull.serving(), Name::DiskFull.storing()),
            (Duty::Done, Duty::Refused)
        );
        let missing = Name::ShardsMissing;
        assert_eq!((missing.serving(), missing.storing()), (Duty::Done, Duty::Done));
    }
}
