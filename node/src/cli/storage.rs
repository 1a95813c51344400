//! `haulout storage`: the wallet's free storage: space that is paid for and in which no blob lives.

use clap::{Args, Subcommand};
use haulout_actors::chain::Receipt;
use haulout_protocol::chain::object::Storage;
use haulout_protocol::machine::fusion::Joint;
use serde_json::{Value, json};

use super::Cli;
use super::ls;
use super::output::{Output, size};
use super::owner::{Consent, one_word, parse_object};
use crate::calendar::Calendar;
use crate::error::Result;
use crate::holdings::storages::{DestructionPlan, Doomed, FusionPlan};
use crate::ledger_client::LedgerClient;
use crate::words::{count, sui};

/// Free storage: list it, join it, throw it away
#[derive(Debug, Subcommand)]
pub(super) enum FreeStorage {
    Ls(Ls),
    #[command(alias = "join")]
    Fuse(Fuse),
    Destroy(Destroy),
}

/// List storage in which no blob lives, as `haulout ls --storage` does
#[derive(Debug, Args)]
pub(super) struct Ls {
    /// List what is over, in place of the rest
    #[arg(long)]
    expired: bool,
    /// Show whole ids and dates, however narrow the terminal is
    #[arg(long)]
    wide: bool,
}

/// Join free storage that fits together, so that one object holds a larger blob
///
/// Objects that end together become one, and so do those of the same size of which one begins where the other ends. No
/// byte that is paid for is lost from the current epoch on; a put cuts off what it needs again. Only gas is paid.
#[derive(Debug, Args)]
pub(super) struct Fuse {
    #[command(flatten)]
    consent: Consent,
}

/// Throw storage objects away; nothing is paid back
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  haulout storage destroy --expired --dry-run\n  \
                        haulout storage destroy 0x… --yes")]
pub(super) struct Destroy {
    /// The objects, as `haulout storage ls` prints them
    #[arg(value_name = "OBJECT", required_unless_present = "expired", conflicts_with = "expired")]
    objects: Vec<String>,
    /// All of the wallet's whose time is over
    #[arg(long)]
    expired: bool,
    #[command(flatten)]
    consent: Consent,
}

impl FreeStorage {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let doomed = match self {
            FreeStorage::Destroy(destroy) => Some(destroy.doomed()?),
            FreeStorage::Ls(_) | FreeStorage::Fuse(_) => None,
        };
        let client = LedgerClient::connect(cli.load(Vec::new())?.client()?).await?;
        match (self, doomed) {
            (FreeStorage::Ls(list), _) => {
                ls::show_storage(&client, list.expired, list.wide, output).await
            }
            (FreeStorage::Fuse(fuse), _) => fuse.run(&client, output).await,
            (FreeStorage::Destroy(destroy), doomed) => {
                destroy.run(&client, &doomed.unwrap_or(Doomed::Expired), output).await
            }
        }
    }
}

impl Fuse {
    async fn run(&self, client: &LedgerClient, output: &Output) -> Result<()> {
        let (plan, calendar) = (client.plan_fusion().await?, client.calendar());
        let fewer = plan.joints.len().to_string();
        let told = |done: Option<&Receipt>| {
            (fusion_json(&plan, done), fusion_text(&plan, &calendar, done))
        };
        if plan.joints.is_empty() || self.consent.dry_run {
            let (json, text) = told(None);
            output.result(&json, &fewer, &text);
        } else if self.consent.given(&told(None).1, output).await? {
            let done = client.fuse(&plan).await?;
            one_word(&done);
            let (json, text) = told(Some(&done));
            output.result(&json, &fewer, &text);
        }
        Ok(())
    }
}

impl Destroy {
    fn doomed(&self) -> Result<Doomed> {
        if self.expired {
            return Ok(Doomed::Expired);
        }
        const OF_BLOB: &str = "`haulout rm ID` deletes a blob and frees its storage, which `haulout storage ls` lists";
        let of_blob = |text: &String| OF_BLOB.replacen("ID", text, 1);
        let ids = self
            .objects
            .iter()
            .map(|text| parse_object(text, "`haulout storage ls`", &of_blob(text)));
        Ok(Doomed::Objects(ids.collect::<Result<_>>()?))
    }

    async fn run(&self, client: &LedgerClient, doomed: &Doomed, output: &Output) -> Result<()> {
        let plan = client.plan_destruction(doomed).await?;
        let calendar = client.calendar();
        let ids: Vec<String> = plan.storages.iter().map(|storage| storage.id.to_string()).collect();
        let told = |done: Option<&Receipt>| {
            (destruction_json(&plan, done), destruction_text(&plan, &calendar, done))
        };
        if plan.storages.is_empty() || self.consent.dry_run {
            let (json, text) = told(None);
            output.result(&json, &ids.join("\n"), &text);
        } else if self.consent.given(&told(None).1, output).await? {
            let done = client.destroy(&plan).await?;
            one_word(&done);
            let (json, text) = told(Some(&done));
            output.result(&json, &ids.join("\n"), &text);
        }
        Ok(())
    }
}

fn fusion_json(plan: &FusionPlan, done: Option<&Receipt>) -> Value {
    let one = |joint: &Joint| {
        let objects = joint.piece.objects();
        json!({
            "objects": objects.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "size": joint.bytes,
            "start_epoch": joint.start_epoch,
            "end_epoch": joint.end_epoch,
        })
    };
    json!({
        "dry_run": done.is_none(),
        "joined": plan.joints.iter().map(one).collect::<Vec<_>>(),
        "more": plan.is_part,
        "gas_mist": done.map(|done| done.gas),
        "digest": done.map(|done| &done.digest),
        "only_said_by": done.and_then(|done| done.only_said_by.as_ref()),
    })
}

fn fusion_text(plan: &FusionPlan, calendar: &Calendar, done: Option<&Receipt>) -> String {
    if plan.joints.is_empty() {
        return "Nothing to join: no two free storage objects fit together.\n".to_owned();
    }
    let verb = if done.is_some() { "✓ Joined" } else { "join" };
    let mut text = String::new();
    for joint in &plan.joints {
        let objects = count(joint.piece.objects().len(), "object");
        let (size, until) = (size(joint.bytes), calendar.until(joint.end_epoch));
        text.push_str(&format!("{verb}  {objects} into {size} until {until}\n"));
    }
    if plan.is_part {
        text.push_str("  more can be joined after that: `haulout storage fuse`\n");
    }
    paid(&mut text, done);
    text
}

fn destruction_json(plan: &DestructionPlan, done: Option<&Receipt>) -> Value {
    let one = |storage: &Storage| {
        json!({
            "object_id": storage.id.to_string(),
            "size": storage.storage_size,
            "start_epoch": storage.start_epoch,
            "end_epoch": storage.end_epoch,
        })
    };
    json!({
        "dry_run": done.is_none(),
        "destroyed": plan.storages.iter().map(one).collect::<Vec<_>>(),
        "left": plan.left,
        "gas_mist": done.map(|done| done.gas),
        "digest": done.map(|done| &done.digest),
        "only_said_by": done.and_then(|done| done.only_said_by.as_ref()),
    })
}

fn destruction_text(plan: &DestructionPlan, calendar: &Calendar, done: Option<&Receipt>) -> String {
    if plan.storages.is_empty() {
        return "Nothing to destroy: no free storage object is over.\n".to_owned();
    }
    let verb = if done.is_some() { "✓ Destroyed" } else { "destroy" };
    let mut text = String::new();
    for storage in &plan.storages {
        let (id, size, end) = (storage.id, size(storage.storage_size), storage.end_epoch);
        let fate = match end <= calendar.epoch {
            true => format!("over since epoch {end}"),
            false => format!("paid until {}, and lost", calendar.until(end)),
        };
        text.push_str(&format!("{verb}  {id}  {size}, {fate}\n"));
    }
    if plan.left > 0 {
        let left = count(plan.left, "object");
        text.push_str(&format!("  {left} more than one transaction takes: ask again after that\n"));
    }
    paid(&mut text, done);
    text
}

fn paid(text: &mut String, done: Option<&Receipt>) {
    if let Some(done) = done {
        text.push_str(&format!("  paid  {} gas\n", sui(done.gas)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALENDAR: Calendar =
        Calendar { epoch: 4, started_ms: 0, duration_ms: 0, now_ms: 0, ahead_ms: 0 };

    fn storage(id: u8, end_epoch: u32) -> Storage {
        Storage { id: [id; 32].into(), start_epoch: 1, end_epoch, storage_size: 1 << 20 }
    }

    #[test]
    fn what_is_joined_is_told_before_and_after() {
        let plan = FusionPlan::new(&[storage(1, 9), storage(2, 9), storage(3, 8)], 4);
        let text = fusion_text(&plan, &CALENDAR, None);
        assert_eq!(text, "join  2 objects into 2.00 MiB until epoch 9\n");
        let done = Receipt {
            digest: "D".to_owned(),
            checkpoint: None,
            gas: 1_000_000,
            only_said_by: None,
        };
        let text = fusion_text(&plan, &CALENDAR, Some(&done));
        assert!(text.starts_with("✓ Joined  2 ") && text.ends_with("paid  0.001 SUI gas\n"));
        let json = fusion_json(&plan, Some(&done));
        assert_eq!(json["joined"][0]["objects"].as_array().map(Vec::len), Some(2));
        assert_eq!((&json["joined"][0]["size"], &json["digest"]), (&json!(2 << 20), &json!("D")));
        let nothing = fusion_text(&FusionPlan::new(&[storage(1, 9)], 4), &CALENDAR, None);
        assert!(nothing.starts_with("Nothing to join"), "{nothing}");
    }

    #[test]
    fn a_blob_is_no_storage_and_the_hint_names_what_takes_it() {
        let destroy = |text: &str| Destroy {
            objects: vec![text.to_owned()],
            expired: false,
            consent: Consent::default(),
        };
        let blob = "A".repeat(43);
        let hint = destroy(&blob).doomed().unwrap_err().next_step().to_owned();
        assert!(
            hint.contains(&format!("`haulout rm {blob}`")) && !hint.contains("--object"),
            "{hint}"
        );
        let hint = destroy("x").doomed().unwrap_err().next_step().to_owned();
        assert!(hint.contains("`haulout storage ls`"), "{hint}");
    }

    #[test]
    fn what_is_destroyed_before_its_time_is_told_as_lost() {
        let doomed = Doomed::Objects(vec![[1; 32].into(), [2; 32].into()]);
        let plan = DestructionPlan::new(vec![storage(1, 9), storage(2, 4)], &doomed, 4).unwrap();
        let text = destruction_text(&plan, &CALENDAR, None);
        assert!(text.contains("1.00 MiB, over since epoch 4\n"), "{text}");
        assert!(text.contains("1.00 MiB, paid until epoch 9, and lost\n"), "{text}");
        assert_eq!(destruction_json(&plan, None)["destroyed"][1]["end_epoch"], 9);
        let none = DestructionPlan::new(vec![storage(1, 9)], &Doomed::Expired, 4).unwrap();
        assert!(destruction_text(&none, &CALENDAR, None).starts_with("Nothing to destroy"));
    }
}
