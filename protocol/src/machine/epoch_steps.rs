//! Who sends the steps of an epoch, and when: `contracts.md` 2.9.
//!
//! Promises: any node may send any step, and they take turns in an order that changes with every
//! epoch and step, so that mostly one sends and the others see it done; nodes that are down delay a
//! step by one turn each; a call that was refused or got lost is tried again after a pause that
//! doubles, as long as the ledger has not moved on. A node reports its shards once in every epoch,
//! at once.
//! Does not: send, know shards, or keep a clock; moments are of the ledger's time.

use super::{Machine, Timestamp};
use crate::chain::object::staking::EpochState;
use crate::committee::{Committee, NodeId};
use crate::crypto::blake2b_256;
use crate::epoch::Epoch;

/// The first and the longest pause after a call that did not do it.
const PAUSE_MIN_MS: u64 = 1_000;
const PAUSE_MAX_MS: u64 = 30_000;
/// A turn is this part of an epoch, within bounds: enough for a transaction to be seen by all.
const TURNS_PER_EPOCH: u64 = 40;
const TURN_MIN_MS: u64 = 250;
const TURN_MAX_MS: u64 = 3_000;

/// A step of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Chooses the next committee.
    EndVoting,
    /// Ends the epoch and begins the next.
    ChangeEpoch,
    /// Says that this node holds its shards.
    ReportShards,
    /// Ends a sync that takes too long.
    ForceSync,
}

/// What the ledger says, as one node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// The epoch.
    pub epoch: Epoch,
    /// How far it is.
    pub state: EpochState,
    /// How long an epoch lasts.
    pub duration_ms: u64,
    /// How long a sync may take.
    pub sync_timeout_ms: u64,
    /// How many turns we wait before ours; see [`turn`].
    pub turn: u64,
    /// Whether we are in the committee and hold its shards.
    pub may_report: bool,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The ledger moved, or we know more of ourselves.
    Moved(Situation),
    /// The step we sent is on the ledger, or had been before.
    Done,
    /// The step we sent was refused or got lost.
    Failed,
    /// The deadline passed.
    TimeReached,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send this step.
    Send(Step),
}

/// The duty of one node.
#[derive(Debug, Default)]
pub struct EpochSteps {
    situation: Option<Situation>,
    /// What is under way, and of which epoch.
    sending: Option<(Step, Epoch)>,
    /// The last epoch in which our report arrived.
    reported: Option<Epoch>,
    /// No call before this moment.
    rest_until: Timestamp,
    pause_ms: u64,
}

impl EpochSteps {
    /// The next step and when it is our turn to send it.
    fn due(&self) -> Option<(Step, Timestamp)> {
        let now = self.situation?;
        if now.may_report && self.reported != Some(now.epoch) {
            return Some((Step::ReportShards, self.rest_until));
        }
        let (step, from) = match now.state {
            EpochState::Sync { started_ms, .. } => {
                (Step::ForceSync, Timestamp(started_ms).after(now.sync_timeout_ms))
            }
            EpochState::Done { since_ms } => {
                (Step::EndVoting, Timestamp(since_ms).after(now.duration_ms / 2))
            }
            EpochState::Selected { since_ms } => {
                (Step::ChangeEpoch, Timestamp(since_ms).after(now.duration_ms))
            }
        };
        let turn_ms = (now.duration_ms / TURNS_PER_EPOCH).clamp(TURN_MIN_MS, TURN_MAX_MS);
        Some((step, from.after(now.turn.saturating_mul(turn_ms)).max(self.rest_until)))
    }

    /// Takes what the ledger says; a new state of an epoch ends every pause.
    fn moved(&mut self, situation: Situation) {
        let same = |old: Situation| {
            old.epoch == situation.epoch
                && std::mem::discriminant(&old.state) == std::mem::discriminant(&situation.state)
        };
        if !self.situation.is_some_and(same) {
            (self.rest_until, self.pause_ms) = (Timestamp::default(), 0);
        }
        self.situation = Some(situation);
    }

    /// Rests for longer each time, until the ledger moves.
    fn rest(&mut self, now: Timestamp) {
        self.sending = None;
        self.pause_ms = (self.pause_ms * 2).clamp(PAUSE_MIN_MS, PAUSE_MAX_MS);
        self.rest_until = now.after(self.pause_ms);
    }
}

impl Machine for EpochSteps {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        match input {
            Input::Moved(situation) => self.moved(situation),
            Input::Done => match self.sending.take() {
                Some((Step::ReportShards, epoch)) => self.reported = Some(epoch),
                // The ledger moved, and we see it in a moment: until then, nothing is due again.
                _ => self.rest(now),
            },
            Input::Failed => self.rest(now),
            Input::TimeReached => {}
        }
        match self.due() {
            Some((step, from)) if self.sending.is_none() && from <= now => {
                self.sending = self.situation.map(|situation| (step, situation.epoch));
                vec![Effect::Send(step)]
            }
            _ => Vec::new(),
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        let (_, from) = self.due().filter(|_| self.sending.is_none())?;
        Some(from)
    }
}

/// How many turns a node waits before it sends a step that anybody may send: its place in an order
/// of the committee that is new for every epoch and step. Who is no member comes after all members.
pub fn turn(committee: &Committee, node: Option<NodeId>, state: &EpochState) -> u64 {
    let step: u8 = match state {
        EpochState::Sync { .. } => 0,
        EpochState::Done { .. } => 1,
        EpochState::Selected { .. } => 2,
    };
    let place = |node: &NodeId| {
        blake2b_256(&[&committee.epoch().0.to_le_bytes(), &[step], node.as_bytes()])
    };
    let ours = node.map(|node| place(&node));
    let before = committee
        .members()
        .iter()
        .filter(|member| ours.is_none_or(|ours| place(&member.node_id) < ours));
    u64::try_from(before.count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
