//! The vocabulary of state machines: one turn takes one fact and says what should happen.
//!
//! Promises: machines never block, ask, read a clock or draw random numbers; the same facts give the same effects.

pub mod announcement;
mod attendance;
pub mod backlog;
pub mod budgets;
pub mod chain_sync;
pub mod conditions;
pub mod confirmation;
pub mod credit;
pub mod dialling;
pub mod dials_back;
pub mod download;
pub mod duty;
pub mod epoch_change;
pub mod epoch_steps;
pub mod flows;
pub mod fusion;
pub mod guests;
pub mod handover;
pub mod holdings;
pub mod inquiry;
pub mod ledger_history;
pub mod ledger_servers;
pub mod node_keys;
pub mod pacing;
pub mod permanence;
pub mod places;
pub mod put_plan;
mod questions;
pub mod rations;
pub mod reachability;
pub mod recent;
pub mod recovery;
pub mod responsiveness;
pub mod retry;
pub mod roster;
pub mod scrub;
pub mod space;
pub mod standing;
pub mod turns;
pub mod upload;
pub mod verdict;
pub mod witness;

/// A moment: milliseconds since some fixed point the caller chose; only differences matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The moment this many milliseconds later.
    pub fn after(self, milliseconds: u64) -> Self {
        Timestamp(self.0.saturating_add(milliseconds))
    }
}

/// Ties an answer to the question it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a peer did wrong. A blamed peer is scored down; the work goes on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blame {
    /// Bytes that do not match the commitment they were asked for by.
    WrongBytes,
    /// A header, index, proof, signature or certificate that does not verify.
    WrongProof,
    /// A frame that cannot be decoded, or makes no sense where it came.
    Malformed,
    /// A frame or message above its limit.
    TooLarge,
    /// No answer in time. Not a lie: the peer may be down, or we may be.
    Silent,
    /// A stream it opened and then moved too slowly, or not at all. Not a lie either, but others wait for its place.
    Slow,
}

impl Blame {
    /// One word for metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Blame::WrongBytes => "wrong_bytes",
            Blame::WrongProof => "wrong_proof",
            Blame::Malformed => "malformed",
            Blame::TooLarge => "too_large",
            Blame::Silent => "silent",
            Blame::Slow => "slow",
        }
    }
}

impl std::fmt::Display for Blame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Blame::WrongBytes => "sent wrong bytes",
            Blame::WrongProof => "sent a proof or signature that does not verify",
            Blame::Malformed => "sent a malformed frame",
            Blame::TooLarge => "sent an oversized frame",
            Blame::Silent => "gave no answer in time",
            Blame::Slow => "moved a stream of its own too slowly",
        })
    }
}

/// One duty as a state machine.
pub trait Machine {
    /// What can happen to it.
    type Input;
    /// What it can ask for.
    type Effect;

    /// Takes one fact. Never blocks, never asks; answers arrive later as inputs.
    fn handle(&mut self, now: Timestamp, input: Self::Input) -> Vec<Self::Effect>;

    /// When to call again with the machine's input for time, even if nothing happens.
    fn deadline(&self) -> Option<Timestamp>;
}
