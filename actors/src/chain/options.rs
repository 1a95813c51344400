//! Where a ledger is found, and how it is waited for.
//!
//! Does not: reach it (`connect` does), or check the addresses.

use std::path::PathBuf;
use std::time::Duration;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::machine::ledger_history::TrustedCheckpoint;

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
