//! `haulout status`: what the committee says of a blob.

use clap::Args;
use haulout_actors::session::locate::Standing;
use haulout_protocol::wire::blob::State;
use serde_json::{Value, json};

use super::Cli;
use super::output::Output;
use crate::error::{Error, Kind, Result};
use crate::failures;
use crate::light_client::LightClient;
use crate::words::label;

/// Say what the network knows of a blob
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The blob's id
    #[arg(allow_hyphen_values = true, value_name = "ID")]
    id: String,
}

impl Status {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let blob_id = super::parse_id(&self.id)?;
        let config = cli.reader()?;
        let client = LightClient::connect(config).await?;
        let (shards, epoch) = (client.shards(), client.epoch());
        let standing = client.status(&blob_id).await;
        client.close().await;
        let Some(state) = standing.state else {
            let message = format!(
                "only {} of {shards} shards answer, too few to say{}",
                standing.answered,
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
            "state": name,
            "epoch": epoch,
            "shards": { "answered": standing.answered, "total": shards },
            "silent": failures::members(&standing.silent),
        });
        if let (Some(json), Value::Object(facts)) = (json.as_object_mut(), facts) {
            json.extend(facts);
        }
        let people = people(&blob_id.to_string(), &json, &standing, shards);
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

fn people(blob_id: &str, json: &Value, standing: &Standing, shards: u16) -> String {
    let name = json["state"].as_str().unwrap_or_default().to_uppercase();
    let mut text = format!("{blob_id}\n  {name}");
    if let Some(epoch) = json.get("certified_epoch") {
        text.push_str(&format!(" since epoch {epoch}"));
    }
    if let Some(epoch) = json.get("end_epoch") {
        text.push_str(&format!(" · until epoch {epoch} (exclusive)"));
    }
    text.push_str(&format!(" · now epoch {}\n", json["epoch"]));
    text.push_str(&format!("  {} of {shards} shards answered\n", standing.answered));
    for (node, reason) in &standing.silent {
        text.push_str(&format!("  silent: {}: {}\n", label(node), label(reason)));
    }
    text
}
