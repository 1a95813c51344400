//! What a node needs of others: the ledger of its network, a clock that agrees with it, peers to start from.
//!
//! Promises: a peer counts only if it proves the peer id that its address names. Does not: believe what either says beyond that.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use haulout_actors::network::{
    Network, NetworkOptions, OpenError, Protocol, Role, Transport, doors,
};
use haulout_actors::supervisor::{Budget, Plan, Strategy, Supervisor};
use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::conditions::ClockDifference;
use haulout_protocol::message::NetworkId;
use haulout_protocol::wire::reach::Tried;

use super::{Check, ip_of};
use crate::config::ClientConfig;
use crate::error::{Error, Kind, Result};
use crate::keys::{Kind as KeyKind, Secret};
use crate::ledger_client::LedgerClient;
use crate::storage_node::not_started;

/// Most peers that are visited: any one is enough to find the others.
const PEERS_MAX: usize = 8;

/// Reaches the ledger, and sees whether it has the network that is meant.
pub async fn ledger(config: ClientConfig) -> (Check, Option<LedgerClient>) {
    let servers = config.chain.rpc.join(", ");
    let network = config.network.id;
    match LedgerClient::connect(ClientConfig { wallet: None, ..config }).await {
        Ok(client) => {
            let view = client.view();
            let (epoch, nodes) = (view.position.epoch.0, view.position.committee.members().len());
            let found =
                format!("{} serves network {network}, epoch {epoch}, {nodes} nodes", client.url());
            (Check::good("ledger", found), Some(client))
        }
        Err(error) if error.kind() == Kind::Config => {
            let next = "the ledger is another network's: ask whoever gave you the ticket or the configuration for a right one \
                        (network.id, chain.rpc, chain.system)";
            (Check::bad("ledger", Kind::Config, error.message(), next), None)
        }
        Err(error) => {
            let found = format!("{servers}: {}", error.message());
            (Check::bad("ledger", error.kind(), found, error.next_step()), None)
        }
    }
}

/// Whether this machine's clock agrees with the ledger's.
pub async fn clock(client: &LedgerClient, tolerance: Duration) -> Check {
    let moved_ms = client.time_moved_ms().await.unwrap_or(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ours_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let allowed_ms = u64::try_from(tolerance.as_millis()).unwrap_or(u64::MAX);
    judge_clock(ours_ms, client.view().position.ledger_ms, moved_ms, allowed_ms)
}

fn judge_clock(ours_ms: u64, ledger_ms: u64, moved_ms: u64, allowed_ms: u64) -> Check {
    // What the ledger showed just now is its latest.
    let Some(found) = ClockDifference::of(ours_ms, ledger_ms, true, allowed_ms) else {
        return Check::good("clock", "nothing is known of the ledger's");
    };
    let left = found.explained(moved_ms);
    match left.condition() {
        Some(condition) => Check::bad("clock", Kind::Config, condition.cause, condition.next_step),
        None => {
            let seconds = left.ahead_ms.unsigned_abs() as f64 / 1e3;
            Check::good("clock", format!("{seconds:.1} s from the ledger's last checkpoint"))
        }
    }
}

/// Visits the peers to start from, side by side: a check for each, and one for all of them together if none answers.
pub async fn peers(network: NetworkId, bootstrap: &[String], own: Option<PeerId>) -> Vec<Check> {
    let is_other = |address: &&String| own.is_none_or(|own| !address.ends_with(&own.to_string()));
    let visited = bootstrap.iter().filter(is_other).take(PEERS_MAX);
    let visits = join_all(visited.map(|address| visit(network, address))).await;
    if visits.is_empty() {
        return vec![Check::doubtful(
            "peer",
            "no peer to start from is named; the node dials those that the ledger lists",
            "name one: network.bootstrap in the file, or --bootstrap /ip4/.../p2p/...",
        )];
    }
    let some_answer = visits.iter().any(|(_, visit)| visit.is_ok());
    let check = |(address, visit): (&String, Result<Duration, Missed>)| match visit {
        Ok(took) => {
            Check::good("peer", format!("{address} answers with its key, {} ms", took.as_millis()))
        }
        Err(missed) => {
            let found = format!("{address}: {}", missed.found);
            match some_answer {
                true => Check::doubtful(
                    "peer",
                    found,
                    format!("one that answers is enough; {}", missed.beside),
                ),
                false => Check::bad("peer", Kind::NoNetwork, found, missed.next),
            }
        }
    };
    visits.into_iter().map(check).collect()
}

/// Connects to a peer as a stranger would; how long it took.
async fn visit(network: NetworkId, address: &String) -> (&String, Result<Duration, Missed>) {
    let visited = async {
        let peer = peer_of(address).map_err(Missed::of)?;
        let secret = Secret::generate(KeyKind::Ed25519).map_err(Missed::of)?;
        let options = NetworkOptions {
            secret_key: *secret.bytes(),
            network,
            listen: Vec::new(),
            external: Vec::new(),
            bootstrap: vec![address.clone()],
            role: Role::Client,
            prefer: Transport::Quic,
            registry: Arc::default(),
        };
        let (network, supervisor) = start(options).await.map_err(Missed::of)?;
        network.add_addresses(peer, vec![address.clone()]);
        let began = Instant::now();
        let opened = network.open(peer, Protocol::Blob).await;
        let took = began.elapsed();
        let missed = match opened {
            Ok(_) => None,
            Err(OpenError::Unsupported) => Some(Missed::elsewhere()),
            Err(error) => Some(closer_look(&network, peer, address, &error).await),
        };
        supervisor.shutdown().await;
        missed.map_or(Ok(took), Err)
    };
    (address, visited.await)
}

/// A peer that did not answer as it should.
struct Missed {
    found: String,
    /// What to do if nobody else answers.
    next: String,
    /// What to do beside others that answer.
    beside: &'static str,
}

impl Missed {
    /// For what was found of it.
    fn silent(found: impl Into<String>) -> Missed {
        Missed {
            found: found.into(),
            next: "see whether it runs and whether your firewall lets UDP and TCP out; another node's operator gives you a ticket with \
                   `haulout node invite`"
                .to_owned(),
            beside: "leave this one out, or see whether it runs",
        }
    }

    /// Somebody else has its address.
    fn stranger() -> Missed {
        let next = "the address is an old one, or its node has got new keys: ask its operator for its present one, which `haulout node \
                    invite` prints there (network.bootstrap, --bootstrap)";
        Missed {
            found: "another peer answers there, with another key than the address names".to_owned(),
            next: next.to_owned(),
            beside: "put its present address in place of this one (network.bootstrap)",
        }
    }

    /// It is there, and knows nothing of this network.
    fn elsewhere() -> Missed {
        let next = "it belongs to another network, or runs a program of another version: name peers of this network (network.bootstrap, \
                    --bootstrap), or, if it is the network that is wrong, ask for a right ticket (network.id)";
        Missed {
            found: "it answers with its key, and does not serve this network".to_owned(),
            next: next.to_owned(),
            beside: "leave out this one, which belongs to another network or version (network.bootstrap)",
        }
    }

    /// It could not be tried.
    fn of(error: Error) -> Missed {
        Missed {
            found: error.message(),
            next: error.next_step().to_owned(),
            beside: "mend or leave out this one (network.bootstrap)",
        }
    }
}

/// Why a peer did not answer at its address, as far as that can be told.
async fn closer_look(network: &Network, peer: PeerId, address: &str, error: &OpenError) -> Missed {
    let dialled = ip_of(address).zip(doors(&[address.to_owned()]).first().copied());
    let Some((ip, door)) = dialled else { return Missed::silent(error.to_string()) };
    match network.dial_back(peer, ip, door).await {
        Tried::Stranger => Missed::stranger(),
        Tried::Refused => {
            Missed::silent("the machine refuses the connection: nothing listens there")
        }
        Tried::Silent => Missed::silent("nothing answers there"),
        Tried::Reached | Tried::NotTried | Tried::NotReached => Missed::silent(error.to_string()),
    }
}

/// The peer that an address names.
fn peer_of(address: &str) -> Result<PeerId> {
    let named = address.rsplit_once("/p2p/").and_then(|(_, peer)| peer.parse().ok());
    named.ok_or_else(|| {
        Error::new(Kind::Config, format!("{address} does not say who listens there"))
    })
}

/// A network alone, without a store or anything served.
pub(crate) async fn start(options: NetworkOptions) -> Result<(Network, Supervisor)> {
    let network = Network::new(options)?;
    let plan = Plan {
        name: "check".to_owned(),
        strategy: Strategy::OneForOne,
        budget: Budget { restarts: 1, window: Duration::from_secs(60) },
        children: vec![network.child()],
        on_restart: None,
    };
    let supervisor = Supervisor::start(plan).await.map_err(not_started)?;
    Ok((network, supervisor))
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn a_clock_that_is_wrong_is_told_and_one_whose_ledger_was_moved_is_not() {
        let of = |ours, ledger, moved| judge_clock(ours, ledger, moved, 60_000);
        assert_eq!(of(HOUR_MS, HOUR_MS + 59_000, 0).outcome, Outcome::Good);
        let behind = of(HOUR_MS, 2 * HOUR_MS, 0);
        assert_eq!(behind.outcome, Outcome::Bad);
        assert!(behind.found.contains("3600 s behind"), "{}", behind.found);
        assert_eq!(of(HOUR_MS, 2 * HOUR_MS, HOUR_MS).outcome, Outcome::Good);
        assert_eq!(of(2 * HOUR_MS, HOUR_MS, 0).outcome, Outcome::Bad);
    }

    /// A peer of a network, and where it is.
    async fn listening(network: NetworkId) -> (Supervisor, String) {
        let options = NetworkOptions {
            secret_key: [5; 32],
            network,
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            external: Vec::new(),
            bootstrap: Vec::new(),
            role: Role::Client,
            prefer: Transport::Quic,
            registry: Arc::default(),
        };
        let (there, supervisor) = start(options).await.unwrap();
        let mut addresses = there.addresses();
        let shown = addresses.wait_for(|shown| !shown.is_empty()).await.unwrap().clone();
        (supervisor, format!("{}/p2p/{}", shown[0], there.identity()))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_peer_of_another_network_and_one_with_another_key_are_told_with_what_mends_each() {
        let (network, other) = (NetworkId::from_bytes([1; 32]), NetworkId::from_bytes([2; 32]));
        let (supervisor, address) = listening(other).await;
        let found = peers(network, std::slice::from_ref(&address), None).await.remove(0);
        assert!(found.found.ends_with("does not serve this network"), "{found:?}");
        assert!(found.next_step.unwrap().contains("network.id"));
        let named = PeerId::from_key([7; 32]);
        let (place, _) = address.rsplit_once("/p2p/").unwrap();
        let wrong = format!("{place}/p2p/{named}");
        let found = peers(other, &[wrong], None).await.remove(0);
        assert!(found.found.contains("another key"), "{found:?}");
        let next = found.next_step.unwrap();
        assert!(next.contains("present one") && !next.contains("firewall"), "{next}");
        supervisor.shutdown().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_peer_that_is_not_there_is_told_with_its_address() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let peer = PeerId::from_key([7; 32]);
        let address = format!("/ip4/127.0.0.1/tcp/{}/p2p/{peer}", free.port());
        let network = NetworkId::from_bytes([1; 32]);
        let checks = peers(network, std::slice::from_ref(&address), None).await;
        assert_eq!(
            (checks.len(), checks[0].outcome, checks[0].kind),
            (1, Outcome::Bad, Kind::NoNetwork)
        );
        assert!(checks[0].found.starts_with(&address), "{}", checks[0].found);
        assert!(checks[0].found.ends_with("nothing listens there"), "{}", checks[0].found);
        assert_eq!(peers(network, &[address], Some(peer)).await[0].outcome, Outcome::Doubtful);
    }
}
