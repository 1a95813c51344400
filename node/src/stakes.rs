//! What stakers and operators may do: decisions, made before anything is paid.
//!
//! Promises: pure; agrees with the ledger's rules to the unit and to the epoch (`contracts.md`
//! 2.8, 4.5 and 4.6), so that what the ledger would refuse is refused before, with the reason and
//! the date.
//! Does not: read the ledger or change it, and does not replace its checks.
//!
//! A receipt's life: stake comes into the next committee that is not chosen yet, works, is asked
//! back, and is paid once the committees that count on it are done.

mod collectable;
mod commission;
mod line;
mod nodes;
mod operators;
mod plans;
mod pools;
mod profile;
mod receipts;

use haulout_actors::chain::StakeBook;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{EpochState, ShardMap, Staking};
use haulout_protocol::chain::params::ParamKey;

pub use collectable::{Collectable, collectable};
pub use commission::{RateChange, check_receiver, collector, first_epoch, receiver_text};
pub use line::{least_for_a_shard, stake_for_a_shard};
pub use nodes::{NodeRow, Role, SortBy, Yield, find_node, rows};
pub use operators::{Application, ExitStep, OwnNode, bond_free_from, exit_step, own_cap, own_node};
pub use plans::{JoinPlan, SplitPlan, StakePlan, Which, WithdrawalItem, WithdrawalPlan};
pub use pools::{rate_at, settled, stake_at};
pub(crate) use profile::check_name;
pub use profile::{Profile, ProfileChange};
pub use receipts::{Position, Stage, Step};

/// The node takes part.
pub const ACTIVE: u8 = 0;
/// The operator asked to leave.
pub const EXITING: u8 = 1;
/// The operator left with its bond.
pub const EXITED: u8 = 2;

/// What a node's status is called.
pub fn status_name(status: u8) -> &'static str {
    match status {
        ACTIVE => "active",
        EXITING => "exiting",
        EXITED => "exited",
        3 => "jailed",
        _ => "unknown",
    }
}

/// When a committee is chosen the next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The epoch that committee will serve.
    pub epoch: u32,
    /// The earliest moment, in milliseconds of ledger time.
    pub at_ms: u64,
}

/// The value of a parameter; zero if this network has none.
fn param(book: &StakeBook, key: ParamKey) -> u64 {
    let found = book.params.values.iter().find(|entry| entry.key == key.number());
    found.map_or(0, |entry| entry.value)
}

/// The least stake of a receipt, in FROST.
pub fn min_stake(book: &StakeBook) -> u64 {
    param(book, ParamKey::MinStakeObject)
}

/// The least bond of a node, in FROST.
pub fn min_bond(book: &StakeBook) -> u64 {
    param(book, ParamKey::MinBond)
}

/// How long an epoch lasts, in milliseconds.
pub fn epoch_duration_ms(book: &StakeBook) -> u64 {
    param(book, ParamKey::EpochDurationMs)
}

/// The first epoch whose committee is not chosen yet: stake paid in now works from then on.
pub fn next_vote(staking: &Staking) -> u32 {
    staking.epoch.saturating_add(if staking.next.is_some() { 2 } else { 1 })
}

/// When a committee is chosen the next time, at the earliest.
pub fn next_selection(book: &StakeBook) -> Selection {
    let duration = epoch_duration_ms(book);
    let half = duration / 2;
    let staking = &book.staking;
    let at_ms = match staking.state {
        _ if staking.epoch == 0 => staking.first_epoch_start_ms,
        EpochState::Done { since_ms } => since_ms.saturating_add(half),
        // The sync ends later than it began; nobody knows when.
        EpochState::Sync { started_ms, .. } => started_ms.saturating_add(half),
        EpochState::Selected { since_ms } => since_ms.saturating_add(duration).saturating_add(half),
    };
    Selection { epoch: next_vote(staking), at_ms }
}

/// The shards of a node in a committee.
fn shards_in(committee: &ShardMap, node: &ObjectId) -> usize {
    let found = committee.iter().find(|member| member.key == *node);
    found.map_or(0, |member| member.value.len())
}

/// Whether a node serves in this epoch.
pub fn in_current(staking: &Staking, node: &ObjectId) -> bool {
    staking.committee.iter().any(|member| member.key == *node)
}

/// Whether a node was chosen for the next epoch.
pub fn in_next(staking: &Staking, node: &ObjectId) -> bool {
    staking.next.iter().flatten().any(|member| member.key == *node)
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use samples::{sample_book, sample_calendar, sample_receipt};
