//! Our clock beside the ledger's.
//!
//! Promises: a ledger whose time was moved can explain a difference, never make one; an old checkpoint says only that a clock
//! is behind. Does not: read a clock.

use super::{Condition, Name};

/// How far our clock was from the ledger's when its last checkpoint came, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockDifference {
    /// Ours less the ledger's.
    pub ahead_ms: i64,
    /// Whether the ledger had no later checkpoint: an old one says only that our clock is behind.
    pub is_latest: bool,
    /// How much is allowed.
    pub allowed_ms: u64,
}

impl ClockDifference {
    /// What a checkpoint of the ledger's time that came at our time says; nothing if it may just be old.
    pub fn of(ours_ms: u64, ledger_ms: u64, is_latest: bool, allowed_ms: u64) -> Option<Self> {
        let ahead_ms =
            i64::try_from(i128::from(ours_ms) - i128::from(ledger_ms)).unwrap_or(i64::MAX);
        let tells = is_latest || ahead_ms <= 0;
        tells.then_some(ClockDifference { ahead_ms, is_latest, allowed_ms })
    }

    /// What is left of it if the ledger's time was moved ahead by so much, as it says: it can explain a difference, never
    /// make one. When an old checkpoint was made, it may have been moved by less.
    #[must_use]
    pub fn explained(self, moved_ms: u64) -> Self {
        let left_ms = self.ahead_ms.saturating_add(i64::try_from(moved_ms).unwrap_or(i64::MAX));
        if !self.is_latest {
            return ClockDifference { ahead_ms: left_ms.min(0), ..self };
        }
        let explains = left_ms.unsigned_abs() < self.ahead_ms.unsigned_abs();
        ClockDifference { ahead_ms: if explains { left_ms } else { self.ahead_ms }, ..self }
    }

    /// What is not well about it, if it is more than is allowed.
    pub fn condition(self) -> Option<Condition> {
        condition(self)
    }

    /// Whether it is more than is allowed.
    pub fn is_too_much(self) -> bool {
        self.ahead_ms.unsigned_abs() > self.allowed_ms
    }
}

pub(super) fn condition(clock: ClockDifference) -> Option<Condition> {
    let off_ms = clock.ahead_ms.unsigned_abs();
    let (way, next_step) = match clock.ahead_ms < 0 {
        true => (
            "behind",
            "let the clock be set: `timedatectl set-ntp true`, then `timedatectl` shows whether it is synchronised",
        ),
        // A server that is late itself cannot be told from a clock that is fast.
        false => (
            "ahead of",
            "see with `timedatectl` whether the clock is synchronised (`timedatectl set-ntp true`); if it is, the server at \
             chain.rpc is late: set another one",
        ),
    };
    clock.is_too_much().then(|| {
        Condition::new(
            Name::ClockWrong,
            format!(
                "this machine's clock is {} s {way} the ledger's, and {} s are allowed (node.clock_tolerance)",
                off_ms / 1_000,
                clock.allowed_ms / 1_000
            ),
            next_step,
        )
    })
}
