//! `haulout rm`: deletes a blob the wallet owns, or destroys its object.

use std::path::PathBuf;

use clap::Args;
use haulout_actors::chain::Receipt;
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::object::Blob;
use serde_json::{Value, json};

use super::Cli;
use super::output::{Output, size};
use super::owner::{Consent, Which, one_word, skipped_json, skipped_text};
use crate::error::Result;
use crate::holdings::{Removal, RemovalPlan};
use crate::ledger_client::LedgerClient;
use crate::names;
use crate::words::sui;

/// Delete a blob before its time
///
/// Its storage object stays with the owner: the next put uses it, `haulout ls --storage` lists it. A permanent blob cannot be deleted; --burn destroys its
/// object, and the data stays until its end. Readers may have copies: deleting does not undo reading.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  haulout rm ID --dry-run\n  haulout rm --object 0x… --yes\n  \
                        haulout rm ID --burn     # for expired and permanent blobs")]
pub(super) struct Rm {
    #[command(flatten)]
    which: Which,
    /// Destroy the object and its storage; the data stays until its end
    #[arg(long)]
    burn: bool,
    #[command(flatten)]
    consent: Consent,
}

impl Rm {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let target = self.which.target("`haulout rm ID`")?;
        let config = cli.load(Vec::new())?.client()?;
        let folder = config.state_dir.clone();
        let client = LedgerClient::connect(config).await?;
        let removal = if self.burn { Removal::Burn } else { Removal::Delete };
        let plan = client.plan_removal(&target, removal).await?;
        let essential = essential(&plan);
        if self.consent.dry_run {
            output.result(&to_json(&plan, None), &essential, &to_text(&plan, None));
        } else if self.consent.given(&to_text(&plan, None), output).await? {
            let receipt = client.remove(&plan).await?;
            one_word(&receipt);
            if receipt.only_said_by.is_none() {
                forget(folder, &plan).await?;
            }
            output.result(
                &to_json(&plan, Some(&receipt)),
                &essential,
                &to_text(&plan, Some(&receipt)),
            );
        }
        Ok(())
    }
}

/// Forgets the names of what was removed; a failure costs no more than a line in a file.
async fn forget(folder: PathBuf, plan: &RemovalPlan) -> Result<()> {
    let ids = |blob: &Blob| (blob.id.to_string(), BlobId::from_bytes(blob.blob_id).to_string());
    let objects: Vec<_> = plan.objects.iter().map(ids).collect();
    let forgotten = super::blocking(move || Ok(names::forget(&folder, &objects)));
    if let Err(error) = forgotten.await? {
        names::warn("names of removed blobs are still kept", &error);
    }
    Ok(())
}

/// What is worth keeping: the storage that stays, or the objects that go.
fn essential(plan: &RemovalPlan) -> String {
    let id = |blob: &Blob| match plan.removal {
        Removal::Delete => blob.storage.id.to_string(),
        Removal::Burn => blob.id.to_string(),
    };
    plan.objects.iter().map(id).collect::<Vec<_>>().join("\n")
}

fn to_json(plan: &RemovalPlan, receipt: Option<&Receipt>) -> Value {
    let one = |blob: &Blob| {
        json!({
            "object_id": blob.id.to_string(),
            "blob_id": BlobId::from_bytes(blob.blob_id).to_string(),
            "size": blob.size,
            "deletable": blob.deletable,
            "storage": {
                "object_id": blob.storage.id.to_string(),
                "size": blob.storage.storage_size,
                "start_epoch": blob.storage.start_epoch,
                "end_epoch": blob.storage.end_epoch,
                "kept": plan.removal == Removal::Delete,
            },
        })
    };
    json!({
        "dry_run": receipt.is_none(),
        "burn": plan.removal == Removal::Burn,
        "objects": plan.objects.iter().map(one).collect::<Vec<_>>(),
        "skipped": skipped_json(&plan.skipped),
        "gas_mist": receipt.map(|receipt| receipt.gas),
        "digest": receipt.map(|receipt| &receipt.digest),
        "only_said_by": receipt.and_then(|receipt| receipt.only_said_by.as_ref()),
    })
}

/// What will happen or, with a receipt, what happened.
fn to_text(plan: &RemovalPlan, receipt: Option<&Receipt>) -> String {
    let verb = match (plan.removal, receipt) {
        (Removal::Delete, None) => "delete",
        (Removal::Delete, Some(_)) => "✓ Deleted",
        (Removal::Burn, None) => "burn",
        (Removal::Burn, Some(_)) => "✓ Burned",
    };
    let mut text = String::new();
    for blob in &plan.objects {
        let id = BlobId::from_bytes(blob.blob_id);
        text.push_str(&format!("{verb}  {id}  {}\n", size(blob.size)));
        text.push_str(&format!("  object   {}\n", blob.id));
        text.push_str(&fate(plan.removal, blob));
    }
    text.push_str(&skipped_text(&plan.skipped));
    if let Some(receipt) = receipt {
        text.push_str(&format!("  paid     {} gas\n", sui(receipt.gas)));
    }
    text
}

/// What becomes of a blob's storage and data.
fn fate(removal: Removal, blob: &Blob) -> String {
    let (id, end) = (blob.storage.id.to_string(), blob.storage.end_epoch);
    match removal {
        Removal::Delete => format!(
            "  storage  {id}\n           {} until epoch {end}, stays yours: `haulout put` uses it, \
             `haulout ls --storage` lists it\n",
            size(blob.storage.storage_size)
        ),
        Removal::Burn => {
            format!("  storage  is destroyed, too; nodes keep the data until epoch {end}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holdings::sample;

    fn plan(removal: Removal) -> RemovalPlan {
        let permanent = Blob { deletable: false, ..sample(1, Some(1), 9) };
        RemovalPlan::new(vec![permanent, sample(1, Some(1), 6)], removal, 4).unwrap()
    }

    #[test]
    fn a_deletion_names_the_storage_that_stays_and_the_object_that_cannot_go() {
        let text = to_text(&plan(Removal::Delete), None);
        assert!(text.starts_with("delete  AQEB"), "{text}");
        assert!(text.contains(&format!("storage  0x{}", "fe".repeat(32))), "{text}");
        assert!(text.contains("2.00 MiB until epoch 6, stays yours"), "{text}");
        assert!(text.contains("left alone: the blob object 0x09"), "{text}");
        assert_eq!(essential(&plan(Removal::Delete)), format!("0x{}", "fe".repeat(32)));
    }

    #[test]
    fn burning_says_that_the_data_stays() {
        let receipt =
            Receipt { digest: "D".to_owned(), checkpoint: None, gas: 1, only_said_by: None };
        let text = to_text(&plan(Removal::Burn), Some(&receipt));
        assert!(
            text.contains("✓ Burned") && text.contains("keep the data until epoch 9"),
            "{text}"
        );
        let json = to_json(&plan(Removal::Burn), Some(&receipt));
        assert_eq!(json["objects"].as_array().map(Vec::len), Some(2));
        assert_eq!(json["objects"][0]["storage"]["kept"], false);
        assert_eq!((&json["dry_run"], &json["digest"]), (&json!(false), &json!("D")));
    }
}
