//! `haulout node check`: looks at everything a node needs, for a configuration that exists.
//!
//! Promises: changes nothing. If the node runs, it says itself whether peers reach it, and its ports are not touched; else its
//! own ports are listened on, with its own key, while peers dial back. Does not: start the node.

use clap::Args;
use haulout_actors::network;
use haulout_protocol::crypto::PeerId;
use serde_json::json;

use super::running::Running;
use crate::checks::{self, Check as Finding, Trial};
use crate::cli::Cli;
use crate::cli::output::Output;
use crate::config::{ClientConfig, Config, NodeConfig};
use crate::error::Result;
use crate::keys::{self, Kind as KeyKind, Secret};
use crate::ledger_client::LedgerClient;
use crate::words::{count, label};

/// Look at everything this node needs: keys, disk, ports, ledger, clock, peers, and whether peers reach it
///
/// While the node runs, it is asked at http.listen what peers found that dialled it back; while it does not, its ports are
/// listened on with its own key for some seconds, and a few peers are asked to dial back. Changes nothing. The exit code is
/// that of the first thing that is not well.
#[derive(Debug, Args)]
pub(in crate::cli) struct Check {}

impl Check {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let config = cli.load(Vec::new())?;
        let node = config.node()?;
        let client = ClientConfig { wallet: None, ..config.client()? };
        let key = keys::load(&node.network_key, KeyKind::Ed25519).ok();
        let own = key.as_ref().map(|key| network::peer_id(*key.bytes()));
        let running = running(&config, own).await;
        let mut found = vec![checks::keys(&node.network_key, &node.protocol_key)];
        found.push(checks::disk(&node.data_dir, node.keep_free).check);
        found.push(checks::open_files());
        match &running {
            Some(running) => {
                let text = format!("the node runs, and answers at http://{}", running.endpoint());
                found.push(Finding::good("port", text));
            }
            None => found.extend(checks::ports(&node.network.listen, node.http)),
        }
        let (of_ledger, ledger) = checks::ledger(client).await;
        found.push(of_ledger);
        if let Some(ledger) = &ledger {
            found.push(checks::clock(ledger, node.clock_tolerance).await);
            found.extend(own.map(|own| registered(ledger, own)).unwrap_or_default());
        }
        found.extend(checks::peers(node.network.id, &node.network.bootstrap, own).await);
        let how = match &running {
            Some(running) => of_running(running, &mut found),
            None => of_trial(&node, key, ledger.as_ref(), &mut found).await,
        };
        tell(&found, own, how, output);
        Ok(())
    }
}

/// The node of this configuration, if it runs.
async fn running(config: &Config, own: Option<PeerId>) -> Option<Running> {
    let running = Running::ask(config.http()?).await;
    running.is_of(own).then_some(running)
}

/// Whether the ledger knows the node: one that it does not gets no shards.
fn registered(ledger: &LedgerClient, own: PeerId) -> Vec<Finding> {
    let committee = &ledger.view().position.committee;
    let member = committee.member_by_peer(&own).map(|index| &committee.members()[index]);
    let found = member.map(|member| {
        let shards = member.shards.len();
        Finding::good(
            "committee",
            format!("{} is in it, with {}", label(&member.name), count(shards, "shard")),
        )
    });
    found.into_iter().collect()
}

/// What the running node heard of peers that dialled it back; says how that was found out.
fn of_running(running: &Running, found: &mut Vec<Finding>) -> &'static str {
    match running.health().and_then(|health| checks::told_reach(health.json())) {
        Some(checks) => found.extend(checks),
        None => found.push(Finding::doubtful(
            "reach",
            "the running node has not heard yet whether peers reach it",
            "ask again in a minute",
        )),
    }
    "as the running node heard"
}

/// Has peers dial back while the node's ports are listened on here.
async fn of_trial(
    node: &NodeConfig,
    key: Option<Secret>,
    ledger: Option<&LedgerClient>,
    found: &mut Vec<Finding>,
) -> &'static str {
    let network = &node.network;
    let external = match network.external.is_empty() {
        true => checks::reached_at(&network.listen, &network.bootstrap),
        false => network.external.clone(),
    };
    // What cannot be listened on was told above.
    if found.iter().all(|check| check.name != "port" || check.outcome == checks::Outcome::Good) {
        let trial = Trial {
            network: network.id,
            listen: &network.listen,
            external: &network.external,
            bootstrap: &network.bootstrap,
            key,
            ledger,
        };
        match trial.run().await {
            Ok(reached) => {
                let came_in = reached.came_in_at();
                found.push(checks::addresses(&external, &network.bootstrap, &came_in));
                found.extend(checks::reachability(&reached, &external));
            }
            Err(error) => found.push(Finding::failed("reach", &error)),
        }
    }
    "as peers found that were asked now, on the node's own ports"
}

fn tell(found: &[Finding], own: Option<PeerId>, how: &str, output: &Output) {
    let bad = checks::first_bad(found);
    let summary = checks::summary(found);
    let json = json!({
        "ok": bad.is_none(),
        "peer_id": own.map(|own| own.to_string()),
        "reachability": how,
        "checks": checks::to_json(found),
    });
    let essential = if bad.is_none() { "ok" } else { "bad" };
    let text = format!("{}{summary}; reachability is {how}\n", checks::to_text(found));
    output.result(&json, essential, &text);
    if let Some(bad) = bad {
        output.answered(bad.kind);
    }
}
