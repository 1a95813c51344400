//! How the network's handle dials a peer back.
//!
//! Promises: only the address that is given is dialled, within the budget of its class, and the wait is bounded. Does not: know who asked.

use std::net::IpAddr;

use haulout_protocol::crypto::PeerId;
use haulout_protocol::wire::reach::{Door, Tried};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol as Part;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::commands::{Command, DialBack};
use super::handle::Network;
use super::identity::to_libp2p;
use crate::limits;

impl Network {
    /// Where others are told to dial us: at the configured addresses, else where we listen.
    pub fn known_at(&self) -> Vec<String> {
        let external = &self.shared.options.external;
        match external.is_empty() {
            true => self.shared.addresses.borrow().clone(),
            false => external.iter().map(ToString::to_string).collect(),
        }
    }

    /// Opens a new connection to a peer at this address, from a port that it never heard of, and closes it again.
    pub async fn dial_back(&self, peer: PeerId, ip: IpAddr, door: Door) -> Tried {
        let (reply, answer) = oneshot::channel();
        let dial = DialBack { peer: to_libp2p(&peer), ip, address: address(ip, door), reply };
        let tried = async {
            match self.shared.command(Command::DialBack(Box::new(dial))).await {
                true => answer.await.unwrap_or(Tried::NotTried),
                false => Tried::NotTried,
            }
        };
        timeout(limits::DIAL_BACK_TIMEOUT, tried).await.unwrap_or(Tried::Silent)
    }
}

/// The multiaddr of a door at an address.
fn address(ip: IpAddr, door: Door) -> Multiaddr {
    let ip = match ip.to_canonical() {
        IpAddr::V4(ip) => Part::Ip4(ip),
        IpAddr::V6(ip) => Part::Ip6(ip),
    };
    let address = Multiaddr::empty().with(ip);
    match door {
        Door::Quic(port) => address.with(Part::Udp(port)).with(Part::QuicV1),
        Door::Tcp(port) => address.with(Part::Tcp(port)),
    }
}

/// The doors that these multiaddrs have, each once, as many as one may ask about.
pub fn doors(addresses: &[String]) -> Vec<Door> {
    let mut doors = Vec::new();
    for address in addresses.iter().filter_map(|text| text.parse::<Multiaddr>().ok()) {
        let parts: Vec<Part<'_>> = address.iter().skip(1).collect();
        let door = match parts.as_slice() {
            [Part::Udp(port @ 1..), Part::QuicV1, ..] => Door::Quic(*port),
            [Part::Tcp(port @ 1..), ..] => Door::Tcp(*port),
            _ => continue,
        };
        if !doors.contains(&door) {
            doors.push(door);
        }
    }
    doors.truncate(haulout_protocol::wire::reach::DOORS_MAX);
    doors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_are_read_from_addresses_and_written_as_such() {
        let texts = [
            "/ip4/0.0.0.0/udp/7/quic-v1",
            "/ip4/10.0.0.1/udp/7/quic-v1/p2p/12D3KooW9xk7Zp1gejwfwNpfm6L9zH5NL4Bx5rm94LRYJJHJuARZ",
            "/dns4/a.example/tcp/8",
            "/ip4/0.0.0.0/udp/9",
            "/ip4/0.0.0.0/tcp/0",
            "none",
        ];
        assert_eq!(doors(&texts.map(str::to_owned)), [Door::Quic(7), Door::Tcp(8)]);
        let ip: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(address(ip, Door::Quic(7)).to_string(), "/ip4/10.0.0.1/udp/7/quic-v1");
        assert_eq!(address("::1".parse().unwrap(), Door::Tcp(8)).to_string(), "/ip6/::1/tcp/8");
    }
}
