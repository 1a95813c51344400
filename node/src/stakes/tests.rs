//! The timing and the amounts of `contracts.md` 2.8, and what is refused with which words.

use haulout_actors::chain::{NodeRegistration, StakeBook};
use haulout_protocol::chain::object::Entry;
use haulout_protocol::chain::object::staking::{
    Asks, EpochState, NodeCap, Pool, Rate, Rows, Staked,
};

use super::samples::{WAL, pool_mut, sample_book, sample_pool, sample_receipt, selected};
use super::*;
use crate::error::Kind;

fn date(epoch: u32) -> String {
    format!("epoch {epoch}")
}

fn step_of(book: &StakeBook, receipt: Staked) -> Step {
    Position::new(&book.staking, receipt).unwrap().step
}

fn edit(change: impl FnOnce(&mut Pool)) -> StakeBook {
    let mut book = sample_book();
    change(pool_mut(&mut book.staking, 1));
    book
}

#[test]
fn stake_works_from_the_next_committee_that_is_not_chosen_yet() {
    let plan = |book: &StakeBook| {
        StakePlan::new(book, ObjectId::from_bytes([1; 32]), WAL).unwrap().activation_epoch
    };
    assert_eq!(plan(&sample_book()), 5);
    assert_eq!(plan(&selected(sample_book(), &[1, 2])), 6);
}

/// Every line of the table: first epoch of the receipt, whom the next committee has if it is
/// chosen, and the step. Node 1 serves in epoch 4.
#[test]
fn each_receipt_is_due_for_the_step_of_the_table() {
    let unchosen: Option<&[u8]> = None;
    let cases = [
        // Fresh stake is had back at once, as long as nobody counts on it.
        (5, unchosen, Step::Cancel),
        (6, Some(&[1, 2][..]), Step::Cancel),
        (5, Some(&[2][..]), Step::Cancel),
        (5, Some(&[1, 2][..]), Step::Request(6)),
        // Stake at work leaves with the committees that count on it.
        (4, unchosen, Step::Request(5)),
        (2, unchosen, Step::Request(5)),
        (4, Some(&[1, 2][..]), Step::Request(6)),
        (4, Some(&[2][..]), Step::Request(5)),
    ];
    for (activation, next, step) in cases {
        let book = match next {
            None => sample_book(),
            Some(nodes) => selected(sample_book(), nodes),
        };
        let found = step_of(&book, sample_receipt(7, 1, activation, None));
        assert_eq!(found, step, "active from {activation}, next {next:?}");
    }
}

#[test]
fn what_was_asked_back_waits_for_its_epoch_and_is_then_paid() {
    for (asked, step) in [(6, Step::Wait(6)), (5, Step::Wait(5)), (4, Step::Collect)] {
        assert_eq!(step_of(&sample_book(), sample_receipt(7, 1, 2, Some(asked))), step);
    }
    let waits = Position::new(&sample_book().staking, sample_receipt(7, 1, 2, Some(6))).unwrap();
    let refused = waits.check(date).unwrap_err();
    assert_eq!((refused.kind(), refused.is_retryable()), (Kind::Permission, true));
    assert!(refused.message().contains("is paid from epoch 6"), "{refused}");
}

#[test]
fn stake_of_a_node_outside_both_committees_is_had_back_at_once() {
    let mut book = sample_book();
    book.staking.committee.remove(0);
    assert_eq!(step_of(&book, sample_receipt(7, 1, 4, None)), Step::WithdrawNow);
    assert_eq!(step_of(&selected(book, &[1]), sample_receipt(7, 1, 4, None)), Step::Request(6));
}

/// The example of 2.8: A stakes 1000 from epoch 1, B 500 from epoch 2; 90 and 90 are earned.
#[test]
fn principal_and_rewards_are_those_of_the_worked_example() {
    let book = |unbonded, active, shares| {
        let mut book = edit(|pool| {
            let rate = |tokens, shares| Rate::Variable { tokens, shares };
            pool.rates =
                Rows::from_iter([(1, Rate::Flat), (2, rate(1090, 1000)), (3, rate(1680, 1458))]);
            (pool.active, pool.shares, pool.unbonded, pool.last_epoch) =
                (active, shares, unbonded, 3);
        });
        book.staking.epoch = 3;
        book
    };
    let receipt = |principal, activation, asked| Staked {
        principal,
        ..sample_receipt(7, 1, activation, asked)
    };
    let worth = |receipt| Position::new(&book(1152, 528, 458).staking, receipt).unwrap();
    let paid = worth(receipt(1000, 1, Some(3)));
    assert_eq!((paid.step, paid.worth, paid.rewards()), (Step::Collect, 1152, 152));
    assert_eq!(worth(receipt(500, 2, None)).worth, 527, "a unit of dust stays in the pool");
    assert_eq!(worth(receipt(500, 4, None)).worth, 500, "what does not work yet earns nothing");
    let few = Position::new(&book(1000, 528, 458).staking, receipt(1000, 1, Some(3))).unwrap();
    assert_eq!(few.worth, 1000, "never more than the pool set aside");
}

#[test]
fn a_pool_that_nobody_touched_is_seen_as_the_ledger_will_settle_it() {
    let book = edit(|pool| {
        pool.rates = Rows::from_iter([(2, Rate::Variable { tokens: 1200, shares: 1000 })]);
        (pool.active, pool.shares, pool.pending, pool.last_epoch) = (1200, 1000, 601, 2);
        pool.pending_stake = vec![Entry { key: 4, value: 601 }];
        pool.pending_unstake_shares = vec![Entry { key: 3, value: 500 }];
        pool.pending_commission = vec![Entry { key: 3, value: 700 }, Entry { key: 9, value: 1 }];
    });
    let pool = settled(&book.staking.pools[&ObjectId::from_bytes([1; 32])], 4);
    assert_eq!((pool.active, pool.unbonded, pool.pending), (600 + 601, 600, 0));
    assert_eq!((pool.shares, pool.commission_bps, pool.last_epoch), (1000, 700, 4));
    assert_eq!(rate_at(&pool, 3), Rate::Variable { tokens: 1200, shares: 1000 });
    assert_eq!(pool.pending_commission.len(), 1);
    assert_eq!(stake_at(&book.staking.pools[&ObjectId::from_bytes([1; 32])], 4, 5), 1201);
}

#[test]
fn a_receipt_worth_no_share_cannot_be_asked_back() {
    let book = edit(|pool| {
        pool.rates = Rows::from_iter([(2, Rate::Variable { tokens: 10 * WAL, shares: 1 })]);
    });
    let position = Position::new(&book.staking, sample_receipt(7, 1, 2, None)).unwrap();
    let refused = position.check(date).unwrap_err();
    assert!(refused.message().contains("less than one share"), "{refused}");
}

#[test]
fn stake_that_the_ledger_would_refuse_is_refused_before() {
    let refused = |book: &StakeBook, node, amount| StakePlan::new(book, node, amount).unwrap_err();
    let small = refused(&sample_book(), ObjectId::from_bytes([1; 32]), WAL - 1);
    assert_eq!(small.kind(), Kind::Usage);
    assert!(small.next_step().contains("1 WAL or more"), "{}", small.next_step());
    assert_eq!(refused(&sample_book(), ObjectId::from_bytes([77; 32]), WAL).kind(), Kind::NotFound);
    let leaving = edit(|pool| pool.node.status = EXITING);
    assert_eq!(refused(&leaving, ObjectId::from_bytes([1; 32]), WAL).kind(), Kind::Permission);
    let plan = StakePlan::new(&sample_book(), ObjectId::from_bytes([1; 32]), WAL).unwrap();
    plan.affordable(WAL).unwrap();
    assert_eq!(plan.affordable(WAL - 1).unwrap_err().kind(), Kind::Funds);
}

#[test]
fn a_name_that_two_nodes_have_names_neither() {
    let mut book = sample_book();
    let find = |book: &StakeBook, text: &str| find_node(&book.staking, text);
    assert_eq!(find(&book, "tern").unwrap(), ObjectId::from_bytes([1; 32]));
    let id = ObjectId::from_bytes([2; 32]).to_string();
    assert_eq!(find(&book, &id).unwrap(), ObjectId::from_bytes([2; 32]));
    for unknown in ["Tern", "", "0x12", &ObjectId::from_bytes([77; 32]).to_string()] {
        assert_eq!(find(&book, unknown).unwrap_err().kind(), Kind::NotFound, "{unknown}");
    }
    book.staking.pools.insert(ObjectId::from_bytes([4; 32]), sample_pool(4, "tern", 1).into());
    let refused = find(&book, "tern").unwrap_err();
    assert_eq!(refused.kind(), Kind::Usage);
    assert!(refused.next_step().contains(&ObjectId::from_bytes([4; 32]).to_string()), "{refused}");
}

#[test]
fn all_receipts_move_together_and_those_that_wait_are_named() {
    let plan = |receipts, which| WithdrawalPlan::new(&sample_book(), receipts, which, date);
    let all = || vec![sample_receipt(7, 1, 2, None), sample_receipt(9, 2, 2, Some(6))];
    let some = plan(all(), Which::All(None)).unwrap();
    assert_eq!((some.items.len(), some.skipped.len(), some.pays()), (1, 1, 0));
    let none =
        plan(all().split_off(1), Which::All(Some(ObjectId::from_bytes([1; 32])))).unwrap_err();
    assert!(none.message().contains("epoch 6"), "{none}");
    for which in [
        Which::Receipt(ObjectId::from_bytes([77; 32])),
        Which::All(Some(ObjectId::from_bytes([2; 32]))),
    ] {
        assert_eq!(plan(all(), which).unwrap_err().kind(), Kind::NotFound);
    }
    let many = (0..101).map(|_| sample_receipt(7, 1, 5, None)).collect();
    let many = plan(many, Which::All(None)).unwrap();
    assert_eq!((many.items.len(), many.skipped.len()), (100, 1));
}

#[test]
fn parts_keep_the_least_stake_and_only_alike_receipts_are_joined() {
    let owned = vec![
        sample_receipt(7, 3, 2, None),
        sample_receipt(8, 1, 2, None),
        sample_receipt(9, 1, 3, None),
        sample_receipt(10, 1, 2, Some(5)),
        sample_receipt(11, 1, 2, Some(5)),
    ];
    let split =
        |amount| SplitPlan::new(&sample_book(), &owned, ObjectId::from_bytes([7; 32]), amount);
    assert_eq!(split(WAL).unwrap().amount, WAL);
    for wrong in [0, WAL - 1, 3 * WAL - 1, 3 * WAL, u64::MAX] {
        assert_eq!(split(wrong).unwrap_err().kind(), Kind::Usage, "{wrong}");
    }
    let join = |others: &[ObjectId]| JoinPlan::new(&owned, ObjectId::from_bytes([7; 32]), others);
    assert_eq!(join(&[ObjectId::from_bytes([8; 32])]).unwrap().principal, 4 * WAL);
    for wrong in [&[][..], &[9], &[7], &[8, 8]] {
        let others: Vec<_> = wrong.iter().map(|id| ObjectId::from_bytes([*id; 32])).collect();
        assert_eq!(join(&others).unwrap_err().kind(), Kind::Usage, "{wrong:?}");
    }
    let asked_back =
        JoinPlan::new(&owned, ObjectId::from_bytes([10; 32]), &[ObjectId::from_bytes([11; 32])])
            .unwrap_err();
    assert!(asked_back.message().contains("asked back"), "{asked_back}");
}

#[test]
fn rows_say_where_a_node_serves_and_what_it_earned() {
    let book = edit(|pool| {
        pool.rates.insert(3, Rate::Flat);
        pool.rates.insert(4, Rate::Variable { tokens: 1010, shares: 1000 });
        pool.pending_commission = vec![Entry { key: 6, value: 1000 }];
    });
    let rows = super::rows(&book, SortBy::Shards);
    let [tern, skua, auk] = rows.as_slice() else { panic!("{} rows", rows.len()) };
    let roles = [tern.role, skua.role, auk.role];
    assert_eq!(roles, [Role::Committee, Role::Committee, Role::Unstaked]);
    assert!(tern.is_concentrated && !auk.is_concentrated);
    assert_eq!(tern.commission_changes, [(6, 1000)]);
    let earned = tern.earned.unwrap();
    assert_eq!(earned.epoch, 3);
    assert!((earned.gain - 0.01).abs() < 1e-12 && (earned.yearly - 3.65).abs() < 1e-9);
    assert_eq!(skua.earned, None, "only one of two epochs is recorded");
    let mut outside = edit(|pool| pool.node.status = EXITING);
    outside.staking.committee.remove(0);
    let row = super::rows(&outside, SortBy::Price).into_iter().find(|row| row.name == "tern");
    assert_eq!(row.map(|row| (row.role, row.next_stake)), Some((Role::Outside, 0)));
    let next = super::rows(&selected(book, &[3]), SortBy::Price);
    assert_eq!(next.iter().filter(|row| row.role == Role::Next).count(), 1);
}

#[test]
fn the_next_selection_is_half_an_epoch_after_the_last_sync() {
    const DAY: u64 = 86_400_000;
    let at = |state| {
        let mut book = sample_book();
        book.staking.state = state;
        next_selection(&book).at_ms
    };
    assert_eq!(at(EpochState::Done { since_ms: 10 }), 10 + DAY / 2);
    assert_eq!(at(EpochState::Sync { weight: 1, started_ms: 10 }), 10 + DAY / 2);
    assert_eq!(at(EpochState::Selected { since_ms: 10 }), 10 + DAY + DAY / 2);
    assert_eq!(next_selection(&selected(sample_book(), &[1])).epoch, 6);
}

#[test]
fn a_node_leaves_with_its_bond_two_epochs_after_its_last_duty() {
    let exiting = |asked, serves: bool, next: bool| {
        let mut book = edit(|pool| {
            (pool.node.status, pool.exit_epoch) = (EXITING, Some(asked));
        });
        if !serves {
            book.staking.committee.remove(0);
        }
        let book = if next { selected(book, &[1]) } else { book };
        exit_step(&book.staking, &book.staking.pools[&ObjectId::from_bytes([1; 32])])
    };
    assert_eq!(exiting(4, true, false), ExitStep::Wait(6));
    assert_eq!(exiting(2, true, false), ExitStep::Wait(5));
    assert_eq!(exiting(2, false, true), ExitStep::Wait(6));
    assert_eq!(exiting(3, false, false), ExitStep::Wait(5));
    assert_eq!(exiting(2, false, false), ExitStep::WithdrawBond);
    let book = sample_book();
    assert_eq!(
        exit_step(&book.staking, &book.staking.pools[&ObjectId::from_bytes([1; 32])]),
        ExitStep::Request
    );
    assert_eq!(
        bond_free_from(&book.staking, &book.staking.pools[&ObjectId::from_bytes([1; 32])]),
        6
    );
}

#[test]
fn a_cap_is_found_alone_or_by_the_name_of_ones_own_node() {
    let mut book = sample_book();
    book.staking.pools.insert(ObjectId::from_bytes([4; 32]), sample_pool(4, "tern", 1).into());
    let cap = |id: u8| NodeCap {
        id: ObjectId::from_bytes([0xc0 + id; 32]),
        node_id: ObjectId::from_bytes([id; 32]),
    };
    let own = |caps: &[u8], node| {
        let caps: Vec<_> = caps.iter().map(|id| cap(*id)).collect();
        own_cap(&book.staking, &caps, node)
    };
    assert_eq!(own(&[1], None).unwrap(), cap(1));
    assert_eq!(own(&[1, 2], Some("tern")).unwrap(), cap(1), "one's own before a stranger's");
    assert_eq!(own(&[], None).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(own(&[1, 2], None).unwrap_err().kind(), Kind::Usage);
    assert_eq!(own(&[1], Some("skua")).unwrap_err().kind(), Kind::Permission);
}

#[test]
fn a_registration_that_cannot_work_is_refused_before_the_bond_is_paid() {
    let application = |change: fn(&mut Application)| {
        let mut application = Application {
            registration: NodeRegistration {
                name: "late".to_owned(),
                multiaddrs: vec![vec![4, 127, 0, 0, 1]],
                bond: WAL,
                commission_bps: 500,
                asks: Asks::default(),
                capacity: 1,
                metadata: Vec::new(),
            },
            addresses: vec!["/ip4/127.0.0.1/udp/1/quic-v1".to_owned()],
            peer_key: [7; 32],
            bls_public_key: vec![7; 48],
        };
        change(&mut application);
        let mut book = sample_book();
        book.staking.by_peer.insert(vec![8; 32], ObjectId::from_bytes([1; 32]));
        book.staking.by_bls.insert(vec![8; 48], ObjectId::from_bytes([1; 32]));
        application.check(&book)
    };
    application(|_| ()).unwrap();
    type Change = fn(&mut Application);
    let cases: [(Change, &str); 9] = [
        (|it| it.registration.name = " ".to_owned(), "name"),
        (|it| it.registration.name = "x".repeat(101), "name"),
        (|it| it.registration.bond = WAL - 1, "bond"),
        (|it| it.addresses.clear(), "addresses, not 0"),
        (|it| it.addresses = vec!["/ip4/0.0.0.0/udp/1/quic-v1".to_owned()], "no place"),
        (|it| it.addresses = vec!["/ip4/1.2.3.4/tcp/0".to_owned()], "no port"),
        (|it| it.registration.metadata = vec![Default::default(); 2], "two texts"),
        (|it| it.peer_key = [8; 32], "already"),
        (|it| it.bls_public_key = vec![8; 48], "already"),
    ];
    for (change, said) in cases {
        let refused = application(change).unwrap_err();
        assert!(refused.message().contains(said), "{said}: {refused}");
    }
}
