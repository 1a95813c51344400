//! One run: the safety phase, in which anything may go wrong, and the liveness phase, in which nothing does any more.
//!
//! Promises: the same settings and faults give the same trace, step for step; the first violation ends the run. Does not:
//! choose what happens.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use tokio::runtime::Runtime;

use crate::check::{Invariant, Violation};
use crate::env::{Env, Event, Link};
use crate::get::Get;
use crate::node::Node;
use crate::put::{Order, Put};
use crate::repair::REPAIRS;
use crate::settings::{Operation, Planned, SAFETY_MS, Settings};
use crate::task::{State, Task};

/// How a run went.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) violation: Option<Violation>,
    pub(crate) trace_hash: String,
    pub(crate) steps: u64,
    /// Tasks that ended well, of all.
    pub(crate) done: (usize, usize),
}

/// A network and its clients.
pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) nodes: Vec<Node>,
    pub(crate) tasks: Vec<Task>,
    steps: u64,
}

/// Plays settings; a panic is a violation as well.
pub(crate) fn play(settings: &Settings, runtime: &Rc<Runtime>, is_told: bool) -> Outcome {
    let mut world = World::new(Rc::new(settings.clone()), runtime, is_told);
    let played = catch_unwind(AssertUnwindSafe(|| world.play()));
    if let Err(panic) = played {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let what = format!("a panic: {}", text.unwrap_or_default());
        world.env.violated(Invariant::CrashSafety, what);
    }
    let is_done = |task: &&Task| *task.state() == State::Done;
    Outcome {
        violation: world.env.violation.clone(),
        trace_hash: world.env.trace_hash(),
        steps: world.steps,
        done: (world.tasks.iter().filter(is_done).count(), world.tasks.len()),
    }
}

impl World {
    fn new(settings: Rc<Settings>, runtime: &Rc<Runtime>, is_told: bool) -> World {
        let mut env = Env::new(settings.clone(), is_told);
        let nodes = (0..settings.shards.len())
            .map(|index| Node::new(&mut env, index, runtime.clone()))
            .collect();
        for (operation, (at, _)) in settings.operations.iter().enumerate() {
            env.at(*at, Event::Begin { operation });
        }
        for (planned, fault) in settings.faults.iter().enumerate() {
            env.at(fault.at_ms, Event::Fault { planned });
        }
        World { env, nodes, tasks: Vec::new(), steps: 0 }
    }

    fn play(&mut self) {
        self.run_until(SAFETY_MS);
        self.calm();
        self.check_liveness();
    }

    /// Lets everything happen until that time, or until something is violated.
    pub(crate) fn run_until(&mut self, until: u64) {
        while self.env.violation.is_none() {
            let Some(event) = self.env.next(until) else { return };
            self.steps += 1;
            self.step(event);
        }
    }

    /// Lets everything happen until something is so; whether it became so in time.
    pub(crate) fn run_until_so(&mut self, limit_ms: u64, so: impl Fn(&World) -> bool) -> bool {
        let end = self.env.now + limit_ms;
        while self.env.violation.is_none() && !so(self) {
            if self.env.now >= end {
                return false;
            }
            let until = end.min(self.env.now + 250);
            self.run_until(until);
        }
        true
    }

    fn step(&mut self, event: Event) {
        let World { env, nodes, tasks, .. } = self;
        match event {
            Event::Up { stream, parts } => {
                if let Some(found) = env.receive(stream) {
                    nodes[found.node].take(env, stream, &parts);
                }
            }
            Event::Down { stream, parts } => {
                if let Some(found) = env.receive(stream) {
                    match found.task.checked_sub(REPAIRS) {
                        Some(node) => nodes[node].repair_take(env, stream, &parts),
                        None => tasks[found.task].take(env, stream, &parts),
                    }
                }
            }
            Event::Lost { stream } => self.lost(stream),
            Event::Overdue { stream } => {
                if env.is_overdue(stream) {
                    self.lost(stream);
                }
            }
            Event::Left { stream, segment } => {
                if let Some(found) = env.receive(stream) {
                    tasks[found.task].left(env, stream, segment);
                }
            }
            Event::Gossip { node, bytes } => nodes[node].hear(env, &bytes),
            Event::Look { node, incarnation } => {
                if nodes[node].incarnation == incarnation {
                    nodes[node].look(env);
                }
            }
            Event::View { node, incarnation } => {
                if nodes[node].incarnation == incarnation {
                    nodes[node].view(env);
                }
            }
            Event::Repair { node, incarnation } => {
                if nodes[node].incarnation == incarnation {
                    nodes[node].repair(env);
                }
            }
            Event::Scrub { node, incarnation } => {
                if nodes[node].incarnation == incarnation {
                    nodes[node].scrub(env);
                }
            }
            Event::Sweep { node, incarnation } => {
                if nodes[node].incarnation == incarnation {
                    nodes[node].sweep(env);
                }
            }
            Event::Patience { node, stream } => nodes[node].confirm(env, stream),
            Event::Wake { task } => tasks[task].wake(env),
            Event::Chain { task, step } => tasks[task].chain(env, step),
            Event::Begin { operation } => self.begin(operation),
            Event::Fault { planned } => {
                let Planned { node, fault, .. } = env.settings.faults[planned].clone();
                if !env.is_calm {
                    env.note(format_args!("n{node} suffers {fault:?}"));
                    nodes[node].suffer(env, planned, &fault);
                }
            }
            Event::PowerCut { planned, incarnation } => {
                let Planned { node, fault, .. } = env.settings.faults[planned].clone();
                if nodes[node].incarnation == incarnation && !env.is_calm {
                    nodes[node].cut_power(env, &fault);
                }
            }
            Event::Restart { node } => nodes[node].start(env),
            Event::Room { node } => nodes[node].disk.set_full(false),
        }
    }

    /// Both ends of a stream notice that it is over.
    fn lost(&mut self, stream: u64) {
        let Some(found) = self.env.streams.get(&stream).cloned() else { return };
        self.nodes[found.node].sessions.remove(&stream);
        match found.task.checked_sub(REPAIRS) {
            Some(node) => self.nodes[node].repair_lost(&mut self.env, stream),
            None => self.tasks[found.task].lost(&mut self.env, stream),
        }
        self.env.close(stream);
    }

    fn begin(&mut self, operation: usize) {
        let settings = self.env.settings.clone();
        let (_, operation) = &settings.operations[operation];
        self.env.note(format_args!("{operation:?}"));
        match *operation {
            Operation::Put { blob, deletable, epochs, pays } => {
                self.put(Order { blob, deletable, epochs, pays });
            }
            Operation::Get { blob } => drop(self.get(blob)),
            Operation::Delete { blob } => {
                let object = self.object_of(blob, |blob| blob.deletable);
                let deleted = object.map(|object| self.env.ledger.delete(&object));
                self.env.note(format_args!("the ledger says {deleted:?}"));
            }
            Operation::Extend { blob, epochs } => {
                let object = self.object_of(blob, |_| true);
                let extended = object.map(|object| self.env.ledger.extend(&object, epochs));
                self.env.note(format_args!("the ledger says {extended:?}"));
            }
            Operation::EndEpoch => drop(self.env.end_epoch()),
        }
    }

    fn object_of(
        &mut self,
        blob: usize,
        is_meant: impl Fn(&haulout_protocol::chain::object::Blob) -> bool,
    ) -> Option<haulout_protocol::chain::ObjectId> {
        let blob_id = self.env.blobs[blob].blob_id;
        let found = self.env.ledger.objects_of(&blob_id).filter(|blob| is_meant(blob));
        let found: Vec<_> = found.map(|blob| blob.id).collect();
        let index = self.env.random.index(found.len());
        found.get(index).copied()
    }

    /// Begins a put.
    pub(crate) fn put(&mut self, order: Order) -> usize {
        let id = self.tasks.len();
        let put = Put::new(&mut self.env, id, order);
        self.tasks.push(Task::Put(Box::new(put)));
        id
    }

    /// Begins a read.
    pub(crate) fn get(&mut self, blob: usize) -> usize {
        let id = self.tasks.len();
        let get = Get::new(&mut self.env, id, blob);
        self.tasks.push(Task::Get(Box::new(get)));
        id
    }

    /// Faults are over: all nodes are up, all links whole, all disks good. Liars go on lying.
    fn calm(&mut self) {
        let World { env, nodes, .. } = self;
        (env.is_calm, env.loss) = (true, 0);
        env.note(format_args!("faults are over"));
        env.links.fill(Link::default());
        for node in nodes {
            node.recover(env);
        }
    }
}
