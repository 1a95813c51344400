//! Chooses the ports of a devnet: a fixed pattern when it is free, other free ones when it is not.
//!
//! Promises: every port returned was free a moment ago, for UDP and TCP alike, and none is
//! returned twice. Does not: hold them; another program may still take one before we bind it, and
//! then whoever binds says so.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use haulout_node::error::{Error, Kind, Result};

use crate::state::{NodePorts, Settings};

/// The first port of the first devnet; the ledger takes it and the next, node i takes
/// `base + 10 i` and the next.
pub(crate) const DEFAULT_BASE: u16 = 32_000;

/// Free ports are searched here, below the range from which systems give out ports for outgoing
/// connections, so that a chosen port is not taken by a stray connection before we bind it.
const SEARCH_FIRST: u16 = 10_240;
const SEARCH_COUNT: u16 = 21_000;

/// The ports of one devnet.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) ledger: u16,
    pub(crate) faucet: u16,
    pub(crate) nodes: Vec<NodePorts>,
    /// Ports of the fixed pattern that were busy, and what was taken in their place.
    pub(crate) moved: Vec<(u16, u16)>,
}

/// Refuses a base from which the last node would have no port.
pub(crate) fn check_base(base: u16, nodes: u16) -> Result<()> {
    match u16::try_from(u32::from(base) + 10 * u32::from(nodes) + 1) {
        Err(_) if base != 0 => Err(Error::new(
            Kind::Usage,
            format!("{nodes} nodes need ports beyond 65535 from --port-base {base}"),
        )
        .hint("choose a lower --port-base, or 0 for any free ports")),
        _ => Ok(()),
    }
}

/// Ports for a ledger and so many nodes; base 0 takes any free ones.
pub(crate) fn choose(base: u16, nodes: u16) -> Result<Ports> {
    check_base(base, nodes)?;
    let mut search = Search::new();
    let mut moved = Vec::new();
    let mut take = |offset: u16| -> Result<u16> {
        let wanted = base.checked_add(offset).filter(|_| base != 0);
        match wanted {
            None => search.next(),
            Some(port) if search.taken.insert(port) && is_free(port) => Ok(port),
            Some(port) => {
                let instead = search.next()?;
                moved.push((port, instead));
                Ok(instead)
            }
        }
    };
    let (ledger, faucet) = (take(0)?, take(1)?);
    let nodes = (1..=nodes)
        .map(|node| Ok(NodePorts { peer: take(10 * node)?, http: take(10 * node + 1)? }))
        .collect::<Result<Vec<_>>>()?;
    Ok(Ports { ledger, faucet, nodes, moved })
}

/// Ports for the node of this number, which comes later: where the pattern from the ledger's port puts it if that is free,
/// else any.
pub(crate) fn one_more(settings: &Settings, number: u16) -> Result<NodePorts> {
    let mut search = Search::new();
    search.taken.extend(settings.ports());
    let pattern = number.checked_mul(10).and_then(|more| settings.ledger_port.checked_add(more));
    let mut take = |offset: u16| match pattern.and_then(|port| port.checked_add(offset)) {
        Some(port) if search.taken.insert(port) && is_free(port) => Ok(port),
        _ => search.next(),
    };
    Ok(NodePorts { peer: take(0)?, http: take(1)? })
}

/// Whether nobody on this machine listens on the port, over UDP or TCP.
pub(crate) fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

/// Walks the search range once, from a place of its own.
struct Search {
    taken: BTreeSet<u16>,
    start: u16,
    steps: u16,
}

impl Search {
    fn new() -> Self {
        let mut entropy = [0; 2];
        // Without entropy everybody starts at the same place, which is slower but as right.
        let start = getrandom::fill(&mut entropy).map_or(0, |()| u16::from_le_bytes(entropy));
        Self { taken: BTreeSet::new(), start: start % SEARCH_COUNT, steps: 0 }
    }

    fn next(&mut self) -> Result<u16> {
        while self.steps < SEARCH_COUNT {
            let place = (u32::from(self.start) + u32::from(self.steps)) % u32::from(SEARCH_COUNT);
            self.steps += 1;
            let place = u16::try_from(place).expect("a remainder is below its divisor");
            let port = SEARCH_FIRST + place;
            if self.taken.insert(port) && is_free(port) {
                return Ok(port);
            }
        }
        Err(Error::new(Kind::PortInUse, "no free port was found on this machine"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports = choose(0, 16).unwrap();
        let all: BTreeSet<u16> = ports
            .nodes
            .iter()
            .flat_map(|node| [node.peer, node.http])
            .chain([ports.ledger, ports.faucet])
            .collect();
        assert_eq!(all.len(), 34);
    }

    #[test]
    fn a_busy_port_of_the_pattern_is_replaced_and_reported() {
        let base = choose(0, 0).unwrap().ledger;
        let _holder = TcpListener::bind((Ipv4Addr::LOCALHOST, base)).unwrap();
        let ports = choose(base, 0).unwrap();
        assert_ne!(ports.ledger, base);
        assert_eq!(ports.moved[0], (base, ports.ledger));
    }

    #[test]
    fn a_base_too_high_for_the_nodes_is_a_usage_error() {
        assert_eq!(choose(65_530, 5).unwrap_err().kind(), Kind::Usage);
    }
}
