//! Checks that the addresses to listen on are free before anything else is started.
//!
//! Promises: a port that another program holds is named, although the swarm's own sockets would
//! share it silently. Does not: reserve ports; the swarm binds them a moment later.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use crate::error::{Error, Kind, Result};

/// Fails with [`Kind::PortInUse`] when one of these multiaddrs cannot be bound.
pub(crate) fn check_free(addresses: &[String]) -> Result<()> {
    for address in addresses {
        let Some((socket, tcp)) = socket(address) else { continue };
        let bound = if tcp {
            TcpListener::bind(socket).map(drop)
        } else {
            UdpSocket::bind(socket).map(drop)
        };
        bound.map_err(|error| not_bound(address, error))?;
    }
    Ok(())
}

/// The error for an address that cannot be bound.
pub(crate) fn not_bound(address: &str, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        ErrorKind::AddrInUse => Kind::PortInUse,
        ErrorKind::PermissionDenied => Kind::Permission,
        _ => Kind::Config,
    };
    Error::new(kind, format!("cannot listen on {address}"))
        .because(error)
        .detail("address", address)
}

/// The socket of `/ip4|ip6/<address>/tcp|udp/<port>...`; a port of 0 is always free.
fn socket(address: &str) -> Option<(SocketAddr, bool)> {
    let mut parts = address.split('/').skip(1);
    let ip: IpAddr = match parts.next()? {
        "ip4" | "ip6" => parts.next()?.parse().ok()?,
        _ => return None,
    };
    let tcp = match parts.next()? {
        "tcp" => true,
        "udp" => false,
        _ => return None,
    };
    let port: u16 = parts.next()?.parse().ok()?;
    (port != 0).then_some((SocketAddr::new(ip, port), tcp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp_address = format!("/ip4/127.0.0.1/tcp/{}", tcp.local_addr().unwrap().port());
        let udp_address =
            format!("/ip4/127.0.0.1/udp/{}/quic-v1", udp.local_addr().unwrap().port());
        for address in [tcp_address, udp_address] {
            let error = check_free(std::slice::from_ref(&address)).unwrap_err();
            assert_eq!(error.kind(), Kind::PortInUse);
            assert!(error.message().contains(&address), "{error}");
        }
    }

    #[test]
    fn free_ports_and_names_pass() {
        let addresses = ["/ip4/127.0.0.1/tcp/0", "/dns4/n1.example/tcp/31416"];
        check_free(&addresses.map(str::to_owned)).unwrap();
    }
}
