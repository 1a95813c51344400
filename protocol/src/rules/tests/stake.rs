//! The stake side against the tables and the tests of `contracts.md`.

mod economy;
mod epochs;
mod pools;
mod registry;
mod shards;
mod sizes;
mod votes;
mod withdrawals;

use std::collections::BTreeMap;

use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::call::RegisterNode;
use crate::chain::event::StakeEvent;
use crate::chain::object::Entry;
use crate::chain::object::staking::{Asks, EpochState, NodeCap, Pool, Staked, Staking};
use crate::crypto::SecretKey;
use crate::epoch::Epoch;
use crate::message::{NetworkId, peer_proof_message, proof_of_possession_message};
use ed25519_dalek::{Signer, SigningKey};

use crate::rules::node_registry::register_node;
use crate::rules::stake_params::{StakeParams, WAL};
use crate::rules::staking::{self, Closing, Opening};
use crate::rules::{Context, committee, staking_pool};

const NETWORK: ObjectId = ObjectId::from_bytes([9; 32]);
const SENDER: ObjectId = ObjectId::from_bytes([8; 32]);
const DAY: u64 = 60_000;

fn id(byte: u8) -> ObjectId {
    ObjectId::from_bytes([byte; 32])
}

fn params() -> StakeParams {
    StakeParams { epoch_duration_ms: DAY, ..StakeParams::devnet(NETWORK) }
}

/// A registration whose proofs hold for the epoch; nodes with equal numbers have equal keys.
fn registration(number: u8, epoch: u32) -> RegisterNode {
    let (network, epoch) = (NetworkId::from_bytes(NETWORK.into()), Epoch(epoch));
    let peer = SigningKey::from_bytes(&[number; 32]);
    let bls = SecretKey::from_seed(&[number; 32]);
    let bls_public_key = bls.public_key().to_bytes().to_vec();
    let message = peer_proof_message(&network, epoch, &SENDER, &bls_public_key);
    let proof = peer.sign(&message);
    let message = proof_of_possession_message(&network, epoch, &SENDER, &bls.public_key());
    RegisterNode {
        name: format!("n{number}"),
        peer_key: peer.verifying_key().to_bytes(),
        peer_proof: proof.to_bytes().to_vec(),
        multiaddrs: vec![vec![4, 127, 0, 0, 1, 6, 0x1f, 0x90]],
        bls_public_key,
        bls_proof: bls.sign(&message).to_bytes().to_vec(),
        commission_bps: 1_000,
        asks: Asks { storage: 100, write: 20 },
        capacity: 1 << 40,
        metadata: vec![],
    }
}

/// A network with a clock; what aborts leaves no trace, as in a transaction.
#[derive(Clone, Debug)]
struct World {
    params: StakeParams,
    staking: Staking,
    prices: Asks,
    now_ms: u64,
    caps: BTreeMap<u8, NodeCap>,
    events: Vec<StakeEvent>,
    steps: u16,
}

impl World {
    fn new(shards: u16) -> Self {
        World {
            params: params(),
            staking: staking::new(id(1), shards, 0, 0),
            prices: Asks { storage: u64::MAX, write: u64::MAX },
            now_ms: 0,
            caps: BTreeMap::new(),
            events: vec![],
            steps: 0,
        }
    }

    /// A world in epoch 1 whose nodes 1, 2, ... have these stakes, in WAL.
    fn with_stakes(shards: u16, stakes: &[u64]) -> (Self, Vec<Staked>) {
        let mut world = World::new(shards);
        let mut receipts = vec![];
        for (number, stake) in (1..).zip(stakes) {
            world.register(number).unwrap();
            receipts.push(world.stake(number, stake * WAL).unwrap());
        }
        world.next_epoch(0);
        (world, receipts)
    }

    fn run<T>(
        &mut self,
        rule: impl FnOnce(&mut Context<'_>, &mut Staking, &StakeParams, u64) -> Result<T, Abort>,
    ) -> Result<T, Abort> {
        self.steps += 1;
        let [low, high] = self.steps.to_le_bytes();
        let mut digest = [low; 32];
        digest[31] ^= high;
        let mut context = Context::new(digest);
        let mut staking = self.staking.clone();
        let result = rule(&mut context, &mut staking, &self.params, self.now_ms)?;
        self.staking = staking;
        self.events.extend(staking::stake_events(&context).cloned());
        Ok(result)
    }

    fn register(&mut self, number: u8) -> Result<(), Abort> {
        let call = registration(number, self.staking.epoch);
        self.register_with(number, &call, WAL)
    }

    fn register_with(&mut self, number: u8, call: &RegisterNode, bond: u64) -> Result<(), Abort> {
        let cap = self.run(|context, staking, params, _| {
            register_node(context, staking, params, SENDER, call, bond)
        })?;
        self.caps.insert(number, cap);
        Ok(())
    }

    fn node(&self, number: u8) -> ObjectId {
        self.caps[&number].node_id
    }

    fn pool(&self, number: u8) -> &Pool {
        &self.staking.pools[&self.node(number)]
    }

    fn shards(&self, number: u8) -> usize {
        let found = committee::shards_of(&self.staking.committee, &self.node(number));
        found.map_or(0, <[u16]>::len)
    }

    fn stake(&mut self, number: u8, amount: u64) -> Result<Staked, Abort> {
        let node = self.node(number);
        self.run(|context, staking, params, _| {
            staking::stake_with_pool(context, staking, params, &node, amount)
        })
    }

    fn request(&mut self, staked: &mut Staked) -> Result<(), Abort> {
        self.run(|context, staking, _, _| staking::request_withdraw_stake(context, staking, staked))
    }

    fn withdraw(&mut self, staked: &Staked) -> Result<u64, Abort> {
        let staked = staked.clone();
        self.run(|context, staking, _, _| staking::withdraw_stake(context, staking, staked))
    }

    fn voting_end(&mut self) -> Result<(), Abort> {
        let price = self.prices.storage;
        self.run(|context, staking, params, now| {
            staking::voting_end(context, staking, params, price, now)
        })
    }

    fn epoch_change(&mut self, closing: Closing) -> Result<Opening, Abort> {
        let closing = Closing { prices: self.prices, ..closing };
        let opening = self.run(|context, staking, params, now| {
            staking::epoch_change(context, staking, params, &closing, now)
        })?;
        self.prices = opening.prices;
        Ok(opening)
    }

    fn sync(&mut self, number: u8, epoch: u32) -> Result<(), Abort> {
        let cap = self.caps[&number];
        self.run(|context, staking, _, now| {
            staking::epoch_sync_done(context, staking, &cap, epoch, now)
        })
    }

    fn sync_all(&mut self) {
        for number in self.caps.keys().copied().collect::<Vec<_>>() {
            if self.shards(number) > 0 {
                self.sync(number, self.staking.epoch).unwrap();
            }
        }
    }

    /// Lets half an epoch pass and chooses the next committee.
    fn select(&mut self) {
        self.now_ms += DAY / 2;
        self.voting_end().unwrap();
    }

    /// From a chosen committee to one that holds its shards; the epoch earned `rewards`.
    fn change(&mut self, rewards: u64) -> Opening {
        self.now_ms += DAY / 2;
        let closing = Closing { rewards, used: 1_000, ..Closing::default() };
        let opening = self.epoch_change(closing).unwrap();
        self.sync_all();
        opening
    }

    fn next_epoch(&mut self, rewards: u64) -> Opening {
        if !matches!(self.staking.state, EpochState::Selected { .. }) {
            self.select();
        }
        self.change(rewards)
    }

    fn funds(&self) -> u64 {
        let pools = self.staking.pools.values();
        pools.map(|pool| staking_pool::funds(pool).unwrap()).sum()
    }
}

/// A list of ids with values.
fn entries<T>(list: impl IntoIterator<Item = (u8, T)>) -> Vec<Entry<ObjectId, T>> {
    list.into_iter().map(|(byte, value)| Entry { key: id(byte), value }).collect()
}
