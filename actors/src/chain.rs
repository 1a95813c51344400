//! The ledger: one or several Sui gRPC servers that know our contracts.
//!
//! Promises: every call ends in bounded time, which includes waiting for a ledger that is away for a
//! moment; checkpoints come each exactly once, in order and proven; a
//! transaction is signed once and only ever sent again as the same bytes, so nothing is paid twice;
//! an error says whether trying again can help. This file and those below it are the only ones that
//! name Sui crates.
//! Does not: store anything, decide what an event means for us, or keep a wallet's key on disk.

mod anchor;
mod certify;
mod checkpoints;
mod draft;
mod epochs;
mod error;
mod exact;
mod fusion;
mod gas;
mod memory;
mod network_objects;
mod node_settings;
mod operator;
mod owned;
mod patience;
mod proof;
mod proven_blob;
mod proven_epoch;
mod purse;
mod read;
mod refusal;
mod register;
mod rivals;
mod same_blob;
#[cfg(test)]
mod sample_server;
mod second_word;
mod sending;
mod servers;
mod shared_since;
mod space;
mod stake;
mod submit;
mod tables;
mod texts;
mod together;
mod turns;
mod validators;
mod wallet;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::machine::ledger_history::TrustedCheckpoint;
use haulout_protocol::machine::ledger_servers::Servers;
use haulout_protocol::message::NetworkId;
use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::certify::Certified;
pub use self::checkpoints::{Checkpoints, Start};
pub use self::error::{CallError, FollowError};
pub use self::memory::Since;
pub use self::network_objects::NetworkObjects;
pub use self::node_settings::{Changed, Collector};
pub use self::operator::{NodeRegistration, Proofs, RegisteredNode, Votes};
pub use self::owned::{Extension, Found, Holder, Receipt};
pub use self::proof::{Checkpoint, Written};
pub use self::read::TIME_MOVED_HEADER;
pub(crate) use self::read::ViewError;
pub use self::register::{Cost, Extended, Registered, Registration};
use self::rivals::OfOrder;
pub use self::same_blob::OnlyOne;
use self::same_blob::SameBlob;
use self::servers::Server;
pub(crate) use self::servers::Witness;
pub use self::stake::{NewReceipt, Payout, ReceiptStep, StakeBook};
pub use self::texts::BLOB_NAME;
use self::together::Together;
use self::turns::Turns;
pub use self::validators::validators_digest;
pub use self::wallet::{Wallet, WalletError};
use crate::limits;
use crate::position::Position;

/// Where the ledger answers and which objects on it are ours.
#[derive(Clone, Debug)]
pub struct ChainOptions {
    /// The gRPC servers, `http://` or `https://`; at least one. Which of them is asked, follows from what they show.
    pub urls: Vec<String>,
    /// The published package.
    pub package: ObjectId,
    /// The shared object with prices and the committee's keys.
    pub system: ObjectId,
    /// The shared object with the epoch.
    pub staking: ObjectId,
    /// The shared object with what was fixed at genesis.
    pub params: ObjectId,
    /// The shared object that knows the token's supply.
    pub treasury: ObjectId,
    /// The checkpoint from which on the ledger must prove what it says. Without one, whom the ledger first names as its
    /// validators is believed.
    pub trusted: Option<TrustedCheckpoint>,
    /// How long a ledger that does not answer, or a wallet that others are using, is waited for.
    /// With none, each exchange is tried once.
    pub patience: Duration,
    /// Where processes that share a wallet take turns: a folder they all know, made if it is not
    /// there. Without it, they lose races to each other and try again.
    pub turns: Option<PathBuf>,
}

/// A ledger we have reached; a cheap handle.
#[derive(Clone)]
pub struct Chain {
    servers: Arc<[Server]>,
    shared: Arc<Shared>,
    /// The one server that is asked, if it is not to be chosen.
    pinned: Option<usize>,
    /// How long a silent ledger is waited for.
    patience: Duration,
    /// What was sent before for the order that this handle is for, if it is for one.
    rivals: OfOrder,
}

/// What all handles on one ledger know.
#[derive(Debug)]
struct Shared {
    options: ChainOptions,
    package: Address,
    since: watch::Sender<SharedSince>,
    /// What is known of the servers, and which is asked.
    standings: watch::Sender<Servers>,
    /// Held by the one who submits a transaction.
    turns: Turns,
    /// Those who wait to share a transaction.
    together: Together,
    /// Held by those who put a blob.
    puts: SameBlob,
    /// Whether the last exchange got no answer.
    is_silent: AtomicBool,
}

/// Versions at which our objects became shared; transactions must name them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SharedSince {
    system: u64,
    params: u64,
    staking: u64,
    treasury: u64,
}

/// What the ledger says of the network at its latest checkpoint.
#[derive(Clone, Debug)]
pub struct SystemView {
    /// The position there.
    pub position: Position,
    /// Which network this is.
    pub network: NetworkId,
    /// How full the network is.
    pub capacity: Capacity,
    /// The protocol version the nodes agreed on.
    pub protocol_version: u64,
    /// What all of it was read from.
    pub source: NetworkObjects,
}

/// How full the network is in the current epoch, in encoded bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Reserved.
    pub used: u64,
    /// Offered.
    pub total: u64,
}

/// What an account holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// Gas, in MIST.
    pub sui: u64,
    /// The storage token, in its smallest unit.
    pub wal: u64,
}

impl Chain {
    /// Reaches the ledger and finds our objects on it.
    pub async fn connect(options: ChainOptions) -> Result<Chain, CallError> {
        let servers = servers::of(&options)?.into();
        let patience = options.patience;
        let shared_now = shared(options, SharedSince::default());
        let mut chain = Chain { servers, shared: shared_now, pinned: None, patience, rivals: None };
        let begun = Instant::now();
        chain.ask_the_first_that_answers().await;
        // Who waits for a ledger waits also for one that was away already when it was needed.
        let longest = match patience.is_zero() {
            true => limits::CHAIN_CONNECT_TIMEOUT,
            false => patience + limits::CHAIN_ANSWER_TIMEOUT,
        };
        // What was waited already is waited once.
        let rest = chain.patient(patience.saturating_sub(begun.elapsed()));
        let reached = tokio::time::timeout(longest, rest.shared_since_of_any());
        let Ok(found) = reached.await else {
            return Err(chain.late("no answer in time"));
        };
        let options = chain.shared.options.clone();
        let known = chain.shared.standings.borrow().clone();
        chain.shared = shared(options, found?);
        chain.shared.standings.send_replace(known);
        Ok(chain)
    }

    /// A ledger that was reached before, when the network's objects were these. Nothing is asked.
    pub fn resume(options: ChainOptions, known: &NetworkObjects) -> Result<Chain, CallError> {
        let servers = servers::of(&options)?.into();
        let patience = options.patience;
        let shared = shared(options, known.since);
        Ok(Chain { servers, shared, pinned: None, patience, rivals: None })
    }

    /// The server that is asked now, for logs.
    pub fn url(&self) -> &str {
        &self.servers[self.server()].url
    }

    /// All servers that this handle may ask, for errors.
    fn places(&self) -> String {
        match self.pinned {
            Some(_) => self.url().to_owned(),
            None => self.urls().collect::<Vec<_>>().join(", "),
        }
    }

    /// Every checkpoint after the start, in order, for ever.
    pub fn checkpoints(&self, start: Start) -> Checkpoints {
        Checkpoints::new(self.clone(), start)
    }

    /// The error for a ledger that does not answer.
    fn unreachable(&self, reason: &str) -> CallError {
        let (url, reason) = (self.places(), reason.to_owned());
        CallError::Unreachable { url, reason, is_late: false }
    }

    /// The error for a ledger that may only be slow: nothing says that it is away.
    fn late(&self, reason: &str) -> CallError {
        let (url, reason) = (self.places(), reason.to_owned());
        CallError::Unreachable { url, reason, is_late: true }
    }
}

/// What all handles on one ledger know.
fn shared(options: ChainOptions, since: SharedSince) -> Arc<Shared> {
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
