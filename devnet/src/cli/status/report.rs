//! What `devnet status` says, from what everybody answered.
//!
//! Promises: the same answers give the same report; a node that is degraded serves, and what is not well with it is
//! told with the next step, once for all nodes that say the same. Does not: ask anybody.

use std::fmt::Write as _;

use haulout_node::cli::table::{Align, table};
use haulout_node::probe::Told;
use serde_json::{Value, json};

use super::*;
use crate::banner::Tolerance;

/// One node as seen from outside.
pub(super) struct NodeView<'a> {
    card: &'a NodeCard,
    process: Option<ProcessStatus>,
    health: Option<Health>,
}

impl NodeView<'_> {
    fn word(&self) -> &'static str {
        match (&self.process, &self.health) {
            (Some(process), _) if process.state != ProcessState::Running => process.state.word(),
            (_, Some(health)) if health.is_ok() => "serving",
            (_, Some(health)) if health.serves() => "degraded",
            (_, Some(_)) => "failing",
            (_, None) => "SILENT",
        }
    }

    fn serves(&self) -> bool {
        matches!(self.word(), "serving" | "degraded")
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

    fn to_json(&self) -> Value {
        json!({
            "name": self.card.name,
            "state": self.word().to_lowercase(),
            "pid": self.process.as_ref().and_then(|process| process.pid),
            "seconds": self.process.as_ref().map(|process| process.seconds),
            "shards": self.shards(),
            "shards_missing": self.missing(),
            "health": self.health.as_ref().map(|health| health.json().clone()),
        })
    }
}

/// Everything there is to say.
pub(super) struct Report<'a> {
    card: &'a Card,
    supervisor: &'static str,
    ledger: Option<ProcessStatus>,
    chain: Option<ChainFacts>,
    views: Vec<NodeView<'a>>,
}

impl<'a> Report<'a> {
    /// Puts the answers together; those of nodes are in the order of the card.
    pub(super) fn new(
        card: &'a Card,
        supervised: Supervised,
        chain: Option<ChainFacts>,
        healths: Vec<Option<Health>>,
    ) -> Self {
        let (supervisor, processes) = match supervised {
            Supervised::Stopped => ("stopped", Vec::new()),
            Supervised::Silent => ("silent", Vec::new()),
            Supervised::Running(processes) => ("running", processes),
        };
        let is_stopped = supervisor == "stopped"; // then others may answer at these ports
        let process = |name: &str| processes.iter().find(|process| process.name == name).cloned();
        let views = card.nodes.iter().zip(healths).map(|(card, health)| {
            let process = process(&card.name);
            let runs = process.as_ref().is_none_or(|it| it.state == ProcessState::Running);
            NodeView { card, process, health: health.filter(|_| runs && !is_stopped) }
        });
        let (views, ledger) = (views.collect(), process("ledger"));
        Report { card, supervisor, ledger, chain: chain.filter(|_| !is_stopped), views }
    }

    fn is_running(&self) -> bool {
        self.supervisor != "stopped"
    }

    /// Shards that nodes which serve have.
    fn shards_up(&self) -> usize {
        self.views.iter().map(NodeView::shards_up).sum()
    }

    /// What brings the ledger back, if it does not answer: nothing can be written meanwhile.
    fn ledger_remedy(&self) -> Option<&'static str> {
        let is_paused =
            self.ledger.as_ref().is_some_and(|ledger| ledger.state == ProcessState::Paused);
        match (&self.chain, is_paused) {
            (Some(_), _) => None,
            (None, true) => Some("`devnet resume ledger`"),
            (None, false) => Some("`devnet restart ledger`"),
        }
    }

    /// What is not well, with the nodes that say so.
    fn conditions(&self) -> Vec<(Told, Vec<&str>)> {
        let mut all: Vec<(Told, Vec<&str>)> = Vec::new();
        for view in &self.views {
            for told in view.health.iter().flat_map(Health::conditions) {
                let same = |(other, _): &&mut (Told, Vec<&str>)| other.name == told.name;
                match all.iter_mut().find(same) {
                    Some((_, nodes)) => nodes.push(&view.card.name),
                    None => all.push((told, vec![&view.card.name])),
                }
            }
        }
        all
    }

    pub(super) fn to_json(&self) -> Value {
        let (source, quorum) = Tolerance::needed(self.card);
        let (up, chain) = (self.shards_up(), self.chain.as_ref());
        let word = match &self.ledger {
            Some(ledger) => ledger.state.word(),
            None if chain.is_some() => "running",
            None => self.supervisor,
        };
        let conditions = self.conditions().into_iter().map(|(told, nodes)| {
            json!({
                "name": told.name,
                "severity": told.severity,
                "nodes": nodes,
                "cause": told.cause,
                "next_step": told.next_step,
            })
        });
        let remedy = self.ledger_remedy().filter(|_| self.is_running());
        json!({
            "schema": 1,
            "name": self.card.name,
            "running": self.is_running(),
            "supervisor": self.supervisor,
            "ledger": {
                "state": word.to_lowercase(),
                "answers": chain.is_some(),
                "pid": self.ledger.as_ref().and_then(|ledger| ledger.pid),
                "epoch": chain.map(|chain| chain.epoch),
                "phase": chain.map(|chain| chain.phase.clone()),
                "checkpoint": chain.map(|chain| chain.checkpoint),
            },
            "nodes": self.views.iter().map(NodeView::to_json).collect::<Vec<_>>(),
            "conditions": conditions.collect::<Vec<_>>(),
            "shards_up": up,
            "reads": up >= source,
            "writes": up >= quorum && chain.is_some(),
            "writes_wait_for": remedy.map(|_| "ledger"),
        })
    }

    pub(super) fn to_text(&self) -> String {
        if !self.is_running() {
            return format!("devnet \"{}\"  stopped; `devnet up` continues it\n", self.card.name);
        }
        let is_well = self.views.iter().all(|view| view.word() == "serving");
        let is_well = is_well && self.chain.is_some() && self.supervisor == "running";
        let health = if is_well { "HEALTHY" } else { "DEGRADED" };
        let mut text =
            format!("devnet \"{}\"  {health}  seed {}\n", self.card.name, self.card.seed);
        if self.supervisor == "silent" {
            line(
                &mut text,
                "supervisor  SILENT: it is busy or stopped; see `devnet logs supervisor`",
            );
        }
        line(&mut text, &format!("ledger  {}  {}", self.ledger_word(), self.card.chain.rpc));
        let rows: Vec<_> = self.views.iter().map(row).collect();
        for row in table(&COLUMNS, &rows).lines() {
            line(&mut text, &format!(" {row}"));
        }
        for (told, nodes) in self.conditions() {
            line(&mut text, &format!(" {}  {}: {}", nodes.join(", "), told.name, told.cause));
            line(&mut text, &format!("   next: {}", told.next_step));
        }
        line(&mut text, &self.service());
        text
    }

    fn ledger_word(&self) -> String {
        match (&self.ledger, &self.chain) {
            (Some(ledger), _) if ledger.state != ProcessState::Running => {
                ledger.state.word().to_owned()
            }
            (_, Some(chain)) => {
                format!("epoch {} ({}), checkpoint {}", chain.epoch, chain.phase, chain.checkpoint)
            }
            (_, None) => "SILENT".to_owned(),
        }
    }

    /// Whether reads and writes can succeed with the nodes that serve, and the ledger as it is.
    fn service(&self) -> String {
        let (source, quorum) = Tolerance::needed(self.card);
        let up = self.shards_up();
        let word = |fine: bool| if fine { "OK" } else { "FAIL" };
        let writes = match self.ledger_remedy() {
            Some(remedy) if up >= quorum => format!("writes WAIT for the ledger: {remedy}"),
            _ => format!("writes {} ({up} up, {quorum} needed)", word(up >= quorum)),
        };
        format!(" reads {} ({up} shards up, {source} needed) · {writes}", word(up >= source))
    }
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

#[cfg(test)]
mod tests;
