//! Random scripts over a model that knows what is legal.
//!
//! Promises: the same seed is the same script everywhere; four steps of five are legal and must
//! succeed, the others are wrong in a way whose outcome is predicted where the design fixes it;
//! time passes, so that a script crosses several epochs while stake comes and goes.
//! Does not: look at the rules; what it predicts it knows from the objects.

mod blobs;
mod epochs;
mod money;
mod nodes;
mod space;
mod stake;
mod wrong;

use haulout_protocol::chain::ObjectId;
use serde_json::{Value, json};
use sui_sdk_types::Address;

use super::format::{Command, Script, Status, Step, World};
use super::runner::{Runner, Stop};
use super::stage::account;

/// One token.
const WAL: u64 = 1_000_000_000;
/// The unit of prices.
const MIB: u64 = 1 << 20;
/// How often a choice is tried before a step is given up.
const TRIES: usize = 40;

/// Numbers that only depend on a seed (SplitMix64).
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound, which is not zero.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several, if there is any.
    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let count = u64::try_from(from.len()).unwrap();
        (count > 0).then(|| from[usize::try_from(self.below(count)).unwrap()].clone())
    }
}

/// A step that might be taken.
#[derive(Clone, Debug)]
struct Proposal {
    sender: String,
    cmds: Vec<Command>,
    sync: Option<Value>,
    /// Not before this moment.
    t: u64,
    /// How it must end; anything will do without.
    expect: Option<Status>,
}

impl Proposal {
    /// One that must succeed.
    fn legal(sender: &str, cmds: Vec<Command>) -> Self {
        let expect = Some(Status::OK);
        Proposal { sender: sender.to_owned(), cmds, sync: None, t: 0, expect }
    }

    /// One that a rule refuses with this code.
    fn wrong(sender: &str, cmds: Vec<Command>, code: u64) -> Self {
        Proposal { expect: Some(Status::Code(code)), ..Proposal::legal(sender, cmds) }
    }

    /// One whose end nobody predicts.
    fn open(sender: &str, cmds: Vec<Command>) -> Self {
        Proposal { expect: None, ..Proposal::legal(sender, cmds) }
    }

    fn at(self, t: u64) -> Self {
        Proposal { t, ..self }
    }
}

/// A command without a result.
fn call(name: &str, arguments: Value) -> Command {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    Command { name: name.to_owned(), arguments, result: None }
}

/// A command with a result.
fn make(name: &str, arguments: Value, result: &str) -> Command {
    Command { result: Some(result.to_owned()), ..call(name, arguments) }
}

/// What a random script was.
#[derive(Debug)]
pub(super) struct Generated {
    /// The script, with how each step ended; up to the one that failed.
    pub(super) script: Script,
    /// The network at its end.
    pub(super) runner: Runner,
    /// Why its last step failed, if it did.
    pub(super) stop: Option<Stop>,
}

/// A script in the making.
struct Generator {
    random: Random,
    runner: Runner,
    script: Script,
    /// Names given out.
    names: u64,
    t: u64,
}

/// Makes and runs the script of a seed.
pub(super) fn generate(seed: u64, steps: usize) -> Generated {
    generate_with(seed, steps, |_| {})
}

/// As [`generate`], after the runner was prepared.
pub(super) fn generate_with(
    seed: u64,
    steps: usize,
    prepare: impl FnOnce(&mut Runner),
) -> Generated {
    let script = Script { about: format!("seed {seed}"), world: world(seed), steps: Vec::new() };
    let mut runner = Runner::new(&script).unwrap();
    prepare(&mut runner);
    let mut generator = Generator { random: Random(seed), runner, script, names: 0, t: 0 };
    let mut stop = None;
    while stop.is_none() && generator.script.steps.len() < steps {
        stop = generator.step();
    }
    Generated { script: generator.script, runner: generator.runner, stop }
}

/// One of a few small networks.
fn world(seed: u64) -> World {
    let shards = [vec![3, 3, 2, 2], vec![4, 3, 3], vec![3, 2, 2, 2, 2, 2]];
    let shards = shards[usize::try_from(seed % 3).unwrap()].clone();
    let (storage_price, write_price) =
        if seed.is_multiple_of(2) { (100, 20) } else { (3, 1_000_000_007) };
    let mut wal = World::default().wal;
    wal.insert("poor".to_owned(), 7);
    let (capacity, ahead) = (48 * MIB, 6);
    // Blobs of the generator have 997 bytes to 144 KB: none are short, some, or nearly all.
    let short_bytes_max = [0, 10_000, 1 << 16][usize::try_from(seed / 3 % 3).unwrap()];
    let world = World { shards, capacity, storage_price, write_price, ahead, ..World::default() };
    World { short_bytes_max, wal, ..world }
}

impl Generator {
    /// Takes one more step; says what is wrong with it.
    fn step(&mut self) -> Option<Stop> {
        let proposal = self.proposal();
        self.t = proposal.t.max(self.t + self.random.below(500));
        let mut step = Step {
            t: self.t,
            sender: proposal.sender,
            cmds: proposal.cmds,
            sync: proposal.sync,
            expect: proposal.expect,
            ..Step::default()
        };
        let done = self.runner.step(&step);
        if let Ok(outcome) = &done
            && step.sync.is_none()
        {
            step.expect = Some(outcome.status.clone());
        }
        self.script.steps.push(step);
        done.err()
    }

    /// A step that can be taken now; four of five are legal.
    fn proposal(&mut self) -> Proposal {
        let wrong = self.random.chance(20);
        for _ in 0..TRIES {
            let proposal = if wrong { self.wrong() } else { self.legal() };
            if let Some(proposal) = proposal {
                return proposal;
            }
        }
        self.turn()
    }

    fn legal(&mut self) -> Option<Proposal> {
        match self.random.below(100) {
            0..20 => Some(self.turn()),
            20..38 => self.space(),
            38..62 => self.blob(),
            62..82 => self.stake_step(),
            82..92 => self.node(),
            _ => self.money(),
        }
    }

    /// A name nobody has.
    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}{}x", self.names)
    }

    fn epoch(&self) -> u32 {
        self.runner.view.system().committee.epoch
    }

    /// Somebody with money.
    fn rich(&mut self) -> String {
        self.random.pick(&["alice", "bob", "carol"]).unwrap().to_owned()
    }

    /// The name of an account.
    fn actor(&self, owner: &Address) -> Option<String> {
        self.runner.stage.actors.get(owner).cloned()
    }

    /// How a script names an object.
    fn handle(&self, id: &Address) -> Option<String> {
        let mut handles = self.runner.stage.handles.iter();
        let found = handles.find(|(name, known)| *known == id && *name != "sync cap");
        found.map(|(name, _)| format!("@{name}"))
    }

    /// How a script names a node.
    fn node_name(&self, node: &ObjectId) -> Option<String> {
        let found = self.runner.stage.nodes.iter().find(|(_, id)| *id == node);
        found.map(|(name, _)| name.clone())
    }

    /// What an actor's richest coin holds.
    fn wealth(&self, actor: &str) -> u64 {
        let owner = account(actor);
        let coins = self.runner.view.coins.values().filter(|coin| coin.owner == owner);
        coins.map(|coin| coin.value).max().unwrap_or_default()
    }

    /// A coin of this amount, out of the sender's richest.
    fn coin(&mut self, amount: u64) -> (Command, String) {
        let name = self.name("c");
        let split = make("split_coin", json!({ "coin": "$tok", "amount": amount }), &name);
        (split, format!("@{name}"))
    }
}
