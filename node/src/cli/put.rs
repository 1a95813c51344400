//! `haulout put`: stores a file or stdin.

use std::path::PathBuf;

use clap::Args;
use haulout_actors::session::upload::{PutOptions, PutReport};
use haulout_protocol::machine::put_plan::Plan;
use serde_json::{Value, json};
use tracing::Instrument;

use super::Cli;
use super::estimate;
use super::output::{Output, size};
use super::plan;
use crate::error::Result;
use crate::failures;
use crate::input::Input;
use crate::light_client::LightClient;
use crate::progress::{self, Stages};
use crate::words::{label, sui, wal};

/// Store a file; `-` reads stdin
///
/// Pays only for what is missing: an object of yours that ends too soon is extended, storage that a deleted blob left
/// you is used, and a blob that somebody else stored permanently for as long needs nothing.
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
    /// Make a new object even if yours or a permanent one keeps it for long enough
    #[arg(long)]
    force: bool,
    /// Store it even if not a byte comes from stdin or a pipe
    #[arg(long)]
    allow_empty: bool,
    /// Only show what it would do and cost; nothing is sent or paid
    #[arg(long)]
    dry_run: bool,
}

impl Put {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let config = cli.load(Vec::new())?.client()?;
        let (file, folder) = (self.file.clone(), config.state_dir.clone());
        let input = super::blocking(move || Input::named(&file, || Ok(folder))).await?;
        let input = if self.allow_empty { input } else { input.not_empty()? };
        let options =
            PutOptions { epochs: self.epochs, deletable: !self.permanent, force: self.force };
        if self.dry_run {
            return estimate::show(config, output, input, options).await;
        }
        let name = input.name().to_owned();
        let client = LightClient::connect(config).await?;
        let stages = Stages::new(output.bars(), &progress::PUT, input.length(), client.shards());
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
        "action": plan::action(&report.plan),
        "already_certified": matches!(report.plan, Plan::Nothing { .. }),
        "end_epoch": report.end_epoch,
        "cost": { "wal_frost": report.cost.wal, "gas_mist": report.cost.gas },
        "plan": plan::to_json(&report.plan),
        "shards": { "confirmed": report.shards.0, "total": report.shards.1 },
        "unhelpful": failures::members(&report.unhelpful),
    })
}

fn to_text(name: &str, report: &PutReport) -> String {
    let mut text = format!(
        "✓ {}  {name}  {}{}\n  blob    {}\n",
        plan::done(&report.plan),
        size(report.length),
        plan::how_much_longer(&report.plan),
        report.blob_id
    );
    match &report.object {
        Some(id) => text.push_str(&format!("  object  {id}\n")),
        None => text.push_str("  object  none of yours: somebody's permanent object keeps it\n"),
    }
    text.push_str(&plan::reused(&report.plan));
    if !matches!(report.plan, Plan::Nothing { .. }) {
        let (paid, gas) = (wal(report.cost.wal), sui(report.cost.gas));
        text.push_str(&format!("  paid    {paid} + {gas} gas\n"));
    }
    if report.shards.0 > 0 {
        let (signed, all) = report.shards;
        text.push_str(&format!("  signed  {signed} of {all} shards\n"));
    }
    text.push_str(&format!("  until   epoch {} (exclusive)\n", report.end_epoch));
    for (node, reason) in &report.unhelpful {
        text.push_str(&format!("  without {}: {}\n", label(node), label(reason)));
    }
    text
}

#[cfg(test)]
mod tests {
    use haulout_actors::session::upload::Cost;
    use haulout_protocol::blob::BlobId;

    use super::plan::samples::sample_plan;
    use super::*;

    fn report(plan: Plan, shards: u16) -> PutReport {
        PutReport {
            blob_id: BlobId::from_bytes([1; 32]),
            length: 1 << 20,
            content_hash: [2; 32],
            end_epoch: plan.end_epoch(),
            object: Some([3; 32].into()),
            cost: Cost { wal: plan.price(), gas: 2_000_000 },
            plan,
            shards: (shards, 4),
            unhelpful: Vec::new(),
        }
    }

    #[test]
    fn an_extension_is_told_as_one_and_nobody_signed_it() {
        let report = report(sample_plan(true, false), 0);
        let text = to_text("file", &report);
        let first = "✓ Extended  file  1.00 MiB  by 3 epochs, from epoch 6 to epoch 9\n";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("paid    0.000000045 WAL + 0.002 SUI gas"), "{text}");
        assert!(!text.contains("signed"), "{text}");
        let json = to_json(&report);
        assert_eq!((&json["action"], &json["plan"]["epochs_added"]), (&json!("extend"), &json!(3)));
        assert_eq!(json["already_certified"], false);
    }

    #[test]
    fn a_blob_that_somebody_else_keeps_is_no_object_of_the_caller() {
        let kept = Plan::Nothing { existing: None, end_epoch: 9 };
        let kept = PutReport { object: None, ..report(kept, 0) };
        let text = to_text("file", &kept);
        assert!(text.starts_with("✓ Already stored  file"), "{text}");
        assert!(text.contains("none of yours") && !text.contains("paid"), "{text}");
        let json = to_json(&kept);
        assert_eq!((&json["object_id"], &json["action"]), (&Value::Null, &json!("none")));
        assert_eq!(json["already_certified"], true);
    }

    #[test]
    fn a_stored_blob_names_the_storage_it_reuses() {
        let text = to_text("file", &report(sample_plan(false, true), 4));
        assert!(text.starts_with("✓ Stored  file  1.00 MiB\n"), "{text}");
        assert!(text.contains("reused  a part of your storage 0x07"), "{text}");
        assert!(text.contains("signed  4 of 4 shards"), "{text}");
    }
}
