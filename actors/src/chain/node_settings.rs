//! What an operator changes about a registered node, and how its commission is paid.
//!
//! Promises: changes of one call are made together or not at all; the epoch that counts is the one
//! the ledger made them in.
//! Does not: check values, or decide who collects: the ledger names the receiver.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::call::{
    CollectCommissionAsSender, Function, NodeSetting, SetCommissionReceiverAsSender, ShowCap,
};
use haulout_protocol::chain::event::StakeEvent;
use haulout_protocol::chain::object::staking::{Authority, NodeCap};

use super::draft::{Draft, Places};
use super::error::CallError;
use super::handle::Chain;
use super::owned::Receipt;
use super::stake::stake_events;
use super::submit::Executed;
use super::wallet::Wallet;

/// As whom a wallet collects a node's commission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collector {
    /// As the one who has this cap of the node.
    Cap(NodeCap),
    /// As the account that the ledger names for this node.
    Account {
        /// The node.
        node_id: ObjectId,
    },
}

/// A change of a node that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The epoch in which it was made.
    pub epoch: u32,
    /// The transaction.
    pub receipt: Receipt,
}

impl Chain {
    /// Changes what the ledger says of a node, in one transaction.
    pub async fn change_node(
        &self,
        wallet: &Wallet,
        cap: &NodeCap,
        settings: &[NodeSetting],
    ) -> Result<Changed, CallError> {
        let build = |chain: Chain| async move {
            let mut draft = Draft::new(&chain, wallet);
            let places = draft.cap(cap).await?;
            for setting in settings {
                draft.call(&setting.function(), setting.arguments(), &places)?;
            }
            draft.finish().await
        };
        changed(self.run_surely(wallet, build).await?)
    }

    /// Hands a node's commission to somebody else; for who collects it now.
    pub async fn set_commission_receiver(
        &self,
        wallet: &Wallet,
        collector: Collector,
        receiver: Authority,
    ) -> Result<Changed, CallError> {
        let node_id = match collector {
            Collector::Cap(cap) => {
                let settings = [NodeSetting::CommissionReceiver(receiver)];
                return self.change_node(wallet, &cap, &settings).await;
            }
            Collector::Account { node_id } => node_id,
        };
        let call = &SetCommissionReceiverAsSender { node_id, receiver };
        let function = &Function::SET_COMMISSION_RECEIVER_AS_SENDER;
        let build = |chain: Chain| async move {
            let mut draft = Draft::new(&chain, wallet);
            draft.call(function, call.arguments(), &Places::default())?;
            draft.finish().await
        };
        changed(self.run_surely(wallet, build).await?)
    }

    /// Pays a node's free commission to the wallet; says how much, in FROST.
    pub async fn collect_commission(
        &self,
        wallet: &Wallet,
        collector: Collector,
    ) -> Result<(u64, Receipt), CallError> {
        let build = |chain: Chain| async move {
            let mut draft = Draft::new(&chain, wallet);
            let paid = match collector {
                Collector::Cap(cap) => {
                    let places = draft.cap(&cap).await?;
                    draft.call(&Function::COLLECT_COMMISSION, ShowCap.arguments(), &places)?
                }
                Collector::Account { node_id } => {
                    let arguments = CollectCommissionAsSender { node_id }.arguments();
                    let function = Function::COLLECT_COMMISSION_AS_SENDER;
                    draft.call(&function, arguments, &Places::default())?
                }
            };
            draft.keep(vec![paid]);
            draft.finish().await
        };
        let executed = self.run_surely(wallet, build).await?;
        let amount = stake_events(&executed).find_map(|event| match event {
            StakeEvent::CommissionCollected(event) => Some(event.amount),
            _ => None,
        });
        Ok((amount.unwrap_or(0), executed.into()))
    }
}

/// Reads when a change was made.
fn changed(executed: Executed) -> Result<Changed, CallError> {
    let epoch = stake_events(&executed).find_map(|event| match event {
        StakeEvent::NodeUpdated(event) => Some(event.epoch),
        _ => None,
    });
    let missing = || CallError::unreadable("a change of a node that changed nothing");
    Ok(Changed { epoch: epoch.ok_or_else(missing)?, receipt: executed.into() })
}
