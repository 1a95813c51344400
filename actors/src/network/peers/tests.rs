//! The peer book, without a network.

use super::*;

fn sample_peer(seed: usize) -> PeerId {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    PeerId::from_key(key)
}

fn sample_address(port: u16) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("a valid address")
}

#[test]
fn three_lies_ban_a_peer_and_time_ends_the_ban() {
    let (mut book, liar, now) = (PeerBook::default(), sample_peer(1), Instant::now());
    assert_eq!(book.blame(liar, Blame::WrongBytes, now), Penalty::None);
    assert_eq!(book.blame(liar, Blame::WrongProof, now), Penalty::None);
    assert!(!book.is_banned(&liar));
    assert_eq!(book.blame(liar, Blame::WrongBytes, now), Penalty::Ban);
    assert!(book.is_banned(&liar));
    assert!(book.peers().is_banned(&liar));
    assert_eq!(book.peers().blamed[&liar][&Blame::WrongBytes], 2);

    assert!(book.end_bans(now + limits::BAN_DURATION / 2).is_empty());
    let over = now + limits::BAN_DURATION;
    assert_eq!(book.end_bans(over), [liar]);
    assert!(!book.is_banned(&liar));
    assert_eq!(book.blame(liar, Blame::WrongBytes, over), Penalty::None, "it starts afresh");
}

#[test]
fn lies_far_apart_are_forgiven() {
    let (mut book, clumsy, start) = (PeerBook::default(), sample_peer(1), Instant::now());
    for lie in 0..10 {
        let later = start + FORGIVE_EACH * 45 * lie;
        assert_eq!(book.blame(clumsy, Blame::WrongBytes, later), Penalty::None);
    }
}

#[test]
fn silence_is_counted_but_never_banned() {
    let (mut book, silent) = (PeerBook::default(), sample_peer(1));
    for _ in 0..1000 {
        assert_eq!(book.blame(silent, Blame::Silent, Instant::now()), Penalty::None);
    }
    assert_eq!(book.peers().blamed[&silent][&Blame::Silent], 1000);
}

#[test]
fn slow_streams_cost_a_peer_its_connections_and_a_flood_of_them_its_entry() {
    let (mut book, slow, now) = (PeerBook::default(), sample_peer(1), Instant::now());
    let penalties: Vec<_> = (0..20).map(|_| book.blame(slow, Blame::Slow, now)).collect();
    for (place, penalty) in (1..).zip(&penalties[..19]) {
        let expected = if place % 4 == 0 { Penalty::Disconnect } else { Penalty::None };
        assert_eq!(*penalty, expected, "stream {place}");
    }
    assert_eq!(penalties[19], Penalty::Ban);
    let patient = sample_peer(2);
    for hour in 0..100 {
        let then = now + Duration::from_secs(600) * hour;
        assert_ne!(book.blame(patient, Blame::Slow, then), Penalty::Ban, "a bad line");
    }
}

#[test]
fn the_book_stays_bounded_and_keeps_committee_members() {
    let mut book = PeerBook::default();
    let member = sample_peer(usize::MAX);
    book.state_addresses(member, vec![sample_address(1)]);
    for seed in 0..limits::PEERS_KNOWN_MAX + 10 {
        book.hear_address(sample_peer(seed), sample_address(2));
    }
    assert_eq!(book.entries.len(), limits::PEERS_KNOWN_MAX);
    assert_eq!(book.addresses(&member), [sample_address(1)]);
}

#[test]
fn stated_addresses_come_first_and_hints_stay_bounded() {
    let (mut book, peer) = (PeerBook::default(), sample_peer(1));
    book.state_addresses(peer, vec![sample_address(1)]);
    for port in 1..100 {
        book.hear_address(peer, sample_address(port));
    }
    let addresses = book.addresses(&peer);
    assert_eq!(addresses[..2], [sample_address(1), sample_address(99)]);
    assert_eq!(addresses.len(), 1 + limits::ADDRESSES_HEARD_MAX);
}

#[test]
fn what_is_expected_of_a_peer_follows_what_it_did() {
    let (mut book, peer) = (PeerBook::default(), sample_peer(1));
    let at = Timestamp;
    assert_eq!(book.pace(&peer, at(0), 1), Pace::Untried);
    let sample = Sample { wait_ms: 12, bytes: 0, transfer_ms: 0, is_whole: true };
    book.answered(peer, at(0), sample);
    assert_eq!(book.pace(&peer, at(1), 1), Pace::Expected { milliseconds: 12 });
    book.fell_silent(peer, at(2));
    assert_eq!(book.pace(&peer, at(3), 1), Pace::Silent { times: 1 });
    book.answered(peer, at(4), sample);
    assert_eq!(book.pace(&peer, at(5), 1), Pace::Expected { milliseconds: 12 }, "forgiven");
    let now = Instant::now();
    while book.blame(peer, Blame::WrongBytes, now) != Penalty::Ban {}
    assert_eq!(book.pace(&peer, at(6), 1), Pace::Banned);
}

#[test]
fn an_address_is_stated_as_long_as_anybody_has_it() {
    let mut book = PeerBook::default();
    let (first, second) = (sample_peer(1), sample_peer(2));
    book.state_addresses(first, vec![sample_address(1), sample_address(2)]);
    book.state_addresses(second, vec![sample_address(1)]);
    book.hear_address(second, sample_address(3));
    book.state_addresses(first, vec![sample_address(4)]);
    let stated = |port| book.is_stated(&sample_address(port));
    assert_eq!([1, 2, 3, 4].map(stated), [true, false, false, true]);
    book.state_addresses(second, Vec::new());
    assert!(!book.is_stated(&sample_address(1)));
}

#[test]
fn strangers_that_are_gone_are_forgotten_and_with_faults_only_once_these_are_forgiven() {
    let (mut book, start) = (PeerBook::default(), Instant::now());
    let [gone, connected, stated, member, clumsy] = [1, 2, 3, 4, 5].map(sample_peer);
    for peer in [gone, connected, member] {
        book.connected(peer);
        book.hear_address(peer, sample_address(1));
    }
    book.set_members(BTreeSet::from([member]));
    book.state_addresses(stated, vec![sample_address(2)]);
    book.blame(clumsy, Blame::Malformed, start);
    book.disconnected(gone);
    book.disconnected(member);
    book.forget_gone(start);
    assert_eq!(book.entries.len(), 5, "it may come back at once");
    let later = Instant::now() + limits::STRANGERS_REMEMBERED;
    book.forget_gone(later);
    assert!(!book.entries.contains_key(&gone));
    assert_eq!(book.entries.len(), 4);
    book.forget_gone(start + FORGIVE_EACH * 26);
    assert_eq!(book.entries.len(), 3, "a malformed frame is 25 points");
    assert!(!book.entries.contains_key(&clumsy));
}
