//! The handle on a ledger that all of this module work with, and what all handles on one ledger share.
//!
//! Promises: a copy is cheap, and knows what every other one learns. Does not: ask anything.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::ledger_servers::Servers;
use sui_sdk_types::Address;
use tokio::sync::watch;

use super::error::CallError;
use super::options::ChainOptions;
use super::queues::Together;
use super::rivals::OfOrder;
use super::same_blob::{OnlyOne, SameBlob};
use super::server::Server;
use super::shared_versions::SharedSince;
use super::turns::Turns;

/// A ledger we have reached; a cheap handle.
#[derive(Clone)]
pub struct Chain {
    pub(super) servers: Arc<[Server]>,
    pub(super) shared: Arc<Shared>,
    /// The one server that is asked, if it is not to be chosen.
    pub(super) pinned: Option<usize>,
    /// How long a silent ledger is waited for.
    pub(super) patience: Duration,
    /// What was sent before for the order that this handle is for, if it is for one.
    pub(super) rivals: OfOrder,
}

/// What all handles on one ledger know.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: ChainOptions,
    pub(super) package: Address,
    pub(super) since: watch::Sender<SharedSince>,
    /// What is known of the servers, and which is asked.
    pub(super) standings: watch::Sender<Servers>,
    /// Held by the one who submits a transaction.
    pub(super) turns: Turns,
    /// Those who wait to share a transaction.
    pub(super) together: Together<Chain>,
    /// Held by those who put a blob.
    pub(super) puts: SameBlob,
    /// Whether the last exchange got no answer.
    pub(super) is_silent: AtomicBool,
}

impl Chain {
    /// The server that is asked now, for logs.
    pub fn url(&self) -> &str {
        &self.servers[self.server()].url
    }

    /// All servers that this handle may ask, for errors.
    pub(super) fn places(&self) -> String {
        match self.pinned {
            Some(_) => self.url().to_owned(),
            None => self.urls().collect::<Vec<_>>().join(", "),
        }
    }

    /// Waits until nobody else in this process puts the blob by this chain.
    pub async fn only_put_of(&self, blob_id: &BlobId) -> OnlyOne {
        self.shared.puts.enter(blob_id).await
    }

    /// The error for a ledger that does not answer.
    pub(super) fn unreachable(&self, reason: &str) -> CallError {
        let (url, reason) = (self.places(), reason.to_owned());
        CallError::Unreachable { url, reason, is_late: false }
    }

    /// The error for a ledger that may only be slow: nothing says that it is away.
    pub(super) fn late(&self, reason: &str) -> CallError {
        let (url, reason) = (self.places(), reason.to_owned());
        CallError::Unreachable { url, reason, is_late: true }
    }
}

/// What all handles on one ledger know.
pub(super) fn shared(options: ChainOptions, since: SharedSince) -> Arc<Shared> {
    let turns = Turns::new(options.turns.clone(), options.system);
    let (package, is_silent) = (Address::new(options.package.into()), AtomicBool::new(false));
    let (puts, together) = (SameBlob::default(), Together::default());
    let since = watch::Sender::new(since);
    let standings = watch::Sender::new(Servers::new(options.urls.len()));
    Arc::new(Shared { options, package, since, standings, turns, together, puts, is_silent })
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("options", &self.shared.options).finish_non_exhaustive()
    }
}
