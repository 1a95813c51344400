//! Time for machines that ask.
//!
//! Promises: milliseconds since it was started. Does not: know what time it is.

use std::time::{Duration, Instant};

use haulout_protocol::machine::Timestamp;

/// Time for machines: milliseconds since it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// It is zero now.
    pub(crate) fn start() -> Self {
        Clock(Instant::now())
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Sleeps until the moment; for ever without one.
    pub(crate) async fn until(&self, deadline: Option<Timestamp>) {
        match deadline {
            Some(deadline) => {
                let deadline = self.0 + Duration::from_millis(deadline.0);
                tokio::time::sleep_until(deadline.into()).await;
            }
            None => std::future::pending().await,
        }
    }
}
