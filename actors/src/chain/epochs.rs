//! Moving epochs on: the calls anybody may send, and a node's word on its own shards.
//!
//! Promises: a step the rules do not allow now is refused in a trial and costs nothing.
//! Does not: know whose turn it is.

use futures::StreamExt;
use haulout_protocol::chain::call::{
    self, Argument as Place, EpochChange, EpochSyncDone, ForceSyncDone, Function, VotingEnd,
};
use haulout_protocol::chain::object::staking::NodeCap;
use haulout_protocol::chain::{ObjectId, TypeName};
use haulout_protocol::committee::NodeId;
use haulout_protocol::epoch::Epoch;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, Transaction};
use sui_transaction_builder::TransactionBuilder;

use super::owned::Receipt;
use super::read::decode;
use super::submit::{Places, owned_input};
use super::{CallError, Chain, Wallet};
use crate::limits;

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
        cap: &ObjectId,
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
    ) -> Result<Option<ObjectId>, CallError> {
        let request = proto::ListOwnedObjectsRequest::default()
            .with_owner(wallet.to_string())
            .with_object_type(TypeName::NODE_CAP.qualified(&self.shared.options.package))
            .with_page_size(limits::CHAIN_PAGE_OBJECTS)
            .with_read_mask(FieldMask::from_paths(["object_id", "contents"]));
        let owned = self.client.list_owned_objects(request);
        let mut owned = Box::pin(owned.take(limits::CHAIN_OBJECTS_MAX));
        while let Some(object) = owned.next().await {
            let object = object.map_err(|status| self.call_error(&status, "node caps"))?;
            let cap: NodeCap = decode(&object)?;
            if cap.node_id == *node.as_bytes() {
                return Ok(Some(cap.id));
            }
        }
        Ok(None)
    }

    /// A transaction of one call that takes nothing but objects of ours.
    async fn send_step(
        &self,
        wallet: &Wallet,
        function: call::Function,
        arguments: Vec<Place>,
        cap: Option<&ObjectId>,
    ) -> Result<Receipt, CallError> {
        let build = || self.build_step(wallet, &function, arguments.clone(), cap);
        Ok(self.run(wallet, build).await?.into())
    }

    async fn build_step(
        &self,
        wallet: &Wallet,
        function: &call::Function,
        arguments: Vec<Place>,
        cap: Option<&ObjectId>,
    ) -> Result<Transaction, CallError> {
        let mut builder = TransactionBuilder::new();
        builder.set_sender(Address::new(wallet.address()));
        let cap = match cap {
            Some(cap) => Some(builder.object(owned_input(&self.object(cap, "node cap").await?)?)),
            None => None,
        };
        let places = Places { cap, ..Places::default() };
        let arguments = self.arguments(&mut builder, arguments, &places)?;
        builder.move_call(self.function(function)?, arguments);
        self.finish(builder, wallet).await
    }
}
