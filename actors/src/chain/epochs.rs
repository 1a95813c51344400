//! Moving epochs on: the calls anybody may send, and a node's word on its own shards.
//!
//! Promises: a step the rules do not allow now is refused in a trial and costs nothing.
//! Does not: know whose turn it is.

use haulout_protocol::chain::call::{
    self, Argument as Place, EpochChange, EpochSyncDone, ForceSyncDone, Function, VotingEnd,
};
use haulout_protocol::chain::object::staking::NodeCap;
use haulout_protocol::committee::NodeId;
use haulout_protocol::epoch::Epoch;

use super::draft::{Draft, Places};
use super::error::CallError;
use super::handle::Chain;
use super::owned::Receipt;
use super::wallet::Wallet;

impl Chain {
    /// Ends the votes of the epoch: chooses the next committee.
    pub async fn end_voting(&self, wallet: &Wallet) -> Result<Receipt, CallError> {
        self.send_step(wallet, Function::VOTING_END, VotingEnd.arguments(), None).await
    }

    /// Ends the epoch: pays its committee and begins the next.
    pub async fn change_epoch(&self, wallet: &Wallet) -> Result<Receipt, CallError> {
        self.send_step(wallet, Function::EPOCH_CHANGE, EpochChange.arguments(), None).await
    }

    /// Ends a sync that takes too long.
    pub async fn force_sync(&self, wallet: &Wallet) -> Result<Receipt, CallError> {
        self.send_step(wallet, Function::FORCE_SYNC_DONE, ForceSyncDone.arguments(), None).await
    }

    /// Says that a node of the wallet holds its shards of an epoch.
    pub async fn report_shards(
        &self,
        wallet: &Wallet,
        cap: &NodeCap,
        epoch: Epoch,
    ) -> Result<Receipt, CallError> {
        let arguments = EpochSyncDone { epoch: epoch.0 }.arguments();
        self.send_step(wallet, Function::EPOCH_SYNC_DONE, arguments, Some(cap)).await
    }

    /// The wallet's key to a node, if it owns one.
    pub async fn node_cap(
        &self,
        wallet: &Wallet,
        node: &NodeId,
    ) -> Result<Option<NodeCap>, CallError> {
        let caps = self.node_caps(&wallet.address()).await?;
        Ok(caps.into_iter().find(|cap| cap.node_id == (*node).into()))
    }

    /// A transaction of one call that takes nothing but objects of ours.
    async fn send_step(
        &self,
        wallet: &Wallet,
        function: call::Function,
        arguments: Vec<Place>,
        cap: Option<&NodeCap>,
    ) -> Result<Receipt, CallError> {
        let (function, arguments) = (&function, &arguments);
        let build = |chain: Chain| async move {
            let mut draft = Draft::new(&chain, wallet);
            let places = match cap {
                Some(cap) => draft.cap(cap).await?,
                None => Places::default(),
            };
            draft.call(function, arguments.clone(), &places)?;
            draft.finish().await
        };
        // A step pays nobody, and the ledger takes each once: what was refused may be built anew beside it.
        Ok(self.run_for_order(wallet, build).await?.into())
    }
}
