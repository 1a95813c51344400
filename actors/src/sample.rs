//! Values for tests: committees with known keys, positions without a ledger.

use std::sync::Arc;
use std::time::{Duration, Instant};

use haulout_protocol::chain::object::staking::EpochState;
use haulout_protocol::committee::{Committee, Member, NodeId};
use haulout_protocol::crypto::{PeerId, SecretKey};
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::NetworkId;
use haulout_protocol::sliver::ShardIndex;
use haulout_storage::Store;

use crate::context::{Context, Keys};
use crate::market::{Market, Prices};
use crate::metrics::Metrics;
use crate::network::{Network, NetworkOptions, Role, Transport};
use crate::position::{Position, PositionWatch, Timing};
use crate::supervisor::Health;
use crate::trust::Trust;
use crate::vitals::Vitals;

/// The network of all tests.
pub(crate) const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);
/// Small segments keep tests fast.
const SEGMENT_BYTES: u32 = 1 << 14;

/// The key a member signs with.
pub(crate) fn sample_key(index: usize) -> SecretKey {
    let byte = u8::try_from(index + 1).expect("tests have few members");
    SecretKey::from_seed(&[byte; 32])
}

/// A committee of these peers; shard `i` belongs to member `i mod n`.
pub(crate) fn sample_committee(peers: &[PeerId], shards: u16) -> Committee {
    let member = |(index, peer): (usize, &PeerId)| Member {
        node_id: NodeId::from_bytes([u8::try_from(index + 1).expect("few members"); 32]),
        name: format!("n{index}"),
        peer_id: *peer,
        addresses: Vec::new(),
        public_key: sample_key(index).public_key(),
        shards: (0..shards)
            .filter(|shard| usize::from(*shard) % peers.len() == index)
            .map(ShardIndex)
            .collect(),
    };
    let members = peers.iter().enumerate().map(member).collect();
    Committee::new(Epoch(1), shards, members).expect("every shard has one owner")
}

/// A position at checkpoint 0 with a committee of `shards` peers that exist nowhere.
pub(crate) fn sample_position(shards: u16) -> Position {
    let peer = |index| PeerId::from_key([u8::try_from(index).expect("few members"); 32]);
    let peers: Vec<_> = (1..=shards).map(peer).collect();
    position_of(sample_committee(&peers, shards))
}

/// A position at checkpoint 0 with this committee.
pub(crate) fn position_of(committee: Committee) -> Position {
    Position {
        checkpoint: 0,
        read_at: 0,
        ledger_ms: 0,
        is_proven: true,
        epoch: committee.epoch(),
        phase: EpochState::Done { since_ms: 0 },
        timing: Timing::default(),
        parameters: Parameters::new(committee.shards(), SEGMENT_BYTES).expect("valid parameters"),
        committee: Arc::new(committee),
        previous: None,
        neighbours: Arc::default(),
        synced: Arc::default(),
        market: Market { prices: Prices::default(), header_replicas: 10, epochs_ahead_max: 53 },
    }
}

/// A context without a ledger for member `index` of the position's committee.
pub(crate) fn sample_context(position: Position, peer: PeerId, index: usize) -> Context {
    Context {
        store: Store::in_memory().expect("memory"),
        chain: None,
        operator: None,
        keys: Arc::new(Keys {
            network: [0; 32],
            confirmation: Some(sample_key(index)),
            node: None,
        }),
        peer,
        network: NETWORK,
        position: PositionWatch::new(position),
        trust: Trust::default(),
        vitals: Vitals::new(std::time::Duration::from_secs(60)),
        short_rows: crate::short_rows::ShortRows::default(),
        repairs_at_once: crate::limits::REPAIRS_AT_ONCE,
        scrub_every: crate::limits::SCRUB_EVERY,
        metrics: Metrics::new("test", "09090909"),
    }
}

/// A peer that listens on a free port of this machine; nothing runs until a tree starts it.
pub(crate) fn sample_network(seed: u8) -> Network {
    sample_network_at(seed, "127.0.0.1")
}

/// A network at one of this machine's addresses; it dials from there, too.
pub(crate) fn sample_network_at(seed: u8, address: &str) -> Network {
    let options = NetworkOptions {
        secret_key: [seed; 32],
        network: NETWORK,
        listen: vec![format!("/ip4/{address}/udp/0/quic-v1")],
        external: Vec::new(),
        bootstrap: Vec::new(),
        role: Role::Server,
        prefer: Transport::Quic,
        registry: Arc::default(),
    };
    Network::new(options).expect("valid options")
}

/// Restarts in a whole tree.
pub(crate) fn restarts(health: &[Health]) -> u64 {
    health.iter().map(|child| child.restarts + restarts(&child.children)).sum()
}

/// How long a test waits for a fact: it only decides how late a failure is told, and machines may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// Polls until something holds; fails with its name after a while.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
