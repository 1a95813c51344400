//! SIGINT and SIGTERM as values.
//!
//! Promises: the first call installs the handlers for the process. Does not: stop anything.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Kind, Result};

/// Waits for SIGINT or SIGTERM and says which it was.
pub(super) async fn first() -> Result<Kind> {
    let failed = |error| Error::new(Kind::Internal, "signals cannot be watched").because(error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(tokio::select! {
        _ = interrupt.recv() => Kind::Interrupted,
        _ = terminate.recv() => Kind::Terminated,
    })
}

/// The error of a command that a signal ended.
pub(super) fn error(kind: Kind) -> Error {
    Error::new(kind, "stopped before the end")
}
