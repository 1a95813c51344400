//! What tests of stake start from: a ledger in epoch 4 with three nodes.

use std::sync::Arc;

use haulout_actors::chain::StakeBook;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{
    ActiveSet, Asks, Authority, EpochState, Pool, Rate, Rows, Staked, StakedState, Staking,
};
use haulout_protocol::chain::object::{Entry, NodeInfo, Params};
use haulout_protocol::chain::params::ParamKey;

use crate::calendar::Calendar;

/// One token.
pub(crate) const WAL: u64 = 1_000_000_000;
const DAY_MS: u64 = 86_400_000;

/// The calendar of [`sample_book`]: epoch 4 began 2027-02-20 14:00 UTC and lasts a day.
pub(crate) fn sample_calendar() -> Calendar {
    let started_ms = 1_803_132_000_000;
    Calendar { epoch: 4, started_ms, duration_ms: DAY_MS, now_ms: started_ms + 1, ahead_ms: 0 }
}

/// A receipt of 1 WAL times `amount`, numbered `id`, with the node 1.
pub(crate) fn sample_receipt(id: u8, amount: u64, activation: u32, asked: Option<u32>) -> Staked {
    Staked {
        id: ObjectId::from_bytes([id; 32]),
        node_id: ObjectId::from_bytes([1; 32]),
        principal: amount * WAL,
        activation_epoch: activation,
        state: match asked {
            None => StakedState::Staked,
            Some(withdraw_epoch) => StakedState::Withdrawing { withdraw_epoch },
        },
        vote_locks: Vec::new(),
    }
}

/// A pool with so much stake at work since the epoch 2.
pub(crate) fn sample_pool(id: u8, name: &str, stake: u64) -> Pool {
    let node = NodeInfo {
        node_id: ObjectId::from_bytes([id; 32]),
        name: name.to_owned(),
        peer_key: vec![id; 32],
        peer_id: vec![id; 38],
        multiaddrs: Vec::new(),
        bls_public_key: vec![id; 48],
        next_bls_public_key: None,
        metadata: Vec::new(),
        status: super::ACTIVE,
    };
    Pool {
        node,
        bond: WAL,
        active: stake * WAL,
        pending: 0,
        unbonded: 0,
        shares: stake * WAL,
        rates: Rows::from_iter([(2, Rate::Flat)]),
        stake_at: Rows::from_iter([]),
        pending_stake: Vec::new(),
        pending_unstake_shares: Vec::new(),
        pre_active: Vec::new(),
        commission: 0,
        commission_blocked: 0,
        commission_bps: 500,
        pending_commission: Vec::new(),
        last_epoch: 4,
        asks: Asks { storage: 1000, write: 2000 },
        capacity: 1 << 40,
        withdrawing: 0,
        exit_epoch: None,
        next_peer_key: None,
        commission_receiver: Authority::Object(ObjectId::from_bytes([0xca; 32])),
        governance_authority: Authority::Object(ObjectId::from_bytes([0xca; 32])),
    }
}

/// Epoch 4 of a network of 4 shards: `tern` (1) holds three, `skua` (2) one, `auk` (3) none.
pub(crate) fn sample_book() -> StakeBook {
    let pools = [("tern", 3), ("skua", 1), ("auk", 0)];
    let pools = (1..).zip(pools).map(|(id, (name, stake))| {
        (ObjectId::from_bytes([id; 32]), sample_pool(id, name, stake).into())
    });
    let member = |id: u8, shards: &[u16]| Entry {
        key: ObjectId::from_bytes([id; 32]),
        value: shards.to_vec(),
    };
    let staking = Staking {
        id: ObjectId::from_bytes([9; 32]),
        version: 1,
        epoch: 4,
        state: EpochState::Done { since_ms: 0 },
        n_shards: 4,
        pools: pools.collect(),
        active_set: ActiveSet::default(),
        committee: vec![member(1, &[0, 1, 2]), member(2, &[3])],
        previous: Vec::new(),
        next: None,
        next_keys: Vec::new(),
        next_capacity: 0,
        stake_history: Rows::from_iter([]),
        stalled: Vec::new(),
        synced: Vec::new(),
        first_epoch_start_ms: 0,
        price_base: Asks::default(),
        by_peer: Rows::from_iter([]),
        by_bls: Rows::from_iter([]),
    };
    StakeBook { staking, params: params(), storage_price: 1000 }
}

/// A pool of a book, to be changed.
pub(crate) fn pool_mut(staking: &mut Staking, id: u8) -> &mut Pool {
    Arc::make_mut(
        staking.pools.get_mut(&ObjectId::from_bytes([id; 32])).expect("a pool of the book"),
    )
}

/// The same ledger after the selection: these nodes serve epoch 5.
pub(crate) fn selected(book: StakeBook, nodes: &[u8]) -> StakeBook {
    let member =
        |id: &u8| Entry { key: ObjectId::from_bytes([*id; 32]), value: vec![u16::from(*id)] };
    let next = Some(nodes.iter().map(member).collect());
    let state = EpochState::Selected { since_ms: 0 };
    StakeBook { staking: Staking { next, state, ..book.staking }, ..book }
}

fn params() -> Params {
    let value = |(key, value): (ParamKey, u64)| Entry { key: key.number(), value };
    let values = [
        (ParamKey::EpochDurationMs, DAY_MS),
        (ParamKey::MinBond, WAL),
        (ParamKey::MinStakeObject, WAL),
    ];
    let id: ObjectId = ObjectId::from_bytes([8; 32]);
    Params {
        id,
        version: 1,
        network_id: id,
        n_shards: 4,
        segment_bytes: 1 << 25,
        short_bytes_max: 0,
        header_replicas: 3,
        max_epochs_ahead: 53,
        values: values.map(value).to_vec(),
    }
}
