//! One connection's streams: our libp2p connection handler.
//!
//! Promises: every negotiation ends in bounded time; what waits is bounded; a request nobody waits
//! for any more opens nothing. Does not: choose the connection, or close it (the behaviour does).

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
use super::{Reply, Request};
use crate::limits;
use crate::network::OpenError;

/// One per connection: opens what the behaviour asks for, admits what the peer opens.
#[derive(Debug)]
pub(in crate::network) struct Handler {
    admission: Admission,
    waiting: VecDeque<Request>,
    /// Negotiations that got no answer: the connection is probably dead.
    unanswered: VecDeque<Reply>,
}

/// A negotiation got no answer. The behaviour drops the connection before it tells who waits, so
/// that a second attempt does not meet the same connection.
#[derive(Debug)]
pub(in crate::network) struct Unanswered(pub(super) Reply);

impl Handler {
    pub(super) fn new(admission: Admission) -> Self {
        Handler { admission, waiting: VecDeque::new(), unanswered: VecDeque::new() }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Request;
    type ToBehaviour = Unanswered;
    type InboundProtocol = Admission;
    type OutboundProtocol = Opening;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Reply;

    fn listen_protocol(&self) -> SubstreamProtocol<Admission, ()> {
        SubstreamProtocol::new(self.admission.clone(), ()).with_timeout(limits::NEGOTIATION_TIMEOUT)
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Opening, Reply, Unanswered>> {
        if let Some(reply) = self.unanswered.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Unanswered(reply)));
        }
        while let Some(request) = self.waiting.pop_front() {
            if request.reply.is_closed() {
                continue; // nobody waits for it any more
            }
            let name = self.admission.door.name(request.protocol);
            let protocol = SubstreamProtocol::new(Opening(name), request.reply)
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

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Admission, Opening, (), Reply>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { .. }) => {}
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream,
                info: reply,
            }) => {
                let _ = reply.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: reply, error }) => {
                let error = match error {
                    StreamUpgradeError::Timeout => return self.unanswered.push_back(reply),
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
                    StreamUpgradeError::Apply(OpeningError::Busy) => OpenError::Busy,
                    StreamUpgradeError::Apply(OpeningError::Io(error))
                    | StreamUpgradeError::Io(error) => {
                        debug!(%error, "stream failed while it was opened");
                        OpenError::ConnectionLost
                    }
                };
                let _ = reply.send(Err(error));
            }
            _ => {}
        }
    }
}
