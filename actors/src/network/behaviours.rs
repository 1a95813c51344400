//! The composed libp2p behaviour and how each part is set.
//!
//! Promises: limits and bans come first, so that they deny before anything is allocated; every
//! default of libp2p that is unbounded or unsafe for us is replaced here, with the reason.
//! Does not: react to events (`swarm` does).

use std::collections::HashSet;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;
use std::time::Duration;

use libp2p::connection_limits::ConnectionLimits;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{
    Swarm, allow_block_list, connection_limits, gossipsub, identify, identity, kad,
    memory_connection_limits, ping, swarm,
};
use prometheus_client::registry::Registry;

use super::errors::NetworkError;
use super::names::Topic;
use super::options::{Role, Transport};
use super::paced::Paced;
use super::shared::Shared;
use super::{names, streams, transport};
use crate::limits;

/// Gossip about our topics and no others: whatever else a peer subscribes to costs no memory.
type Gossip =
    gossipsub::Behaviour<gossipsub::IdentityTransform, gossipsub::WhitelistSubscriptionFilter>;

/// Everything a peer does, in the order in which connections are asked for.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    memory: memory_connection_limits::Behaviour,
    pub(super) banned: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    /// Before Kademlia: stated addresses are dialled before heard ones.
    pub(super) streams: streams::Behaviour,
    pub(super) kad: Paced<kad::Behaviour<kad::store::MemoryStore>>,
    pub(super) gossip: Gossip,
    pub(super) identify: Paced<identify::Behaviour>,
    ping: ping::Behaviour,
}

/// Builds the swarm; nothing is listened on yet.
pub(super) fn swarm(
    shared: &Shared,
    registry: &mut Registry,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let options = &shared.options;
    let transport = transport::transport(options, shared, registry)?;
    let behaviour = behaviour(shared, &options.keypair)
        .map_err(|error| NetworkError::Setup(error.to_string()))?;
    let config = swarm_config(swarm::Config::with_tokio_executor(), options.prefer);
    Ok(Swarm::new(transport, behaviour, options.keypair.public().to_peer_id(), config))
}

fn swarm_config(config: swarm::Config, prefer: Transport) -> swarm::Config {
    let config = config.with_idle_connection_timeout(limits::CONNECTION_IDLE_TIMEOUT);
    match prefer {
        // Ranks QUIC before TCP and gives it a head start.
        Transport::Quic => config.with_smart_dial(),
        // One address at a time, in our order: TCP first.
        Transport::Tcp => config.with_dial_concurrency_factor(NonZeroU8::MIN),
    }
}

fn behaviour(
    shared: &Shared,
    key: &identity::Keypair,
) -> Result<Behaviour, Box<dyn Error + Send + Sync>> {
    let network = &shared.options.network;
    let (door, book) = (shared.door.clone(), shared.book.clone());
    let about = identify::Config::new("/haulout/1".to_owned(), key.public())
        .with_agent_version(format!("haulout/{}", env!("CARGO_PKG_VERSION")))
        .with_push_listen_addr_updates(true)
        // It would dial whatever a peer names; we keep what is believed in the book.
        .with_cache_size(0);
    let pings = ping::Config::new()
        .with_interval(limits::PING_INTERVAL)
        .with_timeout(limits::PING_INTERVAL);
    Ok(Behaviour {
        limits: connection_limits::Behaviour::new(connection_limits()),
        memory: memory_connection_limits::Behaviour::with_max_bytes(
            limits::NETWORK_MEMORY_BYTES_MAX,
        ),
        banned: allow_block_list::Behaviour::default(),
        streams: streams::Behaviour::new(door, book, shared.options.prefer),
        kad: Paced::new(kademlia(network, key, shared.options.role)),
        gossip: gossip(network, key)?,
        identify: Paced::new(identify::Behaviour::new(about)),
        ping: ping::Behaviour::new(pings),
    })
}

/// Inbound connections and handshakes have places instead (`gate`, `swarm`): a number alone shuts out whoever comes late.
fn connection_limits() -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_pending_outgoing(Some(limits::CONNECTIONS_PENDING_MAX))
        .with_max_established_outgoing(Some(limits::CONNECTIONS_OUT_MAX))
        .with_max_established_per_peer(Some(limits::CONNECTIONS_PER_PEER_MAX))
}

fn kademlia(
    network: &str,
    key: &identity::Keypair,
    role: Role,
) -> kad::Behaviour<kad::store::MemoryStore> {
    let mut config = kad::Config::new(names::kademlia(network));
    config
        .set_query_timeout(limits::KAD_QUERY_TIMEOUT)
        .set_periodic_bootstrap_interval(Some(limits::KAD_BOOTSTRAP_INTERVAL))
        // Whoever is asked on one path cannot lead all paths astray.
        .disjoint_query_paths(true)
        // Only peers whose addresses identify told us, not everyone who connects.
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        // We look peers up; nobody may store anything here.
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_caching(kad::Caching::Disabled)
        .set_publication_interval(None)
        .set_replication_interval(None)
        .set_provider_publication_interval(None);
    let id = key.public().to_peer_id();
    let mut kad = kad::Behaviour::with_config(id, kad::store::MemoryStore::new(id), config);
    // Left alone it stays a client until somebody confirms an external address.
    kad.set_mode(Some(match role {
        Role::Server => kad::Mode::Server,
        Role::Client => kad::Mode::Client,
    }));
    kad
}

fn gossip(network: &str, key: &identity::Keypair) -> Result<Gossip, Box<dyn Error + Send + Sync>> {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::Strict)
        .validate_messages()
        .heartbeat_initial_delay(Duration::from_millis(500))
        .max_transmit_size(limits::GOSSIP_BYTES_MAX)
        .connection_handler_queue_len(limits::GOSSIP_PEER_QUEUE_LEN)
        // The same content is the same message, whoever signs it.
        .message_id_fn(|message| {
            let mut hash = blake3::Hasher::new();
            hash.update(message.topic.as_str().as_bytes()).update(&[0]).update(&message.data);
            gossipsub::MessageId::from(hash.finalize().as_bytes().to_vec())
        })
        .build()?;
    let author = gossipsub::MessageAuthenticity::Signed(key.clone());
    let topics = Topic::ALL.into_iter().map(|topic| topic.on(network).hash()).collect();
    let ours = gossipsub::WhitelistSubscriptionFilter(topics);
    let mut gossip = Gossip::new_with_subscription_filter(author, config, ours)?;
    gossip.with_peer_score(scores(), gossipsub::PeerScoreThresholds::default())?;
    let topic_scores = gossipsub::TopicScoreParams {
        // Our topics are quiet; silence is no fault.
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        // Squared: three invalid messages silence a peer for a while.
        invalid_message_deliveries_weight: -20.0,
        invalid_message_deliveries_decay: 0.95,
        ..Default::default()
    };
    for topic in Topic::ALL {
        gossip.set_topic_params(topic.on(network), topic_scores.clone())?;
    }
    Ok(gossip)
}

/// How gossip judges whoever connects.
fn scores() -> gossipsub::PeerScoreParams {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    gossipsub::PeerScoreParams {
        // A devnet is many honest peers on one address.
        ip_colocation_factor_whitelist: HashSet::from(loopback),
        // It would remember everybody who ever connected for an hour, however many they are.
        retain_score: limits::STRANGERS_REMEMBERED,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gossip_forgets_who_left_soon_because_names_cost_nothing() {
        assert_eq!(scores().retain_score, limits::STRANGERS_REMEMBERED);
    }
}
