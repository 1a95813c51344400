//! Who and what a script's names mean: keys from names, the network of a script, its objects.
//!
//! Promises: the same names are the same keys everywhere; a network is made once per process.
//! Does not: execute anything.

use std::collections::BTreeMap;
use std::sync::Mutex;

use haulout_protocol::blob::Encoding;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::crypto::{SecretKey, blake2b_256};
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_sdk_types::{Address, Owner};

use super::format::World;
use crate::ledger::objects::Resource;
use crate::ledger::state::State;
use crate::ledger::{FaucetAmounts, GenesisAccount, GenesisConfig, GenesisNode};

/// The ledger's time at `t = 0`.
pub(in crate::ledger) const BEGIN_MS: u64 = 1_700_000_000_000;
/// MIST of every actor.
const SUI: u64 = 1_000_000_000_000;

fn secret(role: &str, name: &str) -> [u8; 32] {
    blake2b_256(&[b"haulout script ", role.as_bytes(), b" ", name.as_bytes()])
}

/// The key an actor signs transactions with.
pub(super) fn actor_key(name: &str) -> Ed25519PrivateKey {
    Ed25519PrivateKey::new(secret("actor", name))
}

/// An actor's account.
pub(super) fn account(name: &str) -> Address {
    actor_key(name).public_key().derive_address()
}

/// The BLS key of a node.
pub(super) fn bls_key(node: &str) -> SecretKey {
    SecretKey::from_seed(&secret("bls", node))
}

/// The libp2p key of a node.
pub(super) fn peer_key(node: &str) -> Ed25519PrivateKey {
    Ed25519PrivateKey::new(secret("peer", node))
}

/// The root of a blob's content: its number, little endian.
pub(super) fn blob_root(number: u64) -> [u8; 32] {
    let mut root = [0; 32];
    root[..8].copy_from_slice(&number.to_le_bytes());
    root
}

/// The genesis of a script's network.
pub(super) fn genesis(world: &World) -> GenesisConfig {
    let mut shards = 0_u16;
    let nodes = world.shards.iter().enumerate().map(|(index, count)| {
        let name = format!("N{index}");
        let first = shards;
        shards += count;
        GenesisNode {
            peer_key: peer_key(&name).public_key().into_inner(),
            multiaddrs: vec![vec![4, 127, 0, 0, 1, 6, 0x1f, 0x90]],
            bls_public_key: bls_key(&name).public_key().to_bytes().to_vec(),
            shards: (first..shards).collect(),
            operator: ObjectId::from_bytes(account(&format!("op{index}")).into_inner()),
            peer_proof: vec![],
            bls_proof: vec![],
            name,
        }
    });
    let nodes: Vec<_> = nodes.collect();
    let operators = (0..nodes.len()).map(|index| (format!("op{index}"), 0));
    let mut actors: BTreeMap<_, _> = operators.collect();
    actors.extend(world.wal.iter().map(|(name, wal)| (name.clone(), *wal)));
    let accounts = actors.iter().map(|(name, wal)| GenesisAccount {
        address: ObjectId::from_bytes(account(name).into_inner()),
        sui: SUI,
        wal: *wal,
    });
    let mut config = GenesisConfig {
        network_seed: [7; 32],
        shards,
        segment_bytes: world.segment_bytes,
        short_bytes_max: world.short_bytes_max,
        header_replicas: world.header_replicas,
        max_epochs_ahead: world.ahead,
        epoch_duration_ms: world.epoch_ms,
        capacity: world.capacity,
        storage_price: world.storage_price,
        write_price: world.write_price,
        stake_per_shard: 1_000_000_000,
        accounts: accounts.collect(),
        nodes,
        faucet: FaucetAmounts { sui: 1, wal: 1 },
    };
    let network = config.ids().network_id;
    for node in &mut config.nodes {
        node.prove(&network, &secret("peer", &node.name), &bls_key(&node.name));
    }
    config
}

/// What the names of a script mean so far.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// The network.
    pub(super) state: State,
    /// What the network was made from.
    pub(super) config: GenesisConfig,
    /// Objects by handle.
    pub(super) handles: BTreeMap<String, Address>,
    /// Nodes by name.
    pub(super) nodes: BTreeMap<String, ObjectId>,
    /// Actors by account.
    pub(super) actors: BTreeMap<Address, String>,
}

/// Networks that were made before.
static MADE: Mutex<BTreeMap<World, Stage>> = Mutex::new(BTreeMap::new());

impl Stage {
    /// The network a script starts with.
    pub(super) fn new(world: &World) -> Result<Self, String> {
        let mut made = MADE.lock().unwrap();
        if let Some(stage) = made.get(world) {
            return Ok(stage.clone());
        }
        let config = genesis(world);
        let state = State::genesis(&config, BEGIN_MS).map_err(|error| error.to_string())?;
        let mut stage = Stage {
            state,
            handles: BTreeMap::new(),
            nodes: BTreeMap::new(),
            actors: BTreeMap::new(),
            config,
        };
        stage.introduce(world);
        made.insert(world.clone(), stage.clone());
        Ok(stage)
    }

    /// Names everybody and everything genesis made.
    fn introduce(&mut self, world: &World) {
        let ids = self.config.ids();
        let operators = (0..ids.nodes.len()).map(|index| format!("op{index}"));
        for name in world.wal.keys().cloned().chain(operators) {
            self.actors.insert(account(&name), name);
        }
        for (index, id) in ids.nodes.iter().enumerate() {
            self.nodes.insert(format!("N{index}"), *id);
            let operator = account(&format!("op{index}"));
            let owned = self.state.stored().owned_by(&operator, Address::ZERO);
            for object in owned {
                let name = match Resource::read(self.state.names(), object) {
                    Some(Resource::NodeCap(_)) => format!("cap{index}"),
                    Some(Resource::Staked(_)) => format!("stake{index}"),
                    _ => continue,
                };
                self.handles.insert(name, object.object_id());
            }
        }
    }

    /// The encoding that blobs of this many bytes have in the network.
    pub(super) fn encoding_of(&self, size: u64) -> Encoding {
        self.config.parameters().expect("genesis was checked").encoding_of(size)
    }

    /// The object behind a handle.
    pub(super) fn resource(&self, handle: &str) -> Result<Resource, String> {
        let id = self.handles.get(handle).ok_or(format!("@{handle} is not known"))?;
        let object = self.state.stored().get(id).ok_or(format!("@{handle} is gone"))?;
        Resource::read(self.state.names(), object).ok_or(format!("@{handle} has no known type"))
    }

    /// The system object.
    pub(super) fn system(&self) -> haulout_protocol::chain::object::System {
        let object = self.state.stored().get(&Address::new((self.config.ids().system).into()));
        match object.and_then(|object| Resource::read(self.state.names(), object)) {
            Some(Resource::System(system)) => system,
            _ => unreachable!("genesis makes the system object"),
        }
    }

    /// The coin of an actor that holds most; the lowest id of several.
    pub(super) fn richest(&self, actor: &str, is_wal: bool) -> Option<Address> {
        let names = self.state.names();
        let token = if is_wal { &names.wal } else { &names.sui };
        let owner = account(actor);
        let owned = self.state.stored().owned_by(&owner, Address::ZERO);
        let coins = owned.filter_map(|object| match Resource::read(names, object)? {
            Resource::Coin { token: of, coin } if of == *token => {
                Some((std::cmp::Reverse(coin.balance), object.object_id()))
            }
            _ => None,
        });
        coins.min().map(|(_, id)| id)
    }

    /// The cap of a node, with the actor that owns it.
    pub(super) fn cap_of(&self, node: &ObjectId) -> Option<(Address, String)> {
        self.state.stored().live().find_map(|object| {
            let Owner::Address(owner) = object.owner() else { return None };
            match Resource::read(self.state.names(), object)? {
                Resource::NodeCap(cap) if cap.node_id == *node => {
                    Some((object.object_id(), self.actors.get(owner)?.clone()))
                }
                _ => None,
            }
        })
    }
}
