//! `haulout node`: `run` puts a storage node in the foreground, for a service manager or a devnet;
//! the other verbs tell the ledger of it, and each has a file in `cli/node/`.
//!
//! Promises: says when it accepts peers, once; SIGTERM and SIGINT stop it gracefully, a second one
//! at once; with `--exit-with-parent` it ends when its parent does, however that happens.
//! Does not: detach from the terminal.

mod check;
mod commission;
mod exit;
mod init;
mod invite;
mod operator;
mod register;
mod running;
mod set;
mod show;
mod status;
mod vote;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::output::Output;
use super::{Cli, WIND_DOWN, signals};
use crate::config::Setting;
use crate::error::{Error, Kind, Result};
use crate::storage_node::{self, StorageNode};
use crate::telemetry::Telemetry;
use crate::terminal;

/// Run a storage node, and manage it on the ledger
// Help of most verbs is the text of their structs: words here would cover it.
#[derive(Debug, Subcommand)]
pub(super) enum Node {
    Init(init::Init),
    Invite(invite::Invite),
    /// Run a storage node until it is told to stop
    Run(Run),
    Check(check::Check),
    Status(status::Status),
    Register(register::Register),
    Show(show::Show),
    Set(set::Set),
    Vote(vote::Vote),
    #[command(subcommand)]
    Commission(commission::Commission),
    Exit(exit::Exit),
}

/// Flags of `node run`; each covers a key of the configuration.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Where everything the node stores lives (node.data_dir)
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Accept peers here, repeat for more (network.listen)
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<String>,
    /// Serve metrics and health here (http.listen)
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Stop when stdin, a pipe held by the parent, closes
    #[arg(long)]
    exit_with_parent: bool,
}

/// Why the node stops.
enum Stop {
    Signal(Kind),
    ParentGone,
    Failed(Error),
}

impl Node {
    pub(super) fn run(&self, cli: &Cli, output: &Output) -> Result<u8> {
        match self {
            Node::Run(run) => run.run(cli, output),
            Node::Init(init) => cli.online(output, init.run(cli, output)),
            Node::Invite(invite) => invite.run(cli, output),
            Node::Check(check) => cli.online(output, check.run(cli, output)),
            Node::Status(status) => cli.online(output, status.run(cli, output)),
            Node::Register(register) => cli.online(output, register.run(cli, output)),
            Node::Show(show) => cli.online(output, show.run(cli, output)),
            Node::Set(set) => cli.online(output, set.run(cli, output)),
            Node::Vote(vote) => cli.online(output, vote.run(cli, output)),
            Node::Commission(commission) => cli.online(output, commission.run(cli, output)),
            Node::Exit(exit) => cli.online(output, exit.run(cli, output)),
        }
    }
}

impl Run {
    fn run(&self, cli: &Cli, output: &Output) -> Result<u8> {
        let config = cli.load(self.settings()?)?.node()?;
        let runtime = super::runtime()?;
        let result = runtime.block_on(async {
            let mut telemetry = cli.telemetry("haulout-node", "info,ractor=warn", output);
            let peer_id = storage_node::identity(&config)?;
            telemetry.instance = Some(peer_id.to_string());
            telemetry.network = Some(config.network.id.to_string());
            let telemetry = Telemetry::start(telemetry)?;
            let started = tokio::select! {
                started = StorageNode::start(config) => started,
                signal = signals::first() => Err(signals::error(signal?)),
            };
            let result = match started {
                Ok(node) => {
                    telemetry.export(node.context().metrics.clone());
                    self.serve(node, output).await
                }
                Err(error) => {
                    // Whoever reads the log later was not there when it was said on stdout.
                    if output.is_json() {
                        let (kind, next_step) = (error.kind().name(), error.next_step());
                        tracing::error!(kind, error = %error.message(), next_step, "the node did not start");
                    }
                    Err(error)
                }
            };
            tokio::task::block_in_place(|| telemetry.shutdown());
            result
        });
        runtime.shutdown_timeout(WIND_DOWN);
        result
    }

    /// The flags as settings.
    fn settings(&self) -> Result<Vec<Setting>> {
        let mut settings = Vec::new();
        if let Some(path) = &self.data_dir {
            let value = path.to_str().map(str::to_owned).ok_or_else(|| {
                Error::new(Kind::Usage, format!("{} is not UTF-8", terminal::path(path)))
            })?;
            settings.push(Setting { flag: "--data-dir", section: "node", key: "data_dir", value });
        }
        if !self.listen.is_empty() {
            let value = self.listen.join(",");
            settings.push(Setting { flag: "--listen", section: "network", key: "listen", value });
        }
        if let Some(address) = self.http {
            let value = address.to_string();
            settings.push(Setting { flag: "--http", section: "http", key: "listen", value });
        }
        Ok(settings)
    }

    /// Runs a started node to its end.
    async fn serve(&self, node: StorageNode, output: &Output) -> Result<u8> {
        announce(&node, output);
        let stop = tokio::select! {
            signal = signals::first() => Stop::Signal(signal?),
            () = parent_gone(), if self.exit_with_parent => Stop::ParentGone,
            error = node.ended() => Stop::Failed(error),
        };
        match &stop {
            Stop::Signal(kind) => tracing::info!(signal = kind.name(), "stopping"),
            Stop::ParentGone => tracing::info!("stopping with the parent process"),
            Stop::Failed(error) => tracing::error!(%error, "stopping"),
        }
        tokio::select! {
            () = node.shutdown() => {}
            again = signals::first() => {
                tracing::warn!(signal = again?.name(), "second signal: stopping at once");
            }
        }
        match stop {
            Stop::Signal(kind) => Ok(kind.exit_code()),
            Stop::ParentGone => Ok(0),
            Stop::Failed(error) => Err(error),
        }
    }
}

/// Says on stdout that the node accepts peers: the only line it ever prints there.
fn announce(node: &StorageNode, output: &Output) {
    let addresses = node.addresses();
    let http = node.http().map(|address| address.to_string());
    let json = json!({
        "event": "ready",
        "peer_id": node.peer_id().to_string(),
        "addresses": addresses,
        "http": http,
        "pid": std::process::id(),
    });
    let mut people = format!("Ready. Peer {}\n", node.peer_id());
    for address in &addresses {
        people.push_str(&format!("  {address}\n"));
    }
    if let Some(http) = http {
        people.push_str(&format!("  metrics and health: http://{http}/metrics /healthz\n"));
    }
    people.push_str("Ctrl-C stops it; a second one at once.\n");
    output.result(&json, &node.peer_id().to_string(), &people);
}

/// Waits until stdin, a pipe that the parent holds open, closes.
async fn parent_gone() {
    let mut buffer = [0; 64];
    let mut stdin = tokio::io::stdin();
    while !matches!(stdin.read(&mut buffer).await, Ok(0) | Err(_)) {}
}
