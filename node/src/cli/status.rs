//! `haulout status`: what the committee says of a blob.

use std::time::{Duration, Instant};

use clap::Args;
use haulout_actors::session::locate::Standing;
use haulout_protocol::wire::blob::State;
use serde_json::{Value, json};

use super::Cli;
use super::output::Output;
use crate::error::{Error, Kind, Result};
use crate::failures;
use crate::light_client::LightClient;
use crate::names::Names;
use crate::words::label;

/// Say what the network knows of a blob
///
/// Its name, if there is one, is what this machine remembers of a put; nobody is asked for it.
#[derive(Debug, Args)]
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
        client.close().await;
        let Some(state) = standing.state else {
            let message = format!(
                "only {} of {shards} shards answer within {}, too few to say{}",
                standing.answered,
                seconds(waited),
                failures::blamed(&standing.silent)
            );
            return Err(Error::new(Kind::Unavailable, message)
                .detail("missing", failures::members(&standing.silent)));
        };
        let (name, facts) = describe(&state);
        if let State::Nonexistent = state {
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
        let people = people(&blob_id.to_string(), &json, &standing);
        output.result(&json, name, &people);
        Ok(())
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

fn people(blob_id: &str, json: &Value, standing: &Standing) -> String {
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
    let (answered, shards) = (standing.answered, &json["shards"]["total"]);
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
        people("ID", &json, &Standing { state: None, answered, silent })
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
        let text = people("ID", &named, &standing);
        assert!(text.starts_with("ID  a\\u{1b}[2J.txt\n  CERTIFIED"), "{text}");
        let text = told(80, &[("n5 (12D3)", "gave no answer in time")]);
        assert!(text.ends_with(
            "  80 of 100 shards answered, all 5 nodes were asked and given 2.0 s\n  \
             silent: n5 (12D3): gave no answer in time\n"
        ));
    }
}
