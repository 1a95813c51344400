//! `haulout put`: stores a file or stdin.

use std::path::PathBuf;

use clap::Args;
use haulout_actors::session::upload::{PutOptions, PutReport};
use serde_json::{Value, json};
use tracing::Instrument;

use super::Cli;
use super::estimate;
use super::output::{Output, size};
use crate::error::Result;
use crate::failures;
use crate::input::Input;
use crate::light_client::LightClient;
use crate::progress::{self, Stages};
use crate::words::{label, sui, wal};

/// Store a file; `-` reads stdin
#[derive(Debug, Args)]
pub(super) struct Put {
    /// The file; `-` reads stdin
    file: PathBuf,
    /// Keep it for so many epochs, the current one included
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Give up the right to delete it before its time
    #[arg(long)]
    permanent: bool,
    /// Store it again even if the network holds it for long enough
    #[arg(long)]
    force: bool,
    /// Store it even if not a byte comes from stdin or a pipe
    #[arg(long)]
    allow_empty: bool,
    /// Only show what it would cost; nothing is sent or paid
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
}

impl Put {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let config = cli.load(Vec::new())?.client()?;
        let (file, folder) = (self.file.clone(), config.state_dir.clone());
        let input = super::blocking(move || Input::named(&file, || Ok(folder))).await?;
        let input = if self.allow_empty { input } else { input.not_empty()? };
        let name = input.name().to_owned();
        if self.dry_run {
            return estimate::show(config, output, &name, input.length(), self.epochs).await;
        }
        let client = LightClient::connect(config).await?;
        let stages = Stages::new(output.bars(), &progress::PUT, input.length(), client.shards());
        let options =
            PutOptions { epochs: self.epochs, deletable: !self.permanent, force: self.force };
        let span = tracing::info_span!("put", bytes = input.length());
        let stored =
            client.put(input.into_source(), options, &stages.observer()).instrument(span).await;
        stages.finish();
        client.close().await;
        let report = stored?;
        output.result(&to_json(&report), &report.blob_id.to_string(), &to_text(&name, &report));
        Ok(())
    }
}

fn to_json(report: &PutReport) -> Value {
    json!({
        "blob_id": report.blob_id.to_string(),
        "size": report.length,
        "content_hash": hex::encode(report.content_hash),
        "object_id": report.object.map(|object| object.to_string()),
        "already_certified": report.object.is_none(),
        "end_epoch": report.end_epoch,
        "cost": { "wal_frost": report.cost.wal, "gas_mist": report.cost.gas },
        "shards": { "confirmed": report.shards.0, "total": report.shards.1 },
        "unhelpful": failures::members(&report.unhelpful),
    })
}

fn to_text(name: &str, report: &PutReport) -> String {
    let verb = if report.object.is_some() { "Stored" } else { "Already stored" };
    let mut text =
        format!("✓ {verb}  {name}  {}\n  blob    {}\n", size(report.length), report.blob_id);
    if let Some(object) = report.object {
        text.push_str(&format!("  object  {object}\n"));
        text.push_str(&format!(
            "  paid    {} + {} gas\n  signed  {} of {} shards\n",
            wal(report.cost.wal),
            sui(report.cost.gas),
            report.shards.0,
            report.shards.1,
        ));
    }
    text.push_str(&format!("  until   epoch {} (exclusive)\n", report.end_epoch));
    for (node, reason) in &report.unhelpful {
        text.push_str(&format!("  without {}: {}\n", label(node), label(reason)));
    }
    text
}
