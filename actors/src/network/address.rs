//! What a multiaddr says, and how it is written.
//!
//! Promises: these functions only read and rewrite; no name is looked up and nothing is dialled.
//! Does not: believe that anybody is there.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol as Part;

use super::NetworkError;

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

/// Whether an address stays inside one machine.
pub(super) fn is_loopback(address: &Multiaddr) -> bool {
    address.iter().any(|part| match part {
        Part::Ip4(ip) => ip.is_loopback(),
        Part::Ip6(ip) => ip.is_loopback(),
        _ => false,
    })
}

/// Whether an address is dialled over TCP.
pub(super) fn is_tcp(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Part::Tcp(_)))
}

/// The address without the peer id at its end.
pub(super) fn without_peer(address: Multiaddr) -> Multiaddr {
    address.into_iter().filter(|part| !matches!(part, Part::P2p(_))).collect()
}

/// The IP address in it; nothing if it names a host, or a way through a relay.
pub(super) fn ip_of(address: &Multiaddr) -> Option<std::net::IpAddr> {
    match address.iter().next()? {
        Part::Ip4(ip) => Some(ip.into()),
        Part::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
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
pub(super) fn tcp_socket(address: &Multiaddr) -> Option<std::net::SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Part::Ip4(ip) => std::net::IpAddr::V4(ip),
        Part::Ip6(ip) => std::net::IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Part::Tcp(port) if port != 0 => Some((ip, port).into()),
        _ => None,
    }
}
