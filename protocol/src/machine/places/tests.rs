//! Places, without a network: tables of what must happen, and random comings and goings.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ROOM: Room = Room { total: 12, of_subnet: 8, of_address: 6 };

fn address(third: u8, last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, third, last).into()
}

fn nobody(_: &u32) -> bool {
    false
}

#[test]
fn a_newcomer_on_a_full_address_replaces_the_guest_that_was_useful_longest_ago() {
    let mut places = Places::new(ROOM);
    for id in 0..6 {
        assert_eq!(places.enter(id, address(1, 1), nobody), Entry::Free);
    }
    places.used(&0);
    assert_eq!(places.enter(6, address(1, 1), nobody), Entry::InsteadOf(1));
    assert_eq!(places.enter(7, address(1, 1), |id| *id == 2), Entry::InsteadOf(3));
    assert_eq!(places.enter(8, address(1, 1), |_| true), Entry::Refused);
    assert_eq!(places.len(), 6);
}

#[test]
fn strangers_of_one_subnet_leave_room_for_everybody_else() {
    let mut places = Places::new(ROOM);
    let mut entries = (0..100).map(|id| places.enter(u32::from(id), address(1, id), |_| true));
    assert_eq!(entries.by_ref().filter(|entry| *entry == Entry::Free).count(), ROOM.of_subnet);
    for id in 100..104 {
        assert_eq!(places.enter(id, address(2, 1), |_| true), Entry::Free);
    }
}

#[test]
fn whoever_comes_from_where_few_are_replaces_somebody_from_where_most_are() {
    let mut places = Places::new(ROOM);
    for id in 0..8u8 {
        places.enter(u32::from(id), address(1, id % 2), nobody);
    }
    for id in 8..12 {
        places.enter(id, address(2, 1), nobody);
    }
    assert_eq!(places.enter(12, address(3, 1), nobody), Entry::InsteadOf(0));
    assert_eq!(places.enter(13, address(3, 2), |id| *id < 8), Entry::InsteadOf(8));
    // Its own subnet is as crowded as any other: nobody leaves for it but its own neighbours.
    assert_eq!(places.enter(14, address(1, 9), |id| *id < 8), Entry::Refused);
}

#[test]
fn subnets_are_24_bits_of_ipv4_however_it_is_written_and_48_of_ipv6() {
    let parse = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(subnet_of(parse("192.0.2.77")), parse("192.0.2.0"));
    assert_eq!(subnet_of(parse("::ffff:192.0.2.77")), parse("192.0.2.0"));
    assert_eq!(subnet_of(parse("2001:db8:1:2::3")), parse("2001:db8:1::"));
}

#[derive(Clone, Debug)]
enum Step {
    Enter { third: u8, last: u8, busy_below: u32 },
    Leave(u32),
    Used(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4u8, 0..3u8, 0..40u32)
            .prop_map(|(third, last, busy_below)| Step::Enter { third, last, busy_below }),
        1 => (0..60u32).prop_map(Step::Leave),
        1 => (0..60u32).prop_map(Step::Used),
    ]
}

proptest! {
    #[test]
    fn no_order_of_comings_and_goings_breaks_a_bound_or_drives_out_the_busy(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut places = Places::new(ROOM);
        let mut inside = BTreeSet::new();
        for (id, step) in (0u32..).zip(steps) {
            match step {
                Step::Enter { third, last, busy_below } => {
                    match places.enter(id, address(third, last), |id| *id < busy_below) {
                        Entry::Free => {}
                        Entry::InsteadOf(leaving) => {
                            prop_assert!(leaving >= busy_below && inside.remove(&leaving));
                        }
                        Entry::Refused => continue,
                    }
                    inside.insert(id);
                }
                Step::Leave(id) => {
                    places.leave(&id);
                    inside.remove(&id);
                }
                Step::Used(id) => places.used(&id),
            }
            prop_assert_eq!(places.guests.keys().copied().collect::<BTreeSet<_>>(), inside.clone());
            prop_assert!(places.len() <= ROOM.total);
            prop_assert!(places.of_address.values().all(|count| *count <= ROOM.of_address));
            prop_assert!(places.of_subnet.values().all(|count| *count <= ROOM.of_subnet));
            prop_assert_eq!(places.of_address.values().sum::<usize>(), places.len());
            prop_assert_eq!(places.of_subnet.values().sum::<usize>(), places.len());
        }
    }

    #[test]
    fn whoever_is_alone_on_its_subnet_gets_in_while_anybody_is_idle(
        before in prop::collection::vec((0..4u8, 0..3u8), 0..60),
    ) {
        let mut places = Places::new(ROOM);
        for (id, (third, last)) in (0u32..).zip(before) {
            places.enter(id, address(third, last), nobody);
        }
        // More subnets than places have one guest each: then everybody is from where few are.
        prop_assert_ne!(places.enter(1_000, address(200, 1), nobody), Entry::Refused);
    }

    #[test]
    fn whoever_shares_an_address_with_an_attacker_gets_in(attackers in 1..100u32) {
        let mut places = Places::new(ROOM);
        for id in 0..attackers {
            places.enter(id, address(1, 1), nobody);
        }
        prop_assert_ne!(places.enter(1_000, address(1, 1), nobody), Entry::Refused);
    }
}
