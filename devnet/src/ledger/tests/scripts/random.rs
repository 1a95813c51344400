//! Random scripts by the thousand.
//!
//! `HAULOUT_SCRIPTS=10000 cargo test --release -p haulout-devnet --lib random_scripts` runs more of
//! them, `HAULOUT_SCRIPTS_FROM` says with which seed to begin. What fails is printed as a script, to
//! be saved in `devnet/scripts`.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::commands::COMMANDS;
use super::format::Status;
use super::generator::{Generated, generate, generate_with};
use super::runner::Runner;
use super::shrink::{run, shrink};
use super::view::View;

/// Scripts without the environment's word.
const SCRIPTS: u64 = 100;
/// Steps of a script.
const STEPS: usize = 90;

/// A number of the environment.
fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().map_or(or, |text| text.parse().unwrap())
}

/// Runs a seed; says what it was if nothing is wrong with it.
fn check(seed: u64) -> Generated {
    let generated = generate(seed, STEPS);
    if let Some(stop) = &generated.stop {
        let shrunk = shrink(&generated.script, run);
        panic!("seed {seed}: {stop:?}\n{}", shrunk.print());
    }
    generated
}

/// What a run of many scripts went through.
#[derive(Debug, Default)]
struct Tally {
    steps: usize,
    failed: usize,
    epochs: u64,
    /// Commands of steps that succeeded.
    commands: BTreeSet<String>,
    /// Codes of steps that did not.
    codes: BTreeSet<u64>,
}

impl Tally {
    fn add(&mut self, done: &Generated) {
        for step in &done.script.steps {
            self.steps += 1;
            match &step.expect {
                None | Some(Status::Done(_)) => {
                    self.commands.extend(step.cmds.iter().map(|command| command.name.clone()));
                }
                Some(Status::Code(code)) => {
                    self.failed += 1;
                    self.codes.insert(*code);
                }
                Some(_) => self.failed += 1,
            }
        }
        self.epochs += u64::from(done.runner.view.staking().epoch - 1);
    }
}

#[test]
fn random_scripts_break_no_invariant() {
    let (from, count) = (number("HAULOUT_SCRIPTS_FROM", 0), number("HAULOUT_SCRIPTS", SCRIPTS));
    let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    let done = check(from + at);
                    tally.lock().unwrap().add(&done);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    if count >= SCRIPTS {
        let share = 100 * tally.failed / tally.steps;
        assert!((10..30).contains(&share), "{share} % of the steps failed");
        assert!(tally.epochs > 2 * count, "scripts cross several epochs: {tally:?}");
        let missing = COMMANDS.iter().filter(|shape| !tally.commands.contains(shape.name));
        let missing: Vec<_> = missing.map(|shape| shape.name).collect();
        assert!(missing.is_empty(), "{missing:?} never succeeded");
        assert!(tally.codes.len() >= 35, "few codes were seen: {:?}", tally.codes);
    }
}

#[test]
fn t121_the_same_seed_is_the_same_script_and_the_same_root() {
    for seed in 1000..1004 {
        let (first, second) = (check(seed), check(seed));
        assert_eq!(first.script.print(), second.script.print());
        let root = first.runner.stage.state.root();
        assert_eq!(second.runner.stage.state.root(), root);
        let read = super::format::Script::read(&first.script.print()).unwrap();
        let again = Runner::run(&read).unwrap();
        assert_eq!(again.stage.state.root(), root, "seed {seed}, read from its text");
    }
}

/// A rule that is none: nobody burns a blob.
fn nothing_certified(view: &View) -> Result<(), String> {
    let certified = view.blobs.values().any(|blob| blob.value.certified_epoch.is_some());
    if certified { Err("X1: a blob is certified".to_owned()) } else { Ok(()) }
}

#[test]
fn a_failing_script_is_shrunk_to_the_steps_that_matter() {
    let forbid = |runner: &mut Runner| runner.monitor.extra = Some(nothing_certified);
    let found = (0..20).map(|seed| generate_with(seed, STEPS, forbid)).find(|it| it.stop.is_some());
    let found = found.unwrap();
    let run = |script: &super::format::Script| {
        let mut runner = Runner::new(script).unwrap();
        forbid(&mut runner);
        let mut steps = script.steps.iter().enumerate();
        steps.find_map(|(at, step)| Some((at, runner.step(step).err()?)))
    };
    let shrunk = shrink(&found.script, run);
    let names: Vec<_> = shrunk.steps.iter().flat_map(|step| &step.cmds).collect();
    let names: Vec<_> = names.iter().map(|command| command.name.as_str()).collect();
    // Epochs that lie between stay: without them other steps would be illegal.
    assert!(names.contains(&"certify"), "{}", shrunk.print());
    let (before, after) = (found.script.steps.len(), shrunk.steps.len());
    assert!(after * 3 <= before, "{after} of {before} steps are left: {}", shrunk.print());
}
