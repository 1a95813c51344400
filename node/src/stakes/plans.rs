//! What will be done with stake, and for how much: plans and refusals.
//!
//! Promises: a plan holds only what the ledger would accept at the moment it was made for, every
//! receipt left out is named with its reason, and a plan with nothing to do is an error.
//! Does not: read the ledger or change it.

use haulout_actors::chain::{ReceiptStep, StakeBook};
use haulout_actors::limits;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{Staked, StakedState};

use super::{ACTIVE, Position, Step, in_current, in_next, min_stake, next_vote, status_name};
use crate::error::{Error, Kind, Result};
use crate::holdings::Skipped;
use crate::words::{self, wal};

/// Stake to be paid in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StakePlan {
    /// The node.
    pub node_id: ObjectId,
    /// Its name.
    pub name: String,
    /// How much, in FROST.
    pub amount: u64,
    /// The first epoch in which it works.
    pub activation_epoch: u32,
    /// The node's part of rewards, in ten-thousandths.
    pub commission_bps: u16,
    /// Whether the node serves now or was chosen to.
    pub serves: bool,
}

/// Which receipts are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// One.
    Receipt(ObjectId),
    /// All, or all with one node.
    All(Option<ObjectId>),
}

/// A receipt in a plan.
pub type WithdrawalItem = Position;

/// Receipts to be asked back or paid.
#[derive(Debug)]
pub struct WithdrawalPlan {
    /// The receipts with their steps, at least one.
    pub items: Vec<WithdrawalItem>,
    /// Receipts that are left as they are, and why.
    pub skipped: Skipped,
}

/// A part to be split off a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitPlan {
    /// The receipt.
    pub receipt: Staked,
    /// The part, in FROST.
    pub amount: u64,
}

/// Receipts to be joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinPlan {
    /// The receipt that stays, with everything in it.
    pub into: Staked,
    /// The receipts that go into it, at least one.
    pub others: Vec<Staked>,
    /// What it will hold, in FROST.
    pub principal: u64,
}

impl StakePlan {
    /// Decides whether the ledger would take this stake.
    pub fn new(book: &StakeBook, node_id: ObjectId, amount: u64) -> Result<Self> {
        let staking = &book.staking;
        let unknown = || Error::new(Kind::NotFound, "the ledger has no such node");
        let pool = staking.pools.get(&node_id).ok_or_else(unknown)?;
        let name = words::label(&pool.node.name);
        if pool.node.status != ACTIVE {
            let status = status_name(pool.node.status);
            return Err(Error::new(
                Kind::Permission,
                format!("{name} is {status}: it takes no stake"),
            )
            .hint("choose another node; `haulout stake nodes` lists them"));
        }
        let least = min_stake(book);
        if amount < least {
            let message = format!("{} is less than a receipt must hold", wal(amount));
            return Err(Error::new(Kind::Usage, message)
                .hint(format!("stake {} or more", wal(least)))
                .detail("least_frost", least));
        }
        let serves = in_current(staking, &node_id) || in_next(staking, &node_id);
        let commission_bps = pool.commission_bps;
        let activation_epoch = next_vote(staking);
        Ok(StakePlan { node_id, name, amount, activation_epoch, commission_bps, serves })
    }

    /// Refuses what the wallet cannot pay.
    pub fn affordable(&self, balance: u64) -> Result<()> {
        affordable(self.amount, balance)
    }
}

/// Refuses to pay more than there is.
pub(super) fn affordable(needed: u64, balance: u64) -> Result<()> {
    if balance >= needed {
        return Ok(());
    }
    let message = format!("{} are needed and the wallet holds {}", wal(needed), wal(balance));
    Err(Error::new(Kind::Funds, message)
        .detail("needed_frost", needed)
        .detail("available_frost", balance))
}

impl WithdrawalPlan {
    /// Decides which step each receipt takes. `date` turns an epoch into words.
    pub fn new(
        book: &StakeBook,
        owned: Vec<Staked>,
        which: Which,
        date: impl Fn(u32) -> String,
    ) -> Result<Self> {
        let meant = meant(owned, which)?;
        let (mut items, mut skipped) = (Vec::new(), Vec::new());
        for receipt in meant {
            let id = receipt.id;
            let checked = Position::new(&book.staking, receipt)
                .and_then(|position| position.check(&date).map(|()| position));
            match checked {
                Ok(_) if items.len() == limits::CHAIN_RECEIPTS_PER_CALL_MAX => {
                    let message = format!("{id} is too many for one transaction");
                    skipped.push((id, Error::new(Kind::Usage, message).hint("run it again")));
                }
                Ok(position) => items.push(position),
                Err(reason) => skipped.push((id, reason)),
            }
        }
        if items.is_empty() {
            // The one that can go first says why none goes now.
            let wait =
                |error: &Error| error.to_json()["error"]["details"]["withdraw_epoch"].as_u64();
            skipped.sort_by_key(|(_, error)| wait(error).unwrap_or(u64::MAX));
            let missing = || Error::new(Kind::Internal, "a plan for no receipt");
            return Err(skipped.into_iter().next().map_or_else(missing, |(_, reason)| reason));
        }
        Ok(WithdrawalPlan { items, skipped })
    }

    /// What the ledger is told.
    pub fn calls(&self) -> Vec<ReceiptStep> {
        let call = |item: &WithdrawalItem| match item.step {
            Step::Request(_) => ReceiptStep::Request(item.receipt.clone()),
            _ => ReceiptStep::Withdraw(item.receipt.clone()),
        };
        self.items.iter().map(call).collect()
    }

    /// What is paid at once, in FROST.
    pub fn pays(&self) -> u64 {
        let paid = self.items.iter().filter(|item| item.step.pays());
        paid.fold(0, |sum, item| sum.saturating_add(item.worth))
    }
}

/// The receipts that are meant, or why there are none.
fn meant(owned: Vec<Staked>, which: Which) -> Result<Vec<Staked>> {
    let is_meant = |receipt: &Staked| match which {
        Which::Receipt(id) => receipt.id == id,
        Which::All(node) => node.is_none_or(|node| receipt.node_id == node),
    };
    let found: Vec<Staked> = owned.into_iter().filter(is_meant).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let message = match which {
        Which::Receipt(id) => format!("the wallet owns no receipt {id}"),
        Which::All(None) => "the wallet has no stake".to_owned(),
        Which::All(Some(node)) => {
            format!("the wallet has no stake with the node {node}")
        }
    };
    Err(Error::new(Kind::NotFound, message).hint("`haulout stake ls` lists the receipts you own"))
}

/// A receipt of the wallet.
fn own(owned: &[Staked], id: ObjectId) -> Result<Staked> {
    let mut found = meant(owned.to_vec(), Which::Receipt(id))?;
    found.pop().ok_or_else(|| Error::new(Kind::Internal, "a receipt that is found and missing"))
}

impl SplitPlan {
    /// Decides whether the ledger would split this receipt so.
    pub fn new(book: &StakeBook, owned: &[Staked], id: ObjectId, amount: u64) -> Result<Self> {
        let (receipt, least) = (own(owned, id)?, min_stake(book));
        let left = receipt.principal.saturating_sub(amount);
        if (least..receipt.principal).contains(&amount) && left >= least {
            return Ok(SplitPlan { receipt, amount });
        }
        let message = format!(
            "the receipt holds {}, and each part must hold {} or more",
            wal(receipt.principal),
            wal(least)
        );
        Err(Error::new(Kind::Usage, message).detail("least_frost", least))
    }
}

impl JoinPlan {
    /// Decides whether the ledger would join these receipts.
    pub fn new(owned: &[Staked], into: ObjectId, others: &[ObjectId]) -> Result<Self> {
        let into = own(owned, into)?;
        let mut plan = JoinPlan { principal: into.principal, into, others: Vec::new() };
        for id in others {
            let other = own(owned, *id)?;
            let of = |it: &Staked| (it.node_id, it.activation_epoch, it.state);
            let is_twice = plan.into.id == *id || plan.others.iter().any(|it| it.id == *id);
            let (name, sum) = (id.to_string(), plan.principal.checked_add(other.principal));
            let reason = match sum {
                _ if is_twice => "is named twice",
                _ if of(&plan.into) != of(&other) => {
                    "differs from the first in its node, its first epoch or its state"
                }
                _ if plan.into.state != StakedState::Staked => "was asked back, as the first was",
                None => "is too large to be added",
                Some(sum) => {
                    plan.principal = sum;
                    plan.others.push(other);
                    continue;
                }
            };
            return Err(Error::new(Kind::Usage, format!("the receipt {name} {reason}"))
                .hint("`haulout stake ls` shows which receipts are alike"));
        }
        match plan.others.is_empty() {
            true => Err(Error::new(Kind::Usage, "joining needs two receipts or more")),
            false => Ok(plan),
        }
    }
}
