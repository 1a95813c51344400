//! What `devnet status` says, from what everybody answered.
//!
//! Promises: the same answers give the same report; the headline follows from what reads and writes need; whoever does
//! not do what it should has a cause and a next step, told once for all nodes that say the same. Does not: ask anybody.

use std::fmt::Write as _;

use haulout_node::cli::table::{Align, table};
use haulout_node::error::Kind;
use haulout_node::probe::Told;
use serde_json::{Value, json};

use super::others::{self, Other};
use super::repairing;
pub(in crate::cli) use super::service::Verdict;
use super::service::{Part, Service, Sum, WaitsFor};
use super::silence::{behind, handled, silent, unsupervised};
use super::standing::{self, Standing};
use super::supervised::Supervised;
use crate::banner::Tolerance;
use crate::control::Trouble;
use crate::control::{ProcessState, ProcessStatus};
use crate::probe::{ChainFacts, Health};
use crate::state::{Card, NodeCard};

/// How a devnet is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Headline {
    /// Everything runs, and nothing is wrong with it.
    Healthy,
    /// Something is not as it should be, and reads and writes work all the same, or nobody can tell.
    Degraded,
    /// Reads or writes do not work.
    Failing,
    /// It does not run.
    Stopped,
}

impl Headline {
    fn word(self) -> &'static str {
        match self {
            Headline::Healthy => "HEALTHY",
            Headline::Degraded => "DEGRADED",
            Headline::Failing => "FAILING",
            Headline::Stopped => "STOPPED",
        }
    }

    /// What scripts learn.
    pub(in crate::cli) fn exit_code(self) -> u8 {
        match self {
            Headline::Healthy => 0,
            Headline::Degraded | Headline::Failing => Kind::Degraded.exit_code(),
            Headline::Stopped => Kind::NotFound.exit_code(),
        }
    }
}

/// One node as seen from outside.
pub(in crate::cli) struct NodeView<'a> {
    pub(in crate::cli) card: &'a NodeCard,
    pub(in crate::cli) process: Option<ProcessStatus>,
    health: Option<Health>,
    /// Why it does not answer, does not run, or does not know yet what it has.
    pub(in crate::cli) trouble: Option<Trouble>,
    /// What it waits for, if it has no part in this epoch, or leaves; no fault of it.
    standing: Option<Standing>,
    /// Its shards in this epoch, as the ledger says.
    seat: Option<usize>,
    /// It runs, and all that is known is that it did not answer.
    is_unheard: bool,
    /// It is in an epoch that is over, so what it says of its shards was true then.
    is_behind: bool,
}

impl<'a> NodeView<'a> {
    fn name(&self) -> &'a str {
        &self.card.name
    }

    fn word(&self) -> &str {
        match (&self.process, &self.health) {
            (Some(ProcessStatus { doing: Some(doing), .. }), _) => doing,
            (Some(process), _) if process.state != ProcessState::Running => process.state.word(),
            (_, None) => "SILENT",
            (_, Some(health)) if !health.serves() => "failing",
            // What it holds of its shards is not known before it has read the ledger to its end.
            (_, Some(_)) if self.missing().is_none() => "catching up",
            (_, Some(health)) if !health.is_ok() => "degraded",
            (_, Some(_)) => self.standing.as_ref().map_or("serving", |standing| standing.word),
        }
    }

    /// Whether nothing is to be done about it.
    fn is_well(&self) -> bool {
        let is_handled = self.process.as_ref().is_some_and(|process| process.doing.is_some());
        self.is_unfinished()
            || is_handled && self.card.is_leaving
            || self.trouble.is_none() && self.health.as_ref().is_some_and(Health::is_ok)
    }

    /// Whether it is being added, and no part of the network yet.
    pub(in crate::cli) fn is_unfinished(&self) -> bool {
        self.card.node_id.is_empty()
    }

    /// Whether it answers and has read the ledger.
    pub(in crate::cli) fn is_in(&self) -> bool {
        self.health.is_some() && self.missing().is_some()
    }

    /// Shards it was given and does not have; nothing while it does not say, or speaks of an epoch that is over.
    fn missing(&self) -> Option<usize> {
        if self.is_behind {
            return None;
        }
        let missing = self.health.as_ref().and_then(|health| health.number("shards_missing"))?;
        usize::try_from(missing).ok()
    }

    /// Shards that are its, as it says; as the ledger says while it does not answer.
    pub(in crate::cli) fn shards(&self) -> usize {
        let shards = self.health.as_ref().and_then(|health| health.number("shards"));
        let shards = shards.and_then(|shards| usize::try_from(shards).ok());
        shards.or(self.seat).unwrap_or(self.card.shards.len())
    }

    /// What reads and writes may count on.
    fn part(&self) -> Part {
        let Some(health) = &self.health else {
            return match self.is_unheard {
                true => Part::unheard(self.shards()),
                false => Part::away(self.shards()),
            };
        };
        let held = self.missing().map_or(0, |missing| self.shards().saturating_sub(missing));
        let told = health.conditions();
        let names = told.iter().map(|told| (told.name.as_str(), told.severity == "failing"));
        Part::of((self.shards(), held), names)
    }

    /// With how many of the others that serve in this epoch it is connected; clients come and go, and are not counted.
    fn members(&self) -> String {
        match self.health.as_ref().and_then(|health| health.number("members")) {
            Some(all) => format!("{}/{all}", self.number("members_connected")),
            None => "–".to_owned(),
        }
    }

    fn number(&self, name: &str) -> String {
        let value = self.health.as_ref().and_then(|health| health.number(name));
        value.map_or("–".to_owned(), |value| value.to_string())
    }

    /// Why it is not simply serving, and what to do.
    fn told(&self) -> Option<&Trouble> {
        self.trouble.as_ref().or(self.standing.as_ref().map(|standing| &standing.told))
    }

    fn to_json(&self, spoken: &impl Fn(&str) -> String) -> Value {
        let trouble = self.told();
        json!({
            "name": self.card.name,
            "state": self.word().to_lowercase(),
            "cause": trouble.map(|trouble| spoken(&trouble.cause)),
            "next_step": trouble.map(|trouble| spoken(&trouble.next_step)),
            "pid": self.process.as_ref().and_then(|process| process.pid),
            "seconds": self.process.as_ref().map(|process| process.seconds),
            "shards": self.shards(),
            "shards_missing": self.missing(),
            "health": self.health.as_ref().map(|health| health.json().clone()),
        })
    }
}

/// Everything there is to say.
pub(in crate::cli) struct Report<'a> {
    card: &'a Card,
    supervisor: &'static str,
    supervisor_trouble: Option<Trouble>,
    pub(in crate::cli) ledger: Option<ProcessStatus>,
    chain: Option<ChainFacts>,
    pub(in crate::cli) views: Vec<NodeView<'a>>,
    /// Nodes that were removed and on which the ledger counts still.
    gone: Vec<(String, Trouble)>,
    /// Members that are no nodes of this devnet.
    others: Vec<Other>,
}

impl<'a> Report<'a> {
    /// Puts the answers together; those of nodes are in the order of the card. `is_stopped` says of a process whether a
    /// signal has stopped it.
    pub(super) fn new(
        card: &'a Card,
        supervised: Supervised,
        chain: Option<ChainFacts>,
        healths: Vec<Option<Health>>,
        is_stopped: impl Fn(u32) -> bool,
    ) -> Self {
        let (supervisor, processes) = match supervised {
            Supervised::Stopped => ("stopped", Vec::new()),
            Supervised::Silent => ("silent", Vec::new()),
            Supervised::Running(processes) => ("running", processes),
        };
        let is_down = supervisor == "stopped"; // then others may answer at these ports
        let process = |name: &str| processes.iter().find(|process| process.name == name).cloned();
        let views = card.nodes.iter().zip(healths).map(|(card, health)| {
            let process = process(&card.name);
            let runs = process.as_ref().is_none_or(|it| it.state == ProcessState::Running);
            let health = health.filter(|_| runs && !is_down);
            let doing = process.as_ref().and_then(|process| process.doing.as_deref());
            let doing = doing.map(|doing| handled(doing, card.is_leaving));
            let told = doing.or_else(|| process.as_ref().and_then(|it| it.trouble.clone()));
            let stopped = is_stopped(card.pid).then_some(card.pid);
            let is_unheard = health.is_none() && runs && told.is_none() && stopped.is_none();
            let unseen = || silent(&card.name, process.is_some(), stopped);
            let epoch = health.as_ref().and_then(|health| health.number("epoch"));
            let is_behind =
                chain.as_ref().zip(epoch).is_some_and(|(it, own)| own < it.epoch.into());
            let trouble = match &health {
                Some(health) => behind(health, is_behind, chain.is_some()),
                None => told.or_else(|| Some(unseen())).filter(|_| !is_down),
            };
            let facts = chain.as_ref().filter(|_| !is_down);
            let standing = facts.and_then(|facts| standing::of(card, facts));
            let seat = facts.map(|it| it.shards.get(&card.peer_id).map_or(0, Vec::len));
            let is_unheard = is_unheard && !is_down;
            NodeView { card, process, health, trouble, standing, seat, is_unheard, is_behind }
        });
        let (views, ledger): (Vec<NodeView<'a>>, _) = (views.collect(), process("ledger"));
        let pid = card.supervisor_pid;
        let supervisor_trouble =
            (supervisor == "silent").then(|| unsupervised(is_stopped(pid).then_some(pid)));
        let chain = chain.filter(|_| !is_down);
        let gone = chain.as_ref().map(|facts| standing::gone(card, facts)).unwrap_or_default();
        let heard: Vec<&Health> = views
            .iter()
            .filter(|view| view.is_in() && !view.is_behind)
            .filter_map(|view| view.health.as_ref())
            .collect();
        let others =
            chain.as_ref().map(|facts| others::of(card, facts, &heard)).unwrap_or_default();
        Report { card, supervisor, supervisor_trouble, ledger, chain, views, gone, others }
    }

    fn is_running(&self) -> bool {
        self.supervisor != "stopped"
    }

    /// Whether the ledger answers.
    pub(in crate::cli) fn has_ledger(&self) -> bool {
        self.chain.is_some()
    }

    /// Whether reads work, and writes.
    pub(in crate::cli) fn works(&self) -> (Verdict, Verdict) {
        let service = self.service();
        (service.reading(), service.writing())
    }

    fn service(&self) -> Service {
        let parts: Vec<Part> = self
            .views
            .iter()
            .map(NodeView::part)
            .chain(self.others.iter().map(Other::part))
            .collect();
        Service::of(&parts, Tolerance::needed(self.card), self.has_ledger())
    }

    /// Shards of members that are no nodes of this devnet, and may be there.
    pub(in crate::cli) fn shards_of_others(&self) -> usize {
        self.others.iter().filter(|other| !other.is_away()).map(|other| other.shards).sum()
    }

    /// What is left for reads, and for writes, without one node.
    pub(in crate::cli) fn without(&self, name: &str) -> (Sum, Sum) {
        let others = self.views.iter().filter(|view| view.card.name != name);
        let parts: Vec<Part> =
            others.map(NodeView::part).chain(self.others.iter().map(Other::part)).collect();
        let service = Service::of(&parts, Tolerance::needed(self.card), self.has_ledger());
        (service.reads, service.writes)
    }

    /// How it is in one word.
    pub(in crate::cli) fn health(&self) -> Headline {
        let is_well = self.views.iter().all(NodeView::is_well)
            && self.gone.is_empty()
            && self.others.iter().all(Other::is_well)
            && self.has_ledger()
            && self.supervisor == "running";
        match (self.is_running(), self.works()) {
            (false, _) => Headline::Stopped,
            (true, (Verdict::Fails, _) | (_, Verdict::Fails)) => Headline::Failing,
            (true, (Verdict::Works, Verdict::Works)) if is_well => Headline::Healthy,
            (true, _) => Headline::Degraded,
        }
    }

    /// What brings the ledger back, if it does not answer: nothing can be written meanwhile.
    fn ledger_remedy(&self) -> Option<&'static str> {
        if self.chain.is_some() {
            return None;
        }
        match self.ledger.as_ref().map(|ledger| (ledger.state, &ledger.trouble)) {
            // One that runs and is in trouble was stopped by somebody else's signal.
            Some((ProcessState::Paused, _) | (ProcessState::Running, Some(_))) => {
                Some("`devnet resume ledger`")
            }
            Some((ProcessState::Killed | ProcessState::Exited | ProcessState::New, _)) => {
                Some("`devnet restart ledger`")
            }
            Some((ProcessState::Running, None)) | None => {
                Some("`devnet logs ledger` may say why it does not answer")
            }
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

    /// Who does not run, does not answer or is behind, how that is called, and why.
    pub(in crate::cli) fn troubles(&self) -> Vec<(&str, &str, Trouble)> {
        let supervisor = self.supervisor_trouble.clone().map(|told| ("supervisor", "SILENT", told));
        let ledger = self.ledger_trouble().map(|told| ("ledger", self.ledger_state(), told));
        let nodes = self
            .views
            .iter()
            .filter_map(|view| Some((view.card.name.as_str(), view.word(), view.told()?.clone())));
        let gone = self.gone.iter().map(|(name, told)| (name.as_str(), "GONE", told.clone()));
        let away = self.others.iter();
        let away = away.filter_map(|other| Some((other.name.as_str(), "AWAY", other.trouble()?)));
        supervisor.into_iter().chain(ledger).chain(nodes).chain(gone).chain(away).collect()
    }

    fn ledger_trouble(&self) -> Option<Trouble> {
        if self.has_ledger() || !self.is_running() {
            return None;
        }
        let told = self.ledger.as_ref().and_then(|ledger| ledger.trouble.clone());
        Some(told.unwrap_or_else(|| silent("ledger", self.ledger.is_some(), None)))
    }

    pub(super) fn to_json(&self, spoken: impl Fn(&str) -> String) -> Value {
        let (service, chain) = (self.service(), self.chain.as_ref());
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
                "next_step": spoken(&told.next_step),
            })
        });
        let trouble = self.ledger_trouble();
        let trouble = trouble.as_ref();
        let waits_for = service.waits_for.filter(|_| self.is_running()).map(|who| match who {
            WaitsFor::Ledger => "ledger",
            WaitsFor::Nodes => "nodes",
        });
        json!({
            "schema": 1,
            "name": self.card.name,
            "running": self.is_running(),
            "health": self.health().word().to_lowercase(),
            "supervisor": self.supervisor,
            "ledger": {
                "state": word.to_lowercase(),
                "answers": chain.is_some(),
                "cause": trouble.map(|trouble| spoken(&trouble.cause)),
                "next_step": trouble.map(|trouble| spoken(&trouble.next_step)),
                "pid": self.ledger.as_ref().and_then(|ledger| ledger.pid),
                "epoch": chain.map(|chain| chain.epoch),
                "phase": chain.map(|chain| chain.phase.clone()),
                "checkpoint": chain.map(|chain| chain.checkpoint),
            },
            "gone": self.gone.iter().map(|(name, told)| json!({
                "name": name, "cause": spoken(&told.cause), "next_step": spoken(&told.next_step),
            })).collect::<Vec<_>>(),
            "others": self.others.iter().map(Other::to_json).collect::<Vec<_>>(),
            "nodes": self.views.iter().map(|view| view.to_json(&spoken)).collect::<Vec<_>>(),
            "conditions": conditions.collect::<Vec<_>>(),
            "shards_up": service.reads.up,
            "shards_storing": service.writes.up,
            "reads": known(service.reading()),
            "writes": known(service.writing()),
            "writes_wait_for": waits_for,
        })
    }

    pub(super) fn to_text(&self) -> String {
        let (name, headline) = (&self.card.name, self.health());
        if headline == Headline::Stopped {
            return format!("devnet \"{name}\"  stopped; `devnet up` continues it\n");
        }
        let mut text = format!("devnet \"{name}\"  {}  seed {}\n", headline.word(), self.card.seed);
        line(&mut text, &format!("ledger  {}  {}", self.ledger_word(), self.card.chain.rpc));
        let rows: Vec<_> = self.views.iter().map(row).collect();
        for row in table(&COLUMNS, &rows).lines() {
            line(&mut text, &format!(" {row}"));
        }
        for other in &self.others {
            line(&mut text, &format!(" {}", other.line()));
        }
        for (name, word, trouble) in self.troubles() {
            line(&mut text, &format!(" {name}  {word}: {}", trouble.cause));
            line(&mut text, &format!("   next: {}", trouble.next_step));
        }
        let nodes =
            || self.views.iter().filter_map(|view| Some((view.name(), view.health.as_ref()?)));
        for told in &repairing::lines(nodes()) {
            line(&mut text, told);
        }
        let repairing: Vec<&str> = nodes()
            .filter(|(_, health)| repairing::repairs(health))
            .map(|(name, _)| name)
            .collect();
        // That something is missing was just said of these, with how much and with what brings it back.
        let is_said = |(told, nodes): &(Told, Vec<&str>)| {
            repairing::is_of(&told.name) && nodes.iter().all(|name| repairing.contains(name))
        };
        for (told, nodes) in self.conditions().into_iter().filter(|told| !is_said(told)) {
            line(&mut text, &format!(" {}  {}: {}", nodes.join(", "), told.name, told.cause));
            line(&mut text, &format!("   next: {}", told.next_step));
        }
        line(&mut text, &self.service_line());
        text
    }

    /// What the ledger's process does, or that it says nothing.
    fn ledger_state(&self) -> &'static str {
        match &self.ledger {
            Some(ledger) if ledger.state != ProcessState::Running => ledger.state.word(),
            _ => "SILENT",
        }
    }

    fn ledger_word(&self) -> String {
        match &self.chain {
            Some(chain) if self.ledger_state() == "SILENT" => {
                format!("epoch {} ({}), checkpoint {}", chain.epoch, chain.phase, chain.checkpoint)
            }
            _ => self.ledger_state().to_owned(),
        }
    }

    /// Whether reads and writes can succeed with the nodes that serve, and the ledger as it is.
    fn service_line(&self) -> String {
        let Service { reads, writes, waits_for } = self.service();
        let written = match (waits_for, self.ledger_remedy()) {
            (Some(WaitsFor::Ledger), Some(remedy)) => {
                format!("writes WAIT for the ledger: {remedy}")
            }
            (Some(WaitsFor::Nodes), _) => {
                "writes WAIT until more nodes have heard of the ledger".to_owned()
            }
            _ => format!("writes {}", counted(writes, "")),
        };
        let mut text = format!(" reads {} · {written}", counted(reads, " shards"));
        let has_lost = self.views.iter().any(|view| view.missing().is_some_and(|lost| lost > 0));
        if reads.verdict() == Verdict::InDoubt && has_lost {
            text.push_str(
                "\n   what was stored before disks were lost may be gone, what was stored since or brought back is there: \
                 `haulout status ID` tells of one blob",
            );
        }
        text
    }
}

/// How it stands with shards, in words: `OK (100 shards up, 34 needed)`.
fn counted(sum: Sum, unit: &str) -> String {
    let Sum { up, in_doubt, needed } = sum;
    match sum.verdict() {
        Verdict::Works => format!("OK ({up}{unit} up, {needed} needed)"),
        Verdict::Fails => format!("FAIL ({up}{unit} up, {needed} needed)"),
        Verdict::InDoubt => {
            format!("IN DOUBT ({up}{unit} up, {in_doubt} in doubt, {needed} needed)")
        }
    }
}

/// A verdict for programs: nothing if nobody knows.
fn known(verdict: Verdict) -> Option<bool> {
    match verdict {
        Verdict::Works => Some(true),
        Verdict::InDoubt => None,
        Verdict::Fails => Some(false),
    }
}

/// What the table of nodes says.
const COLUMNS: [(&str, Align); 7] = [
    ("NODE", Align::Left),
    ("PID", Align::Left),
    ("STATE", Align::Left),
    ("SHARDS", Align::Right),
    ("MEMBERS", Align::Right),
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
        view.members(),
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
