//! Makes a script that fails as short as it gets: steps are deleted while it fails in the same way.
//!
//! Promises: what is left fails at its last step as the whole did, and every other step still ends
//! as it ended in the whole.
//! Does not: change steps or their times.

use super::format::Script;
use super::runner::{Runner, Stop};

/// What makes two failures the same: the kind, and the invariant that broke.
fn kind(stop: &Stop) -> (u8, String) {
    match stop {
        Stop::Script(_) => (0, String::new()),
        Stop::Unexpected(_) => (1, String::new()),
        Stop::Broken(text) => (2, text.split(':').next().unwrap_or_default().to_owned()),
    }
}

/// The shortest script found that stops as this one does.
pub(super) fn shrink(script: &Script, run: impl Fn(&Script) -> Option<(usize, Stop)>) -> Script {
    let Some((at, stop)) = run(script) else { return script.clone() };
    let mut best = script.clone();
    best.steps.truncate(at + 1);
    let wanted = kind(&stop);
    let fails = |script: &Script| {
        run(script).is_some_and(|(at, stop)| at + 1 == script.steps.len() && kind(&stop) == wanted)
    };
    let mut chunk = best.steps.len() / 2;
    while chunk > 0 {
        let (mut from, mut deleted) = (0, false);
        while from + chunk < best.steps.len() {
            let mut shorter = best.clone();
            shorter.steps.drain(from..from + chunk);
            if fails(&shorter) {
                (best, deleted) = (shorter, true);
            } else {
                from += chunk;
            }
        }
        if !deleted || chunk > 1 {
            chunk /= 2;
        }
    }
    best
}

/// How a script ends, without anything but the invariants.
pub(super) fn run(script: &Script) -> Option<(usize, Stop)> {
    Runner::run(script).err()
}
