//! Executes scripts step by step through the ledger's own transactions, under the monitor.
//!
//! Promises: every transaction is signed and authorised as one that came over the network; what
//! happened is compared with what the script expects; handles mean what the last success made.
//! Does not: generate or shrink.

use haulout_protocol::chain::event::Event;
use sui_sdk_types::{
    ExecutionError, ExecutionStatus, Transaction, TransactionEvents, UserSignature,
};

use super::compile::{Compiled, compile};
use super::format::{Command, Script, Status, Step};
use super::monitor::Monitor;
use super::stage::{BEGIN_MS, Stage};
use super::view::View;
use crate::ledger::transactions::{Executed, authorise};

/// A transaction with its signatures and the time it was executed at.
pub(in crate::ledger) type Recorded = (u64, Transaction, Vec<UserSignature>);

/// What a step did.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// How it ended.
    pub(super) status: Status,
    /// What was said.
    pub(super) events: Vec<Event>,
}

/// Why a script stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The script makes no sense: a name is not known, an argument is missing.
    Script(String),
    /// It ended in another way than expected.
    Unexpected(String),
    /// Something that must always hold does not.
    Broken(String),
}

/// A script under way.
#[derive(Debug)]
pub(super) struct Runner {
    /// The network and its names.
    pub(super) stage: Stage,
    /// Its objects.
    pub(super) view: View,
    /// What must always hold.
    pub(super) monitor: Monitor,
    /// Every transaction that was executed.
    pub(super) recorded: Vec<Recorded>,
    now_ms: u64,
}

impl Runner {
    /// At the start of a script.
    pub(super) fn new(script: &Script) -> Result<Self, Stop> {
        let stage = Stage::new(&script.world).map_err(Stop::Script)?;
        let view = View::new(&stage);
        let monitor = Monitor::new(&view);
        Ok(Runner { stage, view, monitor, recorded: Vec::new(), now_ms: BEGIN_MS })
    }

    /// Runs a whole script; says at which step it stopped, counted from 0.
    pub(super) fn run(script: &Script) -> Result<Self, (usize, Stop)> {
        let mut runner = Runner::new(script).map_err(|stop| (0, stop))?;
        for (at, step) in script.steps.iter().enumerate() {
            runner.step(step).map_err(|stop| (at, stop))?;
        }
        Ok(runner)
    }

    /// Runs one line and compares.
    pub(super) fn step(&mut self, step: &Step) -> Result<Outcome, Stop> {
        if !step.check.is_empty() {
            super::checks::check(&self.stage, &self.view, &step.check)?;
        }
        if let Some(members) = &step.sync {
            return self.sync(step.t, members);
        }
        if step.cmds.is_empty() {
            return Ok(Outcome { status: Status::OK, events: Vec::new() });
        }
        let outcome = self.execute(step)?;
        if let Some(expected) = &step.expect
            && *expected != outcome.status
        {
            let text = format!("expected {expected:?}, found {:?}", outcome.status);
            return Err(Stop::Unexpected(text));
        }
        if let Some(expected) = &step.events {
            let found: Vec<_> = outcome.events.iter().map(Event::name).collect();
            if *expected != found {
                return Err(Stop::Unexpected(format!("expected {expected:?}, found {found:?}")));
            }
        }
        Ok(outcome)
    }

    /// Every member named reports its shards, each by itself.
    fn sync(&mut self, t: u64, members: &serde_json::Value) -> Result<Outcome, Stop> {
        let wanted: Option<Vec<String>> =
            match members.as_str() {
                Some("all") => None,
                _ => Some(serde_json::from_value(members.clone()).map_err(|_| {
                    Stop::Script("sync takes \"all\" or a list of nodes".to_owned())
                })?),
            };
        let ids: Vec<_> = match wanted {
            None => self.view.staking().committee.iter().map(|member| member.key).collect(),
            Some(names) => {
                let id = |name| self.stage.nodes.get(name).copied();
                let ids: Option<Vec<_>> = names.iter().map(id).collect();
                ids.ok_or(Stop::Script("a node is not known".to_owned()))?
            }
        };
        let mut events = Vec::new();
        for node in ids {
            let cap = self.stage.cap_of(&node).ok_or(Stop::Script("a cap is gone".to_owned()))?;
            let (cap, sender) = cap;
            self.stage.handles.insert("sync cap".to_owned(), cap);
            let arguments = serde_json::json!({ "cap": "@sync cap", "epoch": "epoch()" });
            let serde_json::Value::Object(arguments) = arguments else { unreachable!() };
            let name = "epoch_sync_done".to_owned();
            let cmds = vec![Command { name, arguments, result: None }];
            let report = Step { t, sender, cmds, expect: Some(Status::OK), ..Step::default() };
            events.extend(self.step(&report)?.events);
        }
        Ok(Outcome { status: Status::OK, events })
    }

    /// Executes one transaction, whatever is expected of it.
    fn execute(&mut self, step: &Step) -> Result<Outcome, Stop> {
        let compiled = compile(&self.stage, step).map_err(Stop::Script)?;
        let Compiled { transaction, signatures, handles, nodes } = compiled;
        authorise(&transaction, &signatures).map_err(|error| Stop::Script(error.to_string()))?;
        self.now_ms = self.now_ms.max(BEGIN_MS.saturating_add(step.t));
        let (clock, now_ms) = self.stage.state.next_clock(self.now_ms);
        let executed = match self.stage.state.execute(&clock, &transaction) {
            Ok(executed) => executed,
            Err(_) => return Ok(Outcome { status: Status::Refused(true), events: Vec::new() }),
        };
        let outcome = outcome(&executed);
        let gas = transaction.gas_payment.objects[0].object_id();
        let before = self.stage.state.stored();
        self.monitor
            .before(before, &self.view, gas, &outcome, &executed.changes)
            .map_err(Stop::Broken)?;
        self.stage.state.commit(&executed.changes, clock);
        self.view.apply(&executed.changes);
        if outcome.status == Status::OK {
            self.stage.handles.extend(handles);
            self.stage
                .nodes
                .extend(nodes.iter().map(|(name, id)| (name.clone(), id.into_inner().into())));
        }
        self.recorded.push((now_ms, transaction, signatures));
        self.monitor.after(&self.view).map_err(Stop::Broken)?;
        Ok(outcome)
    }
}

fn outcome(executed: &Executed) -> Outcome {
    let status = match executed.effects.status() {
        ExecutionStatus::Success => Status::OK,
        ExecutionStatus::Failure { error: ExecutionError::MoveAbort { code, .. }, .. } => {
            Status::Code(*code)
        }
        ExecutionStatus::Failure { error, .. } => {
            let text = format!("{error:?}");
            Status::Fails(text.split([' ', '{']).next().unwrap_or_default().to_owned())
        }
    };
    let events = executed.events.iter().flat_map(|TransactionEvents(events)| events);
    let events = events
        .map(|event| Event::decode(event.type_.name().as_str(), &event.contents).unwrap().unwrap());
    Outcome { status, events: events.collect() }
}
