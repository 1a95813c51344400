//! A node that reads again what it stores, as the machine decides, so that rot is found which no reader comes upon.
//!
//! Promises: a slice is what the store's own scrub reads, cut to a few rows, so that tours have many. Does not: let a slice take
//! time: what a busy disk does to the pace is tested with the machine.

use std::collections::VecDeque;

use haulout_protocol::machine::Machine;
use haulout_protocol::machine::scrub::{Effect, Input, Limits, Scrub};
use haulout_protocol::sliver::Axis;
use haulout_storage::{ScrubPlace, StoreError};

use crate::env::{Env, Event};
use crate::node::Node;
use crate::random::Random;

/// What a node is at.
pub(crate) struct Scrubber {
    machine: Scrub<ScrubPlace>,
    slice_bytes: u64,
    random: Random,
    /// Tours it ended since its power came back.
    pub(crate) tours: u64,
}

impl Scrubber {
    pub(crate) fn new(env: &Env, index: usize) -> Scrubber {
        let random = Random::of(env.settings.seed, &format!("scrub {index}"));
        let (machine, slice_bytes) = (Scrub::new(limits(env), ScrubPlace::default()), 0);
        Scrubber { machine, slice_bytes, random, tours: 0 }
    }

    fn drawn(&mut self) -> ScrubPlace {
        let bytes = self.random.bytes(32);
        ScrubPlace::drawn(bytes.try_into().expect("thirty-two bytes"))
    }
}

fn limits(env: &Env) -> Limits {
    Limits { every_ms: env.settings.scrub_every_ms, bytes_per_second: 1 << 20 }
}

impl Node {
    /// Its power is back: the tour begins elsewhere.
    pub(crate) fn begin_scrub(&mut self, env: &mut Env) {
        let (limits, start) = (limits(env), self.scrubber.drawn());
        self.scrubber.machine = Scrub::new(limits, start);
        self.scrubber.slice_bytes = self.scrubber.random.within(200..8_000);
        self.scrubber.tours = 0;
        self.drive_scrub(env, Input::Started { stored: self.stored() });
    }

    /// It is time for a slice.
    pub(crate) fn scrub(&mut self, env: &mut Env) {
        self.drive_scrub(env, Input::TimeReached);
    }

    fn stored(&self) -> u64 {
        let usage = self.store.as_ref().map(|store| store.usage().expect("readable"));
        usage.map_or(0, |usage| usage.content_bytes)
    }

    fn drive_scrub(&mut self, env: &mut Env, input: Input<ScrubPlace>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.scrubber.machine.handle(env.timestamp(), input) {
                match effect {
                    Effect::Read { from, bytes } => match self.read_slice(env, from, bytes) {
                        Ok(input) => inputs.push_back(input),
                        Err(error) => return self.failed(env, &error),
                    },
                    Effect::TourDone { took_ms } => {
                        self.scrubber.tours += 1;
                        env.note(format_args!("n{} read all in {took_ms} ms", self.index));
                    }
                }
            }
        }
        if let Some(deadline) = self.scrubber.machine.deadline() {
            let (node, incarnation) = (self.index, self.incarnation);
            env.at(deadline.0, Event::Scrub { node, incarnation });
        }
    }

    fn read_slice(
        &mut self,
        env: &mut Env,
        from: ScrubPlace,
        bytes: u64,
    ) -> Result<Input<ScrubPlace>, StoreError> {
        let Some(store) = self.store.clone() else {
            return Ok(Input::Failed { elsewhere: self.scrubber.drawn() });
        };
        let read = self.wait(store.scrub(from, bytes.min(self.scrubber.slice_bytes)))?;
        if read.rotten > 0 {
            env.note(format_args!("n{} finds {} rotten", self.index, read.rotten));
        }
        let stored = store.usage().expect("readable").content_bytes;
        Ok(Input::Read { bytes: read.bytes, next: read.next, stored })
    }

    /// A sliver of what is certified that is not what was written, if there is one.
    pub(crate) fn rotten(&self, env: &Env) -> Option<String> {
        let store = self.store.as_ref()?;
        for known in env.blobs.iter().filter(|known| env.ledger.is_certified(&known.blob_id)) {
            for segment in 0..u32::try_from(known.header.segments.len()).expect("few") {
                for (shard, axis) in
                    self.shards.iter().flat_map(|shard| Axis::BOTH.map(|axis| (*shard, axis)))
                {
                    if let Err(error) = store.sliver(&known.blob_id, segment, shard, axis) {
                        return Some(error.to_string());
                    }
                }
            }
        }
        None
    }
}
