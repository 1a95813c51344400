//! How bytes travel: QUIC, and TCP with Noise and Yamux, behind our gate.
//!
//! Promises: every handshake, in either direction, ends within its deadline; a connection that cannot say goodbye is
//! dropped all the same; every default of libp2p's transports that is unsafe for us is replaced here, with the reason.
//! Does not: decide who gets in (`gate`, and `swarm` once a peer has a name).

mod farewell;
mod knock;

use std::io;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::upgrade::Version;
use libp2p::metrics::BandwidthTransport;
use libp2p::{Transport as _, dns, identity, noise, quic, tcp, yamux};
use prometheus_client::registry::Registry;

use self::farewell::Farewell;
use self::knock::Knocks;
use super::errors::NetworkError;
use super::gate::{Connected, Gate};
use super::options::{Parsed, Role};
use super::shared::Shared;
use crate::limits;

/// What a socket said. It has a name of its own, because libp2p wraps errors into one of two, and whoever walks through the causes
/// of one of two is not shown that one itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SocketError(#[source] io::Error);

/// Everything the swarm can be reached by and can dial.
pub(super) fn transport(
    options: &Parsed,
    shared: &Shared,
    registry: &mut Registry,
) -> Result<Boxed<Connected>, NetworkError> {
    let setup = |error: String| NetworkError::Setup(error);
    let noise = noise::Config::new(&options.keypair).map_err(|error| setup(error.to_string()))?;
    let knocks = Knocks::new(shared.book.clone());
    let tcp = knocks
        .of(tcp::tokio::Transport::new(tcp::Config::default()))
        .map_err(SocketError)
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let both = knocks
        .of(quic::tokio::Transport::new(quic(&options.keypair, options.role)))
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .or_transport(tcp)
        .map(|either, _| either.into_inner());
    let named = if std::path::Path::new("/etc/resolv.conf").exists() {
        dns::tokio::Transport::system(both).map_err(|error| setup(error.to_string()))?
    } else {
        // A container without resolv.conf: addresses work, names only through public resolvers.
        let (config, options) = (dns::ResolverConfig::default(), dns::ResolverOpts::default());
        dns::tokio::Transport::custom(both, config, options)
    };
    let counted = BandwidthTransport::new(named, registry).map(|(peer, muxer), _| {
        let muxer = Farewell::new(muxer, limits::CONNECTION_CLOSE_TIMEOUT);
        (peer, StreamMuxerBox::new(muxer))
    });
    let timely = TransportTimeout::new(counted, limits::DIAL_TIMEOUT).boxed();
    Ok(Gate::new(timely, options, shared).boxed())
}

fn yamux() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(limits::YAMUX_STREAMS_MAX);
    config
}

fn quic(key: &identity::Keypair, role: Role) -> quic::Config {
    let mut config = quic::Config::new(key);
    config.handshake_timeout = limits::DIAL_TIMEOUT;
    config.max_idle_timeout = limits::QUIC_IDLE_TIMEOUT_MS;
    config.keep_alive_interval = limits::QUIC_KEEP_ALIVE;
    config.max_concurrent_stream_limit = limits::QUIC_STREAMS_MAX;
    (config.max_stream_data, config.max_connection_data) = match role {
        // Strangers fill these windows.
        Role::Server => {
            (limits::QUIC_NODE_STREAM_WINDOW_BYTES, limits::QUIC_NODE_CONNECTION_WINDOW_BYTES)
        }
        Role::Client => (limits::QUIC_STREAM_WINDOW_BYTES, limits::QUIC_CONNECTION_WINDOW_BYTES),
    };
    config
}
