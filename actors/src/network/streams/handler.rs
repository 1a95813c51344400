//! One connection's streams: our libp2p connection handler.
//!
//! Promises: every negotiation ends in bounded time; what waits is bounded; a request nobody waits
//! for any more opens nothing; a negotiation without an answer is tried again while the connection
//! shows other signs of life, because then it is slow and not dead. Does not: choose the connection, or close it (the behaviour does).

use std::collections::VecDeque;
use std::task::{Context, Poll};

use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
};
use tracing::debug;

use super::negotiation::{Admission, Opening, OpeningError};
use super::request::{Reply, Request};
use crate::limits;
use crate::network::errors::OpenError;
use crate::network::life::Life;

/// One per connection: opens what the behaviour asks for, admits what the peer opens.
#[derive(Debug)]
pub(in crate::network) struct Handler {
    admission: Admission,
    waiting: VecDeque<Request>,
    life: Life,
    /// Negotiations that got no answer on a connection without a sign of life: it is probably dead.
    unanswered: VecDeque<Reply>,
}

/// A stream that is being negotiated.
#[derive(Debug)]
pub(in crate::network) struct Negotiated {
    request: Request,
    /// The signs of life before.
    signs: u64,
}

/// A negotiation got no answer, and nothing else arrived meanwhile. The behaviour drops the connection before it tells who waits, so
/// that a second attempt does not meet the same connection.
#[derive(Debug)]
pub(in crate::network) struct Unanswered(pub(super) Reply);

impl Handler {
    pub(super) fn new(admission: Admission) -> Self {
        let life = admission.life.clone();
        Handler { admission, waiting: VecDeque::new(), life, unanswered: VecDeque::new() }
    }

    /// What becomes of a request whose negotiation got no answer in time.
    fn timed_out(&mut self, Negotiated { request, signs }: Negotiated) {
        if self.life.signs() == signs {
            self.unanswered.push_back(request.reply);
        } else {
            self.waiting.push_back(request);
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Request;
    type ToBehaviour = Unanswered;
    type InboundProtocol = Admission;
    type OutboundProtocol = Opening;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Negotiated;

    fn listen_protocol(&self) -> SubstreamProtocol<Admission, ()> {
        SubstreamProtocol::new(self.admission.clone(), ()).with_timeout(limits::NEGOTIATION_TIMEOUT)
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Opening, Negotiated, Unanswered>> {
        if let Some(reply) = self.unanswered.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Unanswered(reply)));
        }
        while let Some(request) = self.waiting.pop_front() {
            if request.reply.is_closed() {
                continue; // nobody waits for it any more
            }
            let name = self.admission.door.name(request.protocol);
            let opening = Opening { name, life: self.life.clone() };
            let negotiated = Negotiated { request, signs: self.life.signs() };
            let protocol = SubstreamProtocol::new(opening, negotiated)
                .with_timeout(limits::NEGOTIATION_TIMEOUT);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, request: Request) {
        if self.waiting.len() < limits::OPENS_PENDING_MAX {
            self.waiting.push_back(request);
        } else {
            let _ = request.reply.send(Err(OpenError::Overloaded));
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Admission, Opening, (), Negotiated>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { .. }) => {
                self.life.note();
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream,
                info: Negotiated { request, .. },
            }) => {
                self.life.note();
                let _ = request.reply.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: negotiated, error }) => {
                let error = match error {
                    StreamUpgradeError::Timeout => return self.timed_out(negotiated),
                    StreamUpgradeError::NegotiationFailed => {
                        self.life.note();
                        OpenError::Unsupported
                    }
                    StreamUpgradeError::Apply(OpeningError::Busy) => {
                        self.life.note();
                        OpenError::Busy
                    }
                    StreamUpgradeError::Apply(OpeningError::Io(error))
                    | StreamUpgradeError::Io(error) => {
                        debug!(%error, "stream failed while it was opened");
                        OpenError::ConnectionLost
                    }
                };
                let _ = negotiated.request.reply.send(Err(error));
            }
            _ => {}
        }
    }
}
