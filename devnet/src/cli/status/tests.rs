//! Devnets as they may be found, for the tests of whoever judges them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::control::ProcessState;
use crate::control::Trouble;

/// A devnet of four nodes.
#[derive(Debug)]
pub(in crate::cli) struct Sample {
    /// What their processes do.
    pub(in crate::cli) states: [ProcessState; 4],
    /// Which of them does not answer though it runs.
    pub(in crate::cli) silent: Option<usize>,
    /// What the ledger's process does; it answers if it runs.
    pub(in crate::cli) ledger: ProcessState,
}

/// What is found in it; whoever is in trouble is mended by "mend NAME".
pub(in crate::cli) fn sample_report<'a>(card: &'a Card, sample: &Sample) -> Report<'a> {
    let running = |state| state == ProcessState::Running;
    let nodes =
        (1..).zip(sample.states).map(|(number, state)| process(&format!("n{number}"), state));
    let all = [process("ledger", sample.ledger)].into_iter().chain(nodes);
    let supervised = Supervised::Running(all.collect());
    let healths = sample.states.iter().enumerate().map(|(place, state)| {
        (running(*state) && sample.silent != Some(place))
            .then(|| health("ok", &json!([])))
            .flatten()
    });
    let chain = chain().filter(|_| running(sample.ledger));
    Report::new(card, supervised, chain, healths.collect(), |_| false)
}

pub(super) fn process(name: &str, state: ProcessState) -> ProcessStatus {
    let trouble = Trouble { cause: format!("{name} is so"), next_step: format!("mend {name}") };
    let trouble = (state != ProcessState::Running).then_some(trouble);
    let name = name.to_owned();
    ProcessStatus {
        name,
        state,
        pid: Some(7),
        seconds: 1,
        resumes_in_ms: None,
        trouble,
        doing: None,
    }
}

pub(super) fn chain() -> Option<ChainFacts> {
    let shards =
        (1..=4).map(|number| (format!("12D3KooWsample{number}"), vec![number, number + 4]));
    Some(ChainFacts {
        epoch: 2,
        checkpoint: 9,
        phase: "next in 5 s".to_owned(),
        next_choice: 3,
        shards: shards.collect(),
        names: BTreeMap::new(),
        roles: BTreeMap::new(),
        leaving: BTreeSet::new(),
    })
}

/// The report of a node with two shards, all of them held so far as nothing else is said.
pub(super) fn health(status: &str, conditions: &Value) -> Option<Health> {
    let report = json!({
        "status": status, "conditions": conditions, "shards": 2, "shards_missing": 0, "peers": 3,
    });
    Some(Health::from(report))
}
