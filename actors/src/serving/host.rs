//! What all counters share: memory, cores, and the turns of those who read.
//!
//! Promises: it outlives the actors that serve, so a restart forgets nobody who was pushy; all counters together hold no more
//! than its limits. Does not: serve.

use std::sync::Arc;

use haulout_protocol::machine::conditions::Entrance;
use haulout_protocol::machine::duty::Duty;
use haulout_protocol::machine::guests::Progress;
use haulout_protocol::machine::{pacing, rations};
use tracing::debug;

use super::background::Background;
use super::cores::{Core, Cores};
use super::memory::Memory;
use super::readers::Readers;
use crate::limits;
use crate::metrics::Metrics;
use crate::network::{Blame, Network, Place};

/// Bounds of all visits together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Memory for what visits hold for a segment or an answer.
    pub(crate) memory: rations::Limits,
    /// How fast strangers read beside others.
    pub(crate) readers: pacing::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: limits::SESSION_MEMORY, readers: limits::READERS }
    }
}

/// What all counters share; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Serving {
    pub(super) shared: Arc<Shared>,
}

/// The things themselves.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) network: Network,
    pub(super) metrics: Metrics,
    /// Room for what visits hold for a segment or an answer.
    pub(super) memory: Memory,
    /// Room for what they hold for a whole upload.
    pub(super) uploads: Memory,
    /// Whose turn it is to read.
    pub(super) readers: Readers,
    /// The right to keep a core busy.
    pub(super) cores: Cores,
    /// The same for what runs behind everything else: none of it is held while a client waits.
    pub(super) idle_cores: Cores,
    pub(super) background: Background,
}

impl Serving {
    /// Nobody is served yet.
    pub(crate) fn new(network: &Network, metrics: &Metrics, limits: Limits) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = cores.min(limits::CORES_BUSY_MAX);
        let shared = Shared {
            network: network.clone(),
            metrics: metrics.clone(),
            memory: Memory::new(limits.memory),
            uploads: Memory::new(limits::HEADER_MEMORY),
            readers: Readers::new(limits.readers, limits::FLOWS),
            cores: Cores::new(cores, limits::DUTY_WEIGHTS),
            idle_cores: Cores::new(cores, limits::DUTY_WEIGHTS),
            background: Background::new(cores),
        };
        Serving { shared: Arc::new(shared) }
    }

    /// Waits for the right to keep a core busy, for whatever a node does in this duty.
    pub(crate) async fn core(&self, duty: Duty) -> Core {
        self.shared.cores.core(duty).await
    }

    /// Waits for a core and does this behind everything else that wants one, for whatever a node does in this duty; nothing
    /// comes if it panics. It may block.
    pub(crate) async fn in_background<T: Send + 'static>(
        &self,
        duty: Duty,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let core = self.shared.idle_cores.core(duty).await;
        let work = move || {
            let _core = core;
            work()
        };
        self.shared.background.run(work).await.ok()
    }

    /// A visitor lost its place to another. Whoever never came to say what it wants is slow; others were just slower than
    /// others, or wait for somebody else.
    pub(super) fn turned_out(&self, place: &Place) {
        let (progress, guest) = (place.progress(), place.guest());
        let (network, metrics) = (&self.shared.network, &self.shared.metrics);
        network.note_turned_away(Entrance::Stream, guest.class);
        metrics.session_refused("evicted");
        debug!(?progress, "the place of a session was given to another");
        if is_crawling(place.has_asked(), &progress) {
            metrics.peer_blamed(Blame::Slow.as_str());
            network.blame(guest.peer, Blame::Slow);
        }
    }
}

/// Whether whoever lost its place never meant to use it.
fn is_crawling(has_asked: bool, progress: &Progress) -> bool {
    !has_asked && progress.rate() < limits::CRAWL_BYTES_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_the_ledger_is_not_blamed_and_who_drips_is() {
        let waits = Progress { moved: 500, waited_ms: 9_000, waiting_ms: 9_000 };
        assert!(!is_crawling(true, &waits), "it sent its header, and waits for its registration");
        assert!(is_crawling(false, &waits));
        let fast = Progress { moved: 1 << 20, ..waits };
        assert!(!is_crawling(false, &fast), "others were faster");
    }
}
