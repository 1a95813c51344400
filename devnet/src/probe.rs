//! Asks a running devnet how it is: the ledger by gRPC, the nodes by their `/healthz`.
//!
//! Promises: every question is bounded in time, and readiness is an answer, never a delay.
//! Does not: change anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::http::Method;
use futures::future::join_all;
use haulout_actors::chain::{Balances, CallError, Chain, ChainOptions};
use haulout_actors::position::Position;
use haulout_node::error::{Error, Kind, Result};
pub(crate) use haulout_node::probe::Health;
use haulout_node::probe::ask;
use haulout_node::stakes::{self, Role, SortBy};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{EpochState, Staking};
use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::conditions::Name;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::files::ChainPlace;

/// How long the ledger may take to say how it is.
pub(crate) const LEDGER_PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks at a network that is not ready yet.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long nodes get to find all the others before fewer connections are good enough.
const FULL_MESH_PATIENCE: Duration = Duration::from_secs(4);

/// The smallest units in one WAL or one SUI.
const COIN: u64 = 1_000_000_000;

/// What the ledger says of itself.
#[derive(Debug)]
pub(crate) struct ChainFacts {
    pub(crate) epoch: u32,
    pub(crate) checkpoint: u64,
    /// How far the epoch is, in a few words.
    pub(crate) phase: String,
    /// The first epoch whose committee is not chosen yet.
    pub(crate) next_choice: u32,
    /// The shards of each member, by the id of its peer.
    pub(crate) shards: BTreeMap<String, Vec<u16>>,
    /// What each member is called, by the id of its peer.
    pub(crate) names: BTreeMap<String, String>,
    /// Where each node serves, by its id; nothing where that was not asked.
    pub(crate) roles: BTreeMap<String, Role>,
    /// Peers of nodes that told the ledger that they leave; nothing where that was not asked.
    pub(crate) leaving: BTreeSet<String>,
}

impl ChainFacts {
    /// One line for the banner.
    pub(crate) fn summary(&self) -> String {
        format!("embedded ledger (not Sui), epoch {}, checkpoint {}", self.epoch, self.checkpoint)
    }
}

/// Reads the system object through the same client that nodes use.
pub(crate) async fn chain(place: &ChainPlace) -> Result<ChainFacts> {
    let system = connect(place, Duration::ZERO).await?.system().await.map_err(unreadable)?;
    let position = system.position;
    let phase = phase(&position);
    let is_chosen = matches!(position.phase, EpochState::Selected { .. });
    let next_choice = position.epoch.0.saturating_add(if is_chosen { 2 } else { 1 });
    let members = || position.committee.members().iter();
    let names = members().map(|member| (member.peer_id.to_string(), member.name.clone())).collect();
    let shards = members().map(|member| {
        let shards = member.shards.iter().map(|shard| shard.0).collect();
        (member.peer_id.to_string(), shards)
    });
    Ok(ChainFacts {
        epoch: position.epoch.0,
        checkpoint: position.checkpoint,
        phase,
        next_choice,
        shards: shards.collect(),
        names,
        roles: BTreeMap::new(),
        leaving: BTreeSet::new(),
    })
}

/// Adds where each node serves, and who leaves.
pub(crate) async fn add_roles(facts: &mut ChainFacts, place: &ChainPlace) -> Result<()> {
    let book = connect(place, Duration::ZERO).await?.stake_book().await.map_err(unreadable)?;
    let rows = stakes::rows(&book, SortBy::Stake);
    facts.roles = rows.into_iter().map(|row| (row.node_id.to_string(), row.role)).collect();
    let has_left = |node: &ObjectId| {
        book.staking.pools.get(node).is_some_and(|pool| pool.node.status != stakes::ACTIVE)
    };
    let leaving = book.staking.by_peer.iter().filter(|(_, node)| has_left(node));
    let peers = leaving.filter_map(|(key, _)| key.as_slice().try_into().ok());
    facts.leaving = peers.map(|key| PeerId::from_key(key).to_string()).collect();
    Ok(())
}

/// The state of stake and epochs.
pub(crate) async fn staking(place: &ChainPlace) -> Result<Staking> {
    connect(place, Duration::ZERO).await?.stake().await.map_err(unreadable)
}

/// How far an epoch is: `next in 41 s`, `5 of 100 shards held`.
fn phase(position: &Position) -> String {
    let left = |since_ms: u64| {
        let due_ms = since_ms.saturating_add(position.timing.duration_ms);
        let seconds = due_ms.saturating_sub(position.ledger_ms).div_ceil(1000);
        match seconds {
            0..120 => format!("next in {seconds} s"),
            120..7200 => format!("next in {} min", (seconds + 30) / 60),
            _ => format!("next in {} h", (seconds + 1800) / 3600),
        }
    };
    match position.phase {
        EpochState::Sync { weight, .. } => {
            format!("nodes report their shards, {weight} of {}", position.committee.shards())
        }
        EpochState::Done { since_ms } => left(since_ms),
        EpochState::Selected { since_ms } => format!("committee chosen, {}", left(since_ms)),
    }
}

/// What an account owns.
pub(crate) async fn balances(place: &ChainPlace, address: &ObjectId) -> Result<Balances> {
    connect(place, Duration::ZERO).await?.balances(address).await.map_err(unreadable)
}

/// One line for the banner about accounts that were all funded alike.
pub(crate) fn accounts_summary(count: usize, each: &Balances) -> String {
    format!("{count} funded (the first has {} SUI + {} WAL)", each.sui / COIN, each.wal / COIN)
}

/// The ledger, through the same client that nodes use; it waits so long for one that does not answer.
pub(crate) async fn connect(place: &ChainPlace, patience: Duration) -> Result<Chain> {
    let options = ChainOptions {
        urls: vec![place.rpc.clone()],
        package: place.ids.package,
        system: place.ids.system,
        staking: place.ids.staking,
        params: place.ids.params,
        treasury: place.ids.treasury,
        patience,
        turns: None,
        trusted: place.trusted,
    };
    Chain::connect(options).await.map_err(unreadable)
}

/// What the client says, with where to look on this machine.
fn unreadable(error: CallError) -> Error {
    Error::from(error).hint("see `devnet status` and `devnet logs ledger`")
}

/// What the node with this HTTP port says of itself; nothing when it does not answer in time.
pub(crate) async fn health(port: u16) -> Option<Health> {
    haulout_node::probe::health((Ipv4Addr::LOCALHOST, port).into()).await
}

/// Whether a node says that nothing is missing of all that the ledger had at a checkpoint.
pub(crate) fn has_everything(health: &Health, checkpoint: u64) -> bool {
    let complete_at = health.json()["repairs"]["complete_at"].as_u64();
    // It counts what is missing now and then, and says so until it has counted again.
    let lacks = Name::BlobsIncomplete.as_str();
    health.number("shards_missing") == Some(0)
        && complete_at.is_some_and(|at| at >= checkpoint)
        && health.conditions().iter().all(|told| told.name != lacks)
}

/// Waits until every node serves and is connected, and says how well.
pub(crate) async fn mesh(nodes: &[(String, u16)], patience: Duration) -> Result<String> {
    let started = Instant::now();
    let others = u64::try_from(nodes.len().saturating_sub(1)).unwrap_or(u64::MAX);
    loop {
        let reports = join_all(nodes.iter().map(|(_, port)| health(*port))).await;
        // Who does not know yet what it has of its shards has not read the ledger to its end.
        let is_in = |report: &&Health| report.serves() && report.number("shards_missing").is_some();
        let peers = |report: &Option<Health>| {
            report.as_ref().filter(is_in).and_then(|report| report.number("peers"))
        };
        let connected: Vec<Option<u64>> = reports.iter().map(peers).collect();
        let least = connected.iter().map(|peers| peers.unwrap_or(0)).min().unwrap_or(0);
        let all_answer = connected.iter().all(Option::is_some);
        let enough = least >= others || (least >= 1 && started.elapsed() > FULL_MESH_PATIENCE);
        if all_answer && enough {
            let links: u64 = connected.iter().flatten().map(|peers| (*peers).min(others)).sum();
            let full = others * u64::try_from(nodes.len()).unwrap_or(u64::MAX);
            let epoch = reports.iter().flatten().find_map(|report| report.number("epoch"));
            return Ok(format!(
                "{links}/{full} connections, committee of epoch {}",
                epoch.unwrap_or(0)
            ));
        }
        if started.elapsed() > patience {
            let alone = nodes
                .iter()
                .zip(&connected)
                .filter(|(_, peers)| peers.is_none_or(|peers| peers < others.min(1)));
            let names: Vec<&str> = alone.map(|((name, _), _)| name.as_str()).collect();
            let names = names.join(", ");
            return Err(Error::new(
                Kind::Timeout,
                format!("{names} did not get as far as to read the ledger and find another node"),
            )
            .hint("see `devnet logs`; `devnet up --timeout 5m` waits longer"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Moves the ledger's time ahead.
pub(crate) async fn skip(port: u16, milliseconds: u64) -> Result<()> {
    let answer = post(port, "/devnet/time", &json!({ "skip_ms": milliseconds })).await?;
    if answer.get("now_ms").is_some() {
        return Ok(());
    }
    Err(Error::new(Kind::Internal, "the ledger does not move its time")
        .because(std::io::Error::other(answer.to_string())))
}

/// Asks the ledger's own HTTP endpoint; what is no JSON becomes the text that it is.
pub(crate) async fn post(port: u16, path: &str, body: &Value) -> Result<Value> {
    let ledger = (Ipv4Addr::LOCALHOST, port).into();
    match ask(Method::POST, ledger, path, body.to_string().into()).await {
        Ok(answer) => Ok(serde_json::from_str(&answer).unwrap_or_else(|_| Value::from(answer))),
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            Err(Error::new(Kind::Timeout, "the ledger does not answer")
                .hint("see `devnet logs ledger`"))
        }
        Err(error) => Err(Error::new(Kind::LedgerUnreachable, "the ledger does not answer")
            .because(error)
            .hint("see `devnet logs ledger`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_everything_when_all_that_it_says_agrees() {
        let told = |missing: u64, complete_at: Value, conditions: Value| {
            Health::from(json!({
                "shards_missing": missing, "repairs": { "complete_at": complete_at }, "conditions": conditions,
            }))
        };
        let lacks = json!([{ "name": "blobs incomplete" }]);
        let full = json!([{ "name": "disk full" }]);
        for (health, expected) in [
            (told(0, 7.into(), json!([])), true),
            (told(0, 8.into(), full), true),
            (told(0, 6.into(), json!([])), false),
            (told(0, Value::Null, json!([])), false),
            (told(1, 7.into(), json!([])), false),
            (told(0, 7.into(), lacks), false),
        ] {
            assert_eq!(has_everything(&health, 7), expected, "{health:?}");
        }
    }
}
