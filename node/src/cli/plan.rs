//! The plan of a put in words: what is or was done, what was reused, what that saves.
//!
//! Promises: a dry run and a put tell of the same plan in the same words and the same JSON.
//! Does not: make plans.

use haulout_protocol::machine::put_plan::{Existing, Plan};
use haulout_protocol::machine::space::{Cut, Space};
use serde_json::{Value, json};

use super::output::size;
use crate::words::{count, wal};

/// The plan in one word, for programs.
pub(super) fn action(plan: &Plan) -> &'static str {
    match plan {
        Plan::Nothing { .. } => "none",
        Plan::Extend { .. } => "extend",
        Plan::Certify { .. } => "certify",
        Plan::Register { .. } => "register",
    }
}

/// What was done, in a word or two.
pub(super) fn done(plan: &Plan) -> &'static str {
    match plan {
        Plan::Nothing { .. } => "Already stored",
        Plan::Extend { .. } => "Extended",
        Plan::Certify { .. } | Plan::Register { .. } => "Stored",
    }
}

/// The plan for programs.
pub(super) fn to_json(plan: &Plan) -> Value {
    let space = plan.space();
    let extension = space.filter(|space| space.need.is_extension);
    let write = match plan {
        Plan::Register { write, .. } => *write,
        Plan::Nothing { .. } | Plan::Extend { .. } | Plan::Certify { .. } => 0,
    };
    json!({
        "action": action(plan),
        "object_id": existing(plan).map(|existing| existing.object.to_string()),
        "end_epoch_before": existing(plan).map(|existing| existing.end_epoch),
        "end_epoch": plan.end_epoch(),
        "epochs_added": extension.map(|space| space.need.end_epoch - space.need.start_epoch),
        "wal_frost": plan.price(),
        "storage_frost": space.map_or(0, Space::price),
        "write_frost": write,
        "saved_frost": space.map_or(0, |space| space.saved),
        "reused": space.and_then(|space| space.reused.as_ref()).map(cut_json),
    })
}

fn cut_json(cut: &Cut) -> Value {
    json!({
        "storage_id": cut.storage.id.to_string(),
        "size": cut.bytes,
        "start_epoch": cut.start_epoch,
        "end_epoch": cut.end_epoch,
        "split": cut.count() > 0,
    })
}

/// The plan in a sentence, for a dry run.
pub(super) fn sentence(plan: &Plan) -> String {
    match plan {
        Plan::Nothing { existing: Some(existing), end_epoch } => {
            format!("nothing: your object {} keeps it until epoch {end_epoch}", id(existing))
        }
        Plan::Nothing { existing: None, end_epoch } => {
            format!("nothing: somebody's permanent object keeps it until epoch {end_epoch}")
        }
        Plan::Extend { existing, space } => {
            format!("extend your object {} {}", id(existing), added(space))
        }
        Plan::Certify { existing, extension } => {
            let then = extension.as_ref().map(|space| format!(", then extend it {}", added(space)));
            let then = then.unwrap_or_default();
            format!("finish your object {}, which was registered before{then}", id(existing))
        }
        Plan::Register { .. } => "register it as a new object".to_owned(),
    }
}

/// What a result adds to its first line: by how much something became longer.
pub(super) fn how_much_longer(plan: &Plan) -> String {
    let extension = plan.space().filter(|space| space.need.is_extension);
    extension.map(|space| format!("  {}", added(space))).unwrap_or_default()
}

/// The line about storage that is reused, if any is.
pub(super) fn reused(plan: &Plan) -> String {
    let Some(space) = plan.space() else { return String::new() };
    let Some(cut) = &space.reused else { return String::new() };
    let part = if cut.count() > 0 { "a part of " } else { "" };
    let epochs = cut.end_epoch.saturating_sub(space.need.start_epoch);
    format!(
        "  reused  {part}your storage {}\n          {} for {}, saves {}\n",
        cut.storage.id,
        size(cut.bytes),
        count(epochs as usize, "epoch"),
        wal(space.saved),
    )
}

fn existing(plan: &Plan) -> Option<&Existing> {
    match plan {
        Plan::Nothing { existing, .. } => existing.as_ref(),
        Plan::Extend { existing, .. } | Plan::Certify { existing, .. } => Some(existing),
        Plan::Register { .. } => None,
    }
}

fn id(existing: &Existing) -> String {
    existing.object.to_string()
}

/// By how many epochs something is extended.
fn added(space: &Space) -> String {
    let (from, to) = (space.need.start_epoch, space.need.end_epoch);
    let epochs = count(to.saturating_sub(from) as usize, "epoch");
    format!("by {epochs}, from epoch {from} to epoch {to}")
}

#[cfg(test)]
pub(super) mod samples {
    use haulout_protocol::chain::object::Storage;
    use haulout_protocol::machine::put_plan::{Ask, Facts, Plan, plan};

    use crate::holdings::{sample, sample_position};

    /// The plan of a put of two MiB until epoch 9, by a wallet with or without an object until epoch 6 and storage.
    pub(crate) fn sample_plan(owns: bool, has_storage: bool) -> Plan {
        let blobs: Vec<_> = owns.then(|| sample(1, Some(1), 6)).into_iter().collect();
        let storage =
            Storage { id: [7; 32].into(), start_epoch: 1, end_epoch: 8, storage_size: 5 << 20 };
        let storages: Vec<_> = has_storage.then_some(storage).into_iter().collect();
        let terms = sample_position().terms();
        let facts = Facts { terms, blobs: &blobs, storages: &storages, permanent_until: None };
        let ask = Ask { encoded_bytes: 2 << 20, end_epoch: 9, permanent: false, force: false };
        plan(&ask, &facts).expect("there is a plan")
    }
}

#[cfg(test)]
mod tests {
    use super::samples::sample_plan;
    use super::*;

    #[test]
    fn an_extension_says_by_how_much_and_from_when() {
        let plan = sample_plan(true, false);
        assert_eq!((action(&plan), done(&plan)), ("extend", "Extended"));
        assert_eq!(how_much_longer(&plan), "  by 3 epochs, from epoch 6 to epoch 9");
        assert!(sentence(&plan).starts_with("extend your object 0x06"), "{}", sentence(&plan));
        let json = to_json(&plan);
        assert_eq!((&json["epochs_added"], &json["end_epoch_before"]), (&json!(3), &json!(6)));
        // Two MiB and a byte are three units.
        assert_eq!((&json["wal_frost"], &json["write_frost"]), (&json!(45), &json!(0)));
        assert_eq!((reused(&plan), &json["reused"]), (String::new(), &Value::Null));
    }

    #[test]
    fn reused_storage_is_named_with_what_it_saves() {
        let plan = sample_plan(false, true);
        let text = reused(&plan);
        assert!(text.contains(&format!("a part of your storage 0x{}", "07".repeat(32))), "{text}");
        assert!(text.contains("2.00 MiB for 4 epochs, saves 0.00000004 WAL"), "{text}");
        assert_eq!(how_much_longer(&plan), "");
        let json = to_json(&plan);
        assert_eq!((&json["saved_frost"], &json["storage_frost"]), (&json!(40), &json!(10)));
        assert_eq!((&json["reused"]["split"], &json["write_frost"]), (&json!(true), &json!(2)));
    }

    #[test]
    fn who_keeps_a_blob_that_needs_nothing_is_told() {
        let of = |existing| sentence(&Plan::Nothing { existing, end_epoch: 9 });
        let mine = Existing { object: [3; 32].into(), end_epoch: 9, deletable: true };
        assert!(of(Some(mine)).starts_with("nothing: your object 0x03"));
        assert!(of(None).contains("somebody's permanent object keeps it until epoch 9"));
    }
}
