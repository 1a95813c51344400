//! Who gets in, who goes, and that no script of comings and goings breaks the shares.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    members: 4,
    payers: 4,
    strangers: 8,
    payers_per_blob: 2,
    first_grace_ms: 500,
    grace_ms: 2_000,
    bytes_per_second: 32 * 1024,
};

const FAST: Progress = Progress { moved: 1 << 20, waited_ms: 100, waiting_ms: 10 };

fn guest(peer: u16, address: [u8; 4], class: Class) -> Guest {
    let mut key = [0; 32];
    key[..2].copy_from_slice(&peer.to_le_bytes());
    Guest { peer: PeerId::from_key(key), address: Some(IpAddr::from(address)), class }
}

fn stranger(peer: u16, address: [u8; 4]) -> Guest {
    guest(peer, address, Class::Stranger)
}

/// A table filled with strangers that all make good progress.
fn full(of: impl Fn(u16) -> Guest) -> (Guests, Vec<PlaceId>) {
    let mut guests = Guests::new(LIMITS);
    let ids = (0..8).map(|number| match guests.enter(of(number), |_| FAST) {
        Entry::Free(id) => id,
        other => panic!("{other:?}"),
    });
    let ids = ids.collect();
    (guests, ids)
}

#[test]
fn members_get_in_though_strangers_hold_every_place_of_theirs() {
    let (mut guests, _) = full(|peer| stranger(peer, [10, 0, 0, 1]));
    let member = guest(99, [10, 0, 0, 1], Class::Member);
    assert!(matches!(guests.enter(member, |_| FAST), Entry::Free(_)));
}

#[test]
fn whoever_keeps_us_waiting_goes_first_and_the_slowest_of_them() {
    let (mut guests, ids) = full(|peer| stranger(peer, [10, 0, 0, 1]));
    let progress = |id: PlaceId| match id {
        id if id == ids[3] => Progress { moved: 40, waited_ms: 2_500, waiting_ms: 100 },
        id if id == ids[5] => Progress { moved: 4, waited_ms: 2_500, waiting_ms: 100 },
        _ => FAST,
    };
    let newcomer = stranger(50, [10, 0, 0, 1]);
    let Entry::InPlaceOf(_, gone) = guests.enter(newcomer, progress) else { panic!("no place") };
    assert_eq!(gone, ids[5]);
}

#[test]
fn a_guest_is_stalled_at_its_grace_and_not_before() {
    let stalled = |moved, waited_ms, waiting_ms| {
        Progress { moved, waited_ms, waiting_ms }.is_stalled(&LIMITS)
    };
    assert!(!stalled(0, 499, 499) && stalled(0, 500, 500), "it has not begun");
    assert!(!stalled(1 << 30, 1_999, 1_999) && stalled(1 << 30, 2_000, 2_000), "it pauses");
    assert!(!stalled(65_536, 2_000, 0) && stalled(65_535, 2_000, 0), "it is slow");
}

#[test]
fn where_all_are_fast_places_come_from_the_fullest_network_host_and_peer() {
    // Seven places in one network, four of them at one host, three of them one peer's.
    let seats: [(u16, [u8; 4]); 8] = [
        (1, [10, 0, 0, 1]),
        (1, [10, 0, 0, 1]),
        (1, [10, 0, 0, 1]),
        (2, [10, 0, 0, 1]),
        (3, [10, 0, 0, 2]),
        (4, [10, 0, 0, 3]),
        (5, [10, 0, 0, 4]),
        (6, [10, 9, 0, 1]),
    ];
    let of = |number: u16| {
        let (peer, address) = seats[usize::from(number)];
        stranger(peer, address)
    };
    for newcomer in
        [stranger(7, [10, 7, 0, 1]), stranger(7, [10, 0, 0, 9]), stranger(7, [10, 0, 0, 1])]
    {
        let (mut guests, ids) = full(of);
        let Entry::InPlaceOf(_, gone) = guests.enter(newcomer, |_| FAST) else {
            panic!("no place")
        };
        assert!(ids[..3].contains(&gone), "{newcomer:?} took the place of {gone:?}");
    }
    let (mut guests, _) = full(of);
    assert_eq!(
        guests.enter(stranger(1, [10, 0, 0, 1]), |_| FAST),
        Entry::Full,
        "it has most itself"
    );
}

#[test]
fn nobody_is_turned_out_for_one_who_would_have_as_much() {
    let (mut guests, _) = full(|peer| stranger(peer, [10, 0, 0, 1]));
    assert_eq!(guests.enter(stranger(50, [10, 0, 0, 1]), |_| FAST), Entry::Full);
}

#[test]
fn a_paid_writer_leaves_its_place_to_strangers_and_one_blob_has_two() {
    let (mut guests, ids) = full(|peer| stranger(peer, [10, 0, 0, 1]));
    let blob = [7; 32];
    assert_eq!(guests.promote(ids[0], blob, |_| FAST), Entry::Free(ids[0]));
    assert_eq!(guests.promote(ids[1], blob, |_| FAST), Entry::Free(ids[1]));
    assert_eq!(guests.promote(ids[2], blob, |_| FAST), Entry::Full);
    assert_eq!((guests.count(Class::Payer), guests.count(Class::Stranger)), (2, 6));
    assert!(matches!(guests.enter(stranger(50, [10, 0, 0, 1]), |_| FAST), Entry::Free(_)));
}

#[test]
fn whoever_paid_for_a_blob_is_a_stranger_again_when_that_is_done_and_goes_if_there_is_no_room() {
    let (mut guests, ids) = full(|peer| stranger(peer, [10, 0, 0, 1]));
    for (id, blob) in [(ids[0], [7; 32]), (ids[1], [8; 32])] {
        assert_eq!(guests.promote(id, blob, |_| FAST), Entry::Free(id));
    }
    assert!(guests.demote(ids[0]) && guests.demote(ids[3]), "nothing is taken from a stranger");
    assert_eq!(guests.class(ids[0]), Some(Class::Stranger));
    assert!(matches!(guests.enter(stranger(50, [10, 0, 0, 2]), |_| FAST), Entry::Free(_)));
    assert!(!guests.demote(ids[1]), "all strangers' places are taken");
    assert_eq!(guests.count(Class::Stranger), 8);
    assert_eq!(
        guests.promote(ids[0], [7; 32], |_| FAST),
        Entry::Free(ids[0]),
        "its blob's places are free"
    );
}

#[test]
fn addresses_of_one_household_are_one_host() {
    let host = |text: &str| {
        let address = Some(text.parse().expect("an address"));
        Guest { address, ..stranger(1, [0; 4]) }.host()
    };
    assert_eq!(host("2001:db8::1"), host("2001:db8::ffff:1"));
    assert_ne!(host("2001:db8::1"), host("2001:db8:0:1::1"));
    assert_eq!(host("::ffff:10.0.0.1"), host("10.0.0.1"), "IPv4 in IPv6 is IPv4");
    assert_ne!(host("10.0.0.1"), host("10.0.0.2"));
}

proptest! {
    #[test]
    fn no_script_gives_a_class_more_places_than_it_has(
        script in prop::collection::vec((0_u16..20, 0_u8..4, 0_u8..3, any::<bool>(), 0_u64..5_000), 1..200),
    ) {
        let mut guests = Guests::new(LIMITS);
        let mut inside: Vec<PlaceId> = Vec::new();
        for (peer, host, class, goes, waiting_ms) in script {
            let progress = |id: PlaceId| Progress { moved: id.0 * 10_000, waited_ms: waiting_ms, waiting_ms };
            if goes && !inside.is_empty() {
                guests.leave(inside.swap_remove(usize::from(peer) % inside.len()));
            } else {
                let class = [Class::Member, Class::Payer, Class::Stranger][usize::from(class)];
                let before = guests.count(class);
                match guests.enter(guest(peer, [10, 0, host, host], class), progress) {
                    Entry::Free(id) => {
                        prop_assert!(before < LIMITS.of(class));
                        inside.push(id);
                    }
                    Entry::InPlaceOf(id, gone) => {
                        prop_assert_eq!(before, LIMITS.of(class));
                        inside.retain(|other| *other != gone);
                        inside.push(id);
                    }
                    Entry::Full => prop_assert_eq!(before, LIMITS.of(class)),
                }
            }
            for class in [Class::Member, Class::Payer, Class::Stranger] {
                prop_assert!(guests.count(class) <= LIMITS.of(class));
            }
            prop_assert_eq!(guests.seats.len(), inside.len());
        }
    }

    #[test]
    fn one_who_has_nothing_always_gets_in_where_somebody_has_more(peers in prop::collection::vec(0_u16..4, 8)) {
        let (mut guests, _) = full(|number| stranger(peers[usize::from(number)], [10, 0, 0, 1]));
        // Eight places among at most four peers: somebody has two.
        let entry = guests.enter(stranger(50, [10, 0, 0, 1]), |_| FAST);
        prop_assert!(matches!(entry, Entry::InPlaceOf(..)), "{:?}", entry);
    }
}
