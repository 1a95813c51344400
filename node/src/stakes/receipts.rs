//! One receipt of stake: what it is doing, what it is worth, and the one step it is due for.
//!
//! Promises: the table of `contracts.md` 2.8; the worth is what the ledger would count now, and
//! exactly what it would pay if it pays now.
//! Does not: plan for several receipts; `plans.rs` does.

use haulout_protocol::chain::object::staking::{Pool, Staked, StakedState, Staking};

use super::pools::{rate_at, rate_now, settled, to_shares, to_tokens};
use super::{in_current, in_next};
use crate::error::{Error, Kind, Result};

/// What a receipt is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It starts to work in this epoch.
    Pending(u32),
    /// It works.
    Active,
    /// It was asked back and is paid from this epoch on.
    Leaving(u32),
    /// It is paid whenever its owner asks.
    Payable,
}

/// What its owner can do with a receipt now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Have it back at once: it never worked, and nobody counts on it.
    Cancel,
    /// Have it back at once: its node serves no more.
    WithdrawNow,
    /// Ask it back; it is paid from this epoch on.
    Request(u32),
    /// Be paid.
    Collect,
    /// Wait until this epoch.
    Wait(u32),
}

/// A receipt with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The receipt.
    pub receipt: Staked,
    /// What it is doing.
    pub stage: Stage,
    /// What can be done with it.
    pub step: Step,
    /// What it is worth now, in FROST: principal and rewards so far, less what was slashed.
    pub worth: u64,
    /// Shares of its node's pool; none if it is too small to have one.
    shares: u64,
}

impl Stage {
    /// The stage in one word, for tables and programs.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Pending(_) => "pending",
            Stage::Active => "active",
            Stage::Leaving(_) => "withdrawing",
            Stage::Payable => "payable",
        }
    }
}

impl Step {
    /// The step in one word, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Step::Cancel => "cancel",
            Step::WithdrawNow => "withdraw_now",
            Step::Request(_) => "request",
            Step::Collect => "collect",
            Step::Wait(_) => "wait",
        }
    }

    /// Whether the step pays at once.
    pub fn pays(self) -> bool {
        matches!(self, Step::Cancel | Step::WithdrawNow | Step::Collect)
    }
}

impl Position {
    /// Where a receipt stands; an error if the ledger knows no node for it.
    pub fn new(staking: &Staking, receipt: Staked) -> Result<Self> {
        let pool = staking.pools.get(&receipt.node_id).ok_or_else(|| {
            let (node, receipt) = (receipt.node_id.to_string(), receipt.id.to_string());
            Error::new(Kind::NotFound, format!("the ledger has no node {node} for {receipt}"))
        })?;
        let pool = settled(pool, staking.epoch);
        let shares = to_shares(rate_at(&pool, receipt.activation_epoch), receipt.principal);
        let (step, stage) = (step(staking, &receipt), stage(staking.epoch, &receipt));
        let worth = worth(&pool, staking.epoch, &receipt, step, shares);
        Ok(Position { receipt, stage, step, worth, shares })
    }

    /// What was earned, in FROST.
    pub fn rewards(&self) -> u64 {
        self.worth.saturating_sub(self.receipt.principal)
    }

    /// Whether the ledger would take the step, or why not.
    pub fn check(&self, date: impl Fn(u32) -> String) -> Result<()> {
        let receipt = self.receipt.id.to_string();
        match self.step {
            Step::Wait(epoch) => {
                let message = format!(
                    "the receipt {receipt} was asked back and is paid from {}",
                    date(epoch)
                );
                Err(Error::new(Kind::Permission, message)
                    .hint("run the same command again then")
                    .retryable(true)
                    .detail("withdraw_epoch", epoch))
            }
            Step::Request(_) | Step::WithdrawNow if self.is_at_work() && self.shares == 0 => {
                let message = format!("the receipt {receipt} is worth less than one share");
                Err(Error::new(Kind::Permission, message)
                    .hint("join it with another receipt of the same node: `haulout stake join`"))
            }
            Step::Cancel | Step::WithdrawNow | Step::Request(_) | Step::Collect => Ok(()),
        }
    }

    fn is_at_work(&self) -> bool {
        !matches!(self.stage, Stage::Pending(_))
    }
}

/// Whether stake can be had back at once because it was never counted on.
fn is_early(staking: &Staking, receipt: &Staked) -> bool {
    let ahead = receipt.activation_epoch.saturating_sub(staking.epoch);
    ahead >= 2 || ahead == 1 && !in_next(staking, &receipt.node_id)
}

/// What can be done with a receipt in this epoch.
fn step(staking: &Staking, receipt: &Staked) -> Step {
    let (epoch, node) = (staking.epoch, &receipt.node_id);
    match receipt.state {
        StakedState::Withdrawing { withdraw_epoch } if withdraw_epoch > epoch => {
            Step::Wait(withdraw_epoch)
        }
        StakedState::Withdrawing { .. } => Step::Collect,
        StakedState::Staked if is_early(staking, receipt) => Step::Cancel,
        StakedState::Staked if in_next(staking, node) => Step::Request(epoch.saturating_add(2)),
        StakedState::Staked if in_current(staking, node) => Step::Request(epoch.saturating_add(1)),
        StakedState::Staked => Step::WithdrawNow,
    }
}

fn stage(epoch: u32, receipt: &Staked) -> Stage {
    match receipt.state {
        StakedState::Withdrawing { withdraw_epoch } if withdraw_epoch > epoch => {
            Stage::Leaving(withdraw_epoch)
        }
        StakedState::Withdrawing { .. } => Stage::Payable,
        StakedState::Staked if receipt.activation_epoch > epoch => {
            Stage::Pending(receipt.activation_epoch)
        }
        StakedState::Staked => Stage::Active,
    }
}

/// What a receipt of a settled pool is worth.
fn worth(pool: &Pool, epoch: u32, receipt: &Staked, step: Step, shares: u64) -> u64 {
    match (step, receipt.state) {
        (Step::WithdrawNow, _) => to_tokens(rate_now(pool), shares).min(pool.active),
        (Step::Collect, StakedState::Withdrawing { withdraw_epoch }) => {
            to_tokens(rate_at(pool, withdraw_epoch), shares).min(pool.unbonded)
        }
        _ if receipt.activation_epoch > epoch => receipt.principal,
        _ => to_tokens(rate_at(pool, epoch), shares),
    }
}
