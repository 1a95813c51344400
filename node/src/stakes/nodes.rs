//! The nodes one can stake with: who they are, what they hold and ask, and what they brought.
//!
//! Promises: a name that two nodes have names neither; an estimate is made of recorded facts or
//! not at all.
//! Does not: judge how well a node works.

use haulout_actors::chain::StakeBook;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{Asks, Pool, Rate, Staking};
use serde_json::json;

use super::pools::{rate_of, settled, stake_at};
use super::{ACTIVE, epoch_duration_ms, in_current, in_next, next_vote, shards_in};
use crate::error::{Error, Kind, Result};
use crate::words;

/// A year of 365 days, in milliseconds.
const YEAR_MS: f64 = 365.0 * 24.0 * 3600.0 * 1000.0;

/// A node as a staker sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRow {
    /// The node.
    pub node_id: ObjectId,
    /// Its name, as it chose it.
    pub name: String,
    /// 0 active, 1 exiting, 2 exited, 3 jailed.
    pub status: u8,
    /// Where it serves.
    pub role: Role,
    /// Stake at work now, in FROST.
    pub stake: u64,
    /// Stake that counts when the next committee is chosen, in FROST; none of a node that leaves.
    pub next_stake: u64,
    /// Shards it holds in this epoch.
    pub shards: usize,
    /// Shards it will hold in the next epoch, if that committee is chosen.
    pub next_shards: Option<usize>,
    /// Its part of rewards, in ten-thousandths.
    pub commission_bps: u16,
    /// Its later parts, by the first epoch they apply to.
    pub commission_changes: Vec<(u32, u64)>,
    /// What it asks, in FROST per MiB.
    pub asks: Asks,
    /// Encoded bytes it says it can hold.
    pub capacity: u64,
    /// What its stakers earned in the last epoch, if the ledger recorded it.
    pub earned: Option<Yield>,
    /// Whether it holds more than a tenth of all shards.
    pub is_concentrated: bool,
}

/// Where a node serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// In this epoch's committee.
    Committee,
    /// Not in this epoch's, but in the next committee.
    Next,
    /// In neither, with stake enough to be considered.
    Candidate,
    /// In neither, and nobody staked with it.
    Unstaked,
    /// In neither, and not to be chosen: it leaves, left or is jailed.
    Outside,
}

/// What a share of a pool gained in one epoch, after the operator's commission.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yield {
    /// The epoch that was served.
    pub epoch: u32,
    /// The gain as a part of the stake.
    pub gain: f64,
    /// The gain in a year of such epochs, without compounding.
    pub yearly: f64,
}

/// By what to sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SortBy {
    /// Most stake at the next selection first.
    #[default]
    Stake,
    /// Most shards first.
    Shards,
    /// Least commission first.
    Commission,
    /// Lowest storage price first.
    Price,
}

impl Role {
    /// The role in one word.
    pub fn name(self) -> &'static str {
        match self {
            Role::Committee => "committee",
            Role::Next => "next",
            Role::Candidate => "candidate",
            Role::Unstaked => "unstaked",
            Role::Outside => "outside",
        }
    }
}

/// All nodes, sorted.
pub fn rows(book: &StakeBook, by: SortBy) -> Vec<NodeRow> {
    let mut rows: Vec<NodeRow> = book.staking.pools.values().map(|pool| row(book, pool)).collect();
    rows.sort_by_key(|row| match by {
        SortBy::Stake => u64::MAX - row.next_stake,
        SortBy::Shards => u64::MAX - u64::try_from(row.shards).unwrap_or(u64::MAX),
        SortBy::Commission => row.commission_bps.into(),
        SortBy::Price => row.asks.storage,
    });
    rows
}

/// One node.
pub(super) fn row(book: &StakeBook, pool: &Pool) -> NodeRow {
    let staking = &book.staking;
    let (epoch, node_id) = (staking.epoch, pool.node.node_id);
    let now = settled(pool, epoch);
    let takes_part = pool.node.status == ACTIVE;
    let next_stake = if takes_part { stake_at(pool, epoch, next_vote(staking)) } else { 0 };
    let shards = shards_in(&staking.committee, &node_id);
    let next_shards = staking.next.as_ref().map(|next| shards_in(next, &node_id));
    let most = shards.max(next_shards.unwrap_or(0));
    NodeRow {
        node_id,
        name: pool.node.name.clone(),
        status: pool.node.status,
        role: match (in_current(staking, &node_id), in_next(staking, &node_id)) {
            (true, _) => Role::Committee,
            (false, true) => Role::Next,
            (false, false) if !takes_part => Role::Outside,
            (false, false) if next_stake > 0 => Role::Candidate,
            (false, false) => Role::Unstaked,
        },
        stake: now.active,
        next_stake,
        shards,
        next_shards,
        commission_bps: now.commission_bps,
        commission_changes: now.pending_commission.iter().map(|it| (it.key, it.value)).collect(),
        asks: pool.asks,
        capacity: pool.capacity,
        earned: earned(pool, epoch, epoch_duration_ms(book)),
        is_concentrated: most * 10 > usize::from(staking.n_shards),
    }
}

/// What stakers of a pool earned in the epoch before this one: how much a share's rate grew
/// between the records of the two. Nothing unless both were recorded and there was stake.
fn earned(pool: &Pool, epoch: u32, duration_ms: u64) -> Option<Yield> {
    let before_epoch = epoch.checked_sub(1)?;
    let (before, now) = (rate_of(pool, before_epoch)?, rate_of(pool, epoch)?);
    let Rate::Variable { tokens, shares } = now else { return None };
    let (tokens_before, shares_before) = match before {
        Rate::Flat => (1, 1),
        Rate::Variable { tokens, shares } => (tokens, shares),
    };
    let after = u128::from(tokens) * u128::from(shares_before);
    let base = u128::from(tokens_before) * u128::from(shares);
    let change = after.abs_diff(base) as f64 / base as f64;
    let gain = if after >= base { change } else { -change };
    let epochs = if duration_ms == 0 { 0.0 } else { YEAR_MS / duration_ms as f64 };
    gain.is_finite().then_some(Yield { epoch: before_epoch, gain, yearly: gain * epochs })
}

/// The node that is meant by its id, or by a name that no other node has. A whole id is never a name;
/// a short one is, where no node has it.
pub fn find_node(staking: &Staking, text: &str) -> Result<ObjectId> {
    let hint = "`haulout stake nodes` lists names and ids";
    if let Ok(id) = text.parse::<ObjectId>() {
        if staking.pools.contains_key(&id) {
            return Ok(id);
        }
        if text.eq_ignore_ascii_case(&id.to_string()) {
            let message = format!("the ledger has no node {text}");
            return Err(Error::new(Kind::NotFound, message).hint(hint));
        }
    }
    let named = staking.pools.values().filter(|pool| pool.node.name == text);
    let ids: Vec<ObjectId> = named.map(|pool| pool.node.node_id).collect();
    match ids.as_slice() {
        [id] => Ok(*id),
        [] => {
            let message = format!("no node is called `{}`", words::label(text));
            Err(Error::new(Kind::NotFound, message).hint(hint))
        }
        several => {
            let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
            let count = ids.len();
            let message = format!("{count} nodes are called `{}`", words::label(text));
            Err(Error::new(Kind::Usage, message)
                .hint(format!(
                    "anybody can choose any name; give the id instead: {}",
                    ids.join(" or ")
                ))
                .detail("node_ids", json!(ids)))
        }
    }
}
