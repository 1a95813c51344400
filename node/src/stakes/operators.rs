//! What an operator may do with a node: register it, collect what it earned, leave with its bond.
//!
//! Promises: a registration that the ledger would refuse is refused before the bond is touched,
//! and an address that nobody can dial is refused although the ledger would take it.
//! Does not: sign anything, or read keys and configurations.

use std::sync::Arc;

use haulout_actors::chain::{NodeRegistration, OwnedCaps, StakeBook};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{Authority, NodeCap, Pool, Staking};
use serde_json::json;

use super::nodes::{NodeRow, find_node, row};
use super::plans::affordable;
use super::{ACTIVE, EXITED, EXITING, in_current, in_next, min_bond, status_name};
use crate::error::{Error, Kind, Result};
use crate::words::{self, wal};

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// The most addresses of a node.
const ADDRESSES_MAX: usize = 8;
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
    /// What it earned and what of it can be collected.
    pub commission: Collectable,
    /// How far it is in leaving.
    pub exit: ExitStep,
    /// The epoch in which the operator asked to leave.
    pub exit_epoch: Option<u32>,
}

/// An operator's earnings, in FROST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collectable {
    /// What can be collected now.
    pub free: u64,
    /// What is free after the next selection.
    pub blocked: u64,
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
        let NodeRegistration { name, bond, .. } = &self.registration;
        let usage = |message: String| Error::new(Kind::Usage, message);
        if name.trim().is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(usage(format!("a node's name has 1 to {NAME_BYTES_MAX} bytes"))
                .hint("give one with --name, or set node.name"));
        }
        let least = min_bond(book);
        if *bond < least {
            return Err(usage(format!("a bond of {} is too small", wal(*bond)))
                .hint(format!("deposit {} or more with --bond", wal(least)))
                .detail("least_frost", least));
        }
        self.check_addresses()?;
        let staking = &book.staking;
        let taken = staking.by_peer.get(self.peer_key.as_slice());
        let taken = taken.or_else(|| staking.by_bls.get(&self.bls_public_key));
        match taken {
            None => Ok(()),
            Some(node) => {
                let node = words::object(node);
                Err(Error::new(Kind::Usage, format!("these keys are the node's {node} already"))
                    .hint("`haulout node show` shows it; another node needs keys of its own")
                    .detail("node_id", node))
            }
        }
    }

    fn check_addresses(&self) -> Result<()> {
        let count = self.addresses.len();
        if !(1..=ADDRESSES_MAX).contains(&count) {
            let message = format!("a node has 1 to {ADDRESSES_MAX} addresses, not {count}");
            return Err(Error::new(Kind::Config, message)
                .hint("set network.external, or give --address once for each"));
        }
        for address in &self.addresses {
            let parts: Vec<&str> = address.split('/').collect();
            let vague = parts.iter().any(|part| matches!(*part, "0.0.0.0" | "::"));
            let portless = parts.windows(2).any(|it| matches!(it, ["udp" | "tcp", "0"]));
            if vague || portless {
                let what = if vague { "no place" } else { "no port" };
                let message = format!("{address} names {what} that others could dial");
                return Err(Error::new(Kind::Config, message).hint(
                    "set network.external to the address others reach you at, or give --address",
                ));
            }
        }
        Ok(())
    }

    /// Refuses a bond the wallet cannot pay.
    pub fn affordable(&self, balance: u64) -> Result<()> {
        affordable(self.registration.bond, balance)
    }
}

/// The cap that is meant: the only one, or the one of a named node.
pub fn own_cap(staking: &Staking, owned: &OwnedCaps, node: Option<&str>) -> Result<NodeCap> {
    if owned.caps.is_empty() {
        return Err(Error::new(Kind::NotFound, "the wallet has no node").hint(
            "`haulout node register` registers one; an operator's cap must be in the wallet",
        ));
    }
    if let Some(text) = node {
        let node_id = own_node_called(staking, owned, text)?;
        let found = owned.caps.iter().find(|cap| cap.node_id == node_id);
        return found.cloned().ok_or_else(|| {
            let message = format!("the wallet has no cap of the node {}", words::object(&node_id));
            Error::new(Kind::Permission, message)
                .hint("use the wallet of the node's operator; `haulout node show` lists yours")
        });
    }
    match owned.caps.as_slice() {
        [cap] => Ok(cap.clone()),
        several => {
            let ids: Vec<String> = several.iter().map(|cap| words::object(&cap.node_id)).collect();
            let message = format!("the wallet has {} nodes", ids.len());
            Err(Error::new(Kind::Usage, message)
                .hint(format!("say which with --node: {}", ids.join(" or ")))
                .detail("node_ids", json!(ids)))
        }
    }
}

/// A node by id or name; a name means one's own node before a stranger's.
fn own_node_called(staking: &Staking, owned: &OwnedCaps, text: &str) -> Result<ObjectId> {
    let pools = owned.caps.iter().filter_map(|cap| staking.pools.get(&cap.node_id));
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
        commission: collectable(pool),
        exit: exit_step(staking, pool),
        exit_epoch: pool.exit_epoch,
    })
}

/// The pool that a cap speaks for.
fn pool_of<'a>(staking: &'a Staking, cap: &NodeCap) -> Result<&'a Pool> {
    staking.pools.get(&cap.node_id).map(Arc::as_ref).ok_or_else(|| {
        let node = words::object(&cap.node_id);
        Error::new(Kind::NotFound, format!("the ledger has no node {node}"))
    })
}

/// What a node earned.
pub fn collectable(pool: &Pool) -> Collectable {
    let blocked = pool.commission_blocked.min(pool.commission);
    Collectable { free: pool.commission - blocked, blocked }
}

impl OwnNode {
    /// Whether this cap may collect the commission.
    pub fn check_receiver(staking: &Staking, cap: &NodeCap) -> Result<()> {
        match pool_of(staking, cap)?.commission_receiver {
            Authority::Object(object) if object == cap.id => Ok(()),
            Authority::Object(other) | Authority::Account(other) => {
                let other = words::object(&other);
                Err(Error::new(Kind::Permission, format!("the commission is for {other}"))
                    .hint("collect it with the wallet that has it"))
            }
        }
    }

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
