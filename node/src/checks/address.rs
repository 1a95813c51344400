//! At which addresses others reach a node, and how far those reach.
//!
//! Promises: what is guessed is one of this machine's own addresses. Does not: send a packet, or know of routers in between;
//! peers that dial back do (`haulout node check`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use haulout_protocol::machine::dialling::{Reach, reach};

use super::Check;

/// The IP address that a multiaddr begins with; nothing if it begins with a name.
pub(crate) fn ip_of(address: &str) -> Option<IpAddr> {
    let mut parts = address.split('/').skip(1);
    match parts.next()? {
        "ip4" | "ip6" => parts.next()?.parse().ok(),
        _ => None,
    }
}

/// Where others reach who listens at these addresses: themselves, and for "all addresses" the one from which this machine
/// speaks to its peers; nothing for those it cannot tell.
pub fn reached_at(listen: &[String], bootstrap: &[String]) -> Vec<String> {
    let concrete = |address: &String| match ip_of(address) {
        Some(ip) if ip.is_unspecified() => {
            with_ip(address, source_towards(bootstrap, ip.is_ipv6())?)
        }
        _ => Some(address.clone()),
    };
    listen.iter().filter_map(concrete).collect()
}

/// Where others reach who listens at these addresses and is seen at this one.
pub fn at(seen: IpAddr, listen: &[String]) -> Vec<String> {
    let of_kind =
        |address: &&String| ip_of(address).is_some_and(|ip| ip.is_ipv6() == seen.is_ipv6());
    listen.iter().filter(of_kind).filter_map(|address| with_ip(address, seen)).collect()
}

/// The multiaddr with another IP address.
fn with_ip(address: &str, ip: IpAddr) -> Option<String> {
    let (at, _) = address.match_indices('/').nth(2)?;
    let kind = if ip.is_ipv6() { "ip6" } else { "ip4" };
    Some(format!("/{kind}/{ip}{}", &address[at..]))
}

/// The address from which this machine speaks to the first of these peers that has one of this kind.
fn source_towards(bootstrap: &[String], is_ipv6: bool) -> Option<IpAddr> {
    let peers = bootstrap.iter().filter_map(|address| ip_of(address));
    let peer = peers.into_iter().find(|ip| ip.is_ipv6() == is_ipv6)?;
    let any: IpAddr =
        if is_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    // Connecting a UDP socket sends nothing: the system only chooses the way.
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(peer, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

/// Whether the addresses under which a node will be known reach as far as its peers, and somebody came in at one of them: these
/// are those at which `came_in` peers see this machine.
pub fn addresses(known_at: &[String], bootstrap: &[String], came_in: &[IpAddr]) -> Check {
    let next = "name the address others reach this machine at: --external /ip4/203.0.113.7/udp/31416/quic-v1 (network.external)";
    if known_at.is_empty() {
        return Check::doubtful(
            "address",
            "it cannot be told at which address others reach this machine",
            next,
        );
    }
    let shown = known_at.join(", ");
    let far = |address: &String| ip_of(address).map_or(Reach::Public, reach);
    let (ours, peers) =
        (known_at.iter().map(far).max_by_key(rank), bootstrap.iter().map(far).max_by_key(rank));
    match (ours, peers) {
        (Some(Reach::Nowhere), _) => {
            Check::doubtful("address", format!("{shown}: nobody can dial that"), next)
        }
        (Some(ours), Some(peers)) if rank(&ours) < rank(&peers) => {
            let found = format!("{shown}: this is within {}, and the peers are not", place(ours));
            Check::doubtful("address", found, next)
        }
        _ if known_at.iter().filter_map(|it| ip_of(it)).any(|ip| came_in.contains(&ip)) => {
            Check::good("address", shown)
        }
        // Peers dial the address that they see, never the one that is stated.
        _ => Check::doubtful(
            "address",
            format!("{shown}: not confirmed, no peer came in there"),
            "see from outside whether this machine is reached there; once peers see it at that address they confirm it by themselves",
        ),
    }
}

fn rank(reach: &Reach) -> u8 {
    match reach {
        Reach::Nowhere => 0,
        Reach::Loopback => 1,
        Reach::Private => 2,
        Reach::Public => 3,
    }
}

fn place(reach: Reach) -> &'static str {
    match reach {
        Reach::Loopback => "this machine",
        _ => "a private network",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn who_listens_everywhere_is_reached_where_it_speaks_from() {
        let bootstrap = texts(&["/dns4/a.example/tcp/1/p2p/x", "/ip4/127.0.0.1/tcp/1/p2p/x"]);
        let listen = texts(&["/ip4/0.0.0.0/udp/4/quic-v1", "/ip4/10.0.0.1/tcp/4", "/ip6/::/tcp/4"]);
        let expected = texts(&["/ip4/127.0.0.1/udp/4/quic-v1", "/ip4/10.0.0.1/tcp/4"]);
        assert_eq!(reached_at(&listen, &bootstrap), expected);
        assert_eq!(reached_at(&listen[..1], &[]), Vec::<String>::new());
    }

    #[test]
    fn an_address_that_reaches_less_far_than_the_peers_is_told() {
        let of = |ours: &[&str], peers: &[&str]| {
            let here: Vec<IpAddr> = ours.iter().filter_map(|it| ip_of(it)).collect();
            addresses(&texts(ours), &texts(peers), &here).outcome
        };
        assert_eq!(of(&["/ip4/127.0.0.1/tcp/1"], &["/ip4/127.0.0.1/tcp/2/p2p/x"]), Outcome::Good);
        assert_eq!(
            of(&["/ip4/192.168.1.5/tcp/1"], &["/ip4/8.8.8.8/tcp/2/p2p/x"]),
            Outcome::Doubtful
        );
        assert_eq!(of(&["/ip4/8.8.4.4/tcp/1"], &["/ip4/8.8.8.8/tcp/2/p2p/x"]), Outcome::Good);
        assert_eq!(of(&[], &[]), Outcome::Doubtful);
    }

    #[test]
    fn an_address_at_which_nobody_came_in_is_not_called_confirmed() {
        let seen = [IpAddr::from([203, 0, 113, 7])];
        let peers = texts(&["/ip4/8.8.8.8/tcp/2/p2p/x"]);
        for (stated, outcome) in [
            ("/ip4/203.0.113.7/tcp/1", Outcome::Good),
            ("/ip4/203.0.113.9/tcp/1", Outcome::Doubtful),
            ("/dns4/me.example/tcp/1", Outcome::Doubtful),
        ] {
            let found = addresses(&texts(&[stated]), &peers, &seen);
            assert_eq!(found.outcome, outcome, "{found:?}");
            let is_said = found.found.contains("not confirmed");
            assert_eq!(is_said, outcome == Outcome::Doubtful, "{found:?}");
        }
    }
}
