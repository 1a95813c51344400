//! Whether strangers reach a node, as peers say that dial it back.
//!
//! Promises: no door is called open that nobody came in by. Does not: believe that what one peer sees is what all see.

use std::net::IpAddr;
use std::sync::Arc;

use haulout_actors::network::{Network, NetworkOptions, Role, Transport, doors};
use haulout_actors::{limits, network, reach};
use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::reachability::{DoorSeen, Reachability};
use haulout_protocol::message::NetworkId;
use haulout_protocol::wire::reach::{Door, PORT_MIN, Tried};
use serde_json::Value;

use super::network::start;
use super::{Check, ip_of};
use crate::error::{Kind, Result};
use crate::keys::{Kind as KeyKind, Secret};
use crate::ledger_client::LedgerClient;

/// What to try whether strangers reach a node, before it runs.
#[derive(Debug)]
pub struct Trial<'a> {
    /// Which network.
    pub network: NetworkId,
    /// Where to listen meanwhile.
    pub listen: &'a [String],
    /// Where others will be told to dial it, if not there.
    pub external: &'a [String],
    /// Peers to start from.
    pub bootstrap: &'a [String],
    /// The node's own key, if it has one already.
    pub key: Option<Secret>,
    /// Who knows more peers.
    pub ledger: Option<&'a LedgerClient>,
}

impl Trial<'_> {
    /// Listens where the node will, as long as it takes, and has some peers dial back. The ports must be free.
    ///
    /// # Errors
    /// If it cannot listen there.
    pub async fn run(self) -> Result<Reachability> {
        let key = match &self.key {
            Some(key) => key.clone(),
            None => Secret::generate(KeyKind::Ed25519)?,
        };
        let options = NetworkOptions {
            secret_key: *key.bytes(),
            network: self.network,
            listen: self.listen.to_vec(),
            external: self.external.to_vec(),
            bootstrap: Vec::new(),
            // Nobody should look for us here: we are gone in seconds.
            role: Role::Client,
            prefer: Transport::Quic,
            registry: Arc::default(),
        };
        let (network, supervisor) = start(options).await?;
        let peers = self.peers(&network);
        let known_at = match self.external.is_empty() {
            true => self.listen,
            false => self.external,
        };
        let found = reach::ask(&network, &peers, &doors(known_at)).await;
        supervisor.shutdown().await;
        Ok(found)
    }

    /// Whom to ask: those to start from, then members of the committee.
    fn peers(&self, network: &Network) -> Vec<PeerId> {
        let mut peers: Vec<PeerId> = Vec::new();
        let mut add = |peer: PeerId, addresses: Vec<String>| {
            if peers.len() < limits::REACH_PEERS
                && !peers.contains(&peer)
                && peer != network.identity()
            {
                network.add_addresses(peer, addresses);
                peers.push(peer);
            }
        };
        for address in self.bootstrap {
            if let Some(peer) = address.rsplit_once("/p2p/").and_then(|(_, peer)| peer.parse().ok())
            {
                add(peer, vec![address.clone()]);
            }
        }
        for member in
            self.ledger.iter().flat_map(|ledger| ledger.view().position.committee.members())
        {
            let addresses = member.addresses.iter();
            let addresses = addresses.filter_map(|bytes| network::address_from_bytes(bytes));
            add(member.peer_id, addresses.collect());
        }
        peers
    }
}

/// What peers found, a check for each door, and one for the address at which they see us.
pub fn reachability(found: &Reachability, external: &[String]) -> Vec<Check> {
    let mut checks: Vec<Check> = found
        .doors
        .iter()
        .map(|seen| {
            let (door, tried) = (name(seen.door), seen.tried);
            let who = |reached: usize| {
                format!("{door}: {reached} of {tried} peers that dialled back came in")
            };
            if !seen.door.is_dialled() {
                return low(&door);
            }
            match (seen.reached, seen.failure) {
                (0, None | Some(Tried::NotTried)) => Check::doubtful(
                    "reach",
                    format!("{door}: no peer could try{}", reasons(found)),
                    UNTRIED,
                ),
                (0, Some(failure)) => {
                    let found = format!("{}, {}", who(0), word(failure));
                    shut(seen.door, failure, found)
                }
                (reached, _) => Check::good("reach", who(reached)),
            }
        })
        .collect();
    // One way in is enough: what is shut beside it is worth a word, and no more.
    if found.is_reached() {
        for check in checks.iter_mut().filter(|check| check.kind == Kind::NoNetwork) {
            let next = check.next_step.take().unwrap_or_default();
            *check = Check::doubtful(
                "reach",
                check.found.clone(),
                format!("one way in is enough; but {next}"),
            );
        }
    }
    checks.extend(seen(&found.seen_at(), external));
    checks
}

/// What a running node says of a door that nobody dials.
const LOW: &str = "not tried: its port is too low";

/// What became of the dials of a door, in words.
pub(crate) fn failure(seen: &DoorSeen) -> Option<&'static str> {
    match seen.door.is_dialled() {
        true => seen.failure.map(word),
        false => Some(LOW),
    }
}

/// A door that nobody is asked to dial.
fn low(door: &str) -> Check {
    let found = format!("{door}: peers dial back no port below {PORT_MIN}");
    Check::doubtful("reach", found, "see from outside your network whether the port is open")
}

/// What to do where nobody tried.
const UNTRIED: &str =
    "try again in a minute: a peer dials nobody back too often, and an older one not at all";

/// A door that nobody came in by.
fn shut(door: Door, failure: Tried, found: String) -> Check {
    let port = door.port();
    let way = match door {
        Door::Quic(_) => "udp",
        Door::Tcp(_) => "tcp",
    };
    let next = match failure {
        Tried::Stranger => "another node answers there: see whether two nodes share the address, or a router forwards the port to another machine".to_owned(),
        _ => format!(
            "open it in the firewall (`sudo ufw allow {port}/{way}`), and have your router forward it if there is one in between"
        ),
    };
    Check::bad("reach", Kind::NoNetwork, found, next)
}

/// Whether peers see us where we say that we are.
fn seen(seen_at: &[IpAddr], external: &[String]) -> Option<Check> {
    let shown = seen_at.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let stated: Vec<IpAddr> = external.iter().filter_map(|address| ip_of(address)).collect();
    if seen_at.is_empty() {
        return None;
    }
    let differs = !stated.is_empty() && !stated.iter().any(|ip| seen_at.contains(ip));
    Some(match differs {
        true => Check::doubtful(
            "seen at",
            format!(
                "peers see this machine at {shown}, and it is said to be at {}",
                external.join(", ")
            ),
            "if a router is in between, name the address that peers see: --external, or network.external in the file",
        ),
        false => Check::good("seen at", shown),
    })
}

/// Why nobody tried, if somebody said.
fn reasons(found: &Reachability) -> String {
    let mut said: Vec<&str> = found
        .asked
        .iter()
        .filter_map(|asked| asked.answer.as_ref().err().map(String::as_str))
        .collect();
    said.dedup();
    match (found.asked.is_empty(), said.first()) {
        (true, _) => ": none was there to be asked".to_owned(),
        (false, Some(first)) => format!(": {first}"),
        (false, None) => String::new(),
    }
}

/// What a door is called.
pub(crate) fn name(door: Door) -> String {
    match door {
        Door::Quic(port) => format!("udp/{port} (QUIC)"),
        Door::Tcp(port) => format!("tcp/{port}"),
    }
}

/// What became of a dial, in words.
fn word(tried: Tried) -> &'static str {
    match tried {
        Tried::Reached => "reached",
        Tried::Refused => "refused",
        Tried::Silent => "no answer",
        Tried::Stranger => "another node answered",
        Tried::NotTried => "not tried",
        Tried::NotReached => "not reached",
    }
}

/// What a running node says of it at `/healthz`, for programs as it came.
pub(crate) fn told(health: &Value) -> Option<Vec<Check>> {
    let doors = health["reachability"]["doors"].as_array()?;
    let number = |door: &Value, name: &str| door[name].as_u64().unwrap_or(0);
    let is_reached = doors.iter().any(|door| number(door, "reached") > 0);
    let check = |door: &Value| {
        let (reached, tried) = (number(door, "reached"), number(door, "tried"));
        let (name, failure) =
            (door["door"].as_str().unwrap_or("?"), door["failure"].as_str().unwrap_or("no answer"));
        match (reached, tried) {
            (0, 0) if failure == LOW => low(name),
            (0, 0) => Check::doubtful("reach", format!("{name}: no peer tried yet"), UNTRIED),
            (0, tried) => {
                let found =
                    format!("{name}: none of {tried} peers that dialled back came in, {failure}");
                let next = "open the port in the firewall, and have your router forward it if there is one in between";
                match is_reached {
                    true => {
                        Check::doubtful("reach", found, format!("one way in is enough; but {next}"))
                    }
                    false => Check::bad("reach", Kind::NoNetwork, found, next),
                }
            }
            (reached, tried) => Check::good(
                "reach",
                format!("{name}: {reached} of {tried} peers that dialled back came in"),
            ),
        }
    };
    Some(doors.iter().map(check).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn found(answers: &[[Tried; 2]]) -> Reachability {
        let mut found = Reachability::of(&[Door::Quic(7007), Door::Tcp(8008)]);
        for (at, tried) in (1..).zip(answers) {
            found.note(
                PeerId::from_key([at; 32]),
                Ok(("203.0.113.7".parse().unwrap(), tried.to_vec())),
            );
        }
        found
    }

    fn outcomes(checks: &[Check]) -> Vec<Outcome> {
        checks.iter().map(|check| check.outcome).collect()
    }

    #[test]
    fn one_way_in_is_enough_and_none_is_bad() {
        use Tried::{NotTried, Reached, Refused, Silent};
        let external = ["/ip4/203.0.113.7/tcp/8008".to_owned()];
        let of = |answers: &[[Tried; 2]]| reachability(&found(answers), &external);
        assert_eq!(outcomes(&of(&[[Reached, Reached]])), [Outcome::Good; 3]);
        let half = of(&[[Reached, Refused]]);
        assert_eq!(outcomes(&half), [Outcome::Good, Outcome::Doubtful, Outcome::Good]);
        assert!(
            half[1].next_step.as_ref().unwrap().contains("`sudo ufw allow 8008/tcp`"),
            "{half:?}"
        );
        assert_eq!(outcomes(&of(&[[Silent, Refused]])[..2]), [Outcome::Bad; 2]);
        assert_eq!(outcomes(&of(&[[NotTried, NotTried]])[..2]), [Outcome::Doubtful; 2]);
        let nobody = of(&[]);
        assert_eq!(outcomes(&nobody), [Outcome::Doubtful; 2]);
        assert!(nobody[0].found.contains("none was there"), "{nobody:?}");
    }

    #[test]
    fn a_port_that_no_peer_dials_is_told_as_one_and_not_as_shut() {
        let checks = reachability(&Reachability::of(&[Door::Tcp(443)]), &[]);
        assert_eq!(outcomes(&checks), [Outcome::Doubtful]);
        assert!(checks[0].found.contains("below 1024"), "{checks:?}");
    }

    #[test]
    fn an_address_that_peers_do_not_see_is_told() {
        let checks =
            reachability(&found(&[[Tried::Reached; 2]]), &["/ip4/10.0.0.1/tcp/8008".to_owned()]);
        assert_eq!(outcomes(&checks), [Outcome::Good, Outcome::Good, Outcome::Doubtful]);
        assert!(checks[2].found.contains("203.0.113.7") && checks[2].found.contains("10.0.0.1"));
    }
}
