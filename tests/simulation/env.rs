//! What nodes and clients share: the time, the queue of what happens next, the network between them, the ledger, the trace.
//!
//! Promises: things happen in the order of their times and, at the same time, in the order in which they were asked for;
//! messages of one stream keep their order, and none arrives after one that was lost. Does not: know what messages mean.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Arguments;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::chain::object::staking::EpochState;
use haulout_protocol::committee::{Committee, Member, NodeId};
use haulout_protocol::crypto::{PeerId, PublicKey, SecretKey};
use haulout_protocol::encoding::{EncodedSegment, SegmentPosition, encode_segment, header_of};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::Timestamp;
use haulout_protocol::machine::roster::Roster;
use haulout_protocol::message::NetworkId;
use haulout_protocol::sliver::ShardIndex;

use crate::check::{Invariant, Violation};
use crate::ledger::{FIRST_EPOCH, Ledger};
use crate::random::Random;
use crate::settings::{Settings, Way};

/// Names a stream.
pub(crate) type StreamId = u64;
/// Names a client's task.
pub(crate) type TaskId = usize;

/// The network's id.
pub(crate) const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);
/// Who waits for an answer on a stream waits so long.
const SILENCE_MS: u64 = 10_000;

/// A frame and the raw bytes behind it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) frame: Vec<u8>,
    pub(crate) raw: Bytes,
}

impl Part {
    /// A frame with nothing behind it.
    pub(crate) fn frame(frame: Vec<u8>) -> Part {
        Part { frame, raw: Bytes::new() }
    }

    /// A frame with bytes behind it.
    pub(crate) fn with(frame: Vec<u8>, raw: impl Into<Bytes>) -> Part {
        Part { frame, raw: raw.into() }
    }
}

/// What is sent at once.
pub(crate) type Parts = Vec<Part>;

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// A message arrives at a node.
    Up { stream: StreamId, parts: Parts },
    /// A message arrives at a client.
    Down { stream: StreamId, parts: Parts },
    /// Both ends notice that a stream is lost.
    Lost { stream: StreamId },
    /// Has anything been heard on it?
    Overdue { stream: StreamId },
    /// The bytes of a segment left a writer.
    Left { stream: StreamId, segment: u32 },
    /// An announcement arrives.
    Gossip { node: usize, bytes: Vec<u8> },
    /// A node looks at the ledger.
    Look { node: usize, incarnation: u32 },
    /// A node has read the network anew.
    View { node: usize, incarnation: u32 },
    /// A node looks whether there is something to repair, or late.
    Repair { node: usize, incarnation: u32 },
    /// A node reads again what it stores.
    Scrub { node: usize, incarnation: u32 },
    /// A node forgets what nobody paid for.
    Sweep { node: usize, incarnation: u32 },
    /// A session waited long enough for its registration.
    Patience { node: usize, stream: StreamId },
    /// A client's deadline.
    Wake { task: TaskId },
    /// A client's transaction is through.
    Chain { task: TaskId, step: ChainStep },
    /// The operation with this index begins.
    Begin { operation: usize },
    /// The fault with this index begins.
    Fault { planned: usize },
    /// The power of a node goes, if it has not gone since.
    PowerCut { planned: usize, incarnation: u32 },
    /// A node's power is back.
    Restart { node: usize },
    /// Its disk has room again.
    Room { node: usize },
}

/// What a client asks of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChainStep {
    Register,
    Certify,
}

/// A stream.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) task: TaskId,
    pub(crate) node: usize,
    is_open: bool,
    up_at: u64,
    down_at: u64,
    heard_at: u64,
    /// Whether the client waits for something.
    pub(crate) is_owed: bool,
}

/// How a node is reached.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Link {
    pub(crate) deaf_until: u64,
    pub(crate) mute_until: u64,
    pub(crate) slow: (u64, u64),
}

/// A blob, as its writer knows it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) bytes: Bytes,
    pub(crate) header: BlobHeader,
    pub(crate) blob_id: BlobId,
}

/// What they share.
pub(crate) struct Env {
    pub(crate) settings: Rc<Settings>,
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    asked: u64,
    pub(crate) streams: BTreeMap<StreamId, Stream>,
    pub(crate) links: Vec<Link>,
    pub(crate) random: Random,
    pub(crate) ledger: Ledger,
    pub(crate) keys: Vec<SecretKey>,
    public_keys: Vec<PublicKey>,
    pub(crate) blobs: Vec<Known>,
    pub(crate) violation: Option<Violation>,
    /// Nodes that reported their shards in the ledger's epoch.
    synced: BTreeSet<usize>,
    /// Whether faults are over.
    pub(crate) is_calm: bool,
    /// How many messages of a thousand are lost now.
    pub(crate) loss: u64,
    hasher: blake3::Hasher,
    is_told: bool,
}

/// The committee of an epoch.
fn committee(settings: &Settings, keys: &[PublicKey], epoch: Epoch) -> Committee {
    let member = |(index, shards): (usize, &Vec<_>)| {
        let seed = u8::try_from(index).expect("few nodes") + 1;
        Member {
            node_id: NodeId::from_bytes([seed; 32]),
            name: format!("n{index}"),
            peer_id: PeerId::from_key([seed; 32]),
            addresses: Vec::new(),
            public_key: keys[index],
            shards: shards.clone(),
        }
    };
    let members = settings.shards_in(epoch).iter().enumerate().map(member).collect();
    Committee::new(epoch, settings.parameters.shards(), members).expect("every shard is dealt once")
}

impl Env {
    pub(crate) fn new(settings: Rc<Settings>, is_told: bool) -> Env {
        let key =
            |index: usize| SecretKey::from_seed(&[u8::try_from(index).expect("few nodes") + 1; 32]);
        let nodes = settings.shards.len();
        let keys: Vec<_> = (0..nodes).map(key).collect();
        let public_keys: Vec<_> = keys.iter().map(SecretKey::public_key).collect();
        let first = committee(&settings, &public_keys, FIRST_EPOCH);
        let known = |bytes: &Vec<u8>| {
            let header = header_of(&settings.parameters, bytes);
            Known { bytes: bytes.clone().into(), blob_id: header.blob_id(), header }
        };
        Env {
            now: 0,
            queue: BTreeMap::new(),
            asked: 0,
            streams: BTreeMap::new(),
            links: vec![Link::default(); nodes],
            random: Random::of(settings.seed, "network"),
            ledger: Ledger::new(NETWORK, &settings.parameters, &first),
            keys,
            public_keys,
            blobs: settings.blobs.iter().map(known).collect(),
            violation: None,
            synced: BTreeSet::new(),
            is_calm: false,
            loss: settings.loss,
            hasher: blake3::Hasher::new(),
            is_told,
            settings,
        }
    }

    /// The time as machines know it.
    pub(crate) fn timestamp(&self) -> Timestamp {
        Timestamp(self.now)
    }

    /// The committee of this epoch.
    pub(crate) fn committee(&self, epoch: Epoch) -> Committee {
        committee(&self.settings, &self.public_keys, epoch)
    }

    /// Whom to ask in this epoch: its members, and who had before what moved.
    pub(crate) fn roster(&self, epoch: Epoch) -> Roster {
        let previous = (epoch > FIRST_EPOCH).then(|| self.committee(Epoch(epoch.0 - 1)));
        let is_syncing = epoch == self.ledger.epoch() && !self.is_synced();
        let phase = match is_syncing {
            true => EpochState::Sync { weight: 0, started_ms: 0 },
            false => EpochState::Done { since_ms: 0 },
        };
        Roster::new(Arc::new(self.committee(epoch)), previous.as_ref(), &phase)
    }

    /// A node says that it has its shards.
    pub(crate) fn report(&mut self, node: usize, epoch: Epoch) {
        self.note(format_args!("n{node} reports its shards in {epoch}"));
        if epoch == self.ledger.epoch() {
            self.synced.insert(node);
        }
    }

    /// Shards whose owners in this epoch said so.
    pub(crate) fn synced(&self, epoch: Epoch) -> BTreeSet<ShardIndex> {
        let synced = self.synced.iter().filter(|_| epoch == self.ledger.epoch());
        synced.flat_map(|node| self.settings.shards_in(epoch)[*node].iter().copied()).collect()
    }

    /// Whether a quorum said so in the ledger's epoch.
    fn is_synced(&self) -> bool {
        let epoch = self.ledger.epoch();
        self.synced(epoch).len() >= usize::from(self.committee(epoch).quorum())
    }

    /// Ends the epoch, unless more would be on its way then than can be rebuilt; whether it ended.
    pub(crate) fn end_epoch(&mut self) -> bool {
        let settings = self.settings.clone();
        let shards = settings.shards_in(self.ledger.epoch());
        let is_doubtful = |(node, _): &(usize, &Vec<ShardIndex>)| {
            settings.lies[*node].is_some() || !self.synced.contains(node)
        };
        let doubtful = shards.iter().enumerate().filter(is_doubtful);
        let doubtful: usize = doubtful.map(|(_, shards)| shards.len()).sum();
        let is_too_early = doubtful > usize::from(settings.parameters.faults());
        if !settings.moves.is_empty() && is_too_early {
            self.note(format_args!("the epoch cannot end yet"));
            return false;
        }
        self.end_epoch_now();
        true
    }

    /// Ends the epoch, whoever has which shards.
    pub(crate) fn end_epoch_now(&mut self) {
        let next = self.committee(Epoch(self.ledger.epoch().0 + 1));
        self.synced.clear();
        self.ledger.next_epoch(&next);
    }

    /// A segment of a blob, as its writer encodes it.
    pub(crate) fn encoded(&self, blob_id: &BlobId, segment: u32) -> EncodedSegment {
        let known = self.blobs.iter().find(|known| known.blob_id == *blob_id).expect("a blob");
        let parameters = &self.settings.parameters;
        let position = SegmentPosition { segment, blob_bytes: known.header.length };
        let length = usize::try_from(position.length(parameters)).expect("small");
        let start = usize::try_from(segment * parameters.segment_bytes()).expect("small");
        encode_segment(parameters, position, known.bytes.slice(start..start + length))
    }

    /// Notes what happened.
    pub(crate) fn note(&mut self, what: Arguments<'_>) {
        let line = format!("{:>8} {what}\n", self.now);
        self.hasher.update(line.as_bytes());
        if self.is_told {
            eprint!("{line}");
        }
    }

    /// What happened, in sixteen digits.
    pub(crate) fn trace_hash(&self) -> String {
        self.hasher.finalize().to_hex()[..16].to_owned()
    }

    /// Something is not as it must be; the first such thing counts.
    pub(crate) fn violated(&mut self, invariant: Invariant, what: String) {
        self.note(format_args!("VIOLATED {invariant:?}: {what}"));
        let at_ms = self.now;
        self.violation.get_or_insert(Violation { invariant, at_ms, what });
    }

    /// Lets something happen at that time, or now if that is over.
    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.asked += 1;
        self.queue.insert((at.max(self.now), self.asked), event);
    }

    /// Lets something happen later.
    pub(crate) fn after(&mut self, wait: u64, event: Event) {
        self.at(self.now + wait, event);
    }

    /// The next thing that happens, not after `until`; the time moves to it.
    pub(crate) fn next(&mut self, until: u64) -> Option<Event> {
        let (at, _) = *self.queue.first_key_value()?.0;
        if at > until {
            self.now = until;
            return None;
        }
        self.now = at;
        self.queue.pop_first().map(|(_, event)| event)
    }

    fn delay(&mut self, node: usize) -> u64 {
        let (least, most) = self.settings.delay_ms;
        let slow = self.links[node].slow;
        let more = if self.now < slow.1 { slow.0 } else { 0 };
        self.random.within(least..most) + more
    }

    /// Opens a stream to a node.
    pub(crate) fn open(&mut self, task: TaskId, node: usize) -> StreamId {
        self.asked += 1;
        let stream = self.asked;
        let new = Stream {
            task,
            node,
            is_open: true,
            up_at: 0,
            down_at: 0,
            heard_at: self.now,
            is_owed: true,
        };
        self.streams.insert(stream, new);
        self.after(SILENCE_MS, Event::Overdue { stream });
        stream
    }

    /// Ends a stream.
    pub(crate) fn close(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }

    fn is_cut(&self, node: usize, way: Way) -> bool {
        let link = self.links[node];
        match way {
            Way::ToNode => self.now < link.deaf_until,
            Way::FromNode => self.now < link.mute_until,
            Way::Both => self.now < link.deaf_until.max(link.mute_until),
        }
    }

    /// Sends one way; a message that is lost takes its stream with it.
    fn send(&mut self, stream: StreamId, way: Way, parts: Parts) {
        let Some(found) = self.streams.get(&stream).cloned() else { return };
        if !found.is_open {
            return;
        }
        let is_lost = self.random.chance(self.loss) | self.is_cut(found.node, way);
        let delay = self.delay(found.node);
        if is_lost {
            self.lose(stream);
            return;
        }
        let last = if way == Way::ToNode { found.up_at } else { found.down_at };
        let at = last.max(self.now + delay);
        let entry = self.streams.get_mut(&stream).expect("just found");
        if way == Way::ToNode {
            entry.up_at = at;
            self.at(at, Event::Up { stream, parts });
        } else {
            entry.down_at = at;
            self.at(at, Event::Down { stream, parts });
        }
    }

    /// Nothing more is heard on a stream; both ends notice later.
    pub(crate) fn lose(&mut self, stream: StreamId) {
        if let Some(found) = self.streams.get_mut(&stream)
            && std::mem::take(&mut found.is_open)
        {
            let notice = self.settings.notice_ms;
            self.after(notice, Event::Lost { stream });
        }
    }

    /// Sends to the node of a stream.
    pub(crate) fn send_up(&mut self, stream: StreamId, parts: Parts) {
        self.send(stream, Way::ToNode, parts);
    }

    /// Sends to the client of a stream.
    pub(crate) fn send_down(&mut self, stream: StreamId, parts: Parts) {
        self.send(stream, Way::FromNode, parts);
    }

    /// Takes a message off a stream that is still open.
    pub(crate) fn receive(&mut self, stream: StreamId) -> Option<Stream> {
        let now = self.now;
        let found = self.streams.get_mut(&stream).filter(|found| found.is_open)?;
        found.heard_at = now;
        Some(found.clone())
    }

    /// Whether a stream's node is silent for too long; if not, looks again later.
    pub(crate) fn is_overdue(&mut self, stream: StreamId) -> bool {
        let Some(found) = self.streams.get(&stream) else { return false };
        let due = found.heard_at + SILENCE_MS;
        if found.is_owed && due <= self.now {
            return true;
        }
        let at = if found.is_owed { due } else { self.now + SILENCE_MS };
        self.at(at, Event::Overdue { stream });
        false
    }

    /// Lets everybody hear of a certificate, or not.
    pub(crate) fn gossip(&mut self, bytes: &[u8]) {
        for node in 0..self.links.len() {
            if self.random.chance(700) && !self.is_cut(node, Way::ToNode) {
                let delay = self.delay(node);
                self.after(delay, Event::Gossip { node, bytes: bytes.to_vec() });
            }
        }
    }
}
