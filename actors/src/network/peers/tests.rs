use super::*;

fn sample_peer(seed: usize) -> PeerId {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    PeerId::from_key(key)
}

fn sample_address(port: u16) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("a valid address")
}

#[tokio::test(start_paused = true)]
async fn three_lies_ban_a_peer_and_time_ends_the_ban() {
    let (mut book, liar) = (PeerBook::default(), sample_peer(1));
    assert!(!book.blame(liar, Blame::WrongBytes));
    assert!(!book.blame(liar, Blame::WrongProof));
    assert!(!book.is_banned(&liar));
    assert!(book.blame(liar, Blame::WrongBytes));
    assert!(book.is_banned(&liar));
    assert_eq!(book.peers().banned, [liar]);
    assert_eq!(book.peers().blamed[&liar][&Blame::WrongBytes], 2);

    tokio::time::advance(limits::BAN_DURATION + Duration::from_secs(1)).await;
    assert_eq!(book.end_bans(), [liar]);
    assert!(!book.is_banned(&liar));
    assert!(!book.blame(liar, Blame::WrongBytes), "it starts afresh");
}

#[tokio::test(start_paused = true)]
async fn lies_far_apart_are_forgiven() {
    let (mut book, clumsy) = (PeerBook::default(), sample_peer(1));
    for _ in 0..10 {
        assert!(!book.blame(clumsy, Blame::WrongBytes));
        tokio::time::advance(FORGIVE_EACH * 45).await;
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_counted_but_never_banned() {
    let (mut book, silent) = (PeerBook::default(), sample_peer(1));
    for _ in 0..1000 {
        assert!(!book.blame(silent, Blame::Silent));
    }
    assert_eq!(book.peers().blamed[&silent][&Blame::Silent], 1000);
}

#[tokio::test]
async fn the_book_stays_bounded_and_keeps_committee_members() {
    let mut book = PeerBook::default();
    let member = sample_peer(usize::MAX);
    book.state_addresses(member, vec![sample_address(1)]);
    for seed in 0..limits::PEERS_KNOWN_MAX + 10 {
        book.hear_address(sample_peer(seed), sample_address(2));
    }
    assert_eq!(book.entries.len(), limits::PEERS_KNOWN_MAX);
    assert_eq!(book.addresses(&member), [sample_address(1)]);
}

#[tokio::test]
async fn stated_addresses_come_first_and_hints_stay_bounded() {
    let (mut book, peer) = (PeerBook::default(), sample_peer(1));
    book.state_addresses(peer, vec![sample_address(1)]);
    for port in 1..100 {
        book.hear_address(peer, sample_address(port));
    }
    let addresses = book.addresses(&peer);
    assert_eq!(addresses[..2], [sample_address(1), sample_address(99)]);
    assert_eq!(addresses.len(), 1 + limits::ADDRESSES_PER_PEER_MAX);
}
