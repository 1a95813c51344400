//! Everything a devnet starts from, derived from one seed: keys, names, shards and funded accounts.
//!
//! Promises: the same seed gives the same keys, peer ids and addresses, however many nodes there
//! are. Shards are interleaved (shard i belongs to node i mod n), so that the systematic slivers of
//! a blob spread over all nodes. Does not: choose ports or write files.
//!
//! These keys are public: anybody who knows the seed knows them. They are for devnets only.

use std::fmt;
use std::time::Duration;

use haulout_actors::chain::Wallet;
use haulout_node::error::{Error, Kind, Result};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::crypto::{PeerId, SecretKey};
use sui_crypto::ed25519::Ed25519PrivateKey;

use crate::ledger::{FaucetAmounts, GenesisAccount, GenesisConfig, GenesisNode};
use crate::typed::typed;

/// One WAL, and one SUI, in their smallest units.
const COIN: u64 = 1_000_000_000;

/// What each account owns at birth.
const ACCOUNT_SUI: u64 = 1_000 * COIN;
const ACCOUNT_WAL: u64 = 10_000 * COIN;

/// What one request to the faucet brings.
const FAUCET: FaucetAmounts = FaucetAmounts { sui: 100 * COIN, wal: 500 * COIN };

/// Who gets money at birth.
const ACCOUNTS: [&str; 4] = ["alice", "bob", "carol", SELF_TEST];

/// Pays for the blob that `devnet up` stores to see that everything works.
pub(crate) const SELF_TEST: &str = "selftest";

/// The rules' rails for the length of an epoch.
const EPOCH_MIN: Duration = Duration::from_secs(10);
const EPOCH_MAX: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// As on Walrus: about two years of two-week epochs.
const EPOCHS_AHEAD_MAX: u32 = 53;

/// What the network promises to hold: large enough that a desk never meets it.
const CAPACITY_BYTES: u64 = 1 << 40;

/// What a node stakes for a shard: so little that what an account has, or one gift of the faucet, moves shards.
pub(crate) const STAKE_PER_SHARD: u64 = 25 * COIN;

/// The same in devnets of before, where nobody could move a shard: more than all the accounts had together.
pub(crate) const STAKE_PER_SHARD_BEFORE: u64 = 100_000 * COIN;

/// In FROST per MiB of encoded bytes, for one epoch and for one write.
const STORAGE_PRICE: u64 = 1_000;
const WRITE_PRICE: u64 = 2_000;

/// How many nodes a devnet's committee may have: as many keep a copy of each header, for the price of a blob.
const NODES_MAX: u16 = 50;

/// The fewest shards with a fault to tolerate, and as many as protocol numbers allow.
const SHARDS_MIN: u16 = 4;
const SHARDS_MAX: u16 = 1_000;

/// Where a node listens, known before it starts because the ledger registers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerPort(pub(crate) u16);

/// What a devnet is asked to be.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) seed: u64,
    pub(crate) shards: u16,
    pub(crate) segment_bytes: u32,
    pub(crate) short_bytes_max: u32,
    pub(crate) epoch_ms: u64,
    pub(crate) stake_per_shard: u64,
    pub(crate) ports: Vec<PeerPort>,
}

/// What a devnet is at birth.
#[derive(Debug)]
pub(crate) struct Genesis {
    pub(crate) config: GenesisConfig,
    pub(crate) nodes: Vec<NodeGenesis>,
    pub(crate) accounts: Vec<Account>,
}

/// The keys of a node and its place in the committee.
pub(crate) struct NodeGenesis {
    pub(crate) name: String,
    pub(crate) network_key: [u8; 32],
    pub(crate) protocol_key: SecretKey,
    /// The secret of the account that owns the node's cap and stake.
    pub(crate) account: [u8; 32],
    pub(crate) peer_id: PeerId,
    pub(crate) port: PeerPort,
    pub(crate) shards: Vec<u16>,
}

impl fmt::Debug for NodeGenesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeGenesis").field("name", &self.name).finish_non_exhaustive()
    }
}

impl NodeGenesis {
    /// Where it listens, as `node.toml` wants it: QUIC first.
    pub(crate) fn listen(&self) -> [String; 2] {
        let port = self.port.0;
        [format!("/ip4/127.0.0.1/udp/{port}/quic-v1"), format!("/ip4/127.0.0.1/tcp/{port}")]
    }

    /// The same as the ledger wants it.
    pub(crate) fn multiaddrs(&self) -> Vec<Vec<u8>> {
        vec![quic_multiaddr(self.port), tcp_multiaddr(self.port)]
    }

    /// The ed25519 key it speaks libp2p with.
    pub(crate) fn peer_key(&self) -> [u8; 32] {
        public_key(&self.network_key)
    }

    /// The account of its operator.
    pub(crate) fn operator(&self) -> ObjectId {
        Wallet::from_ed25519(self.account).address()
    }

    /// An address to bootstrap from.
    pub(crate) fn address(&self) -> String {
        let [quic, _] = self.listen();
        format!("{quic}/p2p/{}", self.peer_id)
    }
}

/// A funded account.
pub(crate) struct Account {
    pub(crate) name: &'static str,
    pub(crate) secret: [u8; 32],
    pub(crate) address: ObjectId,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Derives a whole devnet from its seed.
pub(crate) fn genesis(request: &Request) -> Result<Genesis> {
    let count = check_size(request.ports.len(), request.shards)?;
    let nodes: Vec<NodeGenesis> = (0..count).map(|index| node(request, index, count)).collect();
    let accounts: Vec<Account> =
        ACCOUNTS.into_iter().map(|name| account(request.seed, name)).collect();
    let mut config = GenesisConfig {
        network_seed: derive(request.seed, "network", 0),
        shards: request.shards,
        segment_bytes: request.segment_bytes,
        short_bytes_max: request.short_bytes_max,
        header_replicas: NODES_MAX.min(request.shards).max(count),
        max_epochs_ahead: EPOCHS_AHEAD_MAX,
        epoch_duration_ms: request.epoch_ms,
        capacity: CAPACITY_BYTES,
        storage_price: STORAGE_PRICE,
        write_price: WRITE_PRICE,
        stake_per_shard: request.stake_per_shard,
        nodes: nodes.iter().map(on_chain).collect(),
        accounts: accounts
            .iter()
            .map(|account| (account.address, ACCOUNT_WAL))
            .chain(nodes.iter().map(|node| (node.operator(), 0)))
            .map(|(address, wal)| GenesisAccount { address, sui: ACCOUNT_SUI, wal })
            .collect(),
        faucet: FAUCET,
    };
    let network_id = config.ids().network_id;
    for (node, keys) in config.nodes.iter_mut().zip(&nodes) {
        node.prove(&network_id, &keys.network_key, &keys.protocol_key);
    }
    Ok(Genesis { config, nodes, accounts })
}

/// How many nodes there are, if so many can share so many shards.
pub(crate) fn check_size(nodes: usize, shards: u16) -> Result<u16> {
    let wrong = |message: String| {
        Err(Error::new(Kind::Usage, message).hint(format!(
            "--shards takes {SHARDS_MIN} to {SHARDS_MAX}, --nodes 1 to as many as there are shards; see `devnet help up`"
        )))
    };
    if !(SHARDS_MIN..=SHARDS_MAX).contains(&shards) {
        return wrong(format!("{shards} shards are not between {SHARDS_MIN} and {SHARDS_MAX}"));
    }
    match u16::try_from(nodes) {
        Ok(count) if count > 0 && count <= shards => Ok(count),
        _ => wrong(format!("{nodes} nodes cannot share {shards} shards: each needs at least one")),
    }
}

/// An epoch's length in milliseconds, if epochs may be so long.
pub(crate) fn check_epoch(length: Duration) -> Result<u64> {
    if !(EPOCH_MIN..=EPOCH_MAX).contains(&length) {
        let message = format!("epochs of {} are not between 10 s and 60 days", typed(length));
        return Err(Error::new(Kind::Usage, message)
            .hint("`devnet epoch next` ends an epoch at once, however long it is"));
    }
    Ok(u64::try_from(length.as_millis()).expect("sixty days of milliseconds fit"))
}

/// What the node of this number is called; the first is number one.
pub(crate) fn node_name(number: u16) -> String {
    format!("n{number}")
}

/// Who the node of this number is among peers.
pub(crate) fn peer_id_of(seed: u64, number: u16) -> PeerId {
    peer_id(&derive(seed, "node network key", u64::from(number.saturating_sub(1))))
}

/// The number in a node's name.
pub(crate) fn number_of(name: &str) -> Option<u16> {
    name.strip_prefix('n')?.parse().ok()
}

/// A node that comes after the devnet was born: its keys follow from the seed as those of the first, and it has no shards.
pub(crate) fn later_node(seed: u64, number: u16, port: PeerPort) -> NodeGenesis {
    let derive = |purpose| derive(seed, purpose, u64::from(number.saturating_sub(1)));
    let network_key = derive("node network key");
    NodeGenesis {
        name: node_name(number),
        peer_id: peer_id(&network_key),
        network_key,
        protocol_key: SecretKey::from_seed(&derive("node protocol key")),
        account: derive("node account"),
        port,
        shards: Vec::new(),
    }
}

fn node(request: &Request, index: u16, count: u16) -> NodeGenesis {
    let port = request.ports[usize::from(index)];
    NodeGenesis {
        shards: (index..request.shards).step_by(usize::from(count)).collect(),
        ..later_node(request.seed, index + 1, port)
    }
}

fn account(seed: u64, name: &'static str) -> Account {
    let secret = derive(seed, &format!("account {name}"), 0);
    Account { name, secret, address: Wallet::from_ed25519(secret).address() }
}

fn on_chain(node: &NodeGenesis) -> GenesisNode {
    GenesisNode {
        name: node.name.clone(),
        peer_key: node.peer_key(),
        multiaddrs: node.multiaddrs(),
        bls_public_key: node.protocol_key.public_key().to_bytes().to_vec(),
        shards: node.shards.clone(),
        operator: node.operator(),
        peer_proof: Vec::new(),
        bls_proof: Vec::new(),
    }
}

/// 32 bytes for one purpose; different purposes and places never share them.
fn derive(seed: u64, purpose: &str, place: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(&format!("haulout devnet v1 {purpose}"));
    hasher.update(&seed.to_le_bytes());
    hasher.update(&place.to_le_bytes());
    *hasher.finalize().as_bytes()
}

fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    Ed25519PrivateKey::new(*secret).public_key().into_inner()
}

fn peer_id(secret: &[u8; 32]) -> PeerId {
    PeerId::from_key(public_key(secret))
}

/// The start of every binary multiaddr of ours: `/ip4/127.0.0.1`.
const IP4_LOOPBACK: [u8; 5] = [0x04, 127, 0, 0, 1];

fn quic_multiaddr(port: PeerPort) -> Vec<u8> {
    // `/udp` is code 273 and `/quic-v1` 461, both as two-byte varints; ports are big-endian.
    let [high, low] = port.0.to_be_bytes();
    [&IP4_LOOPBACK[..], &[0x91, 0x02, high, low, 0xcd, 0x03]].concat()
}

fn tcp_multiaddr(port: PeerPort) -> Vec<u8> {
    let [high, low] = port.0.to_be_bytes();
    [&IP4_LOOPBACK[..], &[0x06, high, low]].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn sample_request(nodes: u16, shards: u16) -> Request {
        let ports = (0..nodes).map(|index| PeerPort(32_010 + 10 * index)).collect();
        Request {
            seed: 7,
            shards,
            segment_bytes: 1 << 25,
            short_bytes_max: 1 << 16,
            epoch_ms: 60_000,
            stake_per_shard: COIN,
            ports,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_network() {
        let (one, two) =
            (genesis(&sample_request(5, 100)).unwrap(), genesis(&sample_request(5, 100)).unwrap());
        assert_eq!(one.config, two.config);
        let other = genesis(&Request { seed: 8, ..sample_request(5, 100) }).unwrap();
        assert_ne!(one.config.network_seed, other.config.network_seed);
        assert_ne!(one.nodes[0].peer_id, other.nodes[0].peer_id);
    }

    #[test]
    fn a_larger_network_keeps_the_identities_of_a_smaller_one() {
        let (small, large) =
            (genesis(&sample_request(4, 100)).unwrap(), genesis(&sample_request(16, 100)).unwrap());
        for (one, two) in small.nodes.iter().zip(&large.nodes) {
            assert_eq!((one.peer_id, &one.name), (two.peer_id, &two.name));
        }
        // One that comes later is who it would have been from the start.
        let (fifth, later) = (&large.nodes[4], later_node(7, 5, PeerPort(1)));
        assert_eq!((fifth.peer_id, &fifth.name), (later.peer_id, &later.name));
        assert_eq!((fifth.operator(), later.shards.len()), (later.operator(), 0));
        assert_eq!((peer_id_of(7, 5), number_of("n5")), (later.peer_id, Some(5)));
    }

    #[test]
    fn every_shard_has_exactly_one_node_and_nodes_differ_by_at_most_one_shard() {
        for (nodes, shards) in [(4, 4), (4, 7), (5, 100), (16, 1000), (1, 4)] {
            let genesis = genesis(&sample_request(nodes, shards)).unwrap();
            let all: Vec<u16> = genesis.nodes.iter().flat_map(|node| node.shards.clone()).collect();
            assert_eq!(all.len(), usize::from(shards));
            assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), usize::from(shards));
            let sizes: BTreeSet<_> = genesis.nodes.iter().map(|node| node.shards.len()).collect();
            assert!(sizes.last().unwrap() - sizes.first().unwrap() <= 1);
        }
    }

    #[test]
    fn sizes_that_cannot_work_are_refused() {
        for (nodes, shards) in [(0, 4), (5, 4), (1, 3), (4, 1001)] {
            let refused = genesis(&sample_request(nodes, shards)).unwrap_err();
            assert_eq!(refused.kind(), Kind::Usage, "{nodes} nodes, {shards} shards");
        }
    }

    #[test]
    fn a_network_says_which_blobs_are_short_and_how_many_headers_are_paid_for() {
        for (nodes, shards, headers) in [(5, 100, 50), (4, 10, 10), (80, 100, 80)] {
            let genesis = genesis(&sample_request(nodes, shards)).unwrap();
            assert_eq!(genesis.config.header_replicas, headers);
            let parameters = genesis.config.parameters().unwrap();
            assert_eq!(parameters.short_bytes_max(), 1 << 16);
            genesis.config.check().unwrap();
        }
        let mut config = genesis(&sample_request(5, 100)).unwrap().config;
        config.short_bytes_max = (1 << 16) + 1;
        assert!(config.check().is_err(), "no short blob is longer than 64 KiB");
    }

    #[test]
    fn multiaddrs_are_the_bytes_libp2p_reads() {
        assert_eq!(hex::encode(quic_multiaddr(PeerPort(32010))), "047f00000191027d0acd03");
        assert_eq!(hex::encode(tcp_multiaddr(PeerPort(32010))), "047f000001067d0a");
    }
}
