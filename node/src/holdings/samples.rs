//! A blob and a position for the tests of this crate.

use std::sync::Arc;

use haulout_actors::market::{Market, Prices};
use haulout_actors::position::{Position, Timing};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::EpochState;
use haulout_protocol::chain::object::{Blob, Storage};
use haulout_protocol::committee::{Committee, Member, NodeId};
use haulout_protocol::crypto::{PeerId, SecretKey};
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::sliver::ShardIndex;

/// A deletable blob of 100 bytes in two MiB and a byte of storage.
pub(crate) fn sample(byte: u8, certified_epoch: Option<u32>, end_epoch: u32) -> Blob {
    let mut id = [byte; 32];
    id[..4].copy_from_slice(&end_epoch.to_le_bytes());
    let storage = Storage {
        id: ObjectId::from_bytes([!byte; 32]),
        start_epoch: 1,
        end_epoch,
        storage_size: (2 << 20) + 1,
    };
    Blob {
        id: ObjectId::from_bytes(id),
        registered_epoch: 1,
        blob_id: [byte; 32],
        size: 100,
        encoding_type: 2,
        certified_epoch,
        storage,
        deletable: true,
        locked_by: None,
    }
}

/// Epoch 4, ten epochs ahead, 5 FROST for a MiB and an epoch, one node with four shards.
pub(crate) fn sample_position() -> Position {
    let member = Member {
        node_id: NodeId::from_bytes([1; 32]),
        name: "n1".to_owned(),
        peer_id: PeerId::from_key([1; 32]),
        addresses: Vec::new(),
        public_key: SecretKey::from_seed(&[1; 32]).public_key(),
        shards: (0..4).map(ShardIndex).collect(),
    };
    Position {
        checkpoint: 1,
        read_at: 1,
        ledger_ms: 1_803_132_000_000,
        is_proven: true,
        epoch: Epoch(4),
        phase: EpochState::Done { since_ms: 1_803_132_000_000 },
        timing: Timing { duration_ms: 86_400_000, sync_timeout_ms: 21_600_000 },
        committee: Arc::new(Committee::new(Epoch(4), 4, vec![member]).expect("a sound committee")),
        previous: None,
        neighbours: Arc::default(),
        synced: Arc::default(),
        parameters: Parameters::new(4, 1 << 20).expect("sound parameters"),
        market: Market {
            prices: Prices { storage: 5, write: 1 },
            header_replicas: 1,
            epochs_ahead_max: 10,
        },
    }
}
