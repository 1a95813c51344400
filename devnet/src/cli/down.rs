//! `devnet down`: stops a devnet, and with `--purge` removes what is left of it.
//!
//! Promises: returns when nothing of it runs; a purged devnet leaves neither its folder nor a context
//! that names keys which are gone; a devnet that never was is an error, one that is down already is not. Does not: touch other devnets, or contexts of other networks.

use std::time::Duration;

use haulout_node::contexts;
use haulout_node::error::{Error, Kind, Result};

use super::{PATIENCE, exists, say_done};
use crate::control::{Connection, Request};
use crate::state::StateDirectory;

/// Between two looks at a lock.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) async fn run(directory: &StateDirectory, purge: bool, json: bool) -> Result<()> {
    let context_is_left = contexts::path(&contexts::of_devnet(directory.name()))?.exists();
    if !(purge && context_is_left) {
        exists(directory)?;
    }
    let ran = stop(directory).await?;
    let purged = purge && directory.path().exists();
    if purged {
        let lock = directory.lock()?;
        std::fs::remove_dir_all(directory.path())
            .map_err(|error| Error::from_io("remove", directory.path(), error))?;
        drop(lock);
    }
    let context = if purge { forget_context(directory)? } else { String::new() };
    let message = match (ran, purged) {
        (true, true) => "stopped, and its folder is deleted",
        (true, false) => "stopped; its data stays for the next `devnet up`",
        (false, true) => "it did not run; its folder is deleted",
        (false, false) if purge => "its folder was deleted before",
        (false, false) => "it does not run; its data stays for the next `devnet up`",
    };
    say_done(&directory.spoken(&format!("{message}{context}")), json)
}

/// Removes the devnet's context, if it has one, and says which one is active now.
fn forget_context(directory: &StateDirectory) -> Result<String> {
    let context = contexts::of_devnet(directory.name());
    let was_active = contexts::active()?.as_ref() == Some(&context);
    if !was_active && !contexts::path(&context)?.exists() {
        return Ok(String::new());
    }
    let active = contexts::remove(&context)?;
    Ok(match active.filter(|_| was_active) {
        Some(active) => {
            format!("; the context \"{context}\", too, and \"{active}\" is active again")
        }
        None => format!("; the context \"{context}\", too"),
    })
}

/// Stops a devnet and returns when its lock is free; false if it did not run.
pub(super) async fn stop(directory: &StateDirectory) -> Result<bool> {
    let Some(connection) = Connection::open(&directory.control_socket()).await else {
        return Ok(false);
    };
    connection.ask(&Request::Down, PATIENCE).await?;
    let until = tokio::time::Instant::now() + PATIENCE;
    while directory.path().exists() && directory.lock().is_err() {
        if tokio::time::Instant::now() > until {
            return Err(Error::new(Kind::Timeout, "the supervisor answered but did not end")
                .hint("see `devnet logs supervisor`"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(true)
}
