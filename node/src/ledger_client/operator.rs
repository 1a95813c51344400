//! The ledger for operators: one's own nodes, and what one tells the ledger of them.
//!
//! Promises: nothing is paid beyond the bond that was agreed to.
//! Does not: decide (`stakes.rs` does), or keep a node's keys.

use haulout_actors::chain::{Changed, Collector, Proofs, Receipt, RegisteredNode, Votes};
use haulout_protocol::chain::call::NodeSetting;
use haulout_protocol::chain::object::staking::{Authority, NodeCap};
use haulout_protocol::crypto::SecretKey;

use super::LedgerClient;
use crate::error::Result;
use crate::keys::Secret;
use crate::stakes::Application;

impl LedgerClient {
    /// The caps of nodes that the wallet owns.
    pub async fn node_caps(&self) -> Result<Vec<NodeCap>> {
        let wallet = self.wallet("operating a node")?;
        Ok(self.chain.node_caps(&wallet.address()).await?)
    }

    /// Registers a node and pays its bond; the cap becomes the wallet's. Its keys sign for this
    /// wallet and this epoch.
    pub async fn register_node(
        &self,
        application: &Application,
        network_key: &Secret,
        protocol_key: &SecretKey,
    ) -> Result<RegisteredNode> {
        let wallet = self.wallet("registering a node")?;
        // The epoch of this moment, not of when the command began: somebody may have been asked.
        let epoch = self.chain.system().await?.position.epoch;
        let (network, sender) = (&self.view.network, wallet.address());
        let proofs = Proofs::sign(network, epoch, &sender, *network_key.bytes(), protocol_key);
        Ok(self.chain.register_node(wallet, &application.registration, &proofs).await?)
    }

    /// Casts a node's votes.
    pub async fn vote(&self, cap: &NodeCap, votes: &Votes) -> Result<Receipt> {
        Ok(self.chain.vote(self.wallet("voting")?, cap, votes).await?)
    }

    /// Changes what the ledger says of a node, in one transaction.
    pub async fn change_node(&self, cap: &NodeCap, settings: &[NodeSetting]) -> Result<Changed> {
        Ok(self.chain.change_node(self.wallet("changing a node")?, cap, settings).await?)
    }

    /// Hands a node's commission to somebody else.
    pub async fn set_commission_receiver(
        &self,
        collector: Collector,
        receiver: Authority,
    ) -> Result<Changed> {
        let wallet = self.wallet("handing a commission on")?;
        Ok(self.chain.set_commission_receiver(wallet, collector, receiver).await?)
    }

    /// Pays a node's free commission to the wallet; says how much, in FROST.
    pub async fn collect_commission(&self, collector: Collector) -> Result<(u64, Receipt)> {
        let wallet = self.wallet("collecting a commission")?;
        Ok(self.chain.collect_commission(wallet, collector).await?)
    }

    /// Says that a node wants to leave.
    pub async fn request_exit(&self, cap: &NodeCap) -> Result<Receipt> {
        Ok(self.chain.request_exit(self.wallet("leaving")?, cap).await?)
    }

    /// Pays the bond of a node that left; says how much, in FROST.
    pub async fn withdraw_bond(&self, cap: &NodeCap) -> Result<(u64, Receipt)> {
        Ok(self.chain.withdraw_bond(self.wallet("leaving")?, cap).await?)
    }
}
