//! The first committee, made by the rules: nodes register, stake, are chosen, and begin.
//!
//! Promises: each node holds as many shards as its stake is worth, and proved both its keys.
//! The one liberty: *which* shards are a node's is read from the configuration, because a devnet
//! interleaves them so that the systematic slivers of a small blob spread over all nodes.
//! Does not: decide whose a node is; its operator gets the cap and the receipt.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::RegisterNode;
use haulout_protocol::chain::event::Event;
use haulout_protocol::chain::object::staking::{Asks, NodeCap, Staked, Staking};
use haulout_protocol::chain::object::{Params, StakingPool, System, Treasury};
use haulout_protocol::crypto::{PublicKey, SecretKey, blake2b_256};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{NetworkId, peer_proof_message, proof_of_possession_message};
use sui_crypto::Signer;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_sdk_types::Ed25519Signature;

use super::{FIRST_EPOCH, GenesisConfig, GenesisError, GenesisIds, GenesisNode};
use haulout_protocol::rules::math::mul_div_floor;
use haulout_protocol::rules::node_registry::{self, GENESIS_SENDER};
use haulout_protocol::rules::stake_params::StakeParams;
use haulout_protocol::rules::{Context, committee, epochs, staking, staking_pool};

/// Nodes register before the first epoch.
const BEFORE: u32 = FIRST_EPOCH - 1;

/// What the rules made of the configuration.
pub(super) struct Founded {
    pub(super) staking: Staking,
    pub(super) system: System,
    pub(super) params: Params,
    pub(super) treasury: Treasury,
    pub(super) caps: Vec<NodeCap>,
    pub(super) receipts: Vec<Staked>,
    pub(super) events: Vec<Event>,
}

impl Founded {
    /// The views of the pools that clients read.
    pub(super) fn pools(&self) -> impl Iterator<Item = StakingPool> {
        let pools = self.staking.pools.iter();
        pools.map(|(id, pool)| StakingPool { id: *id, node_info: pool.node.clone() })
    }

    /// All WAL in the pools.
    pub(super) fn funds(&self) -> Result<u64, GenesisError> {
        let mut funds = self.staking.pools.values().map(|pool| staking_pool::funds(pool));
        let sum = funds.try_fold(0_u64, |sum, funds| sum.checked_add(funds.ok()?));
        sum.ok_or(GenesisError::Supply)
    }
}

impl GenesisNode {
    /// Signs the node's registration with both its keys. An invalid public key is left unproven,
    /// and refused later.
    pub fn prove(&mut self, network_id: &ObjectId, peer_secret: &[u8; 32], bls: &SecretKey) {
        let (network, epoch) = (NetworkId::from_bytes((*network_id).into()), Epoch(BEFORE));
        let message = peer_proof_message(&network, epoch, &GENESIS_SENDER, &self.bls_public_key);
        let proof: Ed25519Signature = Ed25519PrivateKey::new(*peer_secret).sign(&message);
        self.peer_proof = proof.inner().to_vec();
        if let Ok(key) = PublicKey::from_bytes(&self.bls_public_key) {
            let message = proof_of_possession_message(&network, epoch, &GENESIS_SENDER, &key);
            self.bls_proof = bls.sign(&message).to_bytes().to_vec();
        }
    }
}

impl GenesisConfig {
    /// Runs the rules up to the first epoch with a committee that holds its shards.
    pub(super) fn found(&self, ids: &GenesisIds, now_ms: u64) -> Result<Founded, GenesisError> {
        let (mut system, params, mut treasury) = self.before(ids)?;
        let stake_params = StakeParams::read(&params)?;
        let mut staking = staking::new(ids.staking_inner(), self.shards, now_ms, now_ms);
        let created = blake2b_256(&[b"haulout genesis nodes", ids.network_id.as_bytes()]);
        let mut context = Context::new(created);
        let (mut caps, mut receipts) = (Vec::new(), Vec::new());
        for (node, id) in self.nodes.iter().zip(&ids.nodes) {
            let joined = self.join(&mut context, &mut staking, &stake_params, node, *id);
            let (cap, receipt) =
                joined.map_err(|abort| GenesisError::Node(node.name.clone(), abort))?;
            caps.push(cap);
            receipts.push(receipt);
        }
        epochs::voting_end(&mut context, &mut staking, &system, &params, now_ms)
            .and_then(|()| {
                let (staking, system, treasury) = (&mut staking, &mut system, &mut treasury);
                epochs::epoch_change(&mut context, staking, system, &params, treasury, now_ms)
            })
            .map_err(GenesisError::Committee)?;
        // Votes are per shard and rounded up; what was asked for is offered.
        system.total_capacity = system.total_capacity.min(self.capacity);
        self.place(&mut staking, ids)?;
        for cap in &caps {
            staking::epoch_sync_done(&mut context, &mut staking, cap, FIRST_EPOCH, now_ms)
                .map_err(GenesisError::Committee)?;
        }
        let events = context.events;
        Ok(Founded { staking, system, params, treasury, caps, receipts, events })
    }

    /// Registers a node and stakes as much as its shards are worth.
    fn join(
        &self,
        context: &mut Context<'_>,
        staking: &mut Staking,
        params: &StakeParams,
        node: &GenesisNode,
        id: ObjectId,
    ) -> Result<(NodeCap, Staked), Abort> {
        let shards = u64::try_from(node.shards.len()).unwrap_or(u64::MAX);
        let capacity = mul_div_floor(self.capacity, shards, self.shards, Abort::StakingOverflow)?;
        let call = RegisterNode {
            name: node.name.clone(),
            peer_key: node.peer_key,
            peer_proof: node.peer_proof.clone(),
            multiaddrs: node.multiaddrs.clone(),
            bls_public_key: node.bls_public_key.clone(),
            bls_proof: node.bls_proof.clone(),
            commission_bps: 0,
            asks: Asks { storage: self.storage_price, write: self.write_price },
            capacity: capacity.saturating_add(1),
            metadata: Vec::new(),
        };
        let bond = params.min_bond;
        let cap = node_registry::register_genesis_node(context, staking, params, id, &call, bond)?;
        let amount = shards.checked_mul(self.stake_per_shard).ok_or(Abort::StakingOverflow)?;
        Ok((cap, staking::stake_with_pool(context, staking, params, &id, amount)?))
    }

    /// Gives each node the shards of the configuration instead of as many consecutive ones.
    fn place(&self, staking: &mut Staking, ids: &GenesisIds) -> Result<(), GenesisError> {
        for (node, id) in self.nodes.iter().zip(&ids.nodes) {
            let dealt = committee::shards_of(&staking.committee, id).unwrap_or_default();
            if dealt.len() != node.shards.len() {
                return Err(GenesisError::TooManyShards(node.name.clone()));
            }
        }
        for (member, node) in staking.committee.iter_mut().zip(&self.nodes) {
            member.value = node.shards.clone();
            member.value.sort_unstable();
        }
        Ok(())
    }
}
