//! What a supervisor tells those who wait for it: phases of the start, and the end of a verb.
//!
//! Promises: each phase is timed from the end of the one before. Does not: print.

use std::time::Instant;

use tokio::sync::watch;

use crate::control::{Phase, Reply};

/// How far the start has come; followers read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Phases that are over.
    pub(crate) phases: Vec<Phase>,
    /// How the start ended.
    pub(crate) end: Option<Reply>,
}

/// Collects the phases of the start and times them.
#[derive(Debug)]
pub(crate) struct Reporter {
    progress: watch::Sender<Progress>,
    started: Instant,
}

impl Reporter {
    /// Times from now on.
    pub(crate) fn new(progress: watch::Sender<Progress>) -> Self {
        Reporter { progress, started: Instant::now() }
    }

    /// Says that a phase is over, and what came of it.
    pub(crate) fn finished(&mut self, name: &str, detail: String) {
        self.over(name, detail, false);
    }

    /// Says that a phase is over, and what did not work.
    pub(crate) fn partly(&mut self, name: &str, detail: String) {
        self.over(name, detail, true);
    }

    fn over(&mut self, name: &str, detail: String, is_partial: bool) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.started = Instant::now();
        tracing::info!(phase = name, detail, millis, "phase finished");
        let phase = Phase { name: name.to_owned(), detail, millis, is_partial };
        self.progress.send_modify(|progress| progress.phases.push(phase));
    }

    /// The start is over.
    pub(crate) fn ended(&self, reply: Reply) {
        self.progress.send_modify(|progress| progress.end = Some(reply));
    }
}

/// The answer to a verb that was done.
pub(crate) fn done(message: String) -> Reply {
    Reply::Done { message }
}
