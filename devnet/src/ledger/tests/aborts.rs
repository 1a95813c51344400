//! Every reason to refuse a call is one that some test has seen.
//!
//! Promises: an abort code that no test produces does not go unnoticed, and one that no
//! transaction can produce is here with the reason why.
//! Does not: check where a code is right; the tests that name it do.

use std::collections::BTreeSet;
use std::path::Path;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::object::staking::{ActiveSet, Staked, StakedState};

use haulout_protocol::rules::{active_set, apportion, math, staked, staking_pool};

/// Codes that tests of the rules produce and no transaction does, each with the reason.
const BY_RULES_ONLY: [(Abort, &str); 22] = [
    (Abort::TokenOverflow, "no coin holds more than the supply"),
    (Abort::ZeroWeight, "the apportionment leaves nodes without shards out"),
    (Abort::CommitteeOverflow, "a network has at most 65535 shards"),
    (Abort::StorageOverflow, "capacity bounds what can be bought, so also what can be fused"),
    (Abort::Locked, "nothing lists or rents blobs yet"),
    (Abort::AccountingOverflow, "the supply bounds rewards, and capacity bounds usage"),
    (Abort::SystemVersion, "nothing upgrades the contracts yet"),
    (Abort::SystemOverflow, "space is bounded by capacity, and prices by two thirds of the votes"),
    (Abort::UnknownKey, "nothing changes parameters yet"),
    (Abort::OutOfRails, "nothing changes parameters yet"),
    (Abort::InvalidShardAssignment, "the number of shards is fixed at genesis"),
    (Abort::ApportionOverflow, "the supply bounds stake"),
    (Abort::ActiveSetOverflow, "the supply bounds stake"),
    (Abort::PoolAlreadyUpdated, "an epoch changes once"),
    (Abort::IncorrectEpochAdvance, "who is in a committee has stake"),
    (Abort::IncorrectPoolId, "a receipt names the pool that is looked up"),
    (Abort::PoolOverflow, "the supply bounds a pool"),
    (Abort::ZeroShares, "a receipt holds more than a share can become worth in a test's time"),
    (Abort::StakedOverflow, "the supply bounds receipts"),
    (Abort::NoStake, "the stake of genesis nodes is theirs until they ask it back, all of them"),
    (Abort::StakingOverflow, "epochs and milliseconds do not run out"),
    (Abort::NoRoomForShards, "see NEVER"),
];

/// Codes that nothing produces, each with the reason.
const NEVER: [(Abort, &str); 1] =
    [(Abort::NoRoomForShards, "a node may hold twice its even share, so there is always room")];

/// The aborts that the Rust files in a folder name.
fn named_in(folder: &Path) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            named.extend(named_in(&path));
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with(file_name()) {
            let text = std::fs::read_to_string(&path).unwrap();
            let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != ':');
            named.extend(words.filter_map(|word| word.strip_prefix("Abort::")).map(str::to_owned));
        }
    }
    named
}

/// This file, whose lists prove nothing.
fn file_name() -> &'static Path {
    Path::new("aborts.rs")
}

#[test]
fn every_abort_is_produced_by_some_test_or_cannot_be_produced() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let by_transactions = named_in(&root.join("tests"));
    let by_rules = named_in(&root.join("../protocol/src/rules/tests"));
    for abort in Abort::ALL {
        let (name, code) = (format!("{abort:?}"), abort.code());
        let excused = BY_RULES_ONLY.iter().any(|(other, _)| other == abort);
        let expected = by_transactions.contains(&name);
        assert!(expected != excused, "{name} ({code}): in a test of transactions, or excused");
        let here = OVERFLOWS.iter().any(|(other, _)| other == abort);
        let never = NEVER.iter().any(|(other, _)| other == abort);
        assert!(
            expected || here || never || by_rules.contains(&name),
            "{name} ({code}): no test produces it"
        );
    }
}

#[test]
fn a_code_is_its_modules_number_and_its_own() {
    for abort in Abort::ALL {
        assert!((1..=99).contains(&(abort.code() % 100)), "{abort:?}");
        assert_eq!(Abort::from_code(abort.code()), Some(*abort));
    }
}

/// Something that a rule must refuse.
type Attempt = fn() -> Result<(), Abort>;

/// Amounts past every number, which only the rules can be given.
const OVERFLOWS: [(Abort, Attempt); 4] = [
    (Abort::ApportionOverflow, || apportion::apportion(&[u64::MAX, 1], 10).map(drop)),
    (Abort::ActiveSetOverflow, || {
        let mut set = ActiveSet::default();
        active_set::insert_or_update(&mut set, ObjectId::from_bytes([1; 32]), u64::MAX)?;
        active_set::insert_or_update(&mut set, ObjectId::from_bytes([2; 32]), 1)
    }),
    (Abort::PoolOverflow, || {
        let rate = staking_pool::rate(1, u64::MAX);
        staking_pool::to_shares(rate, 2).map(drop)
    }),
    (Abort::StakedOverflow, || {
        let receipt = |principal| Staked {
            id: ObjectId::from_bytes([1; 32]),
            node_id: ObjectId::from_bytes([2; 32]),
            principal,
            activation_epoch: 1,
            state: StakedState::Staked,
            vote_locks: vec![],
        };
        staked::join(&mut receipt(u64::MAX), receipt(1))
    }),
];

#[test]
fn amounts_past_every_number_are_refused_with_the_code_of_their_module() {
    for (abort, produce) in OVERFLOWS {
        assert_eq!(produce(), Err(abort));
        assert_eq!(abort.code() % 100, 99);
    }
    let product = math::mul_div_floor(u64::MAX, 2_u64, 1_u64, Abort::PoolOverflow);
    assert_eq!(product, Err(Abort::PoolOverflow));
}
