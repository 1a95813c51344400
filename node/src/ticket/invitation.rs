//! Making a ticket of what a node or a client knows.
//!
//! Promises: the addresses that reach the farthest come first, of as many peers as fit. Does not: see whether anybody is there.

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
    /// [`Kind::Config`] if the configuration names no peer that others could dial.
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
        if self.chain.trusted.is_none() {
            said.push("it names no checkpoint to trust (chain.trusted): whoever uses it believes the ledger's first answer");
        }
        said
    }
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
