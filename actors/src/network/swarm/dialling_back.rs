//! Dialling back whoever asked for it.
//!
//! Promises: a dial has its own connection, from a port of its own, which is closed when it stands; few are under way at once.
//! Does not: choose the address; the gate still decides whether it may be dialled.

use std::io;

use haulout_protocol::wire::reach::Tried;
use libp2p::core::transport::TransportError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use tracing::debug;

use super::Driver;
use crate::limits;
use crate::network::commands::DialBack;

impl Driver {
    pub(super) fn dial_back(&mut self, dial: DialBack) {
        let DialBack { peer, address, reply } = dial;
        // Whoever waited may be gone: its dial goes on, and takes its place until it has ended and is closed.
        if self.dials_back.len() >= limits::DIALS_BACK_MAX {
            let _ = reply.send(Tried::NotTried);
            return;
        }
        // The peer is connected already, and a port that it spoke to would pass routers that let no stranger in.
        let options = DialOpts::peer_id(peer)
            .addresses(vec![address])
            .condition(PeerCondition::Always)
            .allocate_new_port()
            .build();
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => drop(self.dials_back.insert(connection, reply)),
            Err(error) => drop(reply.send(judge(&error))),
        }
    }

    /// A connection stands: maybe one that was asked for.
    pub(super) fn dialled_back(&mut self, connection: ConnectionId) {
        if let Some(reply) = self.dials_back.remove(&connection) {
            let _ = reply.send(Tried::Reached);
            self.swarm.close_connection(connection);
        }
    }

    /// A dial failed: maybe one that was asked for.
    pub(super) fn not_dialled_back(&mut self, connection: ConnectionId, error: &DialError) {
        if let Some(reply) = self.dials_back.remove(&connection) {
            debug!(%error, "a peer that asked to be dialled back was not reached");
            let _ = reply.send(judge(error));
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
