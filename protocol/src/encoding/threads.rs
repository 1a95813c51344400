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
        threads => 4 * threads,
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

/// Runs all tasks, on several threads if there is more than one; results come in the order of the tasks.
pub(super) fn run<T: Send, R: Send>(tasks: Vec<T>, work: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    #[cfg(feature = "parallel")]
    if tasks.len() > 1 {
        use rayon::prelude::*;
        return tasks.into_par_iter().map(work).collect();
    }
    tasks.into_iter().map(work).collect()
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
