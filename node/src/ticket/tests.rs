//! Tickets that were written, slipped, cut off, forged and outlived.

use haulout_protocol::chain::ObjectId;
use proptest::prelude::*;

use super::*;

const PEER: &str = "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";

fn sample_ticket(peers: usize) -> Ticket {
    let id = |byte| ObjectId::from_bytes([byte; 32]);
    let address = |at| format!("/ip4/203.0.113.{at}/udp/31416/quic-v1/p2p/{PEER}");
    Ticket {
        network: NetworkId::from_bytes([7; 32]),
        bootstrap: (1..=peers).map(address).collect(),
        chain: ChainConfig {
            rpc: vec!["https://one.example".to_owned(), "http://127.0.0.1:9000".to_owned()],
            package: id(1),
            system: id(2),
            staking: id(3),
            params: id(4),
            treasury: id(5),
            trusted: Some(TrustedCheckpoint {
                sequence: 12,
                digest: CheckpointDigest([8; 32]),
                validators: Some([9; 32]),
            }),
        },
        expires_at: 1_000,
    }
}

#[test]
fn a_ticket_reads_what_it_wrote_also_when_mail_broke_its_lines() {
    for peers in 1..=PEERS_MAX {
        let ticket = sample_ticket(peers);
        let text = ticket.to_text().unwrap();
        assert_eq!(Ticket::read(&text, 1_000).unwrap(), ticket);
        let (first, second) = text.split_at(70);
        assert_eq!(Ticket::read(&format!(" {first}\r\n  {second}\n"), 0).unwrap(), ticket);
    }
    let mut named = sample_ticket(1);
    named.bootstrap = vec![format!("/dns4/boot.example/tcp/31416/p2p/{PEER}")];
    named.chain.trusted = None;
    assert_eq!(Ticket::read(&named.to_text().unwrap(), 0).unwrap(), named);
}

#[test]
fn the_text_of_a_ticket_stays_as_it_is() {
    let text = sample_ticket(1).to_text().unwrap();
    assert!(text.starts_with("haulout1AegDAAAAAAAABwcH"), "{text}");
    assert_eq!(text.len(), 556, "{text}");
}

#[test]
fn a_ticket_whose_time_is_over_says_since_when_and_whom_to_ask() {
    let text = sample_ticket(1).to_text().unwrap();
    let error = Ticket::read(&text, 1_000 + 7_210).unwrap_err();
    assert_eq!(error.kind(), Kind::Expired);
    assert!(error.message().contains("until 2 hours ago"), "{error}");
    assert!(error.next_step().contains("`haulout node invite`"), "{}", error.next_step());
}

#[test]
fn what_is_no_ticket_is_told_with_a_next_step() {
    let text = sample_ticket(2).to_text().unwrap();
    let long = format!("{PREFIX}{}", "A".repeat(CHARS_MAX));
    for garbled in
        ["", "haulout", "haulout1", "haulout1!", "0x12", &text[..text.len() - 1], &text[1..], &long]
    {
        let error = Ticket::read(garbled, 0).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{garbled}");
        assert!(error.next_step().contains("`haulout node invite`"), "{}", error.next_step());
    }
}

fn body(change: impl Fn(&mut Body)) -> String {
    let peer = network::address_to_bytes(&sample_ticket(1).bootstrap[0]).unwrap();
    let mut body = Body {
        version: VERSION,
        expires_at: 5,
        network: [0; 32],
        objects: [[1; 32]; 5],
        trusted: None,
        servers: vec!["http://a".to_owned()],
        peers: vec![peer],
    };
    change(&mut body);
    sealed(&wire::encode(&body))
}

#[test]
fn a_ticket_with_a_part_that_cannot_be_used_is_none() {
    assert!(Ticket::read(&body(|_| {}), 0).is_ok());
    let nameless = network::address_to_bytes("/ip4/203.0.113.1/tcp/1").unwrap();
    let refused = [
        body(|body| body.peers.clear()),
        body(|body| body.peers = vec![body.peers[0].clone(); PEERS_MAX + 1]),
        body(|body| body.peers = vec![b"no address".to_vec()]),
        body(|body| body.peers = vec![nameless.clone()]),
        body(|body| body.servers.clear()),
        body(|body| body.servers = vec!["ftp://a".to_owned()]),
        body(|body| body.servers = vec!["http://a b".to_owned()]),
        body(|body| body.servers = vec!["http://me:hidden@a".to_owned()]),
        body(|body| body.servers = vec!["http://a/?key=hidden".to_owned()]),
        body(|body| body.servers = vec!["http://a\u{1b}[2J".to_owned()]),
        body(|body| body.servers = vec!["http://a".to_owned(); 2]),
        body(|body| body.servers = (0..17).map(|at| format!("http://{at}")).collect()),
    ];
    for text in refused {
        assert_eq!(Ticket::read(&text, 0).unwrap_err().kind(), Kind::Usage);
    }
    let newer = Ticket::read(&body(|body| body.version = 2), 0).unwrap_err();
    assert_eq!(newer.kind(), Kind::Version);
}

#[test]
fn a_ticket_is_valid_for_a_minute_to_a_year() {
    assert_eq!(valid_for("7d").unwrap(), Duration::from_secs(7 * 86_400));
    assert_eq!(valid_for("12h").unwrap(), Duration::from_secs(43_200));
    for wrong in ["", "d", "0d", "367d", "59s", "7", "-1d", "99999999999999999999d", "7 weeks"] {
        assert!(valid_for(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_ticket_or_an_error(text in ".{0,200}", now: u64) {
        let _ = Ticket::read(&text, now);
        let _ = Ticket::read(&format!("{PREFIX}{text}"), now);
    }

    #[test]
    fn any_bytes_in_a_ticket_are_a_ticket_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
        let _ = Ticket::read(&sealed(&bytes), 0);
        let _ = Ticket::read(&sealed(&[vec![VERSION], bytes].concat()), 0);
    }

    #[test]
    fn a_slip_in_a_ticket_is_noticed(at in 0..500_usize, with in "[A-Za-z0-9_-]") {
        let text = sample_ticket(1).to_text().unwrap();
        let at = PREFIX.len() + at % (text.len() - PREFIX.len());
        let slipped = format!("{}{with}{}", &text[..at], &text[at + 1..]);
        prop_assert!(slipped == text || Ticket::read(&slipped, 0).is_err());
    }

    #[test]
    fn what_is_read_is_written_as_it_was(cut in 0..600_usize, byte: u8) {
        // Changed bodies under a right checksum: what is a ticket has one text.
        let text = sample_ticket(2).to_text().unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(&text[PREFIX.len()..]).unwrap();
        bytes.truncate(bytes.len() - CHECKSUM_BYTES);
        let at = cut % bytes.len();
        bytes[at] = byte;
        let changed = sealed(&bytes);
        if let Ok(ticket) = Ticket::read(&changed, 0) {
            prop_assert_eq!(ticket.to_text().unwrap(), changed);
        }
    }
}
