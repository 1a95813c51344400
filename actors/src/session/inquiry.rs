//! Puts one question to many members, as the machine decides: a few at a time, those that are slow again.
//!
//! Promises: the members asked at once are bounded by the machine; dropping an inquiry ends its requests. Does not: judge
//! answers; the caller does, and stops asking for more when it has heard enough.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use haulout_protocol::machine::Machine;
use haulout_protocol::machine::inquiry::{self, Effect, Input};
use haulout_protocol::machine::retry::End;

use super::node::AskError;
use super::{Clock, Session};

/// One question, many members. `Ask` makes the request to one member.
pub(super) struct Inquiry<Ask, Request> {
    machine: inquiry::Inquiry,
    clock: Clock,
    ask: Ask,
    requests: FuturesUnordered<Request>,
    is_over: bool,
}

impl<Ask, Request, Answer> Inquiry<Ask, Request>
where
    Ask: FnMut(usize) -> Request,
    Request: Future<Output = (usize, Result<Answer, AskError>)>,
{
    /// Asks the first of these members.
    pub(super) fn start(session: &Session, members: Vec<usize>, width: usize, ask: Ask) -> Self {
        let machine = inquiry::Inquiry::new(members, width, session.patience_ms(), session.noise());
        let requests = FuturesUnordered::new();
        let mut inquiry = Inquiry { machine, clock: Clock::start(), ask, requests, is_over: false };
        inquiry.feed(Input::Started);
        inquiry
    }

    /// The next answer, whatever it is worth; nothing when nobody is left to ask or no time.
    pub(super) async fn next(&mut self) -> Option<(usize, Result<Answer, AskError>)> {
        while !self.is_over {
            let deadline = self.machine.deadline();
            tokio::select! {
                biased;
                Some(answer) = self.requests.next() => return Some(answer),
                () = self.clock.until(deadline) => self.feed(Input::TimeReached),
            }
        }
        None
    }

    /// What the member's answer was worth.
    pub(super) fn judged(&mut self, member: usize, end: End) {
        self.feed(Input::Ended { member, end });
    }

    fn feed(&mut self, input: Input) {
        for effect in self.machine.handle(self.clock.now(), input) {
            match effect {
                Effect::Ask { member } => self.requests.push((self.ask)(member)),
                Effect::GiveUp => self.is_over = true,
            }
        }
    }
}
