//! `haulout node init`: a new node's file and keys, after everything it needs was looked at.
//!
//! Promises: nothing is written before every check was made, and nothing that exists is written over; the commands it ends
//! with work when pasted. Does not: register the node, or start it.

mod plan;
mod trust;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use haulout_actors::network;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::reachability::Reachability;
use serde_json::{Value, json};

use crate::checks::{self, Check, Trial};
use crate::cli::Cli;
use crate::cli::output::Output;
use crate::config::ClientConfig;
use crate::error::{Error, Result};
use crate::keys::{self, Kind as KeyKind, Secret};
use crate::ledger_client::{LedgerClient, account_of};
use crate::stakes;
use crate::terminal;
use crate::words::{coins, wal};
use plan::Plan;

/// Bytes of the disk that a new node leaves free, as its file says.
const KEEP_FREE: u64 = 256 << 20;
/// How far its clock may be from the ledger's.
const CLOCK_TOLERANCE: std::time::Duration = std::time::Duration::from_secs(60);
/// Of the room on the disk a new node should offer this part, in hundredths: the rest is for the index, and for repairs.
const OFFERED_PERCENT: u64 = 90;

/// Make a new node's configuration and keys
///
/// Takes the network from a ticket, which `haulout node invite` prints for whoever runs a node, from a configuration file,
/// or from the active context. A ticket is trusted as far as whoever gave it is: it says which ledger and which objects count.
/// Looks at disk, ports, ledger, clock and peers first, and writes nothing if one of them is not well.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  haulout node init --ticket haulout1AQ... --data-dir /srv/haulout --name tern\n  \
                        haulout node init --from other/node.toml --external /ip4/203.0.113.7/udp/31416/quic-v1\n  \
                        haulout node init --bootstrap /ip4/203.0.113.7/udp/31416/quic-v1/p2p/12D3KooW..."
)]
pub(in crate::cli) struct Init {
    /// What somebody of the network gave you: haulout1...
    #[arg(long, value_name = "TICKET", conflicts_with = "from")]
    pub(super) ticket: Option<String>,
    /// Take the network from this configuration; --config or the active context, if nothing is said
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<PathBuf>,
    /// Where everything the node stores shall live
    #[arg(long, value_name = "FOLDER")]
    pub(super) data_dir: Option<PathBuf>,
    /// Write the configuration here; node.toml in the folder, if nothing is said
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Accept peers here, repeat for more
    #[arg(long, value_name = "MULTIADDR")]
    pub(super) listen: Vec<String>,
    /// An address others reach the node at, repeat for more
    #[arg(long, value_name = "MULTIADDR")]
    pub(super) external: Vec<String>,
    /// Serve metrics and health here
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:31417")]
    pub(super) http: SocketAddr,
    /// The node's name; the machine's, if nothing is said
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// The operator's key file; a new one beside the node's keys, if nothing is said
    #[arg(long, value_name = "FILE")]
    pub(super) wallet: Option<PathBuf>,
    /// Write them although a check is not well
    #[arg(long)]
    anyway: bool,
}

/// What was looked at.
struct Seen {
    checks: Vec<Check>,
    /// Bytes the node may offer.
    room: Option<u64>,
    ledger: Option<LedgerClient>,
}

impl Init {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let mut plan = Plan::new(self, cli)?;
        let seen = look(&mut plan).await;
        if let Some(bad) = checks::first_bad(&seen.checks).filter(|_| !self.anyway) {
            output.aside(&checks::to_text(&seen.checks));
            let message =
                format!("{}: {}; nothing was written", checks::summary(&seen.checks), bad.found);
            let next = bad.next_step.as_deref().unwrap_or_default();
            return Err(Error::new(bad.kind, message)
                .hint(format!(
                    "{next}; then run it again, or write the files all the same with --anyway"
                ))
                .detail("checks", checks::to_json(&seen.checks)));
        }
        let made = make(&plan)?;
        let next = next_steps(&plan, &made, &seen).await;
        let json = json!({
            "file": plan.path.to_string_lossy(),
            "data_dir": plan.file.data_dir.to_string_lossy(),
            "name": plan.file.name,
            "network": plan.file.network.to_string(),
            "peer_id": made.peer.to_string(),
            "addresses": plan.file.external,
            "wallet": made.account,
            "wallet_is_new": made.is_new_wallet,
            "checks": checks::to_json(&seen.checks),
            "next": next.to_json(),
        });
        let text =
            format!("{}{}{}", checks::to_text(&seen.checks), made.to_text(&plan), next.to_text());
        output.result(&json, &plan.path.to_string_lossy(), &text);
        Ok(())
    }
}

/// Looks at everything the node will need.
async fn look(plan: &mut Plan) -> Seen {
    let disk = checks::disk(&plan.file.data_dir, KEEP_FREE);
    let (network_key, protocol_key) = plan.keys();
    let key = keys::load(&network_key, KeyKind::Ed25519).ok();
    let own = key.as_ref().map(|key| network::peer_id(*key.bytes()));
    let mut found: Vec<Check> = plan.trust.clone().into_iter().collect();
    found.extend([disk.check, checks::open_files(), checks::keys(&network_key, &protocol_key)]);
    let ports = checks::ports(&plan.file.listen, Some(plan.file.http));
    let are_free = checks::first_bad(&ports).is_none();
    found.extend(ports);
    let (of_ledger, ledger) = checks::ledger(plan.client()).await;
    found.push(of_ledger);
    if let Some(ledger) = &ledger {
        found.push(checks::clock(ledger, CLOCK_TOLERANCE).await);
    }
    found.extend(checks::peers(plan.file.network, &plan.file.bootstrap, own).await);
    // A network that is another's, or where nobody answers, has nobody to dial back.
    let reached = match are_free && checks::first_bad(&found).is_none() {
        true => Some(trial(plan, key, ledger.as_ref()).await),
        false => None,
    };
    let unsure = match &reached {
        Some(Ok(reached)) => plan.seen_at(reached),
        _ => None,
    };
    let came_in = match &reached {
        Some(Ok(reached)) => reached.came_in_at(),
        _ => Vec::new(),
    };
    found.push(checks::addresses(&plan.file.external, &plan.file.bootstrap, &came_in));
    match reached {
        None => {}
        Some(Ok(reached)) => {
            found.extend(checks::reachability(&reached, &plan.file.external));
            if let Some(unsure) = unsure {
                found.retain(|check| check.name != unsure.name);
                found.push(unsure);
            }
        }
        Some(Err(error)) => found.push(Check::failed("reach", &error)),
    }
    Seen { checks: found, room: disk.room, ledger }
}

/// Has peers dial back where the node will listen.
async fn trial(
    plan: &Plan,
    key: Option<Secret>,
    ledger: Option<&LedgerClient>,
) -> Result<Reachability> {
    let trial = Trial {
        network: plan.file.network,
        listen: &plan.file.listen,
        external: plan.named_external(),
        bootstrap: &plan.file.bootstrap,
        key,
        ledger,
    };
    trial.run().await
}

/// What was made.
struct Made {
    peer: PeerId,
    account: String,
    is_new_wallet: bool,
}

/// Makes folder, keys and file, in this order: a file without keys would make others.
fn make(plan: &Plan) -> Result<Made> {
    let file = &plan.file;
    std::fs::create_dir_all(&file.data_dir)
        .map_err(|error| Error::from_io("create the folder", &file.data_dir, error))?;
    let (network_key, protocol_key) = plan.keys();
    let network_key = keys::load_or_create(&network_key, KeyKind::Ed25519)?;
    keys::load_or_create(&protocol_key, KeyKind::Bls12381)?;
    let is_new_wallet = !file.wallet.exists();
    if is_new_wallet {
        keys::create_wallet(&file.wallet)?;
    }
    let account = account_of(&plan.wallet())?.to_string();
    file.create(&plan.path)?;
    Ok(Made { peer: network::peer_id(*network_key.bytes()), account, is_new_wallet })
}

impl Made {
    fn to_text(&self, plan: &Plan) -> String {
        let wallet = match self.is_new_wallet {
            true => "new: keep a copy, whoever reads it has its coins",
            false => "as it was",
        };
        format!(
            "✓ Wrote {}\n  peer      {}\n  keys      {} (mode 0600): keep a copy, they are the node\n  wallet    {} ({}, {wallet})\n",
            terminal::path(&plan.path),
            self.peer,
            terminal::path(&plan.file.data_dir.join("keys")),
            self.account,
            terminal::path(&plan.file.wallet),
        )
    }
}

/// What the operator does next: commands as they are pasted.
struct NextSteps {
    fund: String,
    commands: Vec<(String, &'static str)>,
}

/// What is left to do. What cannot be known without the ledger stays a word to fill in.
async fn next_steps(plan: &Plan, made: &Made, seen: &Seen) -> NextSteps {
    let book = match &seen.ledger {
        Some(ledger) => ledger.stake_book().await.ok(),
        None => None,
    };
    let bond = book.as_ref().map(stakes::min_bond);
    let stake = book.as_ref().and_then(stakes::stake_for_a_shard);
    let amount = stake.map_or_else(|| "AMOUNT".to_owned(), |stake| format!("{}WAL", coins(stake)));
    let gibibytes = seen.room.map(|room| (room / 100 * OFFERED_PERCENT) >> 30);
    let capacity = match gibibytes {
        None => "SIZE".to_owned(),
        Some(0) => "1GiB".to_owned(),
        Some(gibibytes) => format!("{gibibytes}GiB"),
    };
    let program = format!("haulout --config {}", terminal::shell(&plan.path.to_string_lossy()));
    let name = terminal::shell(&plan.file.name);
    let needed = bond.zip(stake).map_or_else(
        || "WAL for the bond".to_owned(),
        |(bond, stake)| format!("WAL for the bond ({}) and stake ({})", wal(bond), wal(stake)),
    );
    let coins_needed = bond.zip(stake).map_or_else(String::new, |(bond, stake)| {
        format!(" {}WAL 5SUI", coins(bond.saturating_add(stake)))
    });
    let account = &made.account;
    NextSteps {
        fund: format!(
            "send SUI for gas and {needed} to {account}; on a devnet: `devnet faucet {account}{coins_needed}`"
        ),
        commands: vec![
            (
                format!("{program} node register --capacity {capacity}"),
                "its keys sign, the wallet pays the bond",
            ),
            (
                format!("{program} stake add {name} {amount}"),
                "about so much gives it a shard; anybody may stake",
            ),
            (format!("{program} node run"), "in the next committee it has stake for"),
            (format!("{program} node status"), "how it is, from another terminal"),
        ],
    }
}

impl NextSteps {
    fn to_json(&self) -> Value {
        self.commands.iter().map(|(command, _)| json!(command)).collect()
    }

    fn to_text(&self) -> String {
        let mut text = format!("next\n  1. {}\n", self.fund);
        for (at, (command, why)) in self.commands.iter().enumerate() {
            text.push_str(&format!("  {}. {command}   # {why}\n", at + 2));
        }
        text
    }
}

impl Plan {
    /// What asks the ledger for us.
    fn client(&self) -> ClientConfig {
        self.client.clone()
    }
}
