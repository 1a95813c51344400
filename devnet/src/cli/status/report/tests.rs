//! What is said of a devnet in which somebody is stopped, degraded, or gone.

use super::*;
use crate::banner::tests::sample_card;

fn process(name: &str, state: ProcessState) -> ProcessStatus {
    ProcessStatus { name: name.to_owned(), state, pid: Some(7), seconds: 1 }
}

fn chain() -> Option<ChainFacts> {
    Some(ChainFacts { epoch: 2, checkpoint: 9, phase: "next in 5 s".to_owned() })
}

/// The report of a healthy node with two shards, so far as nothing else is said.
fn health(status: &str, conditions: &Value) -> Option<Health> {
    let report = json!({
        "status": status, "conditions": conditions, "shards": 2, "shards_missing": 0, "peers": 3,
    });
    Some(Health::from(report))
}

fn well() -> Option<Health> {
    health("ok", &json!([]))
}

fn running(ledger: ProcessState) -> Supervised {
    let nodes = (1..=4).map(|number| process(&format!("n{number}"), ProcessState::Running));
    Supervised::Running([process("ledger", ledger)].into_iter().chain(nodes).collect())
}

#[test]
fn who_answers_nothing_is_silent_and_the_others_are_told_as_they_are() {
    let card = sample_card(4, 8);
    let healths = vec![well(), well(), None, well()];
    let report = Report::new(&card, running(ProcessState::Running), chain(), healths);
    let words: Vec<_> = report.views.iter().map(NodeView::word).collect();
    assert_eq!(words, ["serving", "serving", "SILENT", "serving"]);
    assert!(report.to_text().contains("DEGRADED"), "{}", report.to_text());
    let json = report.to_json();
    assert_eq!((&json["nodes"][2]["state"], &json["shards_up"]), (&"silent".into(), &6.into()));
    assert_eq!((&json["reads"], &json["writes"]), (&true.into(), &true.into()));
}

#[test]
fn a_supervisor_that_is_stopped_keeps_nobody_from_seeing_the_rest() {
    let card = sample_card(4, 8);
    let healths = || vec![well(), None, well(), well()];
    let report = Report::new(&card, Supervised::Silent, chain(), healths());
    let text = report.to_text();
    assert!(text.contains("supervisor  SILENT") && text.contains("epoch 2"), "{text}");
    let json = report.to_json();
    assert_eq!((&json["running"], &json["supervisor"]), (&true.into(), &"silent".into()));
    assert_eq!((&json["nodes"][0]["state"], &json["writes"]), (&"serving".into(), &true.into()));
    let stopped = Report::new(&card, Supervised::Stopped, chain(), healths()).to_json();
    assert_eq!((&stopped["running"], &stopped["writes"]), (&false.into(), &false.into()));
    assert_eq!(stopped["nodes"][0]["health"], Value::Null, "others may answer at these ports");
}

#[test]
fn without_a_ledger_writes_wait_and_the_way_out_is_named() {
    let card = sample_card(4, 8);
    let healths = || vec![well(), well(), well(), well()];
    for (state, remedy) in [
        (ProcessState::Killed, "`devnet restart ledger`"),
        (ProcessState::Exited, "`devnet restart ledger`"),
        (ProcessState::Paused, "`devnet resume ledger`"),
        (ProcessState::Running, "`devnet restart ledger`"), // it answers nothing
    ] {
        let report = Report::new(&card, running(state), None, healths());
        let text = report.to_text();
        assert!(text.contains(&format!("writes WAIT for the ledger: {remedy}")), "{text}");
        assert!(text.contains("reads OK"), "{text}");
        let json = report.to_json();
        assert_eq!((&json["reads"], &json["writes"]), (&true.into(), &false.into()));
        assert_eq!(json["writes_wait_for"], "ledger");
    }
    let report = Report::new(&card, running(ProcessState::Running), chain(), healths());
    assert!(report.to_text().contains("writes OK") && report.to_text().contains("HEALTHY"));
    assert_eq!(report.to_json()["writes_wait_for"], Value::Null);
}

#[test]
fn a_degraded_node_serves_and_what_is_not_well_is_told_once_with_the_next_step() {
    let card = sample_card(4, 8);
    let full = json!([{
        "name": "disk full", "severity": "degraded", "cause": "0 bytes", "next_step": "make room",
    }]);
    let down = json!([{
        "name": "parts down", "severity": "failing", "cause": "gossip", "next_step": "wait",
    }]);
    let degraded = || health("degraded", &full);
    let healths = vec![degraded(), well(), degraded(), health("failing", &down)];
    let report = Report::new(&card, running(ProcessState::Running), chain(), healths);
    let words: Vec<_> = report.views.iter().map(NodeView::word).collect();
    assert_eq!(words, ["degraded", "serving", "degraded", "failing"]);
    let text = report.to_text();
    assert!(text.contains(" n1, n3  disk full: 0 bytes\n   next: make room\n"), "{text}");
    let json = report.to_json();
    assert_eq!(json["conditions"][0]["nodes"], json!(["n1", "n3"]));
    assert_eq!(json["conditions"][1]["severity"], "failing");
    assert_eq!(json["shards_up"], 6, "a failing node serves nothing");
}
