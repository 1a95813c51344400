//! `devnet status`: every process as the supervisor, the ledger and the nodes themselves see it.
//!
//! Promises: works when the devnet is down or half dead, and says so; asks every node at once.
//! Does not: change anything.

use std::fmt::Write as _;

use futures::future::join_all;
use haulout_node::cli::table::{Align, table};
use haulout_node::error::{Error, Kind, Result};
use serde_json::{Value, json};

use super::{PATIENCE, card_of, print_line, print_text};
use crate::banner::Tolerance;
use crate::control::{Connection, ProcessState, ProcessStatus, Reply, Request};
use crate::files::ChainPlace;
use crate::ledger::GenesisIds;
use crate::probe::{self, ChainFacts, Health};
use crate::state::{Card, NodeCard, StateDirectory};

/// One node as seen from outside.
struct NodeView<'a> {
    card: &'a NodeCard,
    process: Option<ProcessStatus>,
    health: Option<Health>,
}

impl NodeView<'_> {
    fn word(&self) -> &'static str {
        match (&self.process, &self.health) {
            (Some(process), _) if process.state != ProcessState::Running => process.state.word(),
            (Some(_), Some(health)) if health.is_ok() => "serving",
            (Some(_), Some(_)) => "failing",
            (Some(_), None) => "SILENT",
            (None, _) => "stopped",
        }
    }

    fn serves(&self) -> bool {
        self.word() == "serving"
    }

    /// Shards it was given and does not have.
    fn missing(&self) -> usize {
        let missing = self.health.as_ref().and_then(|health| health.number("shards_missing"));
        missing.and_then(|missing| usize::try_from(missing).ok()).unwrap_or(0)
    }

    /// Shards that are its, as it says; at birth while it does not answer.
    fn shards(&self) -> usize {
        let shards = self.health.as_ref().and_then(|health| health.number("shards"));
        let shards = shards.and_then(|shards| usize::try_from(shards).ok());
        shards.unwrap_or(self.card.shards.len())
    }

    /// Shards it can serve.
    fn shards_up(&self) -> usize {
        if self.serves() { self.shards().saturating_sub(self.missing()) } else { 0 }
    }

    fn number(&self, name: &str) -> String {
        let value = self.health.as_ref().and_then(|health| health.number(name));
        value.map_or("–".to_owned(), |value| value.to_string())
    }
}

pub(super) async fn run(directory: &StateDirectory, json: bool) -> Result<()> {
    let card = card_of(directory)?;
    let processes = processes(directory).await?;
    let running = processes.is_some();
    let processes = processes.unwrap_or_default();
    let chain = if running { ledger(&card).await } else { None };
    let views = join_all(card.nodes.iter().map(|node| view(node, &processes))).await;
    if json {
        return print_line(&as_json(&card, running, chain.as_ref(), &processes, &views));
    }
    let text = as_text(&card, running, chain.as_ref(), &processes, &views);
    print_text(&directory.spoken(&text))
}

/// What the supervisor says; nothing when there is none.
pub(super) async fn processes(directory: &StateDirectory) -> Result<Option<Vec<ProcessStatus>>> {
    let Some(connection) = Connection::open(&directory.control_socket()).await else {
        return Ok(None);
    };
    match connection.ask(&Request::Status, PATIENCE).await? {
        Reply::Status { processes } => Ok(Some(processes)),
        _ => Err(Error::new(Kind::Version, "the supervisor answered something else than asked")),
    }
}

/// What the ledger says; nothing when it does not answer.
pub(super) async fn ledger(card: &Card) -> Option<ChainFacts> {
    tokio::time::timeout(probe::LEDGER_PATIENCE, probe::chain(&place(card)?)).await.ok()?.ok()
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
        nodes: card.nodes.iter().map(|node| node.node_id.parse().ok()).collect::<Option<_>>()?,
    })
}

async fn view<'a>(card: &'a NodeCard, processes: &[ProcessStatus]) -> NodeView<'a> {
    let process = processes.iter().find(|process| process.name == card.name).cloned();
    let port = card.http.rsplit(':').next().and_then(|port| port.parse().ok());
    let health = match (&process, port) {
        (Some(process), Some(port)) if process.state == ProcessState::Running => {
            probe::health(port).await
        }
        _ => None,
    };
    NodeView { card, process, health }
}

/// Whether reads and writes can succeed with the nodes that serve.
fn service(card: &Card, views: &[NodeView<'_>]) -> (usize, bool, bool) {
    let up = views.iter().map(NodeView::shards_up).sum();
    let (source, quorum) = Tolerance::needed(card);
    (up, up >= source, up >= quorum)
}

fn as_json(
    card: &Card,
    running: bool,
    chain: Option<&ChainFacts>,
    processes: &[ProcessStatus],
    views: &[NodeView<'_>],
) -> Value {
    let nodes: Vec<Value> = views
        .iter()
        .map(|view| {
            json!({
                "name": view.card.name,
                "state": view.word().to_lowercase(),
                "pid": view.process.as_ref().and_then(|process| process.pid),
                "seconds": view.process.as_ref().map(|process| process.seconds),
                "shards": view.shards(),
                "shards_missing": view.missing(),
                "health": view.health.as_ref().map(|health| health.json().clone()),
            })
        })
        .collect();
    let (up, reads, writes) = service(card, views);
    let ledger = processes.iter().find(|process| process.name == "ledger");
    json!({
        "schema": 1,
        "name": card.name,
        "running": running,
        "ledger": {
            "state": ledger.map_or("stopped", |ledger| ledger.state.word()).to_lowercase(),
            "pid": ledger.and_then(|ledger| ledger.pid),
            "epoch": chain.map(|chain| chain.epoch),
            "phase": chain.map(|chain| chain.phase.clone()),
            "checkpoint": chain.map(|chain| chain.checkpoint),
        },
        "nodes": nodes,
        "shards_up": up,
        "reads": reads,
        "writes": writes,
    })
}

fn as_text(
    card: &Card,
    running: bool,
    chain: Option<&ChainFacts>,
    processes: &[ProcessStatus],
    views: &[NodeView<'_>],
) -> String {
    if !running {
        return format!("devnet \"{}\"  stopped; `devnet up` continues it\n", card.name);
    }
    let (up, reads, writes) = service(card, views);
    let health = if views.iter().all(|view| view.serves() && view.missing() == 0) && chain.is_some()
    {
        "HEALTHY"
    } else {
        "DEGRADED"
    };
    let mut text = format!("devnet \"{}\"  {health}  seed {}\n", card.name, card.seed);
    let ledger = processes.iter().find(|process| process.name == "ledger");
    let ledger_word = match (ledger, chain) {
        (Some(ledger), Some(chain)) if ledger.state == ProcessState::Running => {
            format!("epoch {} ({}), checkpoint {}", chain.epoch, chain.phase, chain.checkpoint)
        }
        (Some(ledger), None) if ledger.state == ProcessState::Running => "SILENT".to_owned(),
        (Some(ledger), _) => ledger.state.word().to_owned(),
        (None, _) => "stopped".to_owned(),
    };
    line(&mut text, &format!("ledger  {ledger_word}  {}", card.chain.rpc));
    for row in table(&COLUMNS, &views.iter().map(row).collect::<Vec<_>>()).lines() {
        line(&mut text, &format!(" {row}"));
    }
    for view in views.iter().filter(|view| view.missing() > 0) {
        let (name, missing) = (&view.card.name, view.missing());
        line(
            &mut text,
            &format!(
                " {name} lacks {missing} of its shards: it neither serves what was stored in them \
                 before nor reports them"
            ),
        );
    }
    let (source, quorum) = Tolerance::needed(card);
    let word = |fine: bool| if fine { "OK" } else { "FAIL" };
    line(
        &mut text,
        &format!(
            " reads {} ({up} shards up, {source} needed) · writes {} ({up} up, {quorum} needed)",
            word(reads),
            word(writes)
        ),
    );
    text
}

/// What the table of nodes says.
const COLUMNS: [(&str, Align); 7] = [
    ("NODE", Align::Left),
    ("PID", Align::Left),
    ("STATE", Align::Left),
    ("SHARDS", Align::Right),
    ("PEERS", Align::Right),
    ("CHECKPOINT", Align::Right),
    ("HTTP", Align::Left),
];

/// One node in the table.
fn row(view: &NodeView<'_>) -> Vec<String> {
    let pid = view.process.as_ref().and_then(|process| process.pid);
    vec![
        view.card.name.clone(),
        pid.map_or("–".to_owned(), |pid| pid.to_string()),
        view.word().to_owned(),
        view.shards().to_string(),
        view.number("peers"),
        view.number("checkpoint"),
        view.card.http.clone(),
    ]
}

/// Writing to a string cannot fail.
fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}");
}
