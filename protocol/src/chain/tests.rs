//! Golden bytes of every layout, and the committee the objects describe together.

mod calls;
mod staking;

use super::abort::Abort;
use super::event::{
    BlobBurned, BlobCertified, BlobDeleted, BlobRegistered, Burned, EpochChangeStart, Event,
    InvalidBlobId, ParamChanged, PricesUpdated, ProtocolVersionUpdated, StorageDestroyed,
    StoragePurchased,
};
use super::object::staking::EpochState;
use super::object::{
    Blob, BlsCommittee, BlsMember, Coin, DenyInfo, DynamicField, Entry, FutureAccounting,
    METADATA_FIELD, Metadata, NodeInfo, Params, Ring, Staking, StakingPool, Storage, System, Table,
    Treasury,
};
use super::{CommitteeViewError, ObjectId, TypeName, committee, previous_committee, wal_coin_type};
use crate::crypto::SecretKey;
use crate::epoch::Epoch;
use crate::sliver::ShardIndex;

fn id(byte: u8) -> ObjectId {
    ObjectId::from_bytes([byte; 32])
}

/// `count` times `byte`, in hex.
fn run(byte: u8, count: usize) -> String {
    hex::encode(vec![byte; count])
}

fn check<T>(value: &T, parts: &[&str])
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let bytes = bcs::to_bytes(value).unwrap();
    assert_eq!(hex::encode(&bytes), parts.concat());
    assert_eq!(&bcs::from_bytes::<T>(&bytes).unwrap(), value);
}

fn sample_storage() -> Storage {
    Storage { id: id(2), start_epoch: 1, end_epoch: 6, storage_size: 0x0102_0304 }
}

#[test]
fn a_system_object_has_the_layout_of_the_contracts() {
    let system = System {
        id: id(1),
        version: 1,
        network_id: id(2),
        committee: BlsCommittee {
            members: vec![BlsMember { public_key: vec![3; 48], weight: 0x0104, node_id: id(4) }],
            n_shards: 0x0104,
            epoch: 7,
        },
        total_capacity: 5,
        used_capacity: 6,
        storage_price: 7,
        write_price: 8,
        last_price_epoch: 9,
        ring: Ring {
            current_index: 1,
            length: 1,
            entries: vec![FutureAccounting { epoch: 7, used_capacity: 6, rewards: 10 }],
        },
        invalid: Table { id: id(5), size: 2 },
        deny: vec![Entry {
            key: id(6),
            value: DenyInfo { sequence_number: 3, root: [7; 32], bytes: 4 },
        }],
        last_event_sequence: 11,
        protocol_version: 12,
    };
    let committee = ["01", "30", &run(3, 48), "0401", &run(4, 32), "0401", "07000000"].concat();
    let ring = "01000000010000000107000000060000000000000".to_owned() + "00a00000000000000";
    check(
        &system,
        &[
            &run(1, 32),
            "0100000000000000",
            &run(2, 32),
            &committee,
            "0500000000000000",
            "0600000000000000",
            "0700000000000000",
            "0800000000000000",
            "09000000",
            &ring,
            &run(5, 32),
            "0200000000000000",
            "01",
            &run(6, 32),
            "0300000000000000",
            &run(7, 32),
            "0400000000000000",
            "0b00000000000000",
            "0c00000000000000",
        ],
    );
}

#[test]
fn params_and_staking_have_the_layout_of_the_contracts() {
    let params = Params {
        id: id(1),
        version: 1,
        network_id: id(2),
        n_shards: 100,
        segment_bytes: 1 << 25,
        short_bytes_max: 1 << 16,
        header_replicas: 50,
        max_epochs_ahead: 53,
        values: vec![Entry { key: 0x0102, value: 5 }],
    };
    let fixed = [&run(1, 32), "0100000000000000", &run(2, 32), "6400", "00000002", "00000100"];
    check(&params, &[&fixed.concat(), "3200", "35000000", "01", "0201", "0500000000000000"]);
    let staking = Staking {
        id: id(1),
        version: 1,
        n_shards: 3,
        epoch: 1,
        epoch_started_ms: 2,
        epoch_duration_ms: 3,
        committee: vec![Entry { key: id(4), value: vec![0, 2, 1] }],
        state: EpochState::Sync { weight: 2, started_ms: 7 },
    };
    check(
        &staking,
        &[
            &run(1, 32),
            "0100000000000000",
            "0300",
            "01000000",
            "0200000000000000",
            "0300000000000000",
            "01",
            &run(4, 32),
            "03000002000100",
            "0002000700000000000000",
        ],
    );
}

#[test]
fn a_staking_pool_has_the_layout_of_the_contracts() {
    let pool = StakingPool {
        id: id(1),
        node_info: NodeInfo {
            node_id: id(1),
            name: "n1".into(),
            peer_key: vec![2; 32],
            peer_id: vec![3; 38],
            multiaddrs: vec![vec![4, 5], vec![6]],
            bls_public_key: vec![7; 48],
            next_bls_public_key: Some(vec![8; 48]),
            metadata: vec![Entry { key: "k".into(), value: "v".into() }],
            status: 0,
        },
    };
    check(
        &pool,
        &[
            &run(1, 32),
            &run(1, 32),
            "026e31",
            "20",
            &run(2, 32),
            "26",
            &run(3, 38),
            "020204050106",
            "30",
            &run(7, 48),
            "0130",
            &run(8, 48),
            "01016b0176",
            "00",
        ],
    );
}

#[test]
fn storage_blob_and_coin_have_the_layout_of_the_contracts() {
    let storage = [&run(2, 32), "0100000006000000", "0403020100000000"].concat();
    check(&sample_storage(), &[&storage]);
    let blob = Blob {
        id: id(1),
        registered_epoch: 1,
        blob_id: [9; 32],
        size: 17,
        encoding_type: 2,
        certified_epoch: Some(3),
        storage: sample_storage(),
        deletable: true,
        locked_by: None,
    };
    let head = [&run(1, 32), "01000000", &run(9, 32), "1100000000000000", "02"].concat();
    check(&blob, &[&head, "0103000000", &storage, "01", "00"]);
    let uncertified = Blob { certified_epoch: None, locked_by: Some(id(3)), ..blob };
    check(&uncertified, &[&head, "00", &storage, "01", "01", &run(3, 32)]);
    check(&Coin { id: id(4), balance: 256 }, &[&run(4, 32), "0001000000000000"]);
}

#[test]
fn fields_metadata_and_treasury_have_the_layout_of_sui_and_the_contracts() {
    let invalid = DynamicField { id: id(1), name: [2_u8; 32], value: 7_u32 };
    check(&invalid, &[&run(1, 32), &run(2, 32), "07000000"]);
    let pairs = vec![Entry { key: "k".into(), value: "vw".into() }];
    let (name, value) = (METADATA_FIELD.to_vec(), Metadata { pairs });
    let metadata = DynamicField { id: id(1), name, value };
    check(&metadata, &[&run(1, 32), "086d65746164617461", "01", "016b", "027677"]);
    let treasury = Treasury { id: id(1), cap_id: id(2), total_supply: 256 };
    check(&treasury, &[&run(1, 32), &run(2, 32), "0001000000000000"]);
}

fn sample_events() -> Vec<(Event, String)> {
    vec![
        (
            Event::StoragePurchased(StoragePurchased {
                epoch: 1,
                object_id: id(2),
                start: 3,
                end: 4,
                size: 5,
                paid: 6,
            }),
            ["01000000", &run(2, 32), "0300000004000000", "0500000000000000", "0600000000000000"]
                .concat(),
        ),
        (
            Event::BlobRegistered(BlobRegistered {
                epoch: 1,
                blob_id: [2; 32],
                size: 3,
                encoding_type: 2,
                end_epoch: 4,
                deletable: false,
                object_id: id(5),
            }),
            ["01000000", &run(2, 32), "0300000000000000", "02", "04000000", "00", &run(5, 32)]
                .concat(),
        ),
        (
            Event::BlobCertified(BlobCertified {
                epoch: 1,
                blob_id: [2; 32],
                end_epoch: 4,
                deletable: true,
                object_id: id(5),
                is_extension: false,
            }),
            ["01000000", &run(2, 32), "04000000", "01", &run(5, 32), "00"].concat(),
        ),
        (Event::EpochChangeStart(EpochChangeStart { epoch: 258 }), "02010000".into()),
        (Event::StorageDestroyed(StorageDestroyed { object_id: id(5) }), run(5, 32)),
        (
            Event::BlobDeleted(BlobDeleted {
                epoch: 1,
                blob_id: [2; 32],
                end_epoch: 4,
                object_id: id(5),
                was_certified: true,
            }),
            ["01000000", &run(2, 32), "04000000", &run(5, 32), "01"].concat(),
        ),
        (
            Event::BlobBurned(BlobBurned { epoch: 1, blob_id: [2; 32], object_id: id(5) }),
            ["01000000", &run(2, 32), &run(5, 32)].concat(),
        ),
        (
            Event::InvalidBlobId(InvalidBlobId { epoch: 1, blob_id: [2; 32] }),
            ["01000000", &run(2, 32)].concat(),
        ),
        (
            Event::ProtocolVersionUpdated(ProtocolVersionUpdated {
                epoch: 1,
                start_epoch: 2,
                protocol_version: 3,
            }),
            "01000000020000000300000000000000".into(),
        ),
        (
            Event::PricesUpdated(PricesUpdated { epoch: 1, storage_price: 2, write_price: 3 }),
            "0100000002000000000000000300000000000000".into(),
        ),
        (Event::Burned(Burned { amount: 256, reason: 1 }), "000100000000000001".into()),
        (
            Event::ParamChanged(ParamChanged { epoch: 1, key: 2, old: 3, new: 4 }),
            "01000000020003000000000000000400000000000000".into(),
        ),
    ]
}

#[test]
fn events_have_the_layout_of_the_contracts_and_decode_by_name() {
    for (event, expected) in sample_events() {
        let bytes = event.to_bytes();
        assert_eq!(hex::encode(&bytes), expected);
        assert_eq!(Event::decode(event.name(), &bytes).unwrap(), Some(event));
    }
}

#[test]
fn an_unknown_event_is_skipped_and_a_damaged_one_refused() {
    assert_eq!(Event::decode("SomethingNew", &[1, 2, 3]).unwrap(), None);
    for (event, _) in sample_events() {
        let mut bytes = event.to_bytes();
        bytes.push(0);
        assert!(Event::decode(event.name(), &bytes).is_err());
        assert!(Event::decode(event.name(), &bytes[..3]).is_err());
    }
}

#[test]
fn type_names_are_written_as_queries_expect_them() {
    let package = id(0xab);
    assert_eq!(TypeName::BLOB.qualified(&package), format!("0x{}::blob::Blob", run(0xab, 32)));
    assert_eq!(wal_coin_type(&package), format!("0x2::coin::Coin<0x{}::wal::WAL>", run(0xab, 32)));
}

#[test]
fn every_abort_code_names_its_module() {
    let modules = [
        (1, "wal"),
        (2, "bls"),
        (3, "messages"),
        (4, "encoding"),
        (5, "storage"),
        (6, "blob"),
        (9, "accounting"),
        (10, "system"),
        (32, "params"),
        (11, "committee"),
        (12, "apportion"),
        (13, "active_set"),
        (14, "staking_pool"),
        (15, "staked"),
        (16, "staking"),
        (17, "node_registry"),
    ];
    for abort in Abort::ALL {
        assert_eq!(Abort::from_code(abort.code()), Some(*abort));
        assert!(modules.contains(&(abort.code() / 100, abort.module())), "{abort:?}");
    }
    assert_eq!(Abort::from_code(0), None);
}

/// Objects of a committee of two nodes with one and three shards.
fn sample_view() -> (System, Staking, Vec<StakingPool>) {
    let node = |byte: u8, shards: &[u16]| {
        let key = SecretKey::from_seed(&[byte; 32]).public_key().to_bytes().to_vec();
        let weight = u16::try_from(shards.len()).unwrap();
        let member = BlsMember { public_key: key.clone(), weight, node_id: id(byte) };
        let entry = Entry { key: id(byte), value: shards.to_vec() };
        let node_info = NodeInfo {
            node_id: id(byte),
            name: format!("n{byte}"),
            peer_key: vec![byte; 32],
            peer_id: vec![],
            multiaddrs: vec![vec![byte]],
            bls_public_key: key,
            next_bls_public_key: None,
            metadata: vec![],
            status: 0,
        };
        (member, entry, StakingPool { id: id(byte), node_info })
    };
    let nodes = [node(9, &[2]), node(8, &[0, 1, 3])];
    let system = System {
        id: id(1),
        version: 1,
        network_id: id(2),
        committee: BlsCommittee {
            members: nodes.iter().map(|(member, ..)| member.clone()).collect(),
            n_shards: 4,
            epoch: 3,
        },
        total_capacity: 0,
        used_capacity: 0,
        storage_price: 0,
        write_price: 0,
        last_price_epoch: 1,
        ring: Ring { current_index: 0, length: 0, entries: vec![] },
        invalid: Table { id: id(3), size: 0 },
        deny: vec![],
        last_event_sequence: 0,
        protocol_version: 1,
    };
    let staking = Staking {
        id: id(4),
        version: 1,
        n_shards: 4,
        epoch: 3,
        epoch_started_ms: 0,
        epoch_duration_ms: 0,
        committee: nodes.iter().map(|(_, entry, _)| entry.clone()).collect(),
        state: EpochState::Done { since_ms: 0 },
    };
    (system, staking, nodes.into_iter().map(|(.., pool)| pool).collect())
}

#[test]
fn a_committee_keeps_the_order_of_bits_in_certificates() {
    let (system, staking, mut pools) = sample_view();
    pools.reverse();
    let committee = committee(&system, &staking, &pools).unwrap();
    assert_eq!((committee.epoch(), committee.shards()), (Epoch(3), 4));
    assert_eq!((committee.weight(0), committee.weight(1)), (1, 3));
    let member = &committee.members()[1];
    assert_eq!(ObjectId::from(member.node_id), id(8));
    assert_eq!((member.name.as_str(), member.peer_id.key()), ("n8", &[8; 32]));
    assert_eq!(member.addresses, vec![vec![8]]);
    assert_eq!(committee.member_of_shard(ShardIndex(2)), Some(0));
}

#[test]
fn objects_that_do_not_belong_together_are_no_committee() {
    type Change = fn(&mut System, &mut Staking, &mut Vec<StakingPool>);
    let check = |change: Change| {
        let (mut system, mut staking, mut pools) = sample_view();
        change(&mut system, &mut staking, &mut pools);
        committee(&system, &staking, &pools).unwrap_err()
    };
    let error = check(|system, _, _| system.committee.epoch = 4);
    assert!(matches!(error, CommitteeViewError::DifferentEpochs { system: 4, staking: 3 }));
    let error = check(|_, _, pools| drop(pools.remove(0)));
    assert!(matches!(error, CommitteeViewError::PoolMissing(missing) if missing == id(9)));
    let error = check(|_, staking, _| drop(staking.committee.remove(1)));
    assert!(matches!(error, CommitteeViewError::Contradiction(node) if node == id(8)));
    let error = check(|system, _, _| system.committee.members[0].weight = 2);
    assert!(matches!(error, CommitteeViewError::Contradiction(node) if node == id(9)));
    let error = check(|system, _, _| system.committee.members[0].public_key.truncate(47));
    assert!(matches!(error, CommitteeViewError::InvalidKey(node) if node == id(9)));
    let error = check(|_, _, pools| pools[1].node_info.peer_key.push(0));
    assert!(matches!(error, CommitteeViewError::InvalidKey(node) if node == id(8)));
    let error = check(|_, staking, _| staking.committee[0].value[0] = 3);
    assert!(matches!(error, CommitteeViewError::Committee(_)));
}

#[test]
fn the_committee_before_has_the_shards_of_then_and_the_addresses_of_now() {
    let (system, view, mut pools) = sample_view();
    let current = committee(&system, &view, &pools).unwrap();
    let mut state = staking::sample_state();
    let entry = |byte, shards: &[u16]| Entry { key: id(byte), value: shards.to_vec() };
    (state.epoch, state.n_shards) = (3, 4);
    assert_eq!(previous_committee(&state, &current, &pools).unwrap(), None, "there was none");
    // Node 7 left, and node 8 got its shards.
    let mut left = pools[0].clone();
    (left.id, left.node_info.peer_key) = (id(7), vec![7; 32]);
    left.node_info.bls_public_key = SecretKey::from_seed(&[7; 32]).public_key().to_bytes().to_vec();
    state.previous = vec![entry(7, &[0, 1]), entry(8, &[3]), entry(9, &[2])];
    let missing = previous_committee(&state, &current, &pools).unwrap_err();
    assert!(matches!(missing, CommitteeViewError::PoolMissing(node) if node == id(7)));
    pools.push(left);
    let previous = previous_committee(&state, &current, &pools).unwrap().unwrap();
    assert_eq!((previous.epoch(), previous.shards()), (Epoch(2), 4));
    assert_eq!([0, 1, 2].map(|index| previous.weight(index)), [2, 1, 1]);
    assert_eq!(previous.members()[0].peer_id.key(), &[7; 32]);
    let (then, now) = (&previous.members()[1], &current.members()[1]);
    assert_eq!((then.node_id, &then.addresses), (now.node_id, &now.addresses));
    assert_eq!(then.shards, [ShardIndex(3)]);
    state.epoch = 4;
    let error = previous_committee(&state, &current, &pools).unwrap_err();
    assert!(matches!(error, CommitteeViewError::DifferentEpochs { system: 3, staking: 4 }));
}

#[test]
fn receipts_caps_and_rates_have_the_layout_of_the_contracts() {
    use super::object::staking::{EpochState, NodeCap, Rate, Staked, StakedState};
    let state = StakedState::Withdrawing { withdraw_epoch: 6 };
    let (principal, activation_epoch) = (4, 5);
    let vote_locks = vec![id(3)];
    let staked =
        Staked { id: id(1), node_id: id(2), principal, activation_epoch, state, vote_locks };
    check(
        &staked,
        &[
            &run(1, 32),
            &run(2, 32),
            "0400000000000000",
            "05000000",
            "0106000000",
            "01",
            &run(3, 32),
        ],
    );
    check(&NodeCap { id: id(1), node_id: id(2) }, &[&run(1, 32), &run(2, 32)]);
    check(&Rate::Flat, &["00"]);
    check(
        &Rate::Variable { tokens: 1, shares: 2 },
        &["01", "0100000000000000", "0200000000000000"],
    );
    check(&EpochState::Sync { weight: 1, started_ms: 2 }, &["00", "0100", "0200000000000000"]);
    check(&EpochState::Done { since_ms: 2 }, &["01", "0200000000000000"]);
    check(&EpochState::Selected { since_ms: 2 }, &["02", "0200000000000000"]);
}

#[test]
fn stake_events_decode_by_name_and_keep_their_field_order() {
    use super::event::{PoolSettled, StakeEvent, Staked};
    let staked =
        Staked { epoch: 1, node_id: id(2), object_id: id(3), amount: 4, activation_epoch: 5 };
    let fields = ["01000000", &run(2, 32), &run(3, 32), "0400000000000000", "05000000"];
    check(&staked, &fields);
    let settled =
        PoolSettled { epoch: 1, node_id: id(2), reward: 3, commission: 4, stake: 5, shares: 6 };
    for event in [Event::from(staked), Event::from(settled)] {
        assert!(StakeEvent::NAMES.contains(&event.name()));
        let decoded = Event::decode(event.name(), &event.to_bytes()).unwrap();
        assert_eq!(decoded, Some(event.clone()));
        assert!(Event::decode(event.name(), &event.to_bytes()[1..]).is_err());
    }
}
