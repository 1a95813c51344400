//! What is said of a devnet in which somebody is stopped, degraded, or gone.

use super::*;
use crate::banner::tests::sample_card;
use crate::cli::status::tests::{chain, health, process};

fn report(
    card: &Card,
    supervised: Supervised,
    chain: Option<ChainFacts>,
    healths: Vec<Option<Health>>,
) -> Report<'_> {
    Report::new(card, supervised, chain, healths, |_| false)
}

fn json_of(report: &Report<'_>) -> Value {
    report.to_json(str::to_owned)
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
    let found = report(&card, running(ProcessState::Running), chain(), healths);
    let words: Vec<_> = found.views.iter().map(NodeView::word).collect();
    assert_eq!(words, ["serving", "serving", "SILENT", "serving"]);
    assert!(found.to_text().contains("DEGRADED"), "{}", found.to_text());
    let json = json_of(&found);
    assert_eq!((&json["nodes"][2]["state"], &json["shards_up"]), (&"silent".into(), &6.into()));
    assert_eq!((&json["reads"], &json["writes"]), (&true.into(), &true.into()));
}

#[test]
fn a_supervisor_that_is_stopped_keeps_nobody_from_seeing_the_rest() {
    let card = sample_card(4, 8);
    let healths = || vec![well(), None, well(), well()];
    let found = report(&card, Supervised::Silent, chain(), healths());
    let text = found.to_text();
    assert!(text.contains("supervisor  SILENT") && text.contains("epoch 2"), "{text}");
    let json = json_of(&found);
    assert_eq!((&json["running"], &json["supervisor"]), (&true.into(), &"silent".into()));
    assert_eq!((&json["nodes"][0]["state"], &json["writes"]), (&"serving".into(), &true.into()));
    let stopped = json_of(&report(&card, Supervised::Stopped, chain(), healths()));
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
        (ProcessState::Running, "`devnet logs ledger`"), // it answers nothing, and may only be slow
    ] {
        let found = report(&card, running(state), None, healths());
        let text = found.to_text();
        assert!(text.contains(&format!("writes WAIT for the ledger: {remedy}")), "{text}");
        assert!(text.contains("reads OK"), "{text}");
        let json = json_of(&found);
        assert_eq!((&json["reads"], &json["writes"]), (&true.into(), &false.into()));
        assert_eq!(json["writes_wait_for"], "ledger");
    }
    let found = report(&card, running(ProcessState::Running), chain(), healths());
    assert!(found.to_text().contains("writes OK") && found.to_text().contains("HEALTHY"));
    assert_eq!(json_of(&found)["writes_wait_for"], Value::Null);
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
    let found = report(&card, running(ProcessState::Running), chain(), healths);
    let words: Vec<_> = found.views.iter().map(NodeView::word).collect();
    assert_eq!(words, ["degraded", "serving", "degraded", "failing"]);
    let text = found.to_text();
    assert!(text.contains(" n1, n3  disk full: 0 bytes\n   next: make room\n"), "{text}");
    let json = json_of(&found);
    assert_eq!(json["conditions"][0]["nodes"], json!(["n1", "n3"]));
    assert_eq!(json["conditions"][1]["severity"], "failing");
    assert_eq!(json["shards_up"], 6, "a failing node serves nothing");
}

#[test]
fn the_headline_and_the_exit_code_follow_from_what_reads_and_writes_need() {
    let card = sample_card(4, 8); // two shards each: a read needs four, a write six
    let missing =
        json!([{ "name": "shards missing", "severity": "degraded", "cause": "", "next_step": "" }]);
    let lost = || {
        let told = json!({
            "status": "degraded", "conditions": missing, "shards": 2, "shards_missing": 2, "peers": 3,
        });
        Some(Health::from(told))
    };
    let full = || {
        health(
            "degraded",
            &json!([{ "name": "disk full", "severity": "degraded", "cause": "", "next_step": "" }]),
        )
    };
    use Verdict::{Fails, InDoubt, Works};
    let dead = |number: u32| process(&format!("n{number}"), ProcessState::Killed);
    let with_dead = |from: u32| {
        let mut all = vec![process("ledger", ProcessState::Running)];
        all.extend((1..from).map(|at| process(&format!("n{at}"), ProcessState::Running)));
        all.extend((from..=4).map(dead));
        Supervised::Running(all)
    };
    for (healths, first_dead, headline, reads, writes) in [
        (vec![well(), well(), well(), well()], 5, Headline::Healthy, Works, Works),
        (vec![well(), well(), well(), None], 4, Headline::Degraded, Works, Works),
        // A node that is away and one that was wiped: the wiped one is written to.
        (vec![well(), well(), lost(), None], 4, Headline::Degraded, Works, Works),
        // What was stored since the disks were lost can be read.
        (vec![well(), lost(), lost(), None], 4, Headline::Degraded, InDoubt, Works),
        (vec![well(), well(), full(), None], 4, Headline::Failing, Works, Fails),
        (vec![well(), well(), None, None], 3, Headline::Failing, Works, Fails),
        (vec![well(), None, None, None], 2, Headline::Failing, Fails, Fails),
        // Who runs and says nothing may only be slow.
        (vec![well(), well(), None, None], 5, Headline::Degraded, Works, InDoubt),
        (vec![well(), None, None, None], 5, Headline::Degraded, InDoubt, InDoubt),
    ] {
        let found = report(&card, with_dead(first_dead), chain(), healths);
        assert_eq!((found.health(), found.works()), (headline, (reads, writes)));
        let json = json_of(&found);
        let known = |verdict| match verdict {
            Works => json!(true),
            Fails => json!(false),
            InDoubt => Value::Null,
        };
        assert_eq!((&json["reads"], &json["writes"]), (&known(reads), &known(writes)));
        let told = found.to_text();
        assert_eq!(told.contains("reads FAIL"), reads == Fails, "{told}");
        assert_eq!(told.contains("reads IN DOUBT"), reads == InDoubt, "{told}");
        assert_eq!(json["health"], headline.word().to_lowercase());
        assert!(found.to_text().lines().next().unwrap().contains(headline.word()));
    }
    let codes = [Headline::Healthy, Headline::Degraded, Headline::Failing, Headline::Stopped];
    assert_eq!(codes.map(Headline::exit_code), [0, 17, 17, 4], "a contract with scripts");
    let healths = vec![None, None, None, None];
    let stopped = report(&card, Supervised::Stopped, None, healths);
    assert_eq!(
        (stopped.health(), json_of(&stopped)["health"].as_str()),
        (Headline::Stopped, Some("stopped"))
    );
    assert!(stopped.troubles().is_empty(), "what was put away is not in trouble");
}

#[test]
fn whoever_does_not_run_or_answer_has_a_cause_and_a_next_step() {
    let card = sample_card(4, 8);
    let supervised = Supervised::Running(vec![
        process("ledger", ProcessState::Running),
        process("n1", ProcessState::Killed),
        process("n2", ProcessState::Exited),
        process("n3", ProcessState::Running),
        process("n4", ProcessState::Running),
    ]);
    // What answers at the port of a process that was killed is somebody else.
    let found = report(&card, supervised, chain(), vec![well(), None, None, well()]);
    let text = found.to_text();
    for expected in [
        " n1  KILLED: n1 is so\n   next: mend n1\n",
        " n2  EXITED: n2 is so\n   next: mend n2\n",
        " n3  SILENT: its process runs, and did not answer within 5 s",
        "`devnet restart n3` starts it anew\n",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    let json = found.to_json(|text| text.replace("devnet ", "devnet --name night "));
    assert_eq!(
        (&json["nodes"][0]["cause"], &json["nodes"][3]["cause"]),
        (&"n1 is so".into(), &Value::Null)
    );
    let step = json["nodes"][2]["next_step"].as_str().unwrap();
    assert!(step.contains("`devnet --name night restart n3`"), "{step}");

    // Without the supervisor a stopped process is still known as such.
    let mut card = card;
    (card.supervisor_pid, card.nodes[1].pid) = (99, 42);
    let healths = vec![well(), None, None, well()];
    let found = Report::new(&card, Supervised::Silent, None, healths, |pid| pid == 99 || pid == 42);
    let told = found.troubles();
    let who: Vec<_> = told.iter().map(|(name, word, _)| (*name, *word)).collect();
    let expected = ["supervisor", "ledger", "n2", "n3"].map(|name| (name, "SILENT"));
    assert_eq!(who, expected);
    let steps: Vec<_> = told.iter().map(|(_, _, told)| told.next_step.as_str()).collect();
    assert!(
        steps[0].starts_with("`kill -CONT 99`") && steps[2].starts_with("`kill -CONT 42`"),
        "{steps:?}"
    );
}

#[test]
fn a_node_that_has_not_read_the_ledger_catches_up_and_is_not_read_from_yet() {
    let card = sample_card(4, 8);
    // What it says of its shards while it reads of an epoch that is over was true then.
    for (epoch, missing) in [(2, json!(null)), (1, json!(0))] {
        let told = json!({
            "status": "ok", "conditions": [], "epoch": epoch, "shards": 2, "shards_missing": missing, "peers": 3,
        });
        catches_up(&card, Some(Health::from(told)));
    }
}

fn catches_up(card: &Card, early: Option<Health>) {
    let healths = vec![early, well(), well(), well()];
    let found = report(card, running(ProcessState::Running), chain(), healths);
    let json = json_of(&found);
    assert_eq!(
        (&json["nodes"][0]["state"], &json["shards_up"]),
        (&"catching up".into(), &6.into())
    );
    let text = found.to_text();
    assert!(
        text.contains(" n1  catching up: it has not read the ledger to its end yet, so"),
        "{text}"
    );
    assert!(text.contains("   next: ") && text.contains("`devnet wait ready`"), "{text}");
    let step = json["nodes"][0]["next_step"].as_str().unwrap();
    assert!(step.contains("`devnet wait ready`"), "{step}");
    assert_eq!((found.health(), &json["shards_storing"]), (Headline::Degraded, &8.into()));
}

#[test]
fn a_node_that_repairs_says_how_much_is_left_and_how_long_it_takes() {
    let card = sample_card(4, 8);
    let repairing = |left: Value| {
        let told = json!({ "missing_blobs": 37, "missing_pairs": 74, "seconds_left": left });
        Some(Health::from(json!({
            "status": "degraded", "conditions": [], "shards": 2, "shards_missing": 2, "repairs": told,
        })))
    };
    for (left, expected) in
        [(json!(90), "about 90s left"), (Value::Null, "how long that takes is not known yet")]
    {
        let healths = vec![well(), repairing(left), well(), well()];
        let text = report(&card, running(ProcessState::Running), chain(), healths).to_text();
        let line = format!(
            " n2  repairing: 37 blobs to go, of which 74 parts are missing here; {expected}\n"
        );
        assert!(text.contains(&line) && text.contains("`devnet wait repaired`"), "{text}");
        assert_eq!(text.matches("repairing").count(), 1, "{text}");
    }
}

#[test]
fn whatever_keeps_a_devnet_from_being_healthy_is_told_with_a_next_step() {
    let card = sample_card(4, 8);
    let answer = |status: &str, missing: Value, conditions: Value| {
        Some(Health::from(json!({
            "status": status, "conditions": conditions, "shards": 2, "shards_missing": missing, "peers": 3,
        })))
    };
    let told = json!([{ "name": "shards missing", "severity": "degraded", "cause": "2", "next_step": "wait" }]);
    let failing =
        json!([{ "name": "parts down", "severity": "failing", "cause": "x", "next_step": "wait" }]);
    for ledger in [ProcessState::Running, ProcessState::Killed] {
        for one in [
            None,
            answer("ok", Value::Null, json!([])),
            answer("degraded", Value::Null, told.clone()),
            answer("degraded", 2.into(), told.clone()),
            answer("failing", Value::Null, failing.clone()),
        ] {
            let healths = vec![one.clone(), well(), well(), well()];
            let chain = chain().filter(|_| ledger == ProcessState::Running);
            let found = report(&card, running(ledger), chain, healths);
            assert_ne!(found.health(), Headline::Healthy);
            let text = found.to_text();
            let lines: Vec<&str> = text.lines().collect();
            let mut pairs = lines.windows(2);
            let is_told =
                |pair: &[&str]| pair[0].starts_with(" n1  ") && pair[1].starts_with("   next: ");
            assert!(pairs.any(is_told), "{one:?}\n{text}");
        }
    }
}

#[test]
fn a_repair_that_cannot_end_names_the_blobs_once_and_says_no_time_and_nothing_twice() {
    let card = sample_card(4, 8);
    let stuck =
        json!([{ "blob_id": "abc", "slivers_left": 2, "slivers_needed": 4, "is_faulty": false }]);
    let repairs = json!({
        "missing_blobs": 1, "missing_pairs": 1, "seconds_left": 90, "stuck_blobs": 1, "stuck": stuck,
    });
    let told = json!([{ "name": "blobs incomplete", "severity": "degraded", "cause": "not here: 1", "next_step": "" }]);
    let node = || {
        Some(Health::from(json!({
            "status": "degraded", "conditions": told, "shards": 2, "shards_missing": 0, "repairs": repairs,
        })))
    };
    let healths = vec![node(), node(), well(), well()];
    let text = report(&card, running(ProcessState::Running), chain(), healths).to_text();
    let line = "repairing: 1 blob to go, of which 1 part is missing here; 1 of them cannot be repaired now\n";
    assert_eq!(text.matches(line).count(), 2, "{text}");
    assert_eq!(text.matches("abc: 2 of 4 slivers that it takes can be had\n").count(), 1, "{text}");
    assert_eq!(text.matches("next:").count(), 1, "{text}");
    assert!(!text.contains("left") && text.contains("`haulout put FILE --repair`"), "{text}");
}

/// A devnet of four nodes with two shards each, beside a member with so many.
fn beside(shards: u16) -> Option<ChainFacts> {
    let mut facts = chain()?;
    facts.shards.insert("12D3KooWother".to_owned(), (100..100 + shards).collect());
    facts.names.insert("12D3KooWother".to_owned(), "tern".to_owned());
    Some(facts)
}

/// A node that says from which members it is cut off.
fn cut_off_from(away: &[&str]) -> Option<Health> {
    Some(Health::from(json!({
        "status": "ok", "conditions": [], "shards": 2, "shards_missing": 0, "members_away": away,
    })))
}

#[test]
fn members_that_are_no_nodes_of_the_devnet_count_while_a_node_is_connected_with_them() {
    let card = Card { shards: 20, ..sample_card(4, 8) };
    let others = [None, None, None].map(|_: Option<()>| cut_off_from(&["12D3KooWother"]));
    let with = |first: Option<Health>| {
        let healths = [first].into_iter().chain(others.clone()).collect();
        report(&card, running(ProcessState::Running), beside(12), healths)
    };
    // 20 shards, of which a read needs 8 and a write 14: without the twelve of the other member writes fail.
    let connected = with(cut_off_from(&[]));
    assert_eq!(connected.health(), Headline::Healthy, "{}", connected.to_text());
    assert!(connected.to_text().contains(" tern  connected  12 shards"), "{}", connected.to_text());
    let away = with(cut_off_from(&["12D3KooWother"]));
    assert_eq!(away.works(), (Verdict::Works, Verdict::Fails), "{}", away.to_text());
    assert!(away.to_text().contains(" tern  AWAY: "), "{}", away.to_text());
    assert_eq!(json_of(&away)["others"][0]["connected"], false);
    // One that is away and not needed is still not well.
    let card = sample_card(4, 8);
    let healths = vec![cut_off_from(&["12D3KooWother"]); 4];
    let found = report(&card, running(ProcessState::Running), beside(1), healths);
    assert_eq!(found.health(), Headline::Degraded);
}

#[test]
fn a_node_that_left_and_is_being_stopped_is_said_to_be_and_is_well() {
    let mut card = sample_card(4, 8);
    card.nodes[3].is_leaving = true;
    let mut processes: Vec<_> =
        (1..=4).map(|number| process(&format!("n{number}"), ProcessState::Running)).collect();
    processes[3].doing = Some("stopping".to_owned());
    processes.push(process("ledger", ProcessState::Running));
    let mut facts = chain().unwrap();
    facts.shards.remove(&card.nodes[3].peer_id);
    let healths = vec![well(), well(), well(), None];
    let found = report(&card, Supervised::Running(processes), Some(facts), healths);
    let text = found.to_text();
    assert!(text.contains(" n4  stopping: the supervisor is stopping it: it has left"), "{text}");
    assert!(!text.contains("SILENT") && !text.contains("mend"), "{text}");
    assert_eq!(found.health(), Headline::Healthy, "{text}");
}
