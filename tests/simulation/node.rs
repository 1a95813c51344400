//! A storage node: a real store on a disk that can fail, fed by the machines that decide for real nodes.
//!
//! Promises: what it applies, keeps, deletes, serves and signs is what the machines of the protocol say, carried out on its
//! store. Does not: decide anything itself, unless it lies.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use haulout_protocol::blob::BlobId;
use haulout_protocol::committee::Committee;
use haulout_protocol::crypto::SecretKey;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::announcement::{self, Verdict};
use haulout_protocol::machine::chain_sync::{changes_network, following};
use haulout_protocol::machine::confirmation::Registration;
use haulout_protocol::machine::epoch_change::{self, Facts};
use haulout_protocol::message::Persistence;
use haulout_protocol::sliver::ShardIndex;
use haulout_storage::{BlobEffect, Kept as Row, Proof, Scope, Store, StoreError};
use tokio::runtime::Runtime;

use crate::check::Invariant;
use crate::disk::{Disk, Kept};
use crate::env::{Env, Event, Known, NETWORK, StreamId};
use crate::random::Random;
use crate::repair::Repairer;
use crate::scrub::Scrubber;
use crate::serve::Session;
use crate::settings::Lie;

mod power;

/// How long a new view of the network takes.
const VIEW_MS: u64 = 40;

/// One node.
pub(crate) struct Node {
    pub(crate) index: usize,
    pub(crate) shards: Vec<ShardIndex>,
    pub(crate) key: SecretKey,
    pub(crate) parameters: Parameters,
    pub(crate) lie: Option<Lie>,
    /// Whether it lost something that had been synced.
    pub(crate) has_lost: bool,
    pub(crate) store: Option<Store>,
    pub(crate) disk: Disk,
    pub(crate) sessions: BTreeMap<StreamId, Session>,
    pub(crate) repairs: Repairer,
    pub(crate) scrubber: Scrubber,
    pub(crate) incarnation: u32,
    /// The epoch as it knows it, and the last checkpoint in its store.
    pub(crate) epoch: Epoch,
    pub(crate) checkpoint: Option<u64>,
    read_at: u64,
    /// Whether the network must be read before going on.
    is_stale: bool,
    pub(crate) judged: Option<Epoch>,
    /// Whether all of its shards are held, as it judged, and in which epoch it said so.
    may_report: bool,
    reported: Option<Epoch>,
    /// Shards that were gained, or lost with a disk, since it said that it has its shards.
    unsure: BTreeSet<ShardIndex>,
    has_rotted: bool,
    /// The epoch whose shards these are.
    shards_of: Epoch,
    deaf_until: u64,
    doubts_until: u64,
    /// What it signed.
    pub(crate) confirmed: BTreeMap<(BlobId, Persistence), Vec<ShardIndex>>,
    runtime: Rc<Runtime>,
    random: Random,
}

impl Node {
    pub(crate) fn new(env: &mut Env, index: usize, runtime: Rc<Runtime>) -> Node {
        let settings = env.settings.clone();
        let mut node = Node {
            index,
            shards: settings.shards[index].clone(),
            key: env.keys[index].clone(),
            parameters: settings.parameters,
            lie: settings.lies[index],
            has_lost: false,
            store: None,
            disk: Disk::default(),
            sessions: BTreeMap::new(),
            repairs: Repairer::default(),
            scrubber: Scrubber::new(env, index),
            incarnation: 0,
            epoch: crate::ledger::FIRST_EPOCH,
            checkpoint: None,
            read_at: 0,
            is_stale: true,
            judged: None,
            may_report: false,
            reported: None,
            unsure: BTreeSet::new(),
            has_rotted: false,
            shards_of: crate::ledger::FIRST_EPOCH,
            deaf_until: 0,
            doubts_until: 0,
            confirmed: BTreeMap::new(),
            runtime,
            random: Random::of(settings.seed, &format!("node {index}")),
        };
        node.start(env);
        node
    }

    /// Does something asynchronous to the end.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Whether the ledger is believed.
    pub(crate) fn may_act(&self, env: &Env) -> bool {
        self.doubts_until <= env.now
    }

    /// Whether it has read all up to a checkpoint, and let go what was over by then.
    pub(crate) fn has_judged(&self, checkpoint: u64, epoch: Epoch) -> bool {
        self.checkpoint == Some(checkpoint) && self.judged == Some(epoch)
    }

    /// Whether its store has not read yet what told it of the network.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_stale || self.checkpoint.is_none_or(|checkpoint| checkpoint < self.read_at)
    }

    /// The committee it knows.
    pub(crate) fn committee(&self, env: &Env) -> Committee {
        env.committee(self.epoch)
    }

    // The ledger.

    /// Looks at the ledger and applies what is next.
    pub(crate) fn look(&mut self, env: &mut Env) {
        let (node, incarnation) = (self.index, self.incarnation);
        env.after(env.settings.look_ms, Event::Look { node, incarnation });
        if self.is_stale || self.store.is_none() || (env.now < self.deaf_until && !env.is_calm) {
            return;
        }
        let batch = self.fetch(env);
        let due = following(self.checkpoint, batch, |number| *number);
        let mut is_news = false;
        for number in due {
            let index = usize::try_from(number).expect("few");
            let events = env.ledger.checkpoints[index].clone();
            let effects = events.iter().filter_map(BlobEffect::of).collect();
            let Some(store) = self.store.clone() else { return };
            if let Err(error) = self.wait(store.apply_proven(number, effects, Proof::default())) {
                drop(store);
                return self.failed(env, &error);
            }
            self.checkpoint = Some(number);
            is_news |= events.iter().any(changes_network);
            env.note(format_args!("n{} applies {number}", self.index));
            self.check_position(env, &store, number);
        }
        if is_news {
            self.is_stale = true;
            env.after(VIEW_MS, Event::View { node, incarnation });
        }
        self.wake_sessions(env);
    }

    /// The next checkpoints as a source gives them, which may repeat, skip and mix them up.
    fn fetch(&mut self, env: &Env) -> Vec<u64> {
        let from = self.checkpoint.map_or(0, |applied| applied + 1);
        let until = env.ledger.last().saturating_add(1).min(from + env.settings.batch);
        let mut batch: Vec<u64> = (from..until).collect();
        if !batch.is_empty() && !env.is_calm && self.random.chance(env.settings.disorder) {
            match self.random.within(0..4) {
                0 => drop(batch.remove(self.random.index(batch.len()))),
                1 => batch.insert(0, from.saturating_sub(1)),
                2 => self.random.shuffle(&mut batch),
                _ => batch.push(from),
            }
        }
        batch
    }

    /// The cursor is where the store says that it is.
    fn check_position(&self, env: &mut Env, store: &Store, number: u64) {
        let position = store.position().expect("readable");
        if position != Some(number) {
            let what =
                format!("n{} applied {number}, and its store is at {position:?}", self.index);
            env.violated(Invariant::CursorProgress, what);
        }
    }

    /// Reads the network as it was after the last checkpoint in the store.
    pub(crate) fn view(&mut self, env: &mut Env) {
        let (Some(store), Some(checkpoint)) = (self.store.clone(), self.checkpoint) else {
            self.is_stale = false;
            return;
        };
        let epoch = env.ledger.epoch_after(checkpoint);
        if let Err(error) = self.wait(store.keep(Row::Network, epoch.0.to_le_bytes().to_vec())) {
            drop(store);
            return self.failed(env, &error);
        }
        (self.epoch, self.read_at, self.is_stale) = (epoch, checkpoint, false);
        self.take_shards(env);
        env.note(format_args!("n{} is in epoch {epoch}", self.index));
        drop(store);
        self.follow(env);
        self.wake_sessions(env);
    }

    /// Judges the committee if it is time, and lets go what is over.
    pub(crate) fn follow(&mut self, env: &mut Env) {
        let has_caught_up = self.checkpoint.is_some_and(|checkpoint| checkpoint >= self.read_at);
        if epoch_change::is_due(self.judged, self.epoch, has_caught_up, self.may_act(env)) {
            if let Err(error) = self.judge() {
                return self.failed(env, &error);
            }
            let Some(store) = self.store.clone() else { return };
            let epoch = self.epoch;
            self.judged = Some(epoch);
            match self.wait(store.expire(epoch)) {
                Ok(bytes) => env.note(format_args!("n{} removes {bytes} bytes", self.index)),
                Err(error) => {
                    drop(store);
                    return self.failed(env, &error);
                }
            }
            drop(store);
            self.check_confirmed(env, Invariant::EpochSafety);
            self.check_sound(env);
            self.report(env);
        }
        if self.judged == Some(self.epoch)
            && let Err(error) = self.release(env)
        {
            self.failed(env, &error);
        }
    }

    fn judge(&mut self) -> Result<(), StoreError> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        let (known, census) = (store.shards()?, store.census(self.epoch)?);
        let last = store.kept(Row::Judged)?.and_then(|bytes| bytes.first_chunk().copied());
        let plan = epoch_change::plan(&Facts {
            epoch: self.epoch,
            ours: &self.shards,
            judged: last.map(|bytes| Epoch(u32::from_le_bytes(bytes))),
            known: &known,
            live_blobs: census.live,
        });
        self.may_report = plan.may_report();
        if !plan.changes.is_empty() {
            self.wait(store.set_shards(plan.changes))?;
        }
        self.wait(store.keep(Row::Judged, self.epoch.0.to_le_bytes().to_vec()))
    }

    /// Has the store hold the shards of which nothing is missing any more, and says so if these are all.
    pub(crate) fn fill(&mut self, env: &mut Env) {
        if self.judged != Some(self.epoch) || !self.may_act(env) {
            return;
        }
        if let Err(error) = self.hold_filled() {
            return self.failed(env, &error);
        }
        self.report(env);
    }

    fn hold_filled(&mut self) -> Result<(), StoreError> {
        let Some(store) = self.store.clone().filter(|_| !self.may_report) else { return Ok(()) };
        let segments_of = |bytes| self.parameters.segment_count(bytes);
        let filled = store.filled_shards(self.epoch, segments_of)?;
        if filled.is_empty() {
            return Ok(());
        }
        self.wait(store.hold_filled(filled))?;
        drop(store);
        self.judge()
    }

    /// Says that it has its shards, once in an epoch.
    fn report(&mut self, env: &mut Env) {
        if !self.may_report || self.reported == Some(self.epoch) {
            return;
        }
        self.reported = Some(self.epoch);
        self.check_report(env);
        self.unsure.clear();
        env.report(self.index, self.epoch);
    }

    /// Removes what is stored of shards that others have, and what an earlier run began.
    fn release(&mut self, env: &mut Env) -> Result<(), StoreError> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        let (known, synced) = (store.shards()?, env.synced(self.epoch));
        let mut shards = epoch_change::released(&known, self.epoch, |it| synced.contains(&it));
        shards.extend(store.leaving()?.into_iter().filter(|shard| !known.contains_key(shard)));
        for shard in shards {
            // If it comes back, it has to be fetched like one that was never here.
            self.confirmed.values_mut().for_each(|shards| shards.retain(|it| *it != shard));
            while !self.wait(store.drop_shard(shard, &self.parameters))?.is_done {}
            env.note(format_args!("n{} lets {shard} go", self.index));
        }
        Ok(())
    }

    /// Forgets what nobody paid for.
    pub(crate) fn sweep(&mut self, env: &mut Env) {
        let (node, incarnation) = (self.index, self.incarnation);
        env.after(env.settings.pending_ms / 2, Event::Sweep { node, incarnation });
        let Some(store) = self.store.clone() else { return };
        let before_ms = env.now.saturating_sub(env.settings.pending_ms);
        match self.wait(store.forget_pending(before_ms)) {
            Ok(bytes) if bytes > 0 => {
                env.note(format_args!("n{} forgets {bytes} bytes", self.index));
            }
            Ok(_) => {}
            Err(error) => {
                drop(store);
                return self.failed(env, &error);
            }
        }
        drop(store);
        self.follow(env);
        self.check_confirmed(env, Invariant::EpochSafety);
        self.check_listing(env);
        self.check_sound(env);
    }

    /// Hears of a certificate.
    pub(crate) fn hear(&mut self, env: &mut Env, bytes: &[u8]) {
        let Some(store) = self.store.clone() else { return };
        let is_known = |blob_id: &BlobId| matches!(store.certificate(blob_id), Ok(Some(_)));
        let verdict = announcement::judge(bytes, &self.committee(env), &NETWORK, is_known);
        match verdict {
            Verdict::Accept(blob_id, certificate) => {
                if let Err(error) =
                    self.wait(store.put_certificate(&blob_id, certificate.to_bytes()))
                {
                    drop(store);
                    return self.failed(env, &error);
                }
                env.note(format_args!("n{} hears of {}", self.index, blob_id.short()));
                env.gossip(bytes);
            }
            Verdict::Ignore => {}
            Verdict::Reject(reason) => {
                let what = format!("n{} rejects an honest announcement: {reason}", self.index);
                env.violated(Invariant::NobodyHonestBlamed, what);
            }
        }
    }

    // What must hold.

    /// Whether all that it signed and that is paid for since, as far as it knows, is there.
    pub(crate) fn check_confirmed(&mut self, env: &mut Env, invariant: Invariant) {
        if self.lie.is_some() || self.has_lost {
            return;
        }
        let Some(store) = self.store.clone() else { return };
        for ((blob_id, persistence), shards) in self.confirmed.clone() {
            let record = store.blob(&blob_id).expect("readable");
            let is_paid = record.is_some_and(|record| {
                record.registration(Some(persistence), self.epoch) == Registration::Seen
            });
            if !is_paid {
                // It may be paid for again, but what came before may be gone by then.
                self.confirmed.remove(&(blob_id, persistence));
                continue;
            }
            let known = env.blobs.iter().find(|known| known.blob_id == blob_id);
            let segments = known.map_or(0, |known| known.header.segments.len());
            let segments = u32::try_from(segments).expect("few");
            let ours: Vec<_> =
                shards.into_iter().filter(|shard| self.shards.contains(shard)).collect();
            if !store.holds(&blob_id, segments, &ours).expect("readable") {
                let what = format!("n{} signed {} and lacks it", self.index, blob_id.short());
                return env.violated(invariant, what);
            }
        }
    }

    /// What the store says of itself is one story.
    fn check_sound(&self, env: &mut Env) {
        let Some(store) = &self.store else { return };
        for what in store.check().expect("readable") {
            env.violated(Invariant::SoundStore, format!("n{}: {what}", self.index));
        }
    }

    /// What the store lists as missing is what it lacks.
    fn check_listing(&mut self, env: &mut Env) {
        // What a new shard lacks is noted when the committee is judged.
        let Some(store) = self.store.clone().filter(|_| self.judged == Some(self.epoch)) else {
            return;
        };
        let scope = Scope { epoch: self.epoch, shards: &self.shards, arriving_since_ms: u64::MAX };
        let segments_of = |bytes| self.parameters.segment_count(bytes);
        let (mut listed, mut after) = (BTreeSet::new(), None);
        loop {
            let page = store.missing(&scope, segments_of, after).expect("readable");
            self.wait(store.settled()); // what reaches the disk is counted
            listed.extend(page.lacking.iter().map(|lacking| lacking.blob_id));
            after = page.end;
            if after.is_none() {
                break;
            }
        }
        let lacks = |known: &&Known| {
            let record = store.blob(&known.blob_id).expect("readable");
            let is_certified = record.is_some_and(|record| record.is_certified(self.epoch));
            let segments = u32::try_from(known.header.segments.len()).expect("few");
            let holds = store.holds(&known.blob_id, segments, &self.shards).expect("readable");
            is_certified && !holds
        };
        let lacking: BTreeSet<_> = env.blobs.iter().filter(lacks).map(|one| one.blob_id).collect();
        if listed != lacking {
            let what = format!("n{} lists {listed:?} and lacks {lacking:?}", self.index);
            env.violated(Invariant::Listing, what);
        }
        // The store forgets by the way what it found whole; here everything happens in its turn.
        if let Err(error) = self.wait(store.keep(Row::Validators, Vec::new())) {
            drop(store);
            self.failed(env, &error);
        }
    }

    /// A report leaves: of shards that are new, a power cut now must leave all that was certified in the epochs before.
    fn check_report(&mut self, env: &mut Env) {
        if self.lie.is_some() || self.has_rotted || self.unsure.is_empty() {
            return;
        }
        let image = self.disk.image(Kept::Nothing, &mut self.random);
        let store = match Store::in_backend(Disk::with(image), 1) {
            Ok(store) => store,
            Err(error) => {
                let what = format!("n{} reports, and after a power cut: {error}", self.index);
                return env.violated(Invariant::NoFalseReport, what);
            }
        };
        let epoch = self.epoch.0;
        let new: Vec<_> = self.unsure.iter().copied().collect();
        let lacks = |known: &&Known| {
            let mut objects = env.ledger.objects_of(&known.blob_id);
            let is_owed = objects.any(|blob| {
                blob.certified_epoch.is_some_and(|certified| certified < epoch)
                    && epoch < blob.storage.end_epoch
            });
            let segments = u32::try_from(known.header.segments.len()).expect("few");
            is_owed && !store.holds(&known.blob_id, segments, &new).expect("readable")
        };
        if let Some(known) = env.blobs.iter().find(lacks) {
            let blob = known.blob_id.short();
            let what = format!("n{} reports {new:?} in {epoch} and lacks {blob}", self.index);
            env.violated(Invariant::NoFalseReport, what);
        }
    }

    /// A confirmation leaves: a power cut now must leave all that it says.
    pub(crate) fn check_durable(&mut self, env: &mut Env, blob_id: &BlobId, segments: u32) {
        let image = self.disk.image(Kept::Nothing, &mut self.random);
        let holds = Store::in_backend(Disk::with(image), 1)
            .and_then(|store| store.holds(blob_id, segments, &self.shards));
        if !matches!(holds, Ok(true)) {
            let blob = blob_id.short();
            let what =
                format!("n{} signs {blob}, and after a power cut it has: {holds:?}", self.index);
            env.violated(Invariant::NoFalseAck, what);
        }
    }
}
