//! `haulout status`: what the committee says of a blob, and how much of it the nodes hold.
//!
//! Promises: "certified" says only what the ledger says; whether a blob can be read is told apart from it, by what nodes
//! say they hold now; the exit code is the one that a `get` would have. Does not: read the blob, which alone proves it.

use std::time::{Duration, Instant};

use clap::Args;
use haulout_actors::session::holdings::{Holdings, Member};
use haulout_actors::session::locate::Standing;
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::machine::holdings::{Outlook, Stock};
use haulout_protocol::wire::blob::{Registration, State};
use serde_json::{Value, json};

use super::Cli;
use super::output::Output;
use crate::error::{Error, Kind, Result};
use crate::failures;
use crate::light_client::LightClient;
use crate::names::Names;
use crate::words::label;

/// Say what the network knows of a blob, and whether it can be read now
///
/// What the ledger says of it is one thing, what the nodes hold another: each is asked how many of its slivers it has, or symbols of a short blob.
///
/// Its name, if there is one, is what this machine remembers of a put; nobody is asked for it.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes, as `haulout get` would have: 0 it can be read now; 10 it is certified and cannot be read now; 4 it is not \
                  stored, or not to the end; 7 it is invalid; 12 it expired.\n\
                  With -q one word says which: certified (and readable), unavailable, lost, registered, nonexistent, invalid, expired."
)]
pub(super) struct Status {
    /// The blob's id
    #[arg(allow_hyphen_values = true, value_name = "ID")]
    id: String,
}

impl Status {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let blob_id = super::parse_id(&self.id, "`haulout status ID`")?;
        let config = cli.reader()?;
        let folder = config.state_dir.clone();
        let names = super::blocking(move || Ok(Names::read(&folder))).await?;
        let client = LightClient::connect(config).await?;
        let (shards, epoch) = (client.shards(), client.epoch());
        let nodes = client.nodes();
        let asked = Instant::now();
        let standing = client.status(&blob_id).await;
        let waited = asked.elapsed();
        let more = More::ask(&client, &blob_id, &standing).await;
        client.close().await;
        let Some(state) = standing.state else {
            let message = format!(
                "only {} of {shards} shards answer within {}, too few to say{}",
                standing.answered,
                seconds(waited),
                failures::blamed(&standing.silent)
            );
            output.word("unavailable");
            return Err(Error::new(Kind::Unavailable, message)
                .detail("missing", failures::members(&standing.silent)));
        };
        let (name, facts) = describe(&state);
        if let State::Nonexistent = state {
            output.word("nonexistent");
            return Err(Error::new(Kind::NotFound, format!("no blob with id {blob_id} is stored"))
                .hint("check the id and the context; a put ends only when the blob is certified"));
        }
        let mut json = json!({
            "blob_id": blob_id.to_string(),
            "name": names.of_blob(&blob_id.to_string()),
            "state": name,
            "epoch": epoch,
            "shards": { "answered": standing.answered, "total": shards },
            "nodes": { "asked": nodes, "silent": standing.silent.len() },
            "waited_ms": u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
            "silent": failures::members(&standing.silent),
        });
        if let (Some(json), Value::Object(facts)) = (json.as_object_mut(), facts) {
            json.extend(facts);
        }
        if let (Some(json), Value::Object(facts)) = (json.as_object_mut(), more.to_json()) {
            json.extend(facts);
        }
        let people = people(&blob_id.to_string(), &json, &standing, &more);
        let (essential, failure) = verdict(&state, &more);
        output.result(&json, essential, &people);
        if let Some(kind) = failure {
            output.answered(kind);
        }
        Ok(())
    }
}

/// What is asked once the state is known.
#[derive(Debug, Default)]
struct More {
    /// What the nodes hold of it.
    holdings: Option<Holdings>,
    /// The object of a blob that is not certified.
    registration: Option<Registration>,
}

impl More {
    async fn ask(client: &LightClient, blob_id: &BlobId, standing: &Standing) -> More {
        match standing.state {
            Some(State::Certified { .. }) => {
                let holdings = client.holdings(blob_id, &standing.silent).await;
                More { holdings: Some(holdings), registration: None }
            }
            // Nothing of it can be lost: it was never stored.
            Some(State::Registered { .. }) => {
                More { holdings: None, registration: client.registration(blob_id).await }
            }
            None | Some(State::Nonexistent | State::Expired { .. } | State::Invalid) => {
                More::default()
            }
        }
    }

    fn to_json(&self) -> Value {
        let mut json = json!({});
        if let Some(holdings @ Holdings { stock, is_short, has_header, members }) = &self.holdings {
            let one = |member: &Member| {
                let (held, reason) = match &member.whole {
                    Ok(held) => (json!(held), Value::Null),
                    Err(reason) => (Value::Null, json!(reason)),
                };
                json!({ "node": member.name, "shards": member.shards, "held": held, "reason": reason })
            };
            json["readable"] = holdings.can_be_read().into();
            json["lost"] = (stock.outlook == Outlook::Lost).into();
            json["slivers"] = json!({
                "of": if *is_short { "a short blob" } else { "segments" },
                "held": stock.held,
                "total": stock.all,
                "needed": stock.needed,
                "header": has_header,
                "nodes": members.iter().map(one).collect::<Vec<_>>(),
            });
        }
        if let Some(registration) = &self.registration {
            json["readable"] = false.into();
            json["lost"] = false.into();
            json["registration"] = failures::registered(registration);
        }
        json
    }

    /// Whether the blob can be read, and who lacks what of it.
    fn to_text(&self, silent: &[(String, String)]) -> String {
        let mut text = String::new();
        if let Some(registration) = &self.registration {
            let object = ObjectId::from_bytes(registration.object);
            let since = registration.registered_epoch;
            text.push_str(&format!(
                "  Its upload was not finished (object {object}, since epoch {since}); its owner finishes it: `haulout put FILE`\n"
            ));
        }
        let Some(holdings) = &self.holdings else { return text };
        text.push_str(&format!("  {}\n", readable(holdings)));
        let parts = if holdings.is_short { "symbols" } else { "slivers" };
        for member in &holdings.members {
            let name = label(&member.name);
            match &member.whole {
                Ok(held) if *held == member.shards => {}
                Ok(held) => {
                    let of = member.shards;
                    text.push_str(&format!(
                        "  lacks {parts}: {name}: {held} of its {of} shards are whole\n"
                    ));
                }
                // Who is silent altogether is named below.
                Err(_) if silent.iter().any(|(node, _)| *node == member.name) => {}
                Err(reason) => {
                    text.push_str(&format!("  holds unknown: {name}: {}\n", label(reason)));
                }
            }
        }
        text
    }
}

/// Whether a blob can be read now, in a sentence or two.
fn readable(Holdings { stock, is_short, has_header, .. }: &Holdings) -> String {
    let Stock { held, all, needed, outlook } = stock;
    let held = match is_short {
        true => format!("{held} of {all} symbols"),
        false => format!("slivers of {held} of {all} shards"),
    };
    const BACK: &str = "Whoever has the file brings them back: `haulout put FILE --repair`";
    match (outlook, has_header) {
        (Outlook::Lost, _) => {
            format!("It cannot be read: {held} are left, and {needed} are needed. {BACK}")
        }
        (_, false) => "It cannot be read now: no node that answers gives its header".to_owned(),
        (Outlook::Readable, true) => {
            format!("It can be read now: nodes hold {held}, and {needed} are enough")
        }
        (Outlook::Waiting, true) => format!(
            "It cannot be read now: the nodes that answer hold {held}, and {needed} are needed. \
             The others may hold the rest"
        ),
    }
}

/// The one word for programs, and what keeps the blob from being read now: what `get` would fail with.
fn verdict(state: &State, more: &More) -> (&'static str, Option<Kind>) {
    let (name, _) = describe(state);
    match state {
        State::Nonexistent | State::Registered { .. } => (name, Some(Kind::NotFound)),
        State::Expired { .. } => (name, Some(Kind::Expired)),
        State::Invalid => (name, Some(Kind::Verification)),
        State::Certified { .. } => match &more.holdings {
            Some(Holdings { stock, .. }) if stock.outlook == Outlook::Lost => {
                ("lost", Some(Kind::Unavailable))
            }
            Some(holdings) if !holdings.can_be_read() => ("unavailable", Some(Kind::Unavailable)),
            Some(_) | None => (name, None),
        },
    }
}

/// The state's name and its own facts.
fn describe(state: &State) -> (&'static str, Value) {
    match state {
        State::Nonexistent => ("nonexistent", json!({})),
        State::Registered { end_epoch } => ("registered", json!({ "end_epoch": end_epoch })),
        State::Certified { certified_epoch, end_epoch } => {
            ("certified", json!({ "certified_epoch": certified_epoch, "end_epoch": end_epoch }))
        }
        State::Expired { end_epoch } => ("expired", json!({ "end_epoch": end_epoch })),
        State::Invalid => ("invalid", json!({})),
    }
}

fn people(blob_id: &str, json: &Value, standing: &Standing, more: &More) -> String {
    let name = json["state"].as_str().unwrap_or_default().to_uppercase();
    let mut text = blob_id.to_owned();
    if let Some(own) = json["name"].as_str() {
        text.push_str(&format!("  {}", label(own)));
    }
    text.push_str(&format!("\n  {name}"));
    if let Some(epoch) = json.get("certified_epoch") {
        text.push_str(&format!(" since epoch {epoch}"));
    }
    if let Some(epoch) = json.get("end_epoch") {
        text.push_str(&format!(" · until epoch {epoch} (exclusive)"));
    }
    text.push_str(&format!(" · now epoch {}\n", json["epoch"]));
    let shards = json["shards"]["total"].as_u64().and_then(|shards| u16::try_from(shards).ok());
    let (answered, shards) = (standing.answered, shards.unwrap_or_default());
    text.push_str(&more.to_text(&standing.silent));
    let nodes = &json["nodes"]["asked"];
    text.push_str(&format!(
        "  {answered} of {shards} shards answered, all {nodes} nodes were asked"
    ));
    if !standing.silent.is_empty() {
        let waited = Duration::from_millis(json["waited_ms"].as_u64().unwrap_or_default());
        text.push_str(&format!(" and given {}", seconds(waited)));
    }
    text.push('\n');
    for (node, reason) in &standing.silent {
        text.push_str(&format!("  silent: {}: {}\n", label(node), label(reason)));
    }
    text
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(answered: u16, silent: &[(&str, &str)]) -> String {
        let json = json!({
            "state": "certified", "certified_epoch": 1, "end_epoch": 6, "epoch": 2,
            "shards": { "answered": answered, "total": 100 },
            "nodes": { "asked": 5, "silent": silent.len() },
            "waited_ms": 2_040,
        });
        let owned = |(node, reason): &(&str, &str)| ((*node).to_owned(), (*reason).to_owned());
        let silent = silent.iter().map(owned).collect();
        people("ID", &json, &Standing { state: None, answered, silent }, &More::default())
    }

    /// Five nodes with twenty shards each, of which the first have lost this much.
    fn holding(held: &[u16], outlook: Outlook) -> More {
        let member = |(at, held): (usize, &u16)| Member {
            name: format!("n{} (12D3)", at + 1),
            shards: 20,
            whole: Ok(*held),
        };
        let members = held.iter().enumerate().map(member).collect();
        let stock = Stock { held: held.iter().sum(), all: 100, needed: 34, outlook };
        let holdings = Holdings { stock, is_short: false, has_header: true, members };
        More { holdings: Some(holdings), registration: None }
    }

    #[test]
    fn a_certified_blob_is_called_readable_only_while_enough_slivers_are_held() {
        let healthy = holding(&[20; 5], Outlook::Readable);
        let text = healthy.to_text(&[]);
        assert_eq!(
            text,
            "  It can be read now: nodes hold slivers of 100 of 100 shards, and 34 are enough\n"
        );
        assert_eq!(healthy.to_json()["readable"], true);
        let wiped = holding(&[0, 0, 0, 0, 20], Outlook::Lost);
        let text = wiped.to_text(&[]);
        assert!(
            text.starts_with("  It cannot be read: slivers of 20 of 100 shards are left"),
            "{text}"
        );
        assert!(text.contains("lacks slivers: n1 (12D3): 0 of its 20 shards are whole"), "{text}");
        assert!(!text.contains("n5"), "it lacks nothing: {text}");
        let json = wiped.to_json();
        assert_eq!((&json["readable"], &json["lost"]), (&json!(false), &json!(true)));
        assert_eq!(json["slivers"]["nodes"][0]["held"], 0);
        let mut waiting = holding(&[20, 0], Outlook::Waiting);
        assert!(waiting.to_text(&[]).contains("cannot be read now"), "{waiting:?}");
        assert_eq!(waiting.to_json()["lost"], false);
        waiting = holding(&[20; 5], Outlook::Readable);
        waiting.holdings.as_mut().unwrap().has_header = false;
        assert_eq!(waiting.to_json()["readable"], false);
        assert!(waiting.to_text(&[]).contains("header"), "{waiting:?}");
    }

    #[test]
    fn scripts_take_for_certified_only_what_can_be_read_now_and_learn_else_what_a_get_would_fail_with()
     {
        let certified = State::Certified { certified_epoch: 1, end_epoch: 5 };
        let of = |more: &More| verdict(&certified, more);
        let mut headless = holding(&[20; 5], Outlook::Readable);
        headless.holdings.as_mut().unwrap().has_header = false;
        assert_eq!(of(&holding(&[20; 5], Outlook::Readable)), ("certified", None));
        assert_eq!(of(&holding(&[20, 0], Outlook::Lost)), ("lost", Some(Kind::Unavailable)));
        for more in [holding(&[20, 0], Outlook::Waiting), headless] {
            assert_eq!(of(&more), ("unavailable", Some(Kind::Unavailable)));
        }
        for (state, word, kind) in [
            (State::Registered { end_epoch: 5 }, "registered", Kind::NotFound),
            (State::Nonexistent, "nonexistent", Kind::NotFound),
            (State::Expired { end_epoch: 1 }, "expired", Kind::Expired),
            (State::Invalid, "invalid", Kind::Verification),
        ] {
            assert_eq!(verdict(&state, &More::default()), (word, Some(kind)));
        }
    }

    #[test]
    fn of_a_short_blob_symbols_are_counted_and_no_more_than_hold_its_bytes_are_asked_for() {
        let mut short = holding(&[20, 0, 20, 20, 14], Outlook::Readable);
        let holdings = short.holdings.as_mut().unwrap();
        holdings.is_short = true;
        holdings.stock = Stock { held: 54, all: 74, needed: 8, outlook: Outlook::Readable };
        let text = short.to_text(&[]);
        let first = "  It can be read now: nodes hold 54 of 74 symbols, and 8 are enough\n";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("lacks symbols: n2 (12D3): 0 of its 20 shards are whole"), "{text}");
        assert!(!text.contains("sliver"), "{text}");
        let json = short.to_json();
        assert_eq!(
            (&json["slivers"]["of"], &json["slivers"]["total"]),
            (&json!("a short blob"), &json!(74))
        );
    }

    #[test]
    fn a_blob_that_is_only_registered_is_told_with_its_object() {
        let registration =
            Registration { object: [7; 32], registered_epoch: 2, end_epoch: 6, deletable: true };
        let more = More { holdings: None, registration: Some(registration) };
        let text = more.to_text(&[]);
        let object = ObjectId::from_bytes([7; 32]).to_string();
        assert!(text.contains(&object) && text.contains("`haulout put FILE`"), "{text}");
        assert_eq!(more.to_json()["registration"]["object_id"], object);
    }

    #[test]
    fn a_healthy_blob_is_told_by_all_and_a_silent_node_with_the_time_it_had() {
        assert_eq!(
            told(100, &[]),
            "ID\n  CERTIFIED since epoch 1 · until epoch 6 (exclusive) · now epoch 2\n  \
             100 of 100 shards answered, all 5 nodes were asked\n"
        );
        let named = json!({ "state": "certified", "name": "a\u{1b}[2J.txt", "epoch": 2,
            "shards": { "total": 100 }, "nodes": { "asked": 5 } });
        let standing = Standing { state: None, answered: 100, silent: Vec::new() };
        let text = people("ID", &named, &standing, &More::default());
        assert!(text.starts_with("ID  a\\u{1b}[2J.txt\n  CERTIFIED"), "{text}");
        let text = told(80, &[("n5 (12D3)", "gave no answer in time")]);
        assert!(text.ends_with(
            "  80 of 100 shards answered, all 5 nodes were asked and given 2.0 s\n  \
             silent: n5 (12D3): gave no answer in time\n"
        ));
    }
}
