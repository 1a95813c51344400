//! A reader: asks for the header, then reads segment by segment.
//!
//! Promises: what it hands over is compared with what was written. Does not: remember anything from one read to the next.

use std::collections::BTreeMap;

use haulout_protocol::blob::BlobHeader;
use haulout_protocol::machine::Machine;
use haulout_protocol::machine::download::{self, Terms};
use haulout_protocol::machine::inquiry::{self, Inquiry};
use haulout_protocol::machine::responsiveness::Pace;
use haulout_protocol::machine::retry::End;
use haulout_protocol::machine::roster::Roster;
use haulout_protocol::wire;
use haulout_protocol::wire::blob::{self, Answer, Question};
use haulout_protocol::wire::sliver::Reply;

use crate::check::Invariant;
use crate::env::{Env, Event, Part, Parts, StreamId, TaskId};
use crate::reading::{Of, Reading, end_of};
use crate::task::State;

/// How long a reader waits for anything new.
const PATIENCE_MS: u64 = 20_000;
/// Members asked for a header at once.
const WIDTH: usize = 2;

/// One read.
pub(crate) struct Get {
    id: TaskId,
    pub(crate) blob: usize,
    roster: Roster,
    inquiry: Inquiry,
    headers: BTreeMap<StreamId, usize>,
    header: Option<BlobHeader>,
    segment: u32,
    reading: Option<Reading>,
    bytes: Vec<u8>,
    wake_at: Option<u64>,
    pub(crate) state: State,
}

impl Get {
    pub(crate) fn new(env: &mut Env, id: TaskId, blob: usize) -> Get {
        let roster = env.roster(env.ledger.epoch());
        let mut order: Vec<usize> = (0..roster.len()).collect();
        env.random.shuffle(&mut order);
        let noise = env.random.next();
        let mut get = Get {
            id,
            blob,
            roster,
            inquiry: Inquiry::new(order, WIDTH, PATIENCE_MS, noise),
            headers: BTreeMap::new(),
            header: None,
            segment: 0,
            reading: None,
            bytes: Vec::new(),
            wake_at: None,
            state: State::Running,
        };
        get.inquire(env, inquiry::Input::Started);
        get
    }

    fn end(&mut self, env: &mut Env, state: State) {
        env.note(format_args!("get {} of {}: {state:?}", self.id, self.blob));
        self.close_all(env);
        self.state = state;
    }

    fn close_all(&mut self, env: &mut Env) {
        std::mem::take(&mut self.headers).into_keys().for_each(|stream| env.close(stream));
        self.reading.iter_mut().for_each(|reading| reading.close(env));
    }

    // The header.

    fn inquire(&mut self, env: &mut Env, input: inquiry::Input) {
        for effect in self.inquiry.handle(env.timestamp(), input) {
            match effect {
                inquiry::Effect::Ask { member } => {
                    let stream = env.open(self.id, member);
                    self.headers.insert(stream, member);
                    let blob_id = *env.blobs[self.blob].blob_id.as_bytes();
                    let question = Question::Header;
                    let request = blob::Request { blob_id, question, trace: None };
                    env.send_up(stream, vec![Part::frame(wire::encode(&request))]);
                }
                inquiry::Effect::GiveUp => {
                    return self.end(env, State::Failed("no header".to_owned()));
                }
            }
        }
        self.set_alarm(env);
    }

    /// What a member says of the header.
    fn take_header(&mut self, env: &mut Env, member: usize, part: &Part) {
        let known = &env.blobs[self.blob];
        let read = BlobHeader::read_verified(&part.raw, &env.settings.parameters, &known.blob_id);
        let end = match (wire::decode::<Answer>(&part.frame), read) {
            (Ok(Answer::Header { .. }), Ok(header)) => {
                self.header = Some(header);
                self.close_all(env);
                return self.begin_segment(env);
            }
            (Ok(Answer::Refused(refusal)), _) => end_of(&refusal),
            _ => match wire::decode::<Reply>(&part.frame) {
                Ok(Reply::Refused(refusal)) => end_of(&refusal),
                _ => End::Never,
            },
        };
        self.inquire(env, inquiry::Input::Ended { member, end });
    }

    // Segments.

    fn begin_segment(&mut self, env: &mut Env) {
        let terms = Terms {
            paces: vec![Pace::Untried; self.roster.len()],
            patience_ms: PATIENCE_MS,
            noise: env.random.next(),
            certified: None,
        };
        let header = self.header.clone().expect("it comes first");
        let of = Of { blob_id: env.blobs[self.blob].blob_id, header, segment: self.segment };
        let who = format!("get {}", self.id);
        let nothing = BTreeMap::new();
        let reading = Reading::begin(env, (self.id, who), &self.roster, of, terms, nothing);
        self.reading = Some(reading);
        self.go_on(env);
    }

    /// Looks whether the segment was read.
    fn go_on(&mut self, env: &mut Env) {
        match self.reading.as_mut().and_then(|reading| reading.end.take()) {
            None => self.set_alarm(env),
            Some(Ok(bytes)) => self.finish_segment(env, &bytes),
            Some(Err(failure)) => self.end(env, State::Failed(failure.to_string())),
        }
    }

    fn finish_segment(&mut self, env: &mut Env, decoded: &[u8]) {
        self.bytes.extend_from_slice(decoded);
        self.close_all(env);
        self.segment += 1;
        let segments = self.header.as_ref().map_or(0, |header| header.segments.len());
        if usize::try_from(self.segment).expect("small") < segments {
            return self.begin_segment(env);
        }
        self.reading = None;
        if self.bytes != env.blobs[self.blob].bytes {
            let what = format!("get {} hands over other bytes than were written", self.id);
            env.violated(Invariant::ReadIntegrity, what);
        }
        self.end(env, State::Done);
    }

    // Streams.

    /// A stream is lost, or silent for too long.
    pub(crate) fn lost(&mut self, env: &mut Env, stream: StreamId) {
        env.close(stream);
        let end = End::Again { after_ms: 0 };
        if let Some(member) = self.headers.remove(&stream) {
            self.inquire(env, inquiry::Input::Ended { member, end });
        } else if let Some(reading) = self.reading.as_mut() {
            reading.ended(env, stream, end);
            self.go_on(env);
        }
    }

    /// A message came.
    pub(crate) fn take(&mut self, env: &mut Env, stream: StreamId, parts: &Parts) {
        if self.state != State::Running {
            return;
        }
        if let Some(member) = self.headers.remove(&stream) {
            env.close(stream);
            if let Some(part) = parts.first() {
                self.take_header(env, member, part);
            }
            return;
        }
        if let Some(reading) = self.reading.as_mut() {
            reading.take(env, stream, parts);
            self.go_on(env);
        }
    }

    // Time.

    fn deadline(&self) -> Option<u64> {
        match &self.reading {
            Some(reading) => reading.deadline(),
            None => self.inquiry.deadline().map(|deadline| deadline.0),
        }
    }

    fn set_alarm(&mut self, env: &mut Env) {
        let Some(deadline) = self.deadline().filter(|_| self.state == State::Running) else {
            return;
        };
        if self.wake_at.is_none_or(|at| at > deadline || at < env.now) {
            self.wake_at = Some(deadline);
            env.at(deadline, Event::Wake { task: self.id });
        }
    }

    /// It is time.
    pub(crate) fn wake(&mut self, env: &mut Env) {
        if self.state != State::Running {
            return;
        }
        self.wake_at = None;
        if self.deadline().is_none_or(|deadline| deadline > env.now) {
            return self.set_alarm(env);
        }
        match self.reading.as_mut() {
            Some(reading) => {
                reading.feed(env, download::Input::TimeReached);
                self.go_on(env);
            }
            None => self.inquire(env, inquiry::Input::TimeReached),
        }
    }
}
