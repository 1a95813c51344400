//! Former owners of shards are asked for what is missing of them, as the machine decides, page by page.
//!
//! Promises: the machine hears how each page ended, whatever became of it; a page that nobody waits for any more is dropped,
//! with what it had of the memory of repairs; a new look through the store begins with a new machine, so an owner that was
//! given up is asked again then. Does not: decide whom to ask, or rebuild what former owners do not have.
//! Source: `protocol.md` section 8.

mod arrived;
mod keep;
mod page;
pub(super) mod serve;
mod tools;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::handover::{Effect, Handover, Input, Lost, Terms};
use haulout_protocol::machine::{Machine, RequestId, Timestamp};
use haulout_protocol::sliver::ShardIndex;
use haulout_protocol::wire::shard::{Entry, PAIRS_MAX};
use ractor::{ActorRef, Message};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, warn};

use self::page::Page;
pub(super) use self::tools::Tools;
use crate::asking::Clock;
use crate::limits;
use crate::network::Network;
use crate::position::Position;
use crate::session::Session;
use crate::tasks::Tasks;

/// What the machine is told, of the handover of which look, and what came with it.
pub(crate) struct News {
    look: u64,
    input: Input,
    /// Bytes of what is whole now.
    pub(super) bytes: u64,
}

impl News {
    /// Pairs that are whole now.
    pub(super) fn pairs(&self) -> u64 {
        match &self.input {
            Input::Ended { came, .. } => u64::try_from(came.kept.len()).unwrap_or(u64::MAX),
            _ => 0,
        }
    }
}

/// A blob of which former owners have nothing more to give.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) blob: BlobId,
    pub(super) has_header: bool,
    pub(super) left: Vec<(u32, ShardIndex)>,
}

/// How the actor is told: itself, where its tasks run, its time, and what its messages of news are.
pub(super) struct Way<'a, M> {
    pub(super) actor: &'a ActorRef<M>,
    pub(super) tasks: &'a mut Tasks,
    pub(super) clock: &'a Clock,
    pub(super) message: fn(News) -> M,
}

/// The handover of one look.
pub(super) struct HandingOver {
    look: u64,
    tools: Tools,
    session: Session,
    machine: Handover,
    /// How long the blobs are of which something is missing.
    lengths: BTreeMap<BlobId, u64>,
    pages: BTreeMap<RequestId, DropGuard>,
}

impl HandingOver {
    /// The handover of a look that begins here; each has another number.
    pub(super) fn begin(look: u64, tools: Tools, network: &Network, position: &Position) -> Self {
        let roster = Arc::new(position.roster());
        let session = Session {
            network: network.clone(),
            network_id: tools.context.network,
            roster,
            committee: position.committee.clone(),
            parameters: position.parameters,
            checkpoint: position.checkpoint,
            patience: limits::HANDOVER_PATIENCE,
        };
        let milliseconds = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        let terms = Terms {
            patience_ms: milliseconds(limits::HANDOVER_PATIENCE),
            late_ms: milliseconds(limits::HANDOVER_LATE),
            pages_max: limits::HANDOVER_PAGES_MAX,
            pairs_max: PAIRS_MAX,
            noise: session.noise(),
        };
        let own = network.identity();
        let ourselves = session.roster.members().position(|member| member.peer_id == own);
        let machine = Handover::new(session.parameters, &session.roster, ourselves, terms);
        let (lengths, pages) = (BTreeMap::new(), BTreeMap::new());
        HandingOver { look, tools, session, machine, lengths, pages }
    }

    /// These are missing; what nobody can hand over is settled at once.
    pub(super) fn see<M: Message>(&mut self, way: Way<'_, M>, lost: Vec<Lost>) -> Vec<Settled> {
        // Whatever was missing before is settled: another page of the look is only read then.
        self.lengths = lost.iter().map(|lost| (lost.blob, lost.bytes)).collect();
        self.feed(way, Input::Seen(lost))
    }

    /// Hears of one of its pages.
    pub(super) fn hear<M: Message>(&mut self, way: Way<'_, M>, news: News) -> Vec<Settled> {
        match news.look == self.look {
            true => self.feed(way, news.input),
            false => Vec::new(), // an earlier look's
        }
    }

    /// The machine's time may have come.
    pub(super) fn wake<M: Message>(&mut self, way: Way<'_, M>) -> Vec<Settled> {
        self.feed(way, Input::TimeReached)
    }

    /// When the machine wants to be called again.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.machine.deadline()
    }

    fn feed<M: Message>(&mut self, mut way: Way<'_, M>, input: Input) -> Vec<Settled> {
        if let Input::Ended { request, .. } = &input {
            self.pages.remove(request);
        }
        let mut settled = Vec::new();
        for effect in self.machine.handle(way.clock.now(), input) {
            match effect {
                Effect::Ask { request, owner, entries } => {
                    self.ask(&mut way, request, owner, entries);
                }
                Effect::Cancel { request } => drop(self.pages.remove(&request)),
                Effect::Settled { blob, has_header, left } => {
                    settled.push(Settled { blob, has_header, left });
                }
                Effect::Silent { owner } => {
                    let peer = self.session.peer(owner);
                    debug!(member = %self.session.name(owner), "a former owner says nothing");
                    self.session.asker().fell_silent(peer);
                }
                Effect::Blame { owner, reason } => {
                    warn!(member = %self.session.name(owner), %reason, "a former owner of shards lies");
                    self.session.asker().blame(self.session.peer(owner), reason);
                }
            }
        }
        settled
    }

    fn ask<M: Message>(
        &mut self,
        way: &mut Way<'_, M>,
        request: RequestId,
        owner: usize,
        entries: Vec<Entry>,
    ) {
        let length = |entry: &Entry| {
            let blob = BlobId::from_bytes(entry.blob_id);
            Some((blob, *self.lengths.get(&blob)?))
        };
        let page = Page {
            tools: self.tools.clone(),
            session: self.session.clone(),
            owner,
            lengths: entries.iter().filter_map(length).collect(),
            entries,
        };
        let (look, actor, message) = (self.look, way.actor.clone(), way.message);
        // An actor that is gone has no use for it.
        let tell = move |input| drop(actor.cast(message(News { look, input, bytes: 0 })));
        let stop = CancellationToken::new();
        self.pages.insert(request, stop.clone().drop_guard());
        way.tasks.spawn(way.actor, async move {
            let news = tokio::select! {
                over = page.run(request, tell) => {
                    let input = Input::Ended { request, came: over.came, how: over.how };
                    News { look, input, bytes: over.bytes }
                }
                // The machine knows; it only has its time told.
                () = stop.cancelled() => News { look, input: Input::TimeReached, bytes: 0 },
            };
            message(news)
        });
    }
}
