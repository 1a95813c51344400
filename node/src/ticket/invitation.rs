//! Making a ticket of what a node or a client knows.
//!
//! Promises: the addresses that reach the farthest come first, of as many peers as fit; no server goes in whose URL holds a key.
//! Does not: see whether anybody is there, or know whether a part of a URL's path is a key: that there is one is told.

use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::dialling::{Reach, reach};

use super::{PEERS_MAX, Ticket};
use crate::checks::ip_of;
use crate::config::{ChainConfig, NetworkConfig};
use crate::error::{Error, Kind, Result};

impl Ticket {
    /// A ticket for the network of this configuration; `own` is who listens at its addresses, if anybody does.
    ///
    /// # Errors
    /// [`Kind::Config`] if the configuration names no peer that others could dial, or a server of the ledger whose URL holds a
    /// name, a password or a query: whoever gets the ticket would read them.
    pub fn of(
        network: &NetworkConfig,
        chain: &ChainConfig,
        own: Option<PeerId>,
        expires_at: u64,
    ) -> Result<Ticket> {
        let bootstrap = chosen(network, own);
        if bootstrap.is_empty() {
            let message = "the configuration names no address at which others could begin";
            return Err(Error::new(Kind::Config, message).hint(
                "set network.external to the address others reach this node at, or network.bootstrap to that of another; or name one \
                 with --bootstrap /ip4/.../p2p/...",
            ));
        }
        chain.rpc.iter().enumerate().try_for_each(|(at, server)| may_be_told(at, server))?;
        Ok(Ticket { network: network.id, bootstrap, chain: chain.clone(), expires_at })
    }

    /// What the ticket's receiver should know; nothing if there is nothing to say.
    pub fn reservations(&self) -> Vec<&'static str> {
        let here = |text: &str| {
            ["127.0.0.1", "localhost", "[::1]", "/ip6/::1/"].iter().any(|it| text.contains(it))
        };
        let mut said = Vec::new();
        if self.bootstrap.iter().all(|address| ip_of(address).is_some_and(|ip| ip.is_loopback())) {
            said.push("every address in it is of this machine: it works here and nowhere else");
        } else if self.chain.rpc.iter().all(|server| here(server)) {
            said.push("every server of the ledger in it is of this machine: elsewhere it does not work (chain.rpc)");
        }
        if self.chain.rpc.iter().any(|server| has_path(server)) {
            said.push(
                "a server of the ledger in it has a path in its URL (chain.rpc): if a part of that is a key, whoever gets the ticket \
                 reads it",
            );
        }
        said.extend(self.doubts());
        said
    }

    /// What makes it hard to notice that the ledger lies; nothing if there is nothing to say.
    pub(crate) fn doubts(&self) -> Vec<&'static str> {
        let mut said = Vec::new();
        if self.chain.trusted.is_none() {
            said.push("it names no checkpoint to trust (chain.trusted): whoever uses it believes the ledger's first answer");
        }
        if self.chain.rpc.len() < 2 {
            said.push(
                "it names a single server of the ledger (chain.rpc): no other contradicts it",
            );
        }
        said
    }
}

/// Whether something stands behind the host of a URL.
fn has_path(server: &str) -> bool {
    let behind = server.split_once("://").map_or(server, |(_, behind)| behind);
    behind.split_once('/').is_some_and(|(_, path)| !path.is_empty())
}

/// Whether strangers may read this server's URL; the error does not repeat it.
pub(super) fn may_be_told(at: usize, server: &str) -> Result<()> {
    // Wherever they stand: programs differ in where they see the end of a host.
    let secret = match server {
        it if it.contains('@') => "a name or password",
        it if it.contains('?') => "a query",
        _ => return Ok(()),
    };
    let message = format!(
        "server {} of chain.rpc has {secret} in its URL, and whoever gets the ticket would read it",
        at + 1
    );
    Err(Error::new(Kind::Config, message).hint(
        "set HAULOUT_CHAIN__RPC to servers that anybody may use, for this ticket alone, and run `haulout node invite` again",
    ))
}

/// Addresses to begin at: of many peers rather than of one, those that reach far before others.
fn chosen(network: &NetworkConfig, own: Option<PeerId>) -> Vec<String> {
    let told = if network.external.is_empty() { &network.listen } else { &network.external };
    let ours = told.iter().filter_map(|address| {
        let bare = address.find("/p2p/").map_or(address.as_str(), |at| &address[..at]);
        own.map(|own| format!("{bare}/p2p/{own}"))
    });
    let candidates: Vec<String> = ours.chain(network.bootstrap.iter().cloned()).collect();
    let mut ranked: Vec<(u8, usize, String)> = Vec::new();
    for address in candidates {
        let Some(rank) = distance(&address) else { continue };
        let of_same = ranked.iter().filter(|(.., other)| peer(other) == peer(&address)).count();
        if ranked.iter().all(|(.., other)| *other != address) {
            ranked.push((rank, of_same, address));
        }
    }
    // Stable: our own come first among equals.
    ranked.sort_by_key(|(rank, of_same, _)| (*rank, *of_same));
    let nearest = ranked.first().map(|(rank, ..)| *rank);
    // One of this machine only is of no use beside one that others reach.
    let useful = ranked.into_iter().filter(|(rank, ..)| *rank < 2 || nearest == Some(*rank));
    useful.map(|(.., address)| address).take(PEERS_MAX).collect()
}

/// How far from everybody an address is; nothing if nobody can dial it.
fn distance(address: &str) -> Option<u8> {
    let has_port = !address.contains("/tcp/0/") && !address.contains("/udp/0/");
    match ip_of(address).map_or(Reach::Public, reach) {
        _ if !has_port => None,
        Reach::Public => Some(0),
        Reach::Private => Some(1),
        Reach::Loopback => Some(2),
        Reach::Nowhere => None,
    }
}

fn peer(address: &str) -> Option<&str> {
    address.rsplit_once("/p2p/").map(|(_, peer)| peer)
}

#[cfg(test)]
mod tests {
    use haulout_protocol::chain::ObjectId;
    use haulout_protocol::message::NetworkId;

    use super::*;
    use crate::config::Prefer;

    fn network(listen: &[&str], external: &[&str], bootstrap: &[&str]) -> NetworkConfig {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        NetworkConfig {
            id: NetworkId::from_bytes([7; 32]),
            bootstrap: texts(bootstrap),
            listen: texts(listen),
            external: texts(external),
            prefer: Prefer::Quic,
        }
    }

    #[test]
    fn a_node_invites_to_itself_and_to_others_that_are_reached_as_far() {
        let own = PeerId::from_key([7; 32]);
        let ours = network(
            &["/ip4/0.0.0.0/udp/1/quic-v1"],
            &["/ip4/8.8.8.8/udp/1/quic-v1", "/ip4/8.8.8.8/tcp/1"],
            &["/ip4/127.0.0.1/tcp/2/p2p/a", "/ip4/8.8.4.4/tcp/2/p2p/b", "/ip4/8.8.4.5/tcp/2/p2p/c"],
        );
        let expected = [
            format!("/ip4/8.8.8.8/udp/1/quic-v1/p2p/{own}"),
            "/ip4/8.8.4.4/tcp/2/p2p/b".to_owned(),
            "/ip4/8.8.4.5/tcp/2/p2p/c".to_owned(),
        ];
        assert_eq!(chosen(&ours, Some(own)), expected);
        let alone = network(&["/ip4/8.8.8.8/udp/1/quic-v1", "/ip4/8.8.8.8/tcp/1"], &[], &[]);
        assert_eq!(
            chosen(&alone, Some(own)).len(),
            2,
            "both transports where there is nobody else"
        );
    }

    #[test]
    fn a_server_whose_url_holds_a_key_is_in_no_ticket_and_in_no_error() {
        let peers = network(&[], &[], &["/ip4/8.8.4.4/tcp/2/p2p/b"]);
        let of = |server: &str| {
            let id = ObjectId::from_bytes([1; 32]);
            let chain = ChainConfig {
                rpc: vec!["https://a.example".to_owned(), server.to_owned()],
                package: id,
                system: id,
                staking: id,
                params: id,
                treasury: id,
                trusted: None,
            };
            Ticket::of(&peers, &chain, None, 1)
        };
        for server in
            ["https://me:hidden@b.example", "https://hidden@b.example/x", "http://b/?k=hidden"]
        {
            let error = of(server).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.message().contains("server 2 of chain.rpc"), "{error}");
            assert!(error.next_step().contains("haulout node invite`"), "{}", error.next_step());
            assert!(!format!("{error} {}", error.next_step()).contains("hidden"), "{error}");
        }
        let said = |server: &str| of(server).unwrap().reservations().concat();
        assert!(said("https://b.example:443/v1/0123abcd").contains("has a path"));
        assert!(!said("https://b.example:443").contains("has a path"));
        assert!(!said("https://b.example/").contains("has a path"));
    }

    #[test]
    fn an_address_that_nobody_can_dial_is_in_no_ticket() {
        let own = PeerId::from_key([7; 32]);
        for listen in
            ["/ip4/0.0.0.0/udp/1/quic-v1", "/ip4/127.0.0.1/udp/0/quic-v1", "/ip6/::/tcp/9"]
        {
            assert!(chosen(&network(&[listen], &[], &[]), Some(own)).is_empty(), "{listen}");
        }
        let here = network(&["/ip4/127.0.0.1/tcp/1"], &[], &["/ip4/127.0.0.1/tcp/2/p2p/b"]);
        assert_eq!(
            chosen(&here, Some(own)).len(),
            2,
            "where all are of this machine, these are it"
        );
        assert_eq!(chosen(&here, None), ["/ip4/127.0.0.1/tcp/2/p2p/b"]);
    }
}
