//! Threads for long work that no client waits for: what repair rebuilds and what it computes for the repairs of others.
//!
//! Promises: on Linux they run behind everything else that wants the processor, so a reader is not kept waiting for the rest of
//! a segment's work; there are no more of them than cores. Does not: queue: whoever has work asks for a core first. Elsewhere a
//! program cannot say it of single threads, and they run like any other.

use std::sync::{Arc, OnceLock};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::sync::oneshot;
use tracing::error;

/// How far behind others they stand: of two that want a core one has nine tenths of it.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// The threads, from the first work on; a cheap handle.
#[derive(Clone, Debug)]
pub(super) struct Background {
    threads: usize,
    pool: Arc<OnceLock<Option<ThreadPool>>>,
}

impl Background {
    /// So many threads.
    pub(super) fn new(threads: usize) -> Self {
        Background { threads, pool: Arc::default() }
    }

    fn start(threads: usize) -> Result<ThreadPool, ThreadPoolBuildError> {
        ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|thread| format!("background-{thread}"))
            .start_handler(|_| stand_behind())
            .panic_handler(|_| error!("work in the background panicked: a fault of the program"))
            .build()
    }

    /// Does this; nothing comes if it panics, or if the machine gave us no threads.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (done, hears) = oneshot::channel();
        let pool = self.pool.get_or_init(|| match Background::start(self.threads) {
            Ok(pool) => Some(pool),
            Err(failure) => {
                error!(error = %failure, "there are no threads for repairs until this node is started again");
                None
            }
        });
        if let Some(pool) = pool {
            // Whoever asked may be gone.
            pool.spawn(move || drop(done.send(work())));
        }
        hears
    }
}

/// Has this thread run behind others. One that may not runs like any other: slower readers, nothing worse.
#[cfg(target_os = "linux")]
fn stand_behind() {
    // On Linux this is said of the thread that calls.
    if let Err(failure) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(error = %failure, "work in the background cannot stand behind other work");
    }
}

#[cfg(not(target_os = "linux"))]
fn stand_behind() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_panics_is_noticed_and_the_next_work_is_done() {
        let background = Background::new(1);
        assert!(background.run(|| panic!("on purpose")).await.is_err());
        assert_eq!(background.run(|| 7).await, Ok(7));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn its_threads_stand_behind_the_one_that_started_them() {
        let own = || rustix::process::getpriority_process(None).expect("a priority");
        let background = Background::new(1);
        let theirs = background.run(own).await.expect("it does not panic");
        assert!(theirs > own() || theirs == 19, "{theirs}");
    }
}
