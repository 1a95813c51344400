//! `devnet status`: every process as the supervisor, the ledger and the nodes themselves see it.
//!
//! Promises: works when the devnet is down or half dead, and says so, also by its exit code; asks all at once and answers
//! within a second, whoever is stopped; one that is not is only slow, and has more time. Does not: change anything.

mod others;
mod repairing;
mod report;
mod service;
mod silence;
mod standing;
mod supervised;
#[cfg(test)]
pub(super) mod tests;

use std::time::Duration;

use futures::future::join_all;
use haulout_node::error::{Error, Kind, Result};
use tokio::time::timeout;

pub(super) use self::report::{NodeView, Report, Verdict};
use self::supervised::{ANSWER_WITHIN_IF_IT_RUNS, Supervised};
use super::{PATIENCE, card_of, print_line, print_text};
use crate::control::{Connection, ProcessStatus, Reply, Request};
use crate::files::ChainPlace;
use crate::ledger::GenesisIds;
use crate::probe::{self, ChainFacts, Health};
use crate::processes;
use crate::state::{Card, NodeCard, StateDirectory};

/// How long anybody may take to answer: on one machine that takes a few milliseconds, and a person waits for it.
const ANSWER_WITHIN: Duration = Duration::from_millis(700);

/// Returns the exit code.
pub(super) async fn run(directory: &StateDirectory, json: bool) -> Result<u8> {
    let card = card_of(directory)?;
    let report = look(directory, &card).await?;
    match json {
        true => print_line(&report.to_json(|text| directory.spoken(text)))?,
        false => print_text(&directory.spoken(&report.to_text()))?,
    }
    Ok(report.health().exit_code())
}

/// Between two questions to a node that runs and did not answer the first.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Asks everybody at once.
pub(super) async fn look<'a>(directory: &StateDirectory, card: &'a Card) -> Result<Report<'a>> {
    let place = place(card);
    let chain = async {
        let place = place.as_ref()?;
        patiently(card.chain.pid, facts(place, card)).await?.ok()
    };
    let healths = join_all(card.nodes.iter().map(health));
    let (supervised, chain, healths) =
        tokio::join!(supervised(directory, card.supervisor_pid), chain, healths);
    let is_stopped = |pid| processes::is_stopped(pid) == Some(true);
    Ok(Report::new(card, supervised?, chain, healths, is_stopped))
}

/// What the ledger says; of nodes that have no part in this epoch also what they wait for.
async fn facts(place: &ChainPlace, card: &Card) -> Result<ChainFacts> {
    let mut facts = probe::chain(place).await?;
    let is_outside = |node: &NodeCard| !facts.shards.contains_key(&node.peer_id);
    if card.nodes.iter().any(is_outside) || !card.removed.is_empty() {
        probe::add_roles(&mut facts, place).await?;
    }
    Ok(facts)
}

/// What comes of asking a process: nothing if it does not answer in time. Whoever a signal has stopped answers nothing,
/// however long one waits.
async fn patiently<T>(pid: u32, asked: impl Future<Output = T>) -> Option<T> {
    let mut asked = std::pin::pin!(asked);
    match timeout(ANSWER_WITHIN, &mut asked).await {
        Ok(answer) => Some(answer),
        Err(_) if processes::is_stopped(pid) == Some(true) => None,
        Err(_) => timeout(ANSWER_WITHIN_IF_IT_RUNS - ANSWER_WITHIN, asked).await.ok(),
    }
}

async fn supervised(directory: &StateDirectory, pid: u32) -> Result<Supervised> {
    let asked = match patiently(pid, processes_within(directory, PATIENCE)).await {
        Some(asked) => asked?,
        None => return Ok(Supervised::Silent),
    };
    Ok(asked.map_or(Supervised::Stopped, Supervised::Running))
}

/// What a node says of itself; nothing if it does not answer now.
pub(super) async fn health(node: &NodeCard) -> Option<Health> {
    let port = node.http.rsplit(':').next()?.parse().ok()?;
    let asked = async {
        loop {
            let health = probe::health(port).await;
            // Who is gone answers nothing, and needs not be asked again.
            if health.is_some() || processes::is_stopped(node.pid).is_none() {
                return health;
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
    };
    patiently(node.pid, asked).await?
}

/// What the supervisor says; nothing when there is none.
pub(super) async fn supervised_processes(
    directory: &StateDirectory,
) -> Result<Option<Vec<ProcessStatus>>> {
    processes_within(directory, PATIENCE).await
}

async fn processes_within(
    directory: &StateDirectory,
    patience: Duration,
) -> Result<Option<Vec<ProcessStatus>>> {
    let Some(connection) = Connection::open(&directory.control_socket()).await else {
        return Ok(None);
    };
    match connection.ask(&Request::Status, patience).await? {
        Reply::Status { processes } => Ok(Some(processes)),
        _ => Err(Error::new(Kind::Version, "the supervisor answered something else than asked")),
    }
}

/// What the ledger says; nothing when it does not answer.
pub(super) async fn ledger(card: &Card) -> Option<ChainFacts> {
    timeout(probe::LEDGER_PATIENCE, probe::chain(&place(card)?)).await.ok()?.ok()
}

/// Where the ledger is, as the card has it; nothing if the card is damaged.
pub(super) fn place(card: &Card) -> Option<ChainPlace> {
    let trusted = card.chain.trusted.as_ref().and_then(|text| text.parse().ok());
    Some(ChainPlace { rpc: card.chain.rpc.clone(), ids: ids(card)?, trusted })
}

/// The names of our objects, as the card has them.
fn ids(card: &Card) -> Option<GenesisIds> {
    let chain = &card.chain;
    Some(GenesisIds {
        network_id: chain.network.parse().ok()?,
        package: chain.packages.haulout.parse().ok()?,
        system: chain.system_object.parse().ok()?,
        params: chain.params_object.parse().ok()?,
        staking: chain.staking_object.parse().ok()?,
        treasury: chain.treasury_object.parse().ok()?,
        nodes: card.nodes.iter().filter_map(|node| node.node_id.parse().ok()).collect(),
    })
}
