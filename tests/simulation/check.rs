//! What must hold, by the numbers of the reliability design, and who checks it.
//!
//! Promises: one table names all of it, also what waits for a part of the system that does not exist yet. Does not: check;
//! the places named do, after the steps named.

use std::fmt;

/// What a run may violate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invariant {
    Durability,
    NoFalseAck,
    ReadIntegrity,
    ReadAgreement,
    ReadLiveness,
    WriteLiveness,
    CrashSafety,
    NoUnpaidState,
    EpochSafety,
    BoundedResources,
    Deletion,
    CursorProgress,
    NoPaymentInVain,
    NobodyHonestBlamed,
    Convergence,
    Listing,
    SoundStore,
    Recovery,
    SoundRepair,
    NoFalseReport,
    Scrubbing,
}

/// One line of the table.
pub(crate) struct Line {
    pub(crate) number: &'static str,
    pub(crate) invariant: Option<Invariant>,
    pub(crate) says: &'static str,
}

const fn line(number: &'static str, invariant: Invariant, says: &'static str) -> Line {
    Line { number, invariant: Some(invariant), says }
}

const fn waits(number: &'static str, says: &'static str) -> Line {
    Line { number, invariant: None, says }
}

/// All of them.
pub(crate) const TABLE: [Line; 24] = [
    line(
        "I-1",
        Invariant::Durability,
        "at the end: a certified blob's slivers are at honest nodes, enough to decode",
    ),
    line(
        "I-2",
        Invariant::NoFalseAck,
        "every confirmation: a power cut at that instant leaves all that it says",
    ),
    line("I-3", Invariant::ReadIntegrity, "every read: the bytes that were written, or an error"),
    line("I-4", Invariant::ReadAgreement, "every read: nobody calls a sound blob wrongly encoded"),
    line(
        "I-5",
        Invariant::ReadLiveness,
        "at the end: with f faulty shards every certified blob is read in time",
    ),
    line(
        "I-6",
        Invariant::WriteLiveness,
        "at the end: with f faulty shards every put certifies in time",
    ),
    line(
        "I-7",
        Invariant::Recovery,
        "at the end: with f faulty shards every honest node has its share of what is certified, also after disks were lost until a reader's share was left",
    ),
    waits("I-8", "recovery cost: the machine's tests count symbols, no run does yet"),
    line(
        "I-9",
        Invariant::CrashSafety,
        "every restart: the store opens, and holds what was confirmed",
    ),
    line("I-10", Invariant::NoUnpaidState, "at the end: nothing is kept that nobody paid for"),
    line(
        "I-11",
        Invariant::EpochSafety,
        "every judged epoch and sweep: what was confirmed and is paid for stays",
    ),
    line(
        "I-12",
        Invariant::BoundedResources,
        "every step: no more segments in a writer's memory than its window",
    ),
    line("I-13", Invariant::Deletion, "at the end: when all is over nothing is kept"),
    waits("I-14", "audits: there are none yet"),
    waits("I-15", "confidentiality: there is no encryption yet"),
    line(
        "I-16",
        Invariant::CursorProgress,
        "every step: no node goes back; who has read all knows what the ledger says",
    ),
    line(
        "+1",
        Invariant::NoPaymentInVain,
        "every registration: a quorum had answered; every certificate is taken, or its epoch is over",
    ),
    line(
        "+2",
        Invariant::NobodyHonestBlamed,
        "every blame: it falls on a liar or on a disk that lost something",
    ),
    line("+3", Invariant::Convergence, "at the end: the network comes to rest"),
    line(
        "+4",
        Invariant::Listing,
        "every sweep: the store lists what it lacks of certified blobs, and nothing else",
    ),
    line("+8", Invariant::SoundRepair, "every repair: what is kept is the pair that was written"),
    line(
        "+7",
        Invariant::NoFalseReport,
        "every report of shards: a power cut at that instant leaves all that was certified before in those that are new",
    ),
    line(
        "+5",
        Invariant::SoundStore,
        "every start, epoch and sweep: no table of the store contradicts another",
    ),
    line(
        "+6",
        Invariant::Scrubbing,
        "at the end: what rotted at an honest node is found, though nobody read it, and right again",
    ),
];

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) at_ms: u64,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = TABLE.iter().find(|line| line.invariant == Some(self.invariant));
        let number = line.map_or("?", |line| line.number);
        write!(formatter, "{number} {:?} at {} ms: {}", self.invariant, self.at_ms, self.what)
    }
}

/// Nothing of the design's list is forgotten, and nothing is named twice.
pub(crate) fn names_all_of_the_design() {
    for number in 1..=16 {
        let number = format!("I-{number}");
        assert_eq!(TABLE.iter().filter(|line| line.number == number).count(), 1, "{number}");
    }
    for line in &TABLE {
        let is_waiting = line.invariant.is_none();
        assert_eq!(is_waiting, line.says.contains("yet"), "{}: {}", line.number, line.says);
    }
}
