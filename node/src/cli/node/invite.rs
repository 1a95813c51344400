//! `haulout node invite`: a ticket with which a stranger's node finds the network.
//!
//! Promises: it holds no secret, and works from a node's configuration or from a client's. Does not: reach anybody.

use std::time::Duration;

use clap::Args;
use haulout_actors::network;
use haulout_protocol::crypto::PeerId;
use serde_json::json;

use crate::calendar;
use crate::cli::Cli;
use crate::cli::output::Output;
use crate::config::Config;
use crate::error::Result;
use crate::keys::{self, Kind as KeyKind};
use crate::ticket::{self, Ticket};

/// Print a ticket with which somebody else's node joins the network
///
/// It names the network, up to three peers to start from, the servers of the ledger, the objects on it and the checkpoint
/// from which it must prove itself. Nothing in it is secret, and whoever has it can do nothing with it but join; but
/// whoever uses it trusts you: a false ticket leads into a false network. `-q` prints the ticket alone.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  haulout --config node.toml node invite\n  haulout -q node invite --valid-for 1h"
)]
pub(in crate::cli) struct Invite {
    /// For how long it may be used, as in 7d or 12h
    #[arg(long, value_name = "PERIOD", default_value = "7d", value_parser = ticket::valid_for)]
    valid_for: Duration,
}

impl Invite {
    pub(in crate::cli) fn run(&self, cli: &Cli, output: &Output) -> Result<u8> {
        let config = cli.load(Vec::new())?;
        let client = config.client()?;
        let expires_at = ticket::now().saturating_add(self.valid_for.as_secs());
        let ticket = Ticket::of(&client.network, &client.chain, own_peer(&config), expires_at)?;
        let text = ticket.to_text()?;
        let until = calendar::utc(expires_at.saturating_mul(1_000));
        let reservations = ticket.reservations();
        let json = json!({
            "ticket": text,
            "network": ticket.network.to_string(),
            "bootstrap": ticket.bootstrap,
            "rpc": ticket.chain.rpc,
            "trusted": ticket.chain.trusted.map(|trusted| trusted.to_string()),
            "expires": until,
            "expires_at": expires_at,
            "reservations": reservations,
        });
        let mut people =
            format!("for whoever joins, until {until}:\n  haulout node init --ticket {text}\n");
        people.push_str(&format!("network   {}\n", ticket.network));
        for (at, address) in ticket.bootstrap.iter().enumerate() {
            people.push_str(&format!("{:<9} {address}\n", if at == 0 { "peers" } else { "" }));
        }
        people.push_str(&format!("ledger    {}\n", ticket.chain.rpc.join(", ")));
        for reservation in reservations {
            people.push_str(&format!("! {reservation}\n"));
        }
        output.result(&json, &text, &people);
        Ok(0)
    }
}

/// Who listens at the addresses of this configuration, if it is a node's and its key is there.
fn own_peer(config: &Config) -> Option<PeerId> {
    let node = config.node().ok()?;
    let key = keys::load(&node.network_key, KeyKind::Ed25519).ok()?;
    Some(network::peer_id(*key.bytes()))
}
