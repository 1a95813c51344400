//! A node's power, its disk, and what goes wrong with both.
//!
//! Promises: a node goes on from what its disk says; what it loses is noted where the checkers look. Does not: lie.

use haulout_protocol::epoch::Epoch;
use haulout_storage::{Kept as Row, Store, StoreError};

use super::{Node, VIEW_MS};
use crate::check::Invariant;
use crate::disk::{Disk, Kept};
use crate::env::{Env, Event};
use crate::repair::Repairer;
use crate::settings::Fault;

impl Node {
    /// Opens the store on the disk there is, and goes on from what it says.
    pub(crate) fn start(&mut self, env: &mut Env) {
        if self.store.is_some() {
            return;
        }
        self.incarnation += 1;
        let store = match Store::in_backend(self.disk.clone(), 1) {
            Ok(store) => store,
            // Its power may go again while it starts.
            Err(error) if self.disk.is_broken() => return self.failed(env, &error),
            // The index lies beside the slivers here, and after some crashes all of it is read: another disk is put in.
            Err(error) if self.has_rotted => {
                env.note(format_args!("n{} gets another disk: {error}", self.index));
                self.lose_disk();
                Store::in_backend(self.disk.clone(), 1).expect("an empty disk opens")
            }
            Err(error) => {
                let what = format!("n{} does not open its store: {error}", self.index);
                return env.violated(Invariant::CrashSafety, what);
            }
        };
        let position = store.position().expect("an opened store is readable");
        if position < self.checkpoint {
            let what =
                format!("n{} went back from {:?} to {position:?}", self.index, self.checkpoint);
            env.violated(Invariant::CursorProgress, what);
        }
        let network = store.kept(Row::Network).expect("what is kept is readable");
        let kept = network.and_then(|bytes| bytes.first_chunk().copied()).map(u32::from_le_bytes);
        (self.checkpoint, self.read_at) = (position, position.unwrap_or(0));
        self.epoch = kept.map_or(crate::ledger::FIRST_EPOCH, Epoch);
        (self.judged, self.is_stale) = (None, position.is_some());
        (self.may_report, self.reported) = (false, None);
        self.take_shards(env);
        self.store = Some(store);
        self.check_sound(env);
        env.note(format_args!("n{} starts at {position:?} in epoch {}", self.index, self.epoch));
        self.check_confirmed(env, Invariant::CrashSafety);
        let (node, incarnation) = (self.index, self.incarnation);
        if self.is_stale {
            env.after(VIEW_MS, Event::View { node, incarnation });
        }
        env.after(env.settings.look_ms, Event::Look { node, incarnation });
        env.after(env.settings.look_ms * 2, Event::Repair { node, incarnation });
        env.after(env.settings.pending_ms / 2, Event::Sweep { node, incarnation });
        self.begin_scrub(env);
    }

    /// Its shards are those of its epoch.
    pub(super) fn take_shards(&mut self, env: &Env) {
        let shards_in = |epoch| &env.settings.shards_in(Epoch(epoch))[self.index];
        let now = shards_in(self.epoch.0);
        // What was another's in between is new, too.
        for epoch in self.shards_of.0..self.epoch.0 {
            let had = shards_in(epoch);
            self.unsure.extend(now.iter().filter(|shard| !had.contains(shard)));
        }
        self.unsure.retain(|shard| now.contains(shard));
        (self.shards, self.shards_of) = (now.clone(), self.epoch);
    }

    /// The power goes: what was synced stays, and some of the rest.
    pub(crate) fn lose_power(&mut self, env: &mut Env, kept: Kept) {
        let image = self.disk.image(kept, &mut self.random);
        let done = self.disk.done();
        self.store = None;
        env.note(format_args!("n{} loses its power after {done} changes, {kept:?}", self.index));
        self.disk = Disk::with(image);
        self.sessions.clear();
        self.repairs = Repairer::default();
        let own = crate::repair::REPAIRS + self.index;
        let ends_here =
            |stream: &crate::env::Stream| stream.node == self.index || stream.task == own;
        let streams = env.streams.iter().filter(|(_, stream)| ends_here(stream));
        let streams: Vec<_> = streams.map(|(stream, _)| *stream).collect();
        streams.into_iter().for_each(|stream| env.lose(stream));
    }

    /// Its disk said no: it goes down as it would in the field, and starts again later.
    pub(crate) fn failed(&mut self, env: &mut Env, error: &StoreError) {
        let is_ours = self.disk.is_broken();
        env.note(format_args!("n{} fails: {error}", self.index));
        if !is_ours {
            let what = format!("n{} failed on a good disk: {error}", self.index);
            return env.violated(Invariant::CrashSafety, what);
        }
        let kept = *self.random.choose(&Kept::ALL);
        self.lose_power(env, kept);
        let down_ms = self.random.within(10..5_000);
        env.after(down_ms, Event::Restart { node: self.index });
    }

    /// Nothing is wrong here any more.
    pub(crate) fn recover(&mut self, env: &mut Env) {
        (self.deaf_until, self.doubts_until) = (0, 0);
        self.disk.set_full(false);
        if self.disk.is_doomed() {
            self.lose_power(env, Kept::Everything);
        }
        self.start(env);
    }

    /// What a fault does here.
    pub(crate) fn suffer(&mut self, env: &mut Env, planned: usize, fault: &Fault) {
        let (node, now) = (self.index, env.now);
        match *fault {
            Fault::Crash { after_changes, .. } => {
                self.disk.break_after(after_changes);
                let incarnation = self.incarnation;
                env.after(2_000, Event::PowerCut { planned, incarnation });
            }
            Fault::Wipe { down_ms } => {
                if self.store.is_some() {
                    self.lose_power(env, Kept::Nothing);
                }
                self.lose_disk();
                env.after(down_ms, Event::Restart { node });
            }
            Fault::Cut { way, for_ms } => {
                let link = &mut env.links[node];
                if way != crate::settings::Way::FromNode {
                    link.deaf_until = now + for_ms;
                }
                if way != crate::settings::Way::ToNode {
                    link.mute_until = now + for_ms;
                }
            }
            Fault::Full { for_ms } => {
                self.disk.set_full(true);
                env.after(for_ms, Event::Room { node });
            }
            Fault::Slow { by_ms, for_ms } => env.links[node].slow = (by_ms, now + for_ms),
            Fault::Deaf { for_ms } => self.deaf_until = now + for_ms,
            Fault::Doubt { for_ms } => self.doubts_until = now + for_ms,
        }
    }

    /// The power goes by a plan, and with it some bits, where that may be.
    pub(crate) fn cut_power(&mut self, env: &mut Env, fault: &Fault) {
        let Fault::Crash { kept, down_ms, rots, .. } = *fault else { return };
        if self.store.is_none() {
            return; // it met the broken disk itself
        }
        if rots > 0 {
            self.rot(env, kept, rots);
        } else {
            self.lose_power(env, kept);
        }
        env.after(down_ms, Event::Restart { node: self.index });
    }

    /// What it had is gone, and what it promised with it.
    fn lose_disk(&mut self) {
        self.disk = Disk::default();
        (self.has_lost, self.checkpoint) = (true, None);
        self.confirmed.clear();
        self.unsure.extend(&self.shards);
    }

    /// Loses power, and bits of slivers on the disk flip.
    fn rot(&mut self, env: &mut Env, kept: Kept, rots: u64) {
        let Some(store) = self.store.clone() else { return };
        let mut targets = Vec::new();
        for known in &env.blobs {
            for segment in 0..u32::try_from(known.header.segments.len()).expect("few") {
                for shard in &self.shards {
                    for axis in haulout_protocol::sliver::Axis::BOTH {
                        let sliver = store.sliver(&known.blob_id, segment, *shard, axis);
                        targets.extend(sliver.ok().flatten());
                    }
                }
            }
        }
        drop(store);
        self.lose_power(env, kept);
        let mut image = self.disk.image(Kept::Everything, &mut self.random);
        for _ in 0..rots {
            if targets.is_empty() {
                break;
            }
            let sliver = self.random.choose(&targets).clone();
            let found = image.windows(sliver.len()).position(|bytes| bytes == sliver);
            if let Some(start) = found.filter(|_| sliver.len() >= 16) {
                let at = start + self.random.index(sliver.len());
                image[at] ^= 1 << self.random.index(8);
                (self.has_lost, self.has_rotted) = (true, true);
                env.note(format_args!("n{} rots at {at}", self.index));
            }
        }
        self.disk = Disk::with(image);
    }
}
