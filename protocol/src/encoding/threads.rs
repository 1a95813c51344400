//! Work on several threads: those of the caller's rayon pool with the feature `parallel`, otherwise only the caller's.
//!
//! Promises: results in the order of the tasks, whoever does them. Does not: make threads.

use std::ops::Range;

/// Less work than this many bytes is not worth another thread.
const TASK_BYTES: usize = 1 << 20;

/// How many tasks to make of work on this many bytes.
pub(super) fn task_count(bytes: usize) -> usize {
    #[cfg(feature = "parallel")]
    let threads = match rayon::current_num_threads() {
        1 => 1,
        // More tasks than threads: a thread that was held up leaves the rest to the others.
        threads => 8 * threads,
    };
    #[cfg(not(feature = "parallel"))]
    let threads = 1;
    bytes.div_ceil(TASK_BYTES).clamp(1, threads)
}

/// Cuts a range evenly at multiples of `step`.
pub(super) fn cut(range: Range<usize>, step: usize, parts: usize) -> Vec<Range<usize>> {
    let steps = range.len().div_ceil(step);
    let parts = parts.min(steps);
    let place = |part: usize| range.end.min(range.start + part * steps / parts * step);
    (0..parts).map(|part| place(part)..place(part + 1)).collect()
}

/// Runs all tasks, each thread with a state of its own and one task after another, so that all end at about the same time;
/// results come in the order of the tasks.
pub(super) fn run_with<S, T: Send, R: Send>(
    tasks: Vec<T>,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) -> R + Sync,
) -> Vec<R> {
    #[cfg(feature = "parallel")]
    if tasks.len() > 1 {
        use rayon::prelude::*;
        use std::sync::{Mutex, PoisonError};
        let threads = rayon::current_num_threads().min(tasks.len());
        let queue = Mutex::new(tasks.into_iter().enumerate());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let worker = |_thread| {
            let mut state = state();
            std::iter::from_fn(next).map(|(i, task)| (i, work(&mut state, task))).collect()
        };
        let done: Vec<Vec<(usize, R)>> = (0..threads).into_par_iter().map(worker).collect();
        let mut results: Vec<_> = done.into_iter().flatten().collect();
        results.sort_unstable_by_key(|(i, _)| *i);
        return results.into_iter().map(|(_, result)| result).collect();
    }
    let mut state = state();
    tasks.into_iter().map(|task| work(&mut state, task)).collect()
}

/// Does both, at the same time if there is a thread for it.
pub(super) fn both<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    #[cfg(feature = "parallel")]
    return rayon::join(first, second);
    #[cfg(not(feature = "parallel"))]
    (first(), second())
}
