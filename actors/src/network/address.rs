//! What a multiaddr says, and how it is written.
//!
//! Promises: these functions only read and rewrite; no name is looked up and nothing is dialled.
//! Does not: believe that anybody is there.

use std::net::{IpAddr, SocketAddr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol as Part;

use super::errors::NetworkError;

/// Turns a text multiaddr into the bytes the chain stores.
pub fn address_to_bytes(text: &str) -> Result<Vec<u8>, NetworkError> {
    Ok(parse(text)?.to_vec())
}

/// Turns bytes the chain stores into a text multiaddr; nothing if they are none.
pub fn address_from_bytes(bytes: &[u8]) -> Option<String> {
    Multiaddr::try_from(bytes.to_vec()).ok().map(|address| address.to_string())
}

/// A text multiaddr, or an error that says what one looks like.
pub(super) fn parse(text: &str) -> Result<Multiaddr, NetworkError> {
    text.parse().map_err(|error: libp2p::multiaddr::Error| NetworkError::Address {
        text: text.to_owned(),
        reason: error.to_string(),
    })
}

/// The IP address in it; nothing if it names a host.
pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Part::Ip4(ip) => Some(ip.into()),
        Part::Ip6(ip) => Some(IpAddr::from(ip).to_canonical()),
        _ => None,
    }
}

/// Whether a peer at `ip` may say that this is its address: its own, and of a shape we dial.
pub(super) fn is_own(address: &Multiaddr, ip: IpAddr) -> bool {
    let parts: Vec<Part<'_>> =
        address.iter().filter(|part| !matches!(part, Part::P2p(_))).collect();
    let is_dialled =
        matches!(parts.as_slice(), [_, Part::Tcp(1..)] | [_, Part::Udp(1..), Part::QuicV1]);
    is_dialled && ip_of(address) == Some(ip)
}

/// Whether an address is dialled over TCP.
pub(super) fn is_tcp(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Part::Tcp(_)))
}

/// The address without the peer id at its end.
pub(super) fn without_peer(address: Multiaddr) -> Multiaddr {
    address.into_iter().filter(|part| !matches!(part, Part::P2p(_))).collect()
}

/// The port of a TCP or UDP address.
pub(super) fn port_of(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Part::Tcp(port) | Part::Udp(port) => Some(port),
        _ => None,
    })
}

/// The address with this port where it says "any".
pub(super) fn with_port(address: Multiaddr, port: Option<u16>) -> Multiaddr {
    let Some(port) = port else { return address };
    let fixed = address.into_iter().map(|part| match part {
        Part::Tcp(0) => Part::Tcp(port),
        Part::Udp(0) => Part::Udp(port),
        other => other,
    });
    fixed.collect()
}

/// Where a TCP multiaddr listens, if its port is fixed.
pub(super) fn tcp_socket(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Part::Ip4(ip) => IpAddr::V4(ip),
        Part::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Part::Tcp(port) if port != 0 => Some((ip, port).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_names_its_own_address_and_no_other() {
        let ip: IpAddr = "192.0.2.7".parse().unwrap();
        let peer = "12D3KooW9xk7Zp1gejwfwNpfm6L9zH5NL4Bx5rm94LRYJJHJuARZ";
        for (text, expected) in [
            ("/ip4/192.0.2.7/tcp/4001", true),
            ("/ip4/192.0.2.7/udp/4001/quic-v1", true),
            (&format!("/ip4/192.0.2.7/udp/4001/quic-v1/p2p/{peer}"), true),
            ("/ip6/::ffff:192.0.2.7/tcp/4001", true),
            ("/ip4/192.0.2.8/tcp/4001", false),
            ("/ip4/127.0.0.1/tcp/4001", false),
            ("/ip4/192.0.2.7/tcp/0", false),
            ("/ip4/192.0.2.7/udp/53", false),
            ("/ip4/192.0.2.7/tcp/4001/ws", false),
            ("/dns4/example.org/tcp/4001", false),
            (&format!("/ip4/192.0.2.7/tcp/4001/p2p/{peer}/p2p-circuit"), false),
        ] {
            assert_eq!(is_own(&parse(text).unwrap(), ip), expected, "{text}");
        }
    }
}
