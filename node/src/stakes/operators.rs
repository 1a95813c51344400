//! What an operator may do with a node: register it, find it again, leave with its bond.
//!
//! Promises: a registration that the ledger would refuse is refused before the bond is touched.
//! Does not: sign anything, read keys and configurations, or hold what a node shows (`profile.rs`)
//! and earns (`commission.rs`).

use std::sync::Arc;

use haulout_actors::chain::{NodeRegistration, StakeBook};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{Authority, NodeCap, Pool, Staking};
use haulout_protocol::crypto::PeerId;
use serde_json::json;

use super::collectable::{Collectable, collectable};
use super::nodes::{NodeRow, SortBy, find_node, row, rows};
use super::plans::affordable;
use super::profile::{self, Profile};
use super::{ACTIVE, EXITED, EXITING, in_current, in_next, min_bond, status_name};
use crate::error::{Error, Kind, Result};
use crate::words::{label, wal};

/// Epochs between the wish to leave and the bond.
const EXIT_EPOCHS: u32 = 2;

/// A node of one's own, as the ledger has it.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnNode {
    /// The cap that speaks for it.
    pub cap: ObjectId,
    /// What everybody sees.
    pub row: NodeRow,
    /// The deposit, in FROST.
    pub bond: u64,
    /// What it shows of itself.
    pub profile: Profile,
    /// What it earned and what of it can be collected.
    pub commission: Collectable,
    /// Who collects that.
    pub receiver: Authority,
    /// The libp2p key it speaks with.
    pub peer_id: Option<PeerId>,
    /// How far it is in leaving.
    pub exit: ExitStep,
    /// The epoch in which the operator asked to leave.
    pub exit_epoch: Option<u32>,
}

/// The next step of a node that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStep {
    /// It takes part; its operator may ask to leave.
    Request,
    /// The bond is held until this epoch, at the earliest.
    Wait(u32),
    /// The bond can be had back.
    WithdrawBond,
    /// It left.
    Gone,
    /// It failed and is shut out; leaving is not foreseen.
    Jailed,
}

/// A registration with the keys it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// What the node wants to be known as.
    pub registration: NodeRegistration,
    /// Its addresses as text, in the same order.
    pub addresses: Vec<String>,
    /// The ed25519 key it speaks libp2p with.
    pub peer_key: [u8; 32],
    /// The BLS key, 48 bytes.
    pub bls_public_key: Vec<u8>,
}

impl Application {
    /// Refuses what the ledger would refuse, and what nobody could use.
    pub fn check(&self, book: &StakeBook) -> Result<()> {
        let NodeRegistration { name, bond, metadata, .. } = &self.registration;
        let usage = |message: String| Error::new(Kind::Usage, message);
        profile::check_name(name)?;
        let least = min_bond(book);
        if *bond < least {
            return Err(usage(format!("a bond of {} is too small", wal(*bond)))
                .hint(format!("deposit {} or more with --bond", wal(least)))
                .detail("least_frost", least));
        }
        profile::check_addresses(&self.addresses)?;
        profile::check_texts(metadata)?;
        let staking = &book.staking;
        let taken = staking.by_peer.get(self.peer_key.as_slice());
        let taken = taken.or_else(|| staking.by_bls.get(&self.bls_public_key));
        match taken {
            None => Ok(()),
            Some(node) => {
                let node = node.to_string();
                Err(Error::new(Kind::Usage, format!("these keys are the node's {node} already"))
                    .hint("`haulout node show` shows it; another node needs keys of its own")
                    .detail("node_id", node))
            }
        }
    }

    /// Refuses a bond the wallet cannot pay.
    pub fn affordable(&self, balance: u64) -> Result<()> {
        affordable(self.registration.bond, balance)
    }
}

/// The cap that is meant: the only one, or the one of a named node.
pub fn own_cap(staking: &Staking, owned: &[NodeCap], node: Option<&str>) -> Result<NodeCap> {
    if owned.is_empty() {
        return Err(Error::new(Kind::NotFound, "the wallet has no node").hint(
            "`haulout node register` registers one; an operator's cap must be in the wallet",
        ));
    }
    if let Some(text) = node {
        let node_id = own_node_called(staking, owned, text)?;
        let found = owned.iter().find(|cap| cap.node_id == node_id);
        return found.cloned().ok_or_else(|| {
            let message = format!("the wallet has no cap of the node {node_id}");
            Error::new(Kind::Permission, message)
                .hint("use the wallet of the node's operator; `haulout node show` lists yours")
        });
    }
    match owned {
        [cap] => Ok(*cap),
        several => {
            let ids: Vec<String> = several.iter().map(|cap| cap.node_id.to_string()).collect();
            let message = format!("the wallet has {} nodes", ids.len());
            Err(Error::new(Kind::Usage, message)
                .hint(format!("say which with --node: {}", ids.join(" or ")))
                .detail("node_ids", json!(ids)))
        }
    }
}

/// A node by id or name; a name means one's own node before a stranger's.
pub(super) fn own_node_called(
    staking: &Staking,
    owned: &[NodeCap],
    text: &str,
) -> Result<ObjectId> {
    let pools = owned.iter().filter_map(|cap| staking.pools.get(&cap.node_id));
    let named: Vec<ObjectId> =
        pools.filter(|pool| pool.node.name == text).map(|pool| pool.node.node_id).collect();
    match named.as_slice() {
        [id] => Ok(*id),
        _ => find_node(staking, text),
    }
}

/// A node of one's own.
pub fn own_node(book: &StakeBook, cap: &NodeCap) -> Result<OwnNode> {
    let staking = &book.staking;
    let pool = pool_of(staking, cap)?;
    Ok(OwnNode {
        cap: cap.id,
        row: row(book, pool),
        bond: pool.bond,
        profile: Profile::of(pool),
        commission: collectable(pool),
        receiver: pool.commission_receiver,
        peer_id: PeerId::from_multihash(&pool.node.peer_id),
        exit: exit_step(staking, pool),
        exit_epoch: pool.exit_epoch,
    })
}

/// The pool that a cap speaks for.
fn pool_of<'a>(staking: &'a Staking, cap: &NodeCap) -> Result<&'a Pool> {
    staking.pools.get(&cap.node_id).map(Arc::as_ref).ok_or_else(|| {
        let node = cap.node_id.to_string();
        Error::new(Kind::NotFound, format!("the ledger has no node {node}"))
    })
}

impl OwnNode {
    /// Whether the node may ask to leave.
    pub fn check_exit(&self) -> Result<()> {
        match self.exit {
            ExitStep::Request => Ok(()),
            ExitStep::Wait(_) | ExitStep::WithdrawBond => {
                Err(Error::new(Kind::Permission, "the node is leaving already")
                    .hint("take the bond with `haulout node exit --withdraw-bond` when it is free"))
            }
            ExitStep::Gone | ExitStep::Jailed => {
                let message = format!("the node is {}", status_name(self.row.status));
                Err(Error::new(Kind::Permission, message).hint("see `haulout node show`"))
            }
        }
    }

    /// Whether somebody is left for a committee when this node leaves. The ledger does not ask, and its epoch could never end.
    pub fn check_successors(&self, book: &StakeBook) -> Result<()> {
        let others = rows(book, SortBy::Stake);
        if others.iter().any(|row| row.node_id != self.row.node_id && row.next_stake > 0) {
            return Ok(());
        }
        let name = label(&self.row.name);
        let message = format!(
            "no other node than {name} has stake, so that there would be no committee without it, and this epoch would never end"
        );
        Err(Error::new(Kind::Permission, message).hint(
            "`haulout stake nodes` shows all nodes; once another one has stake (`haulout stake add NODE 500WAL`), this one may leave",
        ))
    }

    /// Whether the bond can be had back. `date` turns an epoch into words.
    pub fn check_bond(&self, date: impl Fn(u32) -> String) -> Result<()> {
        match self.exit {
            ExitStep::WithdrawBond => Ok(()),
            ExitStep::Wait(epoch) => {
                let message = format!("the bond is held until {} at the earliest", date(epoch));
                Err(Error::new(Kind::Permission, message)
                    .hint("run the same command again then")
                    .retryable(true)
                    .detail("bond_epoch", epoch))
            }
            ExitStep::Request => Err(Error::new(Kind::Permission, "the node takes part")
                .hint("ask to leave first: `haulout node exit`")),
            ExitStep::Gone => Err(Error::new(Kind::Permission, "the bond was paid back before")
                .hint("see `haulout node show`")),
            ExitStep::Jailed => {
                Err(Error::new(Kind::Permission, "the node is jailed")
                    .hint("see `haulout node show`"))
            }
        }
    }
}

/// The next step of a node that leaves.
pub fn exit_step(staking: &Staking, pool: &Pool) -> ExitStep {
    match pool.node.status {
        ACTIVE => ExitStep::Request,
        EXITED => ExitStep::Gone,
        EXITING => match bond_free_from(staking, pool) {
            epoch if epoch > staking.epoch => ExitStep::Wait(epoch),
            _ => ExitStep::WithdrawBond,
        },
        _ => ExitStep::Jailed,
    }
}

/// The first epoch in which the bond is free, if the node asked, or asks now, to leave.
pub fn bond_free_from(staking: &Staking, pool: &Pool) -> u32 {
    let (epoch, node) = (staking.epoch, &pool.node.node_id);
    let served = if in_next(staking, node) {
        epoch.saturating_add(2)
    } else if in_current(staking, node) {
        epoch.saturating_add(1)
    } else {
        epoch
    };
    let asked = pool.exit_epoch.unwrap_or(epoch);
    served.max(asked.saturating_add(EXIT_EPOCHS))
}
