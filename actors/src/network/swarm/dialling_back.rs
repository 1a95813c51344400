//! Dialling back whoever asked for it.
//!
//! Promises: a dial has its own connection, from a port of its own, which is closed when it stands; few are under way at once,
//! and members never wait for strangers. Does not: choose the address; the gate still decides whether it reaches too far.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use haulout_protocol::machine::dials_back::DialsBack;
use haulout_protocol::machine::guests::Class;
use haulout_protocol::wire::reach::Tried;
use libp2p::core::transport::TransportError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use tokio::sync::oneshot;
use tracing::debug;

use super::Driver;
use crate::limits;
use crate::network::address;
use crate::network::commands::DialBack;

/// Dials back under way, and what there may be.
pub(super) struct UnderWay {
    dials: HashMap<ConnectionId, Dial>,
    room: DialsBack,
}

/// One of them: who waits for it, and what it counts for.
struct Dial {
    reply: oneshot::Sender<Tried>,
    class: Class,
    ip: IpAddr,
    is_stated: bool,
}

impl UnderWay {
    /// None yet.
    pub(super) fn new() -> Self {
        UnderWay { dials: HashMap::new(), room: DialsBack::new(limits::DIALS_BACK) }
    }

    /// A dial is over: whoever waits hears what became of it. Whether there was one.
    fn end(&mut self, connection: ConnectionId, tried: Tried) -> bool {
        let dial = self.dials.remove(&connection);
        dial.map(|dial| self.tell(dial, tried)).is_some()
    }

    fn tell(&mut self, dial: Dial, tried: Tried) {
        self.room.end(dial.class, dial.ip, dial.is_stated, tried == Tried::Reached);
        let _ = dial.reply.send(tried);
    }
}

impl Driver {
    pub(super) fn dial_back(&mut self, dial: DialBack) {
        let DialBack { peer, ip, address, reply } = dial;
        let is_stated = self.shared.book().is_stated(&address::without_peer(address.clone()));
        let class = match self.is_trusted(&peer) {
            true => Class::Member,
            false => Class::Stranger,
        };
        // Whoever waited may be gone: its dial goes on, and takes its place until it has ended and is closed.
        if !self.dials_back.room.begin(class, ip, is_stated, self.shared.now()) {
            let _ = reply.send(Tried::NotTried);
            return;
        }
        let dial = Dial { reply, class, ip, is_stated };
        // The peer is connected already, and a port that it spoke to would pass routers that let no stranger in.
        let options = DialOpts::peer_id(peer)
            .addresses(vec![address])
            .condition(PeerCondition::Always)
            .allocate_new_port()
            .build();
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => drop(self.dials_back.dials.insert(connection, dial)),
            Err(error) => self.dials_back.tell(dial, judge(&error)),
        }
    }

    /// A connection stands: maybe one that was asked for.
    pub(super) fn dialled_back(&mut self, connection: ConnectionId) {
        if self.dials_back.end(connection, Tried::Reached) {
            self.swarm.close_connection(connection);
        }
    }

    /// A dial failed: maybe one that was asked for.
    pub(super) fn not_dialled_back(&mut self, connection: ConnectionId, error: &DialError) {
        if self.dials_back.end(connection, judge(error)) {
            debug!(%error, "a peer that asked to be dialled back was not reached");
        }
    }
}

/// What a failed dial says of the door.
fn judge(error: &DialError) -> Tried {
    match error {
        DialError::WrongPeerId { .. } | DialError::LocalPeerId { .. } => Tried::Stranger,
        DialError::Transport(errors) => {
            let kinds = errors.iter().map(|(_, error)| match error {
                TransportError::Other(error) => kind(error),
                TransportError::MultiaddrNotSupported(_) => io::ErrorKind::Unsupported,
            });
            match kinds.last() {
                Some(io::ErrorKind::ConnectionRefused) => Tried::Refused,
                Some(
                    io::ErrorKind::PermissionDenied
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::Unsupported,
                ) => Tried::NotTried,
                _ => Tried::Silent,
            }
        }
        DialError::NoAddresses
        | DialError::DialPeerConditionFalse(_)
        | DialError::Aborted
        | DialError::Denied { .. } => Tried::NotTried,
    }
}

/// What kind of error this is, below whatever transports wrapped it in.
fn kind(error: &io::Error) -> io::ErrorKind {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut found = io::ErrorKind::Other;
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // The innermost that says anything.
            found = if error.kind() == io::ErrorKind::Other { found } else { error.kind() };
            cause = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
            continue;
        }
        cause = error.source();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_found_below_what_wraps_it_and_silence_is_the_rest() {
        let failed = |error: io::Error| {
            let address = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
            judge(&DialError::Transport(vec![(address, TransportError::Other(error))]))
        };
        let wrapped =
            |kind: io::ErrorKind| io::Error::other(io::Error::other(io::Error::from(kind)));
        assert_eq!(failed(wrapped(io::ErrorKind::ConnectionRefused)), Tried::Refused);
        assert_eq!(failed(wrapped(io::ErrorKind::PermissionDenied)), Tried::NotTried);
        assert_eq!(failed(wrapped(io::ErrorKind::TimedOut)), Tried::Silent);
        assert_eq!(failed(io::Error::other("a handshake failed")), Tried::Silent);
    }
}
