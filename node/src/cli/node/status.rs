//! `haulout node status`: how the node of this configuration is, as it says itself and as the ledger has it.
//!
//! Promises: what cannot be asked is told as such, and the rest is told all the same; the exit code says whether all is well.
//! Does not: need a wallet, or change anything.

mod report;

use std::time::{Duration, Instant};

use clap::Args;
use haulout_actors::network;
use haulout_protocol::crypto::PeerId;

use super::running::Running;
use crate::cli::Cli;
use crate::cli::output::Output;
use crate::config::{ClientConfig, Config};
use crate::error::{Error, Kind, Result};
use crate::keys::{self, Kind as KeyKind};
use crate::ledger_client::LedgerClient;
use crate::stakes::{self, SortBy};
use report::{Place, Repairs, Report};

/// Between two questions to a node that repairs: to see how fast it is.
const REPAIRS_WATCHED: Duration = Duration::from_secs(2);

/// Show how the running node is, and where it stands
///
/// Asks it at http.listen, and the ledger for its stake and shards. The exit code is 17 if it does not run or is not well.
#[derive(Debug, Args)]
pub(in crate::cli) struct Status {}

impl Status {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let config = cli.load(Vec::new())?;
        let node = config.node()?;
        let endpoint = config.http().ok_or_else(|| {
            Error::new(Kind::Config, "http.listen is not set, so the running node cannot be asked").hint(
                "add `listen = \"127.0.0.1:31417\"` under [http] and restart the node; `haulout node show` tells what the ledger says",
            )
        })?;
        let key = keys::load(&node.network_key, KeyKind::Ed25519).ok();
        let own = key.map(|key| network::peer_id(*key.bytes()));
        let running = Running::ask(endpoint).await;
        let repairs = Repairs::of(&running, repaired_later(&running).await);
        let place = place(&config, own).await;
        let report = Report { name: node.name, peer: own, running, repairs, place };
        output.result(&report.to_json(), report.word(), &report.to_text());
        if !report.is_well() {
            output.answered(Kind::Degraded);
        }
        Ok(())
    }
}

/// What a node that repairs says a little later, and how much later that was.
async fn repaired_later(running: &Running) -> Option<(Running, Duration)> {
    let health = running.health()?;
    let began = Instant::now();
    if health.json()["repairs"]["incomplete_blobs"].as_u64().unwrap_or(0) == 0 {
        return None;
    }
    tokio::time::sleep(REPAIRS_WATCHED).await;
    Some((Running::ask(running.endpoint()).await, began.elapsed()))
}

/// Where the ledger has the node.
async fn place(config: &Config, own: Option<PeerId>) -> Result<Place> {
    let client = LedgerClient::connect(ClientConfig { wallet: None, ..config.client()? }).await?;
    let book = client.stake_book().await?;
    let own = own.ok_or_else(|| Error::new(Kind::Config, "the node has no key yet"))?;
    let node_id = book.staking.by_peer.get(own.key().as_slice()).copied();
    let row = node_id.and_then(|id| {
        stakes::rows(&book, SortBy::Stake).into_iter().find(|row| row.node_id == id)
    });
    Ok(Place {
        row,
        least: stakes::least_for_a_shard(&book, node_id.as_ref()),
        shards: book.staking.n_shards,
        selection: stakes::next_selection(&book),
        calendar: client.calendar(),
    })
}
