//! Puts one question to many members, as the machine decides: a few at a time, those that are slow again.
//!
//! Promises: the members asked at once are bounded by the machine; dropping an inquiry ends its requests. Does not: judge
//! answers; the caller does, and stops asking for more when it has heard enough.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use haulout_protocol::machine::Machine;
use haulout_protocol::machine::inquiry::{self, Effect, Input};
use haulout_protocol::machine::retry::End;
use tokio::time::{Instant, timeout_at};

use super::clock::Clock;
use super::failure::AskError;

/// How long an inquiry may take, and what sets it apart from others of the kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How many members are asked at once.
    pub(crate) width: usize,
    /// After so long it ends, in milliseconds.
    pub(crate) patience_ms: u64,
    /// Spreads the pauses of many who ask.
    pub(crate) noise: u64,
}

/// One question, many members. `Ask` makes the request to one member.
pub(crate) struct Inquiry<Ask, Request> {
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
    pub(crate) fn start(terms: Terms, members: Vec<usize>, ask: Ask) -> Self {
        let Terms { width, patience_ms, noise } = terms;
        let machine = inquiry::Inquiry::new(members, width, patience_ms, noise);
        let requests = FuturesUnordered::new();
        let mut inquiry = Inquiry { machine, clock: Clock::start(), ask, requests, is_over: false };
        inquiry.feed(Input::Started);
        inquiry
    }

    /// The next answer, whatever it is worth; nothing when nobody is left to ask or no time.
    pub(crate) async fn next(&mut self) -> Option<(usize, Result<Answer, AskError>)> {
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
    pub(crate) fn judged(&mut self, member: usize, end: End) {
        self.feed(Input::Ended { member, end });
    }

    /// Hears every member: `judge` takes each answer and says whether the member is asked again, and whether what was heard
    /// settles the matter. Those that are still to answer then are waited for so long.
    pub(crate) async fn ask_everybody(
        mut self,
        stragglers: Duration,
        mut judge: impl FnMut(usize, Result<Answer, AskError>) -> (End, bool),
    ) {
        let mut ends: Option<Instant> = None;
        loop {
            let answer = match ends {
                None => self.next().await,
                Some(end) => timeout_at(end, self.next()).await.unwrap_or(None),
            };
            let Some((member, answer)) = answer else { return };
            let (end, is_settled) = judge(member, answer);
            self.judged(member, end);
            if is_settled && stragglers.is_zero() {
                return;
            }
            if is_settled {
                ends.get_or_insert_with(|| Instant::now() + stragglers);
            }
        }
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
