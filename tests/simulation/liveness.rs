//! What must come true once nothing goes wrong any more.
//!
//! Promises: with no more than f shards lying or having lost, everything certifies and everything certified is read; in any
//! case everybody learns what the ledger says, and nothing is kept that is over. Does not: excuse anybody but liars.

use haulout_protocol::blob::BlobId;
use haulout_protocol::sliver::{Axis, ShardIndex};

use crate::check::Invariant;
use crate::ledger::EPOCHS_AHEAD;
use crate::node::Node;
use crate::put::Order;
use crate::settings::Fault;
use crate::task::State;
use crate::world::World;

/// In so much virtual time everything must be done.
const LIMIT_MS: u64 = 180_000;
/// Messages of a thousand that may still be lost while everything must be read.
const LOSS_IN_CALM_MAX: u64 = 10;

impl World {
    pub(crate) fn check_liveness(&mut self) {
        self.check_rest();
        if !self.env.settings.is_beyond {
            self.check_writes();
            self.check_durability();
            self.run_tours();
            self.check_repairs();
            self.check_scrubbed();
        }
        self.check_reads();
        self.check_severe_losses();
        self.check_records();
        self.check_deletion();
    }

    /// What was begun ends.
    fn check_rest(&mut self) {
        let is_over =
            |world: &World| world.tasks.iter().all(|task| *task.state() != State::Running);
        if !self.run_until_so(LIMIT_MS, is_over) {
            let running = self.tasks.iter().filter(|task| *task.state() == State::Running).count();
            let what = format!("{running} tasks never end");
            self.env.violated(Invariant::Convergence, what);
        }
        self.catch_up();
    }

    fn catch_up(&mut self) {
        let has_caught_up = |world: &World| {
            let (last, epoch) = (world.env.ledger.last(), world.env.ledger.epoch());
            world.nodes.iter().all(|node| node.has_judged(last, epoch))
        };
        if !self.run_until_so(LIMIT_MS, has_caught_up) {
            let at: Vec<_> = self.nodes.iter().map(|node| (node.checkpoint, node.epoch)).collect();
            let last = self.env.ledger.last();
            let what = format!("nodes do not catch up with {last}: {at:?}");
            self.env.violated(Invariant::Convergence, what);
        }
    }

    /// Every blob can be put again.
    fn check_writes(&mut self) {
        let blobs = self.env.blobs.len();
        for blob in 0..blobs {
            if self.env.violation.is_some() {
                return;
            }
            let order = Order { blob, deletable: false, epochs: 3, pays: true };
            let task = self.put(order);
            let is_over = move |world: &World| *world.tasks[task].state() != State::Running;
            let in_time = self.run_until_so(LIMIT_MS, is_over);
            let state = self.tasks[task].state().clone();
            if !in_time || state != State::Done {
                let what = format!("put {task} of blob {blob} with f faulty shards: {state:?}");
                self.env.violated(Invariant::WriteLiveness, what);
            }
        }
        self.catch_up();
    }

    /// Certified blobs are at honest nodes, enough to decode.
    fn check_durability(&mut self) {
        for blob in 0..self.env.blobs.len() {
            let blob_id = self.env.blobs[blob].blob_id;
            if !self.env.ledger.is_certified(&blob_id) {
                continue;
            }
            let segments = self.env.blobs[blob].header.segments.len();
            for segment in 0..u32::try_from(segments).expect("few") {
                let (primary, secondary) = self.held(&blob_id, segment);
                let parameters = self.env.settings.parameters;
                let is_enough = primary >= parameters.source(Axis::Primary)
                    || secondary >= parameters.source(Axis::Secondary);
                if !is_enough {
                    let what = format!(
                        "of segment {segment} of blob {blob} {primary} primary and {secondary} \
                         secondary slivers are left"
                    );
                    self.env.violated(Invariant::Durability, what);
                }
            }
        }
    }

    /// Every honest node has its share of what is certified, whoever wrote it and whatever it lost.
    fn check_repairs(&mut self) {
        let are_complete = |world: &World| {
            world.nodes.iter().filter(|node| node.lie.is_none()).all(|node| node.is_complete())
        };
        if self.env.violation.is_none() && !self.run_until_so(LIMIT_MS, are_complete) {
            let lacking =
                self.nodes.iter().filter(|node| node.lie.is_none() && !node.is_complete());
            let lacking: Vec<_> = lacking.map(|node| node.index).collect();
            let what = format!("nodes {lacking:?} never have their share");
            self.env.violated(Invariant::Recovery, what);
        }
    }

    /// Every honest node reads all that it stores once, from a beginning after the faults.
    fn run_tours(&mut self) {
        let have_read_all = |world: &World, before: &[u64]| {
            let honest = world.nodes.iter().zip(before).filter(|(node, _)| node.lie.is_none());
            honest.into_iter().all(|(node, before)| node.scrubber.tours >= before + 2)
        };
        let before: Vec<_> = self.nodes.iter().map(|node| node.scrubber.tours).collect();
        let in_time = self.run_until_so(LIMIT_MS, |world| have_read_all(world, &before));
        if self.env.violation.is_none() && !in_time {
            let tours: Vec<_> = self.nodes.iter().map(|node| node.scrubber.tours).collect();
            let what = format!("tours do not end: {before:?} before, {tours:?} after");
            self.env.violated(Invariant::Scrubbing, what);
        }
    }

    /// Nothing of what is certified is rotten at an honest node.
    fn check_scrubbed(&mut self) {
        if self.env.violation.is_some() {
            return;
        }
        let honest = self.nodes.iter().filter(|node| node.lie.is_none());
        let rotten = honest.filter_map(|node| Some((node.index, node.rotten(&self.env)?)));
        if let Some((node, rotten)) = rotten.collect::<Vec<_>>().pop() {
            self.env.violated(Invariant::Scrubbing, format!("n{node}: {rotten}"));
        }
    }

    /// Slivers of a segment at nodes that hand them out, also of shards that are others' by now.
    fn held(&self, blob_id: &BlobId, segment: u32) -> (u16, u16) {
        let (mut primary, mut secondary) = (0, 0);
        for shard in (0..self.env.settings.parameters.shards()).map(ShardIndex) {
            let honest = self.nodes.iter().filter(|node| node.lie.is_none());
            let held = honest.map(|node| node.holds_of(blob_id, segment, shard));
            let [one, other] = held.fold([false; 2], |all, it| [all[0] | it[0], all[1] | it[1]]);
            (primary, secondary) = (primary + u16::from(one), secondary + u16::from(other));
        }
        (primary, secondary)
    }

    /// Honest nodes lose their disks, all at once, and what is left is as much as a reader needs.
    fn check_severe_losses(&mut self) {
        if self.env.violation.is_some() || !self.env.settings.is_severe {
            return;
        }
        let least = usize::from(self.env.settings.parameters.source(Axis::Primary));
        let honest = |node: &&mut Node| node.lie.is_none();
        let World { env, nodes, .. } = self;
        let mut left: usize = nodes.iter_mut().filter(honest).map(|node| node.shards.len()).sum();
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        env.random.shuffle(&mut order);
        for node in order {
            let weight = nodes[node].shards.len();
            if nodes[node].lie.is_none() && left >= least + weight {
                left -= weight;
                env.note(format_args!("n{node} loses its disk"));
                nodes[node].suffer(env, 0, &Fault::Wipe { down_ms: 10 });
            }
        }
        let until = self.env.now + 100;
        self.run_until(until);
        self.catch_up();
        self.check_repairs();
        self.check_reads();
    }

    /// Certified blobs are read.
    fn check_reads(&mut self) {
        let is_due = !self.env.settings.is_beyond;
        // A reader asks again where a stream was lost; a writer who lost too many streams puts again.
        self.env.loss = self.env.settings.loss.min(LOSS_IN_CALM_MAX);
        for blob in 0..self.env.blobs.len() {
            let blob_id = self.env.blobs[blob].blob_id;
            if self.env.violation.is_some() || !self.env.ledger.is_certified(&blob_id) {
                continue;
            }
            let task = self.get(blob);
            let is_over = move |world: &World| *world.tasks[task].state() != State::Running;
            let in_time = self.run_until_so(LIMIT_MS, is_over);
            let state = self.tasks[task].state().clone();
            if !in_time || (is_due && state != State::Done) {
                let what = format!("get {task} of certified blob {blob}: {state:?}");
                self.env.violated(Invariant::ReadLiveness, what);
            }
        }
    }

    /// Everybody knows what the ledger says.
    fn check_records(&mut self) {
        self.env.loss = 0;
        let World { env, nodes, .. } = self;
        let epoch = env.ledger.epoch();
        let ids: Vec<_> = env.blobs.iter().map(|known| known.blob_id).collect();
        for (node, blob_id) in nodes.iter().flat_map(|node| ids.iter().map(move |id| (node, id))) {
            let Some(store) = &node.store else { continue };
            let record = store.blob(blob_id).expect("readable").unwrap_or_default();
            let live = record.objects.iter().filter(|object| object.is_live(epoch));
            let mut known: Vec<_> = live
                .map(|object| {
                    let certified = object.certified_epoch.map(|epoch| epoch.0);
                    (object.object_id, object.end_epoch.0, object.deletable, certified)
                })
                .collect();
            let said = env.ledger.objects_of(blob_id);
            let said = said.filter(|blob| epoch.0 < blob.storage.end_epoch);
            let mut said: Vec<_> = said
                .map(|blob| (blob.id, blob.storage.end_epoch, blob.deletable, blob.certified_epoch))
                .collect();
            known.sort_unstable();
            said.sort_unstable();
            if known != said {
                let what = format!(
                    "n{} believes {known:?} of {}, and the ledger says {said:?}",
                    node.index,
                    blob_id.short()
                );
                return env.violated(Invariant::CursorProgress, what);
            }
        }
    }

    /// When everything is over nothing is kept.
    fn check_deletion(&mut self) {
        for _ in 0..=EPOCHS_AHEAD {
            self.env.end_epoch_now();
        }
        self.catch_up();
        let until = self.env.now + 2 * self.env.settings.pending_ms;
        self.run_until(until);
        let World { env, nodes, .. } = self;
        for node in nodes.iter() {
            let Some(store) = &node.store else { continue };
            let usage = store.usage().expect("readable");
            if usage.pending_bytes > 0 {
                let what = format!("n{} keeps {usage:?} that nobody pays for", node.index);
                return env.violated(Invariant::NoUnpaidState, what);
            }
            if usage.content_bytes > 0 {
                let what = format!("n{} keeps {usage:?} after everything ended", node.index);
                return env.violated(Invariant::Deletion, what);
            }
        }
    }
}
