//! How much and how long slivers and blobs without a registration are waited for.
//!
//! Promises: as `limits` says, unless a test says less. Does not: hold what all that is served shares (`serving` does).

use std::time::Duration;

use super::pending::Bounds;
use crate::limits;

/// Bounds that tests set lower.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) bounds: Bounds,
    pub(crate) pending_time: Duration,
    pub(crate) sweep_interval: Duration,
    pub(crate) registration_wait: Duration,
    pub(crate) idle: Duration,
    pub(crate) pause: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            bounds: Bounds::default(),
            pending_time: limits::PENDING_TIME_MAX,
            sweep_interval: limits::PENDING_SWEEP_INTERVAL,
            registration_wait: limits::REGISTRATION_WAIT_MAX,
            idle: limits::STREAM_CREDIT,
            pause: limits::UPLOAD_PAUSE_MAX,
        }
    }
}
