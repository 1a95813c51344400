//! What a supervisor says of the processes it runs, or that it says nothing.
//!
//! Promises: stopped, silent and running are told apart. Does not: ask.

use std::time::Duration;

use crate::control::ProcessStatus;

/// The same for a process that is not stopped: on a busy machine it is slow, and no news is bad news only after long.
pub(super) const ANSWER_WITHIN_IF_IT_RUNS: Duration = Duration::from_secs(5);

/// What the supervisor has to say.
pub(super) enum Supervised {
    /// There is none.
    Stopped,
    /// There is one, and it does not answer now.
    Silent,
    /// What runs.
    Running(Vec<ProcessStatus>),
}
