//! An operator's part of rewards: what of it can be had, by whom, and how it changes.
//!
//! Promises: a change names the first epoch whose rewards are shared by it; nobody is sent to the
//! ledger who is not the receiver there.
//! Does not: compute rewards; the ledger shares them when an epoch ends.

use std::sync::Arc;

use haulout_actors::chain::Collector;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{Authority, NodeCap, Pool, Staking};
use serde_json::json;

use super::nodes::NodeRow;
use super::operators::{own_cap, own_node_called};
use crate::error::{Error, Kind, Result};

/// Epochs from the wish for another part to the first rewards that are shared by it.
const CHANGE_EPOCHS: u32 = 2;

/// Another part of rewards, if the operator asks for it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateChange {
    /// The first epoch whose rewards are shared by it. They are paid when that epoch ends.
    pub from_epoch: u32,
    /// The part in that epoch if nothing is changed, in ten-thousandths.
    pub before: u64,
    /// The new part, in ten-thousandths.
    pub after: u64,
}

impl RateChange {
    /// What asking in `epoch` for another part means.
    pub fn new(row: &NodeRow, epoch: u32, bps: u16) -> RateChange {
        let from_epoch = first_epoch(epoch);
        let due = row.commission_changes.iter().rfind(|(from, _)| *from <= from_epoch);
        let before = due.map_or(u64::from(row.commission_bps), |(_, bps)| *bps);
        RateChange { from_epoch, before, after: bps.into() }
    }

    /// Whether that is what would happen anyway.
    pub fn is_nothing(&self) -> bool {
        self.before == self.after
    }
}

/// The first epoch whose rewards are shared as was asked for in `epoch`.
pub fn first_epoch(epoch: u32) -> u32 {
    epoch.saturating_add(CHANGE_EPOCHS)
}

/// The node whose commission is meant, and as whom the wallet has it: the node that was named, the
/// wallet's own, or without one the node that pays this account.
pub fn collector(
    staking: &Staking,
    owned: &[NodeCap],
    account: &ObjectId,
    node: Option<&str>,
) -> Result<(ObjectId, Collector)> {
    let node_id = match node {
        Some(text) => own_node_called(staking, owned, text)?,
        None if owned.is_empty() => paying(staking, account)?,
        None => own_cap(staking, owned, None)?.node_id,
    };
    let pool = staking
        .pools
        .get(&node_id)
        .ok_or_else(|| Error::new(Kind::NotFound, format!("the ledger has no node {node_id}")))?;
    let held = |cap: ObjectId| owned.iter().find(|held| held.id == cap).copied();
    if let Authority::Object(cap) = pool.commission_receiver
        && let Some(cap) = held(cap)
    {
        return Ok((node_id, Collector::Cap(cap)));
    }
    match pool.commission_receiver {
        Authority::Account(it) if it == *account => Ok((node_id, Collector::Account { node_id })),
        other => {
            let message = format!("the commission is for {}", receiver_text(&other));
            Err(Error::new(Kind::Permission, message)
                .hint("use the wallet that has it: --wallet FILE"))
        }
    }
}

/// The only node whose commission is for an account.
fn paying(staking: &Staking, account: &ObjectId) -> Result<ObjectId> {
    let is_for = |pool: &&Arc<Pool>| pool.commission_receiver == Authority::Account(*account);
    let ids: Vec<ObjectId> =
        staking.pools.values().filter(is_for).map(|pool| pool.node.node_id).collect();
    match ids.as_slice() {
        [id] => Ok(*id),
        [] => Err(Error::new(Kind::NotFound, "the wallet has no node, and no node pays it")
            .hint("use the wallet of the node's operator or of the commission's receiver")),
        several => {
            let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(Error::new(Kind::Usage, format!("{} nodes pay this wallet", ids.len()))
                .hint(format!("say which with --node: {}", ids.join(" or ")))
                .detail("node_ids", json!(ids)))
        }
    }
}

/// Refuses a receiver that could never collect.
pub fn check_receiver(staking: &Staking, owned: &[NodeCap], receiver: &ObjectId) -> Result<()> {
    let is_cap = owned.iter().any(|cap| cap.id == *receiver);
    let what = if *receiver == ObjectId::from_bytes([0; 32]) {
        "nobody's account"
    } else if staking.pools.contains_key(receiver) {
        "a node, not an account"
    } else if is_cap {
        "a cap, not an account"
    } else {
        return Ok(());
    };
    Err(Error::new(Kind::Usage, format!("{receiver} is {what}"))
        .hint("give the address of a wallet, as `haulout wallet address` prints it, or --cap"))
}

/// Who collects, for people.
pub fn receiver_text(receiver: &Authority) -> String {
    match receiver {
        Authority::Account(account) => format!("the account {account}"),
        Authority::Object(cap) => format!("who has the cap {cap}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stakes::samples::pool_mut;
    use crate::stakes::{Collectable, collectable};
    use crate::stakes::{SortBy, rows, sample_book};

    const ACCOUNT: ObjectId = ObjectId::from_bytes([0xaa; 32]);

    fn caps(ids: &[u8]) -> Vec<NodeCap> {
        let cap = |id: &u8| NodeCap {
            id: ObjectId::from_bytes([0xc9 + id; 32]),
            node_id: ObjectId::from_bytes([*id; 32]),
        };
        ids.iter().map(cap).collect()
    }

    fn paid_to(nodes: &[u8], receiver: Authority) -> Staking {
        let mut staking = sample_book().staking;
        for id in nodes {
            pool_mut(&mut staking, *id).commission_receiver = receiver;
        }
        staking
    }

    #[test]
    fn only_what_is_not_blocked_can_be_collected() {
        let mut pool = pool_mut(&mut sample_book().staking, 1).clone();
        (pool.commission, pool.commission_blocked) = (10, 7);
        assert_eq!(collectable(&pool), Collectable { free: 3, blocked: 7 });
    }

    #[test]
    fn a_receiver_collects_with_its_cap_or_as_an_account_and_nobody_else_does() {
        let of = |staking: &Staking, ids: &[u8], node| {
            collector(staking, &caps(ids), &ACCOUNT, node).map(|(_, collector)| collector)
        };
        let by_cap = sample_book().staking;
        assert_eq!(of(&by_cap, &[1], None).unwrap(), Collector::Cap(caps(&[1])[0]));
        let account = paid_to(&[1], Authority::Account(ACCOUNT));
        let as_account = Collector::Account { node_id: ObjectId::from_bytes([1; 32]) };
        for (ids, node) in [(&[][..], None), (&[], Some("tern")), (&[1], None)] {
            assert_eq!(of(&account, ids, node).unwrap(), as_account, "{ids:?} {node:?}");
        }
        let stranger = paid_to(&[1], Authority::Account(ObjectId::from_bytes([5; 32])));
        let refused = of(&stranger, &[1], None).unwrap_err();
        assert_eq!(refused.kind(), Kind::Permission);
        assert!(refused.message().contains("the account 0x0505"), "{refused}");
        assert_eq!(of(&by_cap, &[], None).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(of(&by_cap, &[], Some("tern")).unwrap_err().kind(), Kind::Permission);
        let two = paid_to(&[1, 2], Authority::Account(ACCOUNT));
        assert_eq!(of(&two, &[], None).unwrap_err().kind(), Kind::Usage);
    }

    #[test]
    fn a_change_is_measured_by_what_would_apply_without_it() {
        let mut book = sample_book();
        let row = |book: &_| {
            let rows = rows(book, SortBy::Stake);
            rows.into_iter().find(|row| row.name == "tern").unwrap()
        };
        let change = RateChange::new(&row(&book), 4, 750);
        assert_eq!(change, RateChange { from_epoch: 6, before: 500, after: 750 });
        assert!(RateChange::new(&row(&book), 4, 500).is_nothing());
        let pool = pool_mut(&mut book.staking, 1);
        let entry = |key, value| haulout_protocol::chain::object::Entry { key, value };
        pool.pending_commission = vec![entry(5, 600), entry(6, 700)];
        assert_eq!(RateChange::new(&row(&book), 4, 500).before, 700, "asked for in this epoch");
        assert_eq!(RateChange::new(&row(&book), 3, 500).before, 600);
    }

    #[test]
    fn a_receiver_that_could_never_collect_is_refused() {
        let staking = sample_book().staking;
        let check = |id| check_receiver(&staking, &caps(&[1]), &id);
        check(ACCOUNT).unwrap();
        for (id, said) in [([0; 32], "nobody's"), ([2; 32], "a node"), ([0xca; 32], "a cap")] {
            let refused = check(ObjectId::from_bytes(id)).unwrap_err();
            assert!(refused.message().contains(said), "{refused}");
        }
    }
}
