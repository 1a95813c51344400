//! What a machine says when a connection of ours knocks at it: it takes it, refuses it, or is silent.
//!
//! A dead machine and one that has no time for us both end in a handshake that never ends. TCP tells them apart: its
//! connection stands before the first word of the peer, and is refused at once where nobody listens. QUIC hears nothing,
//! so that a dead process would be waited for as long as a dial may take.
//!
//! Promises: the peer book knows whether somebody is there who only does not greet us; a QUIC dial to a port that refused
//! TCP ends [`limits::REFUSAL_GRACE`] later, time enough where only UDP is let through. Does not: dial, or know names.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::future::{AbortHandle, AbortRegistration, Abortable};
use haulout_protocol::crypto::PeerId;
use libp2p::Multiaddr;
use libp2p::core::transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol as Part;
use tokio::time::sleep;

use crate::limits;
use crate::network::address;
use crate::network::identity::from_libp2p;
use crate::network::lock::lock;
use crate::network::peers::{PeerBook, Sign};

/// Dials of QUIC under way: of whom, where to, and what ends them. As many as the swarm has connections pending.
type UnderWay = BTreeMap<(SocketAddr, Option<PeerId>, u64), AbortHandle>;

/// What TCP dials tell the peer book and QUIC dials.
#[derive(Clone)]
pub(super) struct Knocks {
    book: Arc<Mutex<PeerBook>>,
    quic: Arc<Mutex<UnderWay>>,
}

/// A transport whose dials tell what they hear, or end when others hear a refusal.
pub(super) struct Knocking<Inner> {
    inner: Inner,
    knocks: Knocks,
}

/// A QUIC dial under way, until it is dropped.
struct Dial {
    knocks: Knocks,
    key: (SocketAddr, Option<PeerId>, u64),
}

impl Drop for Dial {
    fn drop(&mut self) {
        lock(&self.knocks.quic).remove(&self.key);
    }
}

impl Knocks {
    pub(super) fn new(book: Arc<Mutex<PeerBook>>) -> Self {
        Knocks { book, quic: Arc::default() }
    }

    /// The same transport, with its dials heard.
    pub(super) fn of<Inner>(&self, inner: Inner) -> Knocking<Inner> {
        Knocking { inner, knocks: self.clone() }
    }

    /// Only addresses that somebody we trust stated of the peer say anything of it: anybody can name another one.
    fn note(&self, peer: Option<PeerId>, address: &Multiaddr, sign: Sign) {
        if let Some(peer) = peer {
            let mut book = lock(&self.book);
            if book.stated(&peer).contains(&address::without_peer(address.clone())) {
                book.note_sign(&peer, sign);
            }
        }
    }

    fn enter(&self, to: SocketAddr, peer: Option<PeerId>) -> (Dial, AbortRegistration) {
        let (cutter, registration) = AbortHandle::new_pair();
        let mut quic = lock(&self.quic);
        let last = quic.range((to, peer, 0)..=(to, peer, u64::MAX)).next_back();
        let key = (to, peer, last.map_or(0, |((_, _, number), _)| number + 1));
        quic.insert(key, cutter);
        (Dial { knocks: self.clone(), key }, registration)
    }

    /// The dials of this peer to this place that are under way now.
    fn under_way(&self, to: SocketAddr, peer: Option<PeerId>) -> Vec<AbortHandle> {
        let quic = lock(&self.quic);
        quic.range((to, peer, 0)..=(to, peer, u64::MAX)).map(|(_, cutter)| cutter.clone()).collect()
    }
}

impl<Inner> Transport for Knocking<Inner>
where
    Inner: Transport<
            Output: Send,
            Error: Error + From<io::Error> + Send + 'static,
            Dial: Send + 'static,
        > + Unpin,
{
    type Output = Inner::Output;
    type Error = Inner::Error;
    type ListenerUpgrade = Inner::ListenerUpgrade;
    type Dial = Pin<Box<dyn Future<Output = Result<Inner::Output, Inner::Error>> + Send>>;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        let dial = self.inner.dial(address.clone(), options)?;
        let knocks = self.knocks.clone();
        let Some(to) = socket_of(&address) else { return Ok(Box::pin(dial)) };
        let peer = match address.iter().last() {
            Some(Part::P2p(peer)) => from_libp2p(&peer),
            _ => None,
        };
        if !address::is_tcp(&address) {
            let (under_way, registration) = knocks.enter(to, peer);
            return Ok(Box::pin(async move {
                let _under_way = under_way;
                let refused = || Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
                Abortable::new(dial, registration).await.unwrap_or_else(|_| refused())
            }));
        }
        Ok(Box::pin(async move {
            let knocked = dial.await;
            let is_refused = knocked.as_ref().err().is_some_and(|error| is_refusal(error));
            if knocked.is_ok() {
                knocks.note(peer, &address, Sign::Lives);
            } else if is_refused {
                knocks.note(peer, &address, Sign::Refuses);
                let beside = knocks.under_way(to, peer);
                sleep(limits::REFUSAL_GRACE).await;
                beside.iter().for_each(AbortHandle::abort);
            }
            knocked
        }))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}

/// Whether nobody listens there, as the system says.
fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn socket_of(address: &Multiaddr) -> Option<SocketAddr> {
    let ip: IpAddr = address::ip_of(address)?;
    Some(SocketAddr::new(ip, address::port_of(address)?))
}

#[cfg(test)]
mod tests;
