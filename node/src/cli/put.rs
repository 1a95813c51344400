//! `haulout put`: stores a file or stdin.

use std::path::PathBuf;

use clap::Args;
use haulout_actors::chain::{Cost, Receipt};
use haulout_actors::session::upload::{PutOptions, PutReport};
use haulout_protocol::machine::put_plan::Plan;
use serde_json::{Value, json};
use tracing::Instrument;

use super::Cli;
use super::estimate;
use super::output::{Output, size};
use super::plan;
use crate::error::{Error, Kind, Result};
use crate::failures;
use crate::input::Input;
use crate::light_client::LightClient;
use crate::names;
use crate::progress::{self, Stages};
use crate::words::{label, sui, wal};

/// Store a file; `-` reads stdin
///
/// Pays only for what is missing: an object of yours that ends too soon is extended, storage that a deleted blob left
/// you is used, and a blob that somebody else stored permanently for as long needs nothing.
///
/// The file's name is remembered on this machine for `haulout ls` and told to nobody, unless --public-name says so.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  haulout put FILE --epochs 10\n  tar c . | haulout put - --name backup.tar\n  \
                        haulout put FILE --public-name   # `haulout ls` on your other machines shows the name, too"
)]
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
    /// What `haulout ls` calls it, in place of the file's name; only this machine knows it
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,
    /// Write the name on the ledger, too: everybody can read it, and a transaction's gas is paid
    #[arg(long)]
    public_name: bool,
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
        let own_name = self.own_name(&input)?;
        if self.dry_run {
            let public_name = own_name.filter(|_| self.public_name);
            return estimate::show(config, output, input, options, public_name).await;
        }
        let (name, folder) = (input.name().to_owned(), config.state_dir.clone());
        let client = LightClient::connect(config).await?;
        let stages = Stages::new(output.bars(), &progress::PUT, input.length(), client.shards());
        let span = tracing::info_span!("put", bytes = input.length());
        let stored =
            client.put(input.into_source(), options, &stages.observer()).instrument(span).await;
        stages.finish();
        let named = match (&stored, own_name) {
            (Ok(report), Some(name)) => self.keep_name(&client, folder, report, name).await,
            _ => Ok(Named::default()),
        };
        client.close().await;
        let (mut report, named) = (stored?, named?);
        report.cost = report.cost.plus(Cost { wal: 0, gas: named.gas() });
        let essential = report.blob_id.to_string();
        output.result(&to_json(&report, &named), &essential, &to_text(&name, &report, &named));
        Ok(())
    }

    /// The name to remember: the one that was given, else the file's; a stream has none.
    fn own_name(&self, input: &Input) -> Result<Option<String>> {
        let of_file = || self.file.file_name().filter(|_| !input.is_stream());
        let name = self.name.clone();
        let name = name.or_else(|| of_file().map(|name| names::cut(&name.to_string_lossy())));
        if self.public_name && name.is_none() {
            return Err(Error::new(Kind::Usage, "a stream has no name that could be public")
                .hint("give it one with --name"));
        }
        Ok(name)
    }

    /// Remembers the name here, and writes it on the ledger if that was asked for.
    async fn keep_name(
        &self,
        client: &LightClient,
        folder: PathBuf,
        report: &PutReport,
        name: String,
    ) -> Result<Named> {
        let (object, blob) = (report.object.map(|id| id.to_string()), report.blob_id.to_string());
        let (kept, own) = (name.clone(), object.clone());
        let kept =
            super::blocking(move || Ok(names::remember(&folder, own.as_deref(), &blob, &kept)));
        let is_kept = match kept.await? {
            Ok(()) => true,
            Err(error) => {
                names::warn("the blob is stored, its name is not remembered", &error);
                false
            }
        };
        if !self.public_name {
            return Ok(Named { name: is_kept.then_some(name), public: None });
        }
        let public = publish(client, report, &name).await?;
        Ok(Named { name: Some(name), public: Some(public) })
    }
}

/// What became of the blob's name.
#[derive(Debug, Default)]
struct Named {
    /// The name, if it is kept anywhere.
    name: Option<String>,
    /// If it is on the ledger: the transaction that wrote it, or none if it was there before.
    public: Option<Option<Receipt>>,
}

impl Named {
    fn gas(&self) -> u64 {
        self.public.iter().flatten().map(|receipt| receipt.gas).sum()
    }
}

/// Writes the name on the ledger; a failure says that the blob itself is stored.
async fn publish(client: &LightClient, report: &PutReport, name: &str) -> Result<Option<Receipt>> {
    let id = report.blob_id;
    let Some(object) = &report.object else {
        let message = format!(
            "the blob {id} is stored, but somebody's permanent object keeps it, and only an object \
             of yours can carry a public name"
        );
        return Err(Error::new(Kind::Usage, message)
            .hint("put it again with --force, which pays for an object of yours"));
    };
    client.publish_name(object, name).await.map_err(|error| {
        let why = error.message();
        let message = format!("the blob {id} is stored, but its name is not on the ledger: {why}");
        Error::new(error.kind(), message)
            .hint("put it again with --public-name: only the name is paid for")
            .detail("blob_id", id.to_string())
            .detail("object_id", object.to_string())
    })
}

/// A name in an argument.
fn name(text: &str) -> Result<String, String> {
    match text.trim().is_empty() || names::cut(text) != text {
        true => Err(format!("a name has 1 to {} bytes and is not blank", names::NAME_BYTES_MAX)),
        false => Ok(text.to_owned()),
    }
}

fn to_json(report: &PutReport, named: &Named) -> Value {
    let written = |receipt: &Receipt| json!({ "digest": receipt.digest, "gas_mist": receipt.gas });
    json!({
        "blob_id": report.blob_id.to_string(),
        "name": named.name,
        "name_is_public": named.public.is_some(),
        "name_transaction": named.public.iter().flatten().next().map(written),
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

fn to_text(name: &str, report: &PutReport, named: &Named) -> String {
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
    if let (Some(name), Some(written)) = (&named.name, &named.public) {
        let how = if written.is_some() { "is now" } else { "was already" };
        text.push_str(&format!("  name    {} {how} on the ledger, for everybody\n", label(name)));
    }
    if !matches!(report.plan, Plan::Nothing { .. }) || named.gas() > 0 {
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
        let text = to_text("file", &report, &Named::default());
        let first = "✓ Extended  file  1.00 MiB  by 3 epochs, from epoch 6 to epoch 9\n";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("paid    0.000000045 WAL + 0.002 SUI gas"), "{text}");
        assert!(!text.contains("signed"), "{text}");
        let json = to_json(&report, &Named::default());
        assert_eq!((&json["action"], &json["plan"]["epochs_added"]), (&json!("extend"), &json!(3)));
        assert_eq!(json["already_certified"], false);
    }

    #[test]
    fn a_blob_that_somebody_else_keeps_is_no_object_of_the_caller() {
        let kept = Plan::Nothing { existing: None, end_epoch: 9 };
        let kept = PutReport { object: None, ..report(kept, 0) };
        let text = to_text("file", &kept, &Named::default());
        assert!(text.starts_with("✓ Already stored  file"), "{text}");
        assert!(text.contains("none of yours") && !text.contains("paid"), "{text}");
        let json = to_json(&kept, &Named::default());
        assert_eq!((&json["object_id"], &json["action"]), (&Value::Null, &json!("none")));
        assert_eq!(json["already_certified"], true);
    }

    #[test]
    fn a_stored_blob_names_the_storage_it_reuses() {
        let text = to_text("file", &report(sample_plan(false, true), 4), &Named::default());
        assert!(text.starts_with("✓ Stored  file  1.00 MiB\n"), "{text}");
        assert!(text.contains("reused  a part of your storage 0x07"), "{text}");
        assert!(text.contains("signed  4 of 4 shards"), "{text}");
    }

    #[test]
    fn a_public_name_is_told_with_what_it_cost_even_if_the_blob_cost_nothing() {
        let kept = Plan::Nothing { existing: None, end_epoch: 9 };
        let receipt = Receipt { digest: "D".to_owned(), checkpoint: None, gas: 1_000_000 };
        let name = Some("a\n.txt".to_owned());
        let named = Named { name: name.clone(), public: Some(Some(receipt)) };
        let mut kept = report(kept, 0);
        kept.cost = Cost { wal: 0, gas: named.gas() };
        let text = to_text("file", &kept, &named);
        assert!(text.contains("name    a\\n.txt is now on the ledger"), "{text}");
        assert!(text.contains("paid    0 WAL + 0.001 SUI gas"), "{text}");
        let json = to_json(&kept, &named);
        assert_eq!((&json["name"], &json["name_is_public"]), (&json!("a\n.txt"), &json!(true)));
        assert_eq!(json["name_transaction"]["gas_mist"], 1_000_000);
        let named = Named { name, public: None };
        assert!(!to_text("file", &kept, &named).contains("ledger"));
        assert_eq!(to_json(&kept, &named)["name_is_public"], false);
    }

    #[test]
    fn a_name_that_no_list_could_show_is_refused() {
        assert_eq!(name("père noël").as_deref(), Ok("père noël"));
        for wrong in ["", " \t", &"x".repeat(256)] {
            assert!(name(wrong).unwrap_err().contains("255 bytes"), "{wrong:?}");
        }
    }
}
