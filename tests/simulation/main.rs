//! A network in one thread and in virtual time: the machines that decide for nodes, writers and readers, over real stores on
//! disks that fail, with a ledger of the real rules and a network that delays, loses and parts.
//!
//! `cargo test` plays some seeds. `cargo sim -- --seeds 1000` plays a thousand, `--from 5000` others, `--seed 7 --told` tells
//! what happens in one. A seed that fails is played again, must fail in the same way, and is cut down to the faults and
//! operations it needs. It has a `main` of its own, because it is a program as well as a test.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a simulation says what it found")]

mod check;
mod disk;
mod env;
mod get;
mod ledger;
mod liveness;
mod node;
mod put;
mod random;
mod reading;
mod repair;
mod scrub;
mod serve;
mod settings;
mod shrink;
mod task;
mod world;

use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;

use crate::settings::Settings;
use crate::world::{Outcome, play};

/// Seeds that the ordinary suite plays: some seconds' worth.
const SEEDS_IN_SUITE: u64 = 60;
/// Failing seeds after which no more are begun.
const FAILURES_MAX: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| -> Option<u64> {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse().ok()
    };
    if let Some(seed) = number("--seed") {
        return play_one(seed, arguments.iter().any(|argument| argument == "--told"));
    }
    if let Some(seeds) = number("--seeds") {
        let failing = play_many(number("--from").unwrap_or(0), seeds, true);
        return ExitCode::from(u8::from(!failing.is_empty()));
    }
    libtest_mimic::run(&Arguments::from_args(), trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    let trial = |sentence: &str, test: fn()| {
        Trial::test(sentence, move || {
            test();
            Ok(())
        })
    };
    vec![
        trial("whatever_goes_wrong_what_is_promised_holds", || {
            let failing = play_many(0, SEEDS_IN_SUITE, false);
            assert!(failing.is_empty(), "seeds that fail: {failing:?}");
        }),
        trial("the_same_seed_is_the_same_run_in_another_process", the_same_seed_is_the_same_run),
        trial("what_fails_is_shrunk_to_what_matters", shrink::shrinks_to_what_matters),
        trial("each_invariant_of_the_design_is_checked_or_waits", check::names_all_of_the_design),
        trial("a_power_cut_keeps_what_was_synced", disk::keeps_what_was_synced),
    ]
}

fn runtime() -> Rc<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    Rc::new(runtime.expect("a runtime without input and output"))
}

fn play_one(seed: u64, is_told: bool) -> ExitCode {
    let settings = Settings::of(seed);
    if is_told {
        eprintln!("{settings:?}");
    }
    let outcome = play(&settings, &runtime(), is_told);
    println!("seed {seed} trace {}", outcome.trace_hash);
    match &outcome.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

/// Plays seeds on all cores; the seeds that fail.
fn play_many(from: u64, seeds: u64, is_told: bool) -> Vec<u64> {
    let started = Instant::now();
    let next = AtomicU64::new(from);
    let failing = Mutex::new(Vec::new());
    let (steps, done, begun) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let runtime = runtime();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds || failing.lock().unwrap().len() >= FAILURES_MAX {
                        return;
                    }
                    let settings = Settings::of(seed);
                    let outcome = play(&settings, &runtime, false);
                    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
                    steps.fetch_add(outcome.steps, Ordering::Relaxed);
                    done.fetch_add(count(outcome.done.0), Ordering::Relaxed);
                    begun.fetch_add(count(outcome.done.1), Ordering::Relaxed);
                    if outcome.violation.is_some() {
                        failing.lock().unwrap().push(seed);
                        explain(&settings, &outcome, &runtime);
                    }
                }
            });
        }
    });
    let failing = failing.into_inner().unwrap();
    if is_told {
        println!(
            "{seeds} seeds from {from}: {} fail; {} steps, {} of {} tasks done, in {:.1} s",
            failing.len(),
            steps.into_inner(),
            done.into_inner(),
            begun.into_inner(),
            started.elapsed().as_secs_f64(),
        );
    }
    failing
}

/// Says why a seed fails, that it does so again, and what it needs for it.
fn explain(settings: &Settings, outcome: &Outcome, runtime: &Rc<Runtime>) {
    let Some(violation) = &outcome.violation else { return };
    let again = play(settings, runtime, false);
    let fails = |settings: &Settings| {
        let found = play(settings, runtime, false).violation;
        found.is_some_and(|found| found.invariant == violation.invariant)
    };
    let mut least = settings.clone();
    least.faults = shrink::shrink(&settings.faults, |faults| {
        fails(&Settings { faults: faults.to_vec(), ..least.clone() })
    });
    least.operations = shrink::shrink(&settings.operations, |operations| {
        fails(&Settings { operations: operations.to_vec(), ..least.clone() })
    });
    let seed = settings.seed;
    let mut text = format!("seed {seed} fails: {violation}\n");
    let same = if again.trace_hash == outcome.trace_hash { "same" } else { "OTHER" };
    text += &format!("  trace {}, and the {same} when played again\n", outcome.trace_hash);
    text += &format!(
        "  {} nodes, {} shards, loss {}, {} moves, severe {}, lies {:?}\n",
        settings.shards.len(),
        settings.parameters.shards(),
        settings.loss,
        settings.moves.len(),
        settings.is_severe,
        settings.lies
    );
    for (at, operation) in &least.operations {
        text += &format!("  needs {at:>6} {operation:?}\n");
    }
    for planned in &least.faults {
        text += &format!("  needs {:>6} n{} {:?}\n", planned.at_ms, planned.node, planned.fault);
    }
    text += &format!("  tell it all: cargo sim -- --seed {seed} --told");
    eprintln!("{text}");
}

/// In two processes, so that nothing hides that differs from one to the next.
fn the_same_seed_is_the_same_run() {
    let this = std::env::current_exe().expect("this program has a path");
    let run = |seed: u64| {
        let run = Command::new(&this).args(["--seed", &seed.to_string()]).output().expect("runs");
        String::from_utf8(run.stdout).expect("plain text")
    };
    let first: Vec<_> = (0..6).map(run).collect();
    let second: Vec<_> = (0..6).map(run).collect();
    assert_eq!(first, second);
    assert_ne!(first[0], first[1]);
    assert!(first.iter().all(|text| text.contains("trace ")), "{first:?}");
}
