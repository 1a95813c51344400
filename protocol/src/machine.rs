//! The vocabulary of state machines: one turn takes one fact and says what should happen.
//!
//! Promises: machines never block, ask, read a clock or draw random numbers; the same facts give the same effects.

pub mod announcement;
pub mod chain_sync;
pub mod download;
pub mod upload;

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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blame {
    /// Sent a sliver that does not match its index.
    #[error("sent a sliver that does not match its index")]
    WrongSliver,
    /// Sent an index that does not match the segment's commitment.
    #[error("sent a sliver index that does not match the header")]
    WrongIndex,
    /// Sent a header that does not match the blob id.
    #[error("sent a header that does not match the blob id")]
    WrongHeader,
    /// Sent a signature or certificate that does not verify.
    #[error("sent a signature that does not verify")]
    WrongSignature,
    /// Sent bytes outside the protocol.
    #[error("broke the protocol: {0}")]
    Protocol(String),
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
