//! Golden bytes of the stake side: its whole state, a pool, receipts, caps and every event.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{check, id, run};
use crate::chain::event::{
    CommissionCollected, EpochChangeDone, EpochParametersSelected, EpochSyncForced, Event,
    NodeExitRequested, NodeExited, NodeRegistered, NodeUpdated, PoolSettled, RewardsDistributed,
    ShardsReceived, StakeEvent, Staked as StakedEvent, UnstakeRequested, Unstaked,
};
use crate::chain::object::staking::{
    ActiveNode, ActiveSet, Asks, Authority, EpochState, NodeCap, Pool, Rate, Rows, Staked,
    StakedState, Staking,
};
use crate::chain::object::{DynamicField, Entry, NodeInfo};

/// A number of 64 bits as BCS writes it.
fn u64_hex(number: u64) -> String {
    hex::encode(number.to_le_bytes())
}

/// A number of 32 bits as BCS writes it.
fn u32_hex(number: u32) -> String {
    hex::encode(number.to_le_bytes())
}

/// A table with entries.
fn table<Key: Clone + Ord, Row: Clone>(
    number: u8,
    rows: impl IntoIterator<Item = (Key, Row)>,
) -> Rows<Key, Row> {
    let mut table = Rows::new(id(number));
    table.extend(rows);
    table
}

/// A table as its owner holds it.
fn table_hex(number: u8, size: u64) -> String {
    [run(number, 32), u64_hex(size)].concat()
}

/// The pool without its tables' entries, which are no part of its bytes.
fn sample_pool() -> (Pool, String) {
    let node = NodeInfo {
        node_id: id(1),
        name: "n".into(),
        peer_key: vec![2; 32],
        peer_id: vec![3; 38],
        multiaddrs: vec![vec![4]],
        bls_public_key: vec![5; 48],
        next_bls_public_key: None,
        metadata: vec![],
        status: 1,
    };
    let entry = |key, value| vec![Entry { key, value }];
    let pool = Pool {
        node,
        bond: 1,
        active: 2,
        pending: 3,
        unbonded: 4,
        shares: 5,
        rates: table(9, [(6, Rate::Flat), (7, Rate::Variable { tokens: 8, shares: 9 })]),
        stake_at: table(10, [(10, 11)]),
        pending_stake: entry(12, 13),
        pending_unstake_shares: entry(14, 15),
        pre_active: entry(16, 17),
        commission: 18,
        commission_blocked: 19,
        commission_bps: 0x0102,
        pending_commission: entry(20, 21),
        last_epoch: 22,
        asks: Asks { storage: 23, write: 24 },
        capacity: 25,
        withdrawing: 26,
        exit_epoch: Some(27),
        next_peer_key: Some(Entry { key: 28, value: vec![6; 32] }),
        commission_receiver: Authority::Account(id(7)),
        governance_authority: Authority::Object(id(8)),
    };
    let node = [&run(1, 32), "016e", "20", &run(2, 32), "26", &run(3, 38), "010104", "30"].concat();
    let node = [&node, run(5, 48).as_str(), "000001"].concat();
    let money: String = (1..=5).map(u64_hex).collect();
    let tables = [table_hex(9, 2), table_hex(10, 1)].concat();
    let due = |key, value| ["01", &u32_hex(key), &u64_hex(value)].concat();
    let lists = [due(12, 13), due(14, 15), due(16, 17)].concat();
    let commission = [u64_hex(18), u64_hex(19), "0201".into(), due(20, 21), u32_hex(22)].concat();
    let asks = [u64_hex(23), u64_hex(24), u64_hex(25), u64_hex(26)].concat();
    let exit = ["01", &u32_hex(27), "01", &u32_hex(28), "20", &run(6, 32)].concat();
    let authorities = ["00", &run(7, 32), "01", &run(8, 32)].concat();
    (pool, [node, money, tables, lists, commission, asks, exit, authorities].concat())
}

#[test]
fn t123_a_pool_has_the_layout_of_the_contracts() {
    let (pool, expected) = sample_pool();
    check_tables(&pool, &[&expected]);
}

/// As [`check`], for what has tables: decoded, their entries are yet to be read.
fn check_tables<T>(value: &T, expected: &[&str])
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let bytes = bcs::to_bytes(value).unwrap();
    assert_eq!(hex::encode(&bytes), expected.concat());
    let read: T = bcs::from_bytes(&bytes).unwrap();
    assert_eq!(bcs::to_bytes(&read).unwrap(), bytes);
}

#[test]
fn t123_entries_of_tables_have_the_layout_of_dynamic_fields() {
    let (pool, expected) = sample_pool();
    let pool = DynamicField { id: id(5), name: id(1), value: pool };
    check_tables(&pool, &[&run(5, 32), &run(1, 32), &expected]);
    let rate = Rate::Variable { tokens: 8, shares: 9 };
    let variable = DynamicField { id: id(5), name: 7_u32, value: rate };
    check(&variable, &[&run(5, 32), &u32_hex(7), "01", &u64_hex(8), &u64_hex(9)]);
    let flat = DynamicField { id: id(5), name: 6_u32, value: Rate::Flat };
    check(&flat, &[&run(5, 32), &u32_hex(6), "00"]);
    let amount = DynamicField { id: id(5), name: 10_u32, value: 11_u64 };
    check(&amount, &[&run(5, 32), &u32_hex(10), &u64_hex(11)]);
    let node = DynamicField { id: id(5), name: vec![9_u8; 32], value: id(1) };
    check(&node, &[&run(5, 32), "20", &run(9, 32), &run(1, 32)]);
}

#[test]
fn t123_receipts_and_caps_have_the_layout_of_the_contracts() {
    check(&NodeCap { id: id(1), node_id: id(2) }, &[&run(1, 32), &run(2, 32)]);
    let staked = Staked {
        id: id(1),
        node_id: id(2),
        principal: 3,
        activation_epoch: 4,
        state: StakedState::Staked,
        vote_locks: vec![id(5)],
    };
    let head = [run(1, 32), run(2, 32), u64_hex(3), u32_hex(4)].concat();
    check(&staked, &[&head, "00", "01", &run(5, 32)]);
    let state = StakedState::Withdrawing { withdraw_epoch: 6 };
    let withdrawing = Staked { state, vote_locks: vec![], ..staked };
    check(&withdrawing, &[&head, "01", &u32_hex(6), "00"]);
}

/// A state of stake, with something in every part.
pub(super) fn sample_state() -> Staking {
    let (pool, _) = sample_pool();
    Staking {
        id: id(1),
        version: 1,
        epoch: 2,
        state: EpochState::Sync { weight: 3, started_ms: 4 },
        n_shards: 5,
        pools: table(20, [(id(1), Arc::new(pool))]),
        active_set: ActiveSet {
            nodes: vec![ActiveNode { node_id: id(1), staked_amount: 6 }],
            total_stake: 6,
        },
        committee: vec![Entry { key: id(1), value: vec![0, 1] }],
        previous: vec![],
        next: Some(vec![Entry { key: id(2), value: vec![7] }]),
        next_keys: vec![Entry { key: id(2), value: vec![8; 48] }],
        next_capacity: 9,
        stake_history: table(21, [(2, 10), (3, 11)]),
        stalled: vec![id(3)],
        synced: vec![id(4), id(5)],
        first_epoch_start_ms: 11,
        price_base: Asks { storage: 12, write: 13 },
        by_peer: table(22, [(vec![9; 32], id(1))]),
        by_bls: Rows::new(id(23)),
    }
}

#[test]
fn t123_the_state_of_stake_has_the_layout_of_the_contracts() {
    let staking = sample_state();
    let head = [run(1, 32), u64_hex(1), u32_hex(2), "000300".into(), u64_hex(4)].concat();
    let set = ["01", &run(1, 32), &u64_hex(6), &u64_hex(6)].concat();
    let committees =
        ["01", &run(1, 32), "0200000100", "00", "01", "01", &run(2, 32), "010700"].concat();
    let keys = ["01", &run(2, 32), "30", &run(8, 48), &u64_hex(9)].concat();
    let history = table_hex(21, 2);
    let rest = [history.as_str(), "01", &run(3, 32), "02", &run(4, 32), &run(5, 32)];
    let prices = [u64_hex(11), u64_hex(12), u64_hex(13)].concat();
    let tables = [table_hex(22, 1), table_hex(23, 0)].concat();
    let parts = [&head, "0500", &table_hex(20, 1), &set, &committees, &keys];
    check_tables(&staking, &[&parts.concat(), &rest.concat(), &prices, &tables]);
}

#[test]
fn t123_states_of_an_epoch_have_the_layout_of_the_contracts() {
    check(&EpochState::Done { since_ms: 2 }, &["01", &u64_hex(2)]);
    check(&EpochState::Selected { since_ms: 3 }, &["02", &u64_hex(3)]);
}

/// Every event of the stake side with its bytes.
fn sample_events() -> Vec<(StakeEvent, String)> {
    let [e, n, o] = [u32_hex(1), run(2, 32), run(3, 32)];
    let (epoch, node_id, object_id) = (1, id(2), id(3));
    let ids = ["01", &n].concat();
    let selected = EpochParametersSelected {
        next_epoch: 1,
        nodes: vec![node_id],
        shards: vec![4],
        capacity: 5,
    };
    let registered = NodeRegistered {
        epoch,
        node_id,
        peer_id: vec![4; 38],
        multiaddrs: vec![vec![5]],
        bls_pk: vec![6; 48],
        commission_bps: 7,
    };
    let registered_hex =
        [&e, n.as_str(), "26", &run(4, 38), "010105", "30", &run(6, 48), "0700"].concat();
    let rewards = RewardsDistributed {
        epoch,
        total: 4,
        burned: 5,
        forfeited: 6,
        node_ids: vec![node_id],
        kept: vec![7],
    };
    let rewards_hex =
        [&e, u64_hex(4).as_str(), &u64_hex(5), &u64_hex(6), &ids, "01", &u64_hex(7)].concat();
    let settled = PoolSettled { epoch, node_id, reward: 4, commission: 5, stake: 6, shares: 7 };
    let settled_hex = [e.clone(), n.clone(), (4..=7).map(u64_hex).collect()].concat();
    use StakeEvent as S;
    vec![
        (S::EpochParametersSelected(selected), [&e, ids.as_str(), "010400", &u64_hex(5)].concat()),
        (S::EpochChangeDone(EpochChangeDone { epoch }), e.clone()),
        (
            S::ShardsReceived(ShardsReceived { epoch, node_id, shards: vec![4] }),
            [&e, n.as_str(), "010400"].concat(),
        ),
        (
            S::EpochSyncForced(EpochSyncForced { epoch, missing: vec![node_id] }),
            [&e, ids.as_str()].concat(),
        ),
        (S::RewardsDistributed(rewards), rewards_hex),
        (S::NodeRegistered(registered), registered_hex),
        (S::NodeUpdated(NodeUpdated { epoch, node_id, field: 4 }), [&e, n.as_str(), "04"].concat()),
        (S::NodeExitRequested(NodeExitRequested { epoch, node_id }), [&e, n.as_str()].concat()),
        (
            S::NodeExited(NodeExited { epoch, node_id, bond: 4 }),
            [&e, n.as_str(), &u64_hex(4)].concat(),
        ),
        (
            S::Staked(StakedEvent { epoch, node_id, object_id, amount: 4, activation_epoch: 5 }),
            [&e, n.as_str(), &o, &u64_hex(4), &u32_hex(5)].concat(),
        ),
        (
            S::UnstakeRequested(UnstakeRequested { epoch, node_id, object_id, withdraw_epoch: 4 }),
            [&e, n.as_str(), &o, &u32_hex(4)].concat(),
        ),
        (
            S::Unstaked(Unstaked { epoch, node_id, object_id, principal: 4, paid: 5 }),
            [&e, n.as_str(), &o, &u64_hex(4), &u64_hex(5)].concat(),
        ),
        (
            S::CommissionCollected(CommissionCollected { epoch, node_id, amount: 4 }),
            [&e, n.as_str(), &u64_hex(4)].concat(),
        ),
        (S::PoolSettled(settled), settled_hex),
    ]
}

#[test]
fn t123_every_event_of_stake_has_the_layout_of_the_contracts_and_decodes_by_name() {
    let mut seen = BTreeSet::new();
    for (event, expected) in sample_events() {
        seen.insert(event.name());
        let event = Event::Stake(event);
        let bytes = event.to_bytes();
        assert_eq!(hex::encode(&bytes), expected, "{}", event.name());
        assert_eq!(Event::decode(event.name(), &bytes).unwrap(), Some(event));
    }
    assert_eq!(seen, StakeEvent::NAMES.iter().copied().collect());
}
