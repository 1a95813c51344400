//! The gate between sockets and swarm: handshakes have places, dials on hearsay a budget.
//!
//! The swarm cannot end a handshake that it has begun, and hears of each only after it took a place. So places are given
//! here, for QUIC and TCP apart, and a handshake that makes room for another is cut off.
//!
//! Promises: whoever comes gets a place unless everybody who has one is from where fewer are; a refused connection costs
//! the swarm nothing; an address that nobody we trust stated is dialled within its budget, and never within this machine
//! or a private network unless our own configuration is there, too. Does not: know who comes; that is settled by the
//! handshake, and then by `swarm`.

mod handshakes;

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use haulout_protocol::machine::Timestamp;
use haulout_protocol::machine::dialling::{Hearsay, Reach, reach};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{
    Boxed, DialOpts, ListenerId, PortUse, TransportError, TransportEvent,
};
use libp2p::multiaddr::Protocol as Part;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::debug;

use self::handshakes::Handshakes;
use super::address;
use super::lock::lock;
use super::options::Parsed;
use super::peers::PeerBook;
use super::shared::Shared;

use crate::limits;

/// Refused connections in a row before others are polled again.
const REFUSED_IN_A_ROW_MAX: usize = 32;

/// A peer that proved its key, and its connection.
pub(super) type Connected = (PeerId, StreamMuxerBox);

type Upgrade = Pin<Box<dyn Future<Output = io::Result<Connected>> + Send>>;

/// A transport that lets in and out only as much as it should.
pub(super) struct Gate {
    inner: Boxed<Connected>,
    quic: Arc<Handshakes>,
    tcp: Arc<Handshakes>,
    hearsay: Arc<Dials>,
}

/// What bounds dials on hearsay.
struct Dials {
    book: Arc<Mutex<PeerBook>>,
    bootstrap: BTreeSet<Multiaddr>,
    /// Beside public ones, only addresses that reach as far as ours are dialled.
    reaches: BTreeSet<Reach>,
    spent: Mutex<Hearsay>,
    at_once: Semaphore,
    started: Instant,
}

impl Gate {
    pub(super) fn new(inner: Boxed<Connected>, options: &Parsed, shared: &Shared) -> Self {
        let ours = options.listen.iter().chain(&options.external);
        let ours = ours.filter_map(address::ip_of).map(reach).chain([Reach::Public]);
        // One private address among public ones, in whatever somebody gave us, opens no private network to hearsay.
        let theirs: BTreeSet<Reach> =
            options.bootstrap.iter().filter_map(address::ip_of).map(reach).collect();
        let theirs = theirs.first().filter(|_| theirs.len() == 1).copied();
        let reaches = ours.chain(theirs);
        let dials = Dials {
            book: shared.book.clone(),
            bootstrap: options.bootstrap.iter().cloned().map(address::without_peer).collect(),
            reaches: reaches.filter(|reach| *reach != Reach::Nowhere).collect(),
            spent: Mutex::default(),
            at_once: Semaphore::new(limits::HEARSAY_DIALS_MAX),
            started: Instant::now(),
        };
        let handshakes = || Arc::new(Handshakes::new(shared.refusals.clone()));
        Gate { inner, quic: handshakes(), tcp: handshakes(), hearsay: Arc::new(dials) }
    }

    /// Gives a handshake its place; nothing if there is none, and the connection is closed.
    fn admit(&self, upgrade: Upgrade, from: &Multiaddr) -> Option<Upgrade> {
        let ip = address::ip_of(from)?;
        let handshakes = if address::is_tcp(from) { &self.tcp } else { &self.quic };
        let admitted = handshakes.admit(ip, upgrade);
        if admitted.is_none() {
            debug!(%from, "no place for a handshake");
        }
        admitted
    }
}

impl Dials {
    /// Whether somebody we trust stated an address.
    fn is_stated(&self, address: &Multiaddr) -> bool {
        self.bootstrap.contains(address) || lock(&self.book).is_stated(address)
    }

    /// The address of somebody that reaches no further than it should, or why it is none.
    fn within_reach(&self, address: &Multiaddr) -> io::Result<IpAddr> {
        let refused = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        let Some(ip) = address::ip_of(address) else {
            return refused("only the operator and the ledger may state names");
        };
        if !self.reaches.contains(&reach(ip)) {
            return refused("an address that somebody named is inside a network we are not in");
        }
        Ok(ip)
    }

    /// Pays for a dial, or says why it should not be.
    fn pay(&self, ip: IpAddr) -> io::Result<()> {
        let elapsed = self.started.elapsed().as_millis();
        let now = Timestamp(u64::try_from(elapsed).unwrap_or(u64::MAX));
        if !lock(&self.spent).may_dial(ip, now) {
            let why = "an address that somebody named was dialled often enough for now";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(())
    }

    /// Whoever answered is who was looked for: the dial cost nothing.
    fn answered(&self, address: &Multiaddr, (peer, _): &Connected) {
        if address.iter().last() == Some(Part::P2p(*peer))
            && let Some(ip) = address::ip_of(address)
        {
            lock(&self.spent).answered(ip);
        }
    }
}

impl libp2p::Transport for Gate {
    type Output = Connected;
    type Error = io::Error;
    type ListenerUpgrade = Upgrade;
    type Dial = Upgrade;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Upgrade, TransportError<io::Error>> {
        // Only whoever asked for it is dialled from a new port. `swarm` has paid for that from what such dials may cost: they
        // shall take nothing from the search for peers.
        let is_paid = options.port_use == PortUse::New;
        let dial = self.inner.dial(address.clone(), options)?;
        let dials = self.hearsay.clone();
        Ok(Box::pin(async move {
            if dials.is_stated(&address::without_peer(address.clone())) {
                return dial.await;
            }
            let ip = dials.within_reach(&address)?;
            if is_paid {
                return dial.await;
            }
            let busy = |_| io::Error::from(io::ErrorKind::QuotaExceeded);
            let _permit = dials.at_once.try_acquire().map_err(busy)?;
            dials.pay(ip)?;
            let connected = dial.await?;
            dials.answered(&address, &connected);
            Ok(connected)
        }))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Upgrade, io::Error>> {
        for _ in 0..REFUSED_IN_A_ROW_MAX {
            match Pin::new(&mut self.inner).poll(context) {
                Poll::Ready(TransportEvent::Incoming {
                    listener_id,
                    upgrade,
                    local_addr,
                    send_back_addr,
                }) => {
                    if let Some(upgrade) = self.admit(upgrade, &send_back_addr) {
                        return Poll::Ready(TransportEvent::Incoming {
                            listener_id,
                            upgrade,
                            local_addr,
                            send_back_addr,
                        });
                    }
                }
                other => return other,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
