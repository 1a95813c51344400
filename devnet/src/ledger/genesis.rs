//! The ledger's first state: what it is made from and the objects that follow.
//!
//! Promises: object ids depend on the configuration only, so they are known before the ledger
//! runs; a configuration that cannot be a network is refused; the first committee is made by the
//! rules of registration, stake and epochs, as every later one.
//! Does not: invent keys or decide who gets which shards.

mod committee;
mod first_epoch;

use std::collections::BTreeSet;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::object::{Coin, Staking};
use haulout_protocol::crypto::{PublicKey, blake2b_256};
use haulout_protocol::encoding::{Parameters, ParametersError};
use serde::{Deserialize, Serialize};
use sui_crypto::bls12381::Bls12381PrivateKey;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_sdk_types::{
    Address, ChangedObject, Digest, ExecutionStatus, GasCostSummary, GasPayment, GenesisObject,
    GenesisTransaction, IdOperation, Object, ObjectIn, ObjectOut, Owner, StructTag, Transaction,
    TransactionEffects, TransactionEffectsV2, TransactionEvents, TransactionExpiration,
    TransactionKind,
};

use super::checkpoints::ExecutedTransaction;
use super::fields::Change;
use super::identifiers::identifier;
use super::ids::GenesisIds;
use super::objects::{Changes, Names, Resource};
use super::tables;
use super::transactions::{CHAIN_EPOCH, GAS_PRICE, wrap_event};
use committee::Founded;
use haulout_protocol::rules::wal::SUPPLY;

/// SUI in existence, in MIST: what the accounts do not get is the faucet's.
const SUI_SUPPLY: u64 = 10_000_000_000_000_000_000;
/// The ring lives inside one object, so it must stay small.
const EPOCHS_AHEAD_MAX: u32 = 1000;
/// The first epoch of a network.
const FIRST_EPOCH: u32 = 1;
/// The version of every object made by genesis.
const VERSION: u64 = 1;

/// Everything a network starts from. Two ledgers with equal configurations have equal ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisConfig {
    /// Tells networks apart that are otherwise alike; keys of the ledger's own accounts derive
    /// from it.
    pub network_seed: [u8; 32],
    /// Shards of the network.
    pub shards: u16,
    /// Bytes of a full segment.
    pub segment_bytes: u32,
    /// Bytes of the longest short blob; zero if none is short.
    pub short_bytes_max: u32,
    /// How many copies of a header are paid for: the most nodes that a committee may have.
    pub header_replicas: u16,
    /// How many epochs ahead space can be reserved.
    pub max_epochs_ahead: u32,
    /// How long an epoch lasts.
    pub epoch_duration_ms: u64,
    /// Encoded bytes the network offers.
    pub capacity: u64,
    /// Price of one MiB for one epoch.
    pub storage_price: u64,
    /// Price of writing one MiB.
    pub write_price: u64,
    /// What each node stakes for each of its shards; at least what a receipt must hold. Stake of
    /// others moves shards only when it is as much as this.
    pub stake_per_shard: u64,
    /// The committee of the first epoch.
    pub nodes: Vec<GenesisNode>,
    /// Who starts with how much.
    pub accounts: Vec<GenesisAccount>,
    /// What the faucet gives each time it is asked.
    pub faucet: FaucetAmounts,
}

/// A member of the first committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisNode {
    /// A name for people.
    pub name: String,
    /// The ed25519 key it speaks libp2p with.
    pub peer_key: [u8; 32],
    /// Binary multiaddrs without the peer id.
    pub multiaddrs: Vec<Vec<u8>>,
    /// The BLS key it signs confirmations with, 48 bytes.
    pub bls_public_key: Vec<u8>,
    /// The shards it holds. Their number is what its stake is worth; which ones they are is the
    /// configuration's choice, for the first committee only: the rules would deal consecutive
    /// ones, and a devnet spreads them.
    pub shards: Vec<u16>,
    /// The account that gets the node's cap and the receipt of its stake.
    pub operator: ObjectId,
    /// The peer key's signature over its registration; see [`GenesisNode::prove`].
    pub peer_proof: Vec<u8>,
    /// The BLS key's proof of possession; see [`GenesisNode::prove`].
    pub bls_proof: Vec<u8>,
}

/// An account with money from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisAccount {
    /// The account.
    pub address: ObjectId,
    /// MIST in one coin; none for zero.
    pub sui: u64,
    /// The smallest unit of WAL in one coin; none for zero.
    pub wal: u64,
}

/// What the faucet gives each time it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaucetAmounts {
    /// MIST.
    pub sui: u64,
    /// The smallest unit of WAL.
    pub wal: u64,
}

/// A configuration that cannot be a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Shards, or the sizes of segments or short blobs, are out of range.
    #[error("shards, or the sizes of segments or short blobs, are out of range: {0}")]
    Parameters(String),
    /// A shard has no owner, two owners, or does not exist.
    #[error("shard {0} must belong to exactly one node")]
    Shard(u16),
    /// A node has no shards.
    #[error("node {0} has no shards")]
    Idle(String),
    /// A node's BLS key is not a valid point.
    #[error("node {0} has an invalid BLS key")]
    Key(String),
    /// The rules refuse a node or its stake.
    #[error("node {0} cannot be registered: {1}")]
    Node(String, Abort),
    /// The rules refuse the committee.
    #[error("the nodes cannot be the first committee: {0}")]
    Committee(Abort),
    /// A node has more shards than one of so many nodes may hold.
    #[error("node {0} has more shards than one node may hold")]
    TooManyShards(String),
    /// No epoch, or absurdly many, could be reserved.
    #[error("between 1 and {EPOCHS_AHEAD_MAX} epochs must be reservable")]
    EpochsAhead,
    /// The accounts would get more than there is.
    #[error("the accounts get more than the whole supply")]
    Supply,
    /// The rules refuse to begin the first epoch.
    #[error("the first epoch cannot begin: {0}")]
    Rules(#[from] Abort),
}

impl GenesisConfig {
    /// The ids of everything genesis creates.
    pub fn ids(&self) -> GenesisIds {
        let hash = blake2b_256(&[b"haulout genesis", &self.unproven().to_bytes()]);
        let network_id = ObjectId::from_bytes(hash);
        let mut ids = (0..).map(|count| *Address::derive_id(Digest::new(hash), count).inner());
        let mut next = || ObjectId::from_bytes(ids.next().expect("the counter is endless"));
        let (package, system, params, staking) = (next(), next(), next(), next());
        let mut nodes: Vec<_> = self.nodes.iter().map(|_| next()).collect();
        // Committees are sorted by id; so the first node of the list has the lowest.
        nodes.sort_unstable();
        GenesisIds { network_id, package, system, params, staking, treasury: next(), nodes }
    }

    /// How blobs are encoded in the network.
    ///
    /// # Errors
    /// No network can have these numbers.
    pub fn parameters(&self) -> Result<Parameters, ParametersError> {
        Parameters::new(self.shards, self.segment_bytes)?.with_short_blobs(self.short_bytes_max)
    }

    /// The configuration without the proofs, which name the network and so cannot be in its name.
    fn unproven(&self) -> Self {
        let mut config = self.clone();
        for node in &mut config.nodes {
            (node.peer_proof, node.bls_proof) = (Vec::new(), Vec::new());
        }
        config
    }

    /// The bytes that name the network.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        bcs::to_bytes(self).expect("plain numbers and vectors always serialise")
    }

    /// The key the ledger certifies checkpoints with.
    pub(super) fn validator_key(&self) -> Bls12381PrivateKey {
        let mut bytes = self.secret(b"validator");
        bytes[0] &= 0x3f; // below the order of the group, and never zero in practice
        Bls12381PrivateKey::new(bytes).expect("the scalar is below the order of the group")
    }

    /// The key of the faucet's account.
    pub(super) fn faucet_key(&self) -> Ed25519PrivateKey {
        Ed25519PrivateKey::new(self.secret(b"faucet"))
    }

    fn secret(&self, role: &[u8]) -> [u8; 32] {
        blake2b_256(&[b"haulout ledger key", role, &self.network_seed])
    }

    /// Checks everything a running network relies on.
    pub fn check(&self) -> Result<(), GenesisError> {
        self.parameters().map_err(|error| GenesisError::Parameters(error.to_string()))?;
        if !(1..=EPOCHS_AHEAD_MAX).contains(&self.max_epochs_ahead) {
            return Err(GenesisError::EpochsAhead);
        }
        let mut seen = BTreeSet::new();
        for node in &self.nodes {
            if node.shards.is_empty() {
                return Err(GenesisError::Idle(node.name.clone()));
            }
            PublicKey::from_bytes(&node.bls_public_key)
                .map_err(|_| GenesisError::Key(node.name.clone()))?;
            for shard in &node.shards {
                if *shard >= self.shards || !seen.insert(*shard) {
                    return Err(GenesisError::Shard(*shard));
                }
            }
        }
        if let Some(missing) = (0..self.shards).find(|shard| !seen.contains(shard)) {
            return Err(GenesisError::Shard(missing));
        }
        self.rest(SUI_SUPPLY, |account| account.sui)?;
        self.rest(SUPPLY, |account| account.wal)?;
        self.found(&self.ids(), 0)?;
        Ok(())
    }

    /// What is left of a supply for the faucet.
    fn rest(&self, supply: u64, of: fn(&GenesisAccount) -> u64) -> Result<u64, GenesisError> {
        let given = self.accounts.iter().map(of).try_fold(0_u64, u64::checked_add);
        given.and_then(|given| supply.checked_sub(given)).ok_or(GenesisError::Supply)
    }

    /// Every object of the first state with its owner.
    fn objects(
        &self,
        founded: &Founded,
        now_ms: u64,
    ) -> Result<Vec<(Resource, Owner)>, GenesisError> {
        let ids = self.ids();
        let names = Names::new(&ids);
        let mut objects = vec![
            Resource::System(founded.system.clone()),
            Resource::Params(founded.params.clone()),
            Resource::Staking(self.staking(&ids, founded, now_ms)),
            Resource::Treasury(founded.treasury.clone()),
        ];
        objects.extend(founded.pools().map(Resource::StakingPool));
        objects.push(Resource::StakingInner(founded.staking.clone().into()));
        let shared = || Owner::Shared(VERSION);
        let mut objects: Vec<_> = objects.into_iter().map(|object| (object, shared())).collect();
        for Change { parent, field } in tables::changes(None, &founded.staking).into_values() {
            let owner = Owner::Object(Address::new(parent.into()));
            objects.extend(field.map(|field| (Resource::Field(field), owner)));
        }
        let faucet = self.faucet_key().public_key().derive_address();
        for ((node, cap), receipt) in self.nodes.iter().zip(&founded.caps).zip(&founded.receipts) {
            let operator = Owner::Address(Address::new(node.operator.into()));
            objects.push((Resource::NodeCap(*cap), operator));
            objects.push((Resource::Staked(receipt.clone()), operator));
        }
        let coins =
            Digest::new(blake2b_256(&[b"haulout genesis coins", ids.network_id.as_bytes()]));
        let mut coin = |token: &StructTag, owner: Address, balance: u64| {
            let count = u64::try_from(objects.len()).expect("an in-memory count fits 64 bits");
            let id = *Address::derive_id(coins, count).inner();
            let coin = Resource::Coin {
                token: token.clone(),
                coin: Coin { id: ObjectId::from_bytes(id), balance },
            };
            objects.push((coin, Owner::Address(owner)));
        };
        for account in &self.accounts {
            for (token, balance) in [(&names.sui, account.sui), (&names.wal, account.wal)] {
                if balance > 0 {
                    coin(token, Address::new(account.address.into()), balance);
                }
            }
        }
        coin(&names.sui, faucet, self.rest(SUI_SUPPLY, |account| account.sui)?);
        let wal = self.rest(SUPPLY, |account| account.wal)?.checked_sub(founded.funds()?);
        coin(&names.wal, faucet, wal.ok_or(GenesisError::Supply)?);
        Ok(objects)
    }

    /// The transaction that creates everything there is at the start.
    pub(super) fn transaction(
        &self,
        now_ms: u64,
    ) -> Result<(ExecutedTransaction, Changes), GenesisError> {
        self.check()?;
        let ids = self.ids();
        let names = Names::new(&ids);
        let founded = self.found(&ids, now_ms)?;
        let resources = self.objects(&founded, now_ms)?;
        let write = |digest| {
            let write = |(resource, owner): &(Resource, Owner)| {
                resource.write(&names, VERSION, *owner, digest)
            };
            resources.iter().map(write).collect::<Vec<_>>()
        };
        let drafts = write(Digest::ZERO);
        let draft = |object: &Object| GenesisObject::new(object.data().clone(), *object.owner());
        let objects = drafts.iter().map(draft).collect();
        let nobody =
            GasPayment { objects: vec![], owner: Address::ZERO, price: GAS_PRICE, budget: 0 };
        let transaction = Transaction {
            kind: TransactionKind::Genesis(GenesisTransaction { objects }),
            sender: Address::ZERO,
            gas_payment: nobody,
            expiration: TransactionExpiration::None,
        };
        let written = write(transaction.digest());
        let wrap = |event| wrap_event(&names, &identifier("staking"), Address::ZERO, event);
        let events = TransactionEvents(founded.events.iter().map(wrap).collect());
        let effects = effects(transaction.digest(), &written, &events);
        let stake = Some(founded.staking.into());
        let changes = Changes { written: written.clone(), removed: vec![], stake };
        let (signatures, events) = (vec![], Some(events));
        Ok((ExecutedTransaction { transaction, signatures, effects, events, written }, changes))
    }

    /// The view of the staking state that clients read.
    fn staking(&self, ids: &GenesisIds, founded: &Founded, now_ms: u64) -> Staking {
        Staking {
            id: ids.staking,
            version: VERSION,
            n_shards: self.shards,
            epoch: founded.staking.epoch,
            epoch_started_ms: now_ms,
            epoch_duration_ms: self.epoch_duration_ms,
            committee: founded.staking.committee.clone(),
            state: founded.staking.state,
        }
    }
}

/// The effects of a transaction that only creates.
fn effects(
    transaction: Digest,
    written: &[Object],
    events: &TransactionEvents,
) -> TransactionEffects {
    let create = |object: &Object| ChangedObject {
        object_id: object.object_id(),
        input_state: ObjectIn::NotExist,
        output_state: ObjectOut::ObjectWrite { digest: object.digest(), owner: *object.owner() },
        id_operation: IdOperation::Created,
    };
    let mut changed_objects: Vec<_> = written.iter().map(create).collect();
    changed_objects.sort_by_key(|object| object.object_id);
    TransactionEffects::V2(Box::new(TransactionEffectsV2 {
        status: ExecutionStatus::Success,
        epoch: CHAIN_EPOCH,
        gas_used: GasCostSummary::default(),
        transaction_digest: transaction,
        gas_object_index: None,
        events_digest: Some(events.digest()),
        dependencies: vec![],
        lamport_version: VERSION,
        changed_objects,
        unchanged_consensus_objects: vec![],
        auxiliary_data_digest: None,
    }))
}
