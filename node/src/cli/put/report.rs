//! What a put says of a blob it stored: for people, for programs, and on one line of many.

use haulout_actors::chain::Receipt;
use haulout_actors::session::upload::Evidence;
use haulout_protocol::machine::put_plan::Plan;
use serde_json::{Value, json};

use super::Stored;
use crate::calendar::Calendar;
use crate::cli::output::size;
use crate::cli::plan;
use crate::error::Error;
use crate::failures;
use crate::words::{label, sui, wal};

/// What became of the blob's name.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// The name, if it is kept anywhere.
    pub(super) name: Option<String>,
    /// If it is on the ledger: the transaction that wrote it, or none if it was there before.
    pub(super) public: Option<Option<Receipt>>,
    /// Why it is not on the ledger, though it should be.
    pub(super) failed: Option<Error>,
}

impl Named {
    pub(super) fn gas(&self) -> u64 {
        self.public.iter().flatten().map(|receipt| receipt.gas).sum()
    }
}

impl Stored {
    pub(super) fn to_json(&self, calendar: &Calendar) -> Value {
        let Stored { report, named, .. } = self;
        let written =
            |receipt: &Receipt| json!({ "digest": receipt.digest, "gas_mist": receipt.gas });
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
            "end": calendar.date(report.end_epoch),
            "cost": { "wal_frost": report.cost.wal, "gas_mist": report.cost.gas },
            "plan": plan::to_json(&report.plan),
            "shards": { "confirmed": report.shards.0, "total": report.shards.1 },
            "evidence": match report.evidence {
                Evidence::Nodes => "nodes",
                Evidence::Ledger => "ledger",
            },
            "unhelpful": failures::members(&report.unhelpful),
        })
    }

    pub(super) fn to_text(&self, calendar: &Calendar) -> String {
        let Stored { name, report, named } = self;
        let mut text = format!(
            "✓ {}  {name}  {}{}\n  blob    {}\n",
            plan::done(&report.plan),
            size(report.length),
            plan::how_much_longer(&report.plan),
            report.blob_id
        );
        match &report.object {
            Some(id) => text.push_str(&format!("  object  {id}\n")),
            None => {
                text.push_str("  object  none of yours: somebody's permanent object keeps it\n");
            }
        }
        text.push_str(&plan::reused(&report.plan));
        if let (Some(name), Some(written)) = (&named.name, &named.public) {
            let how = if written.is_some() { "is now" } else { "was already" };
            let name = label(name);
            text.push_str(&format!("  name    {name} {how} on the ledger, for everybody\n"));
        }
        if !matches!(report.plan, Plan::Nothing { .. }) || named.gas() > 0 {
            let (paid, gas) = (wal(report.cost.wal), sui(report.cost.gas));
            text.push_str(&format!("  paid    {paid} + {gas} gas\n"));
        }
        let what_they_hold =
            format!("`haulout status {}` says what they hold of it", report.blob_id);
        match (report.shards, report.evidence) {
            // What was not sent is so by the ledger, as nodes have read it; whether they lost it since is another question.
            ((0, _), Evidence::Nodes) => {
                text.push_str(&format!("  nodes   have it on record; {what_they_hold}\n"));
            }
            ((0, _), Evidence::Ledger) => text.push_str(&format!(
                "  nodes   did not answer, the ledger proves it; {what_they_hold}\n"
            )),
            ((signed, all), _) => text.push_str(&format!("  signed  {signed} of {all} shards\n")),
        }
        let until = calendar.until(report.end_epoch);
        text.push_str(&format!("  until   {until} (exclusive)\n"));
        for (node, reason) in &report.unhelpful {
            text.push_str(&format!("  without {}: {}\n", label(node), label(reason)));
        }
        text
    }

    /// The line of one among many.
    pub(super) fn to_line(&self) -> String {
        let Stored { name, report, .. } = self;
        let longer = plan::how_much_longer(&report.plan);
        let (done, size, id) = (plan::done(&report.plan), size(report.length), report.blob_id);
        format!("✓ {done}  {name}  {size}{longer}  {id}\n")
    }
}

#[cfg(test)]
pub(super) mod samples {
    use haulout_actors::chain::Cost;
    use haulout_actors::session::upload::{Evidence, PutReport};
    use haulout_protocol::blob::BlobId;
    use haulout_protocol::machine::put_plan::Plan;

    use super::{Named, Stored};

    /// What a put of a file says that was carried out by a plan, and that nodes of so many shards signed.
    pub(crate) fn sample_stored(plan: Plan, shards: u16) -> Stored {
        let report = PutReport {
            blob_id: BlobId::from_bytes([1; 32]),
            length: 1 << 20,
            content_hash: [2; 32],
            end_epoch: plan.end_epoch(),
            object: Some([3; 32].into()),
            cost: Cost { wal: plan.price(), gas: 2_000_000 },
            plan,
            shards: (shards, 4),
            evidence: Evidence::Nodes,
            unhelpful: Vec::new(),
        };
        Stored::new("file".to_owned(), report, Named::default())
    }
}

#[cfg(test)]
mod tests {
    use super::samples::sample_stored;
    use super::*;
    use crate::cli::plan::samples::sample_plan;

    const CALENDAR: Calendar =
        Calendar { epoch: 4, started_ms: 1, duration_ms: 3_600_000, now_ms: 1, ahead_ms: 0 };

    fn nothing() -> Plan {
        Plan::Nothing { existing: None, end_epoch: 9 }
    }

    #[test]
    fn an_extension_is_told_as_one_and_nobody_signed_it() {
        let stored = sample_stored(sample_plan(true, false), 0);
        let text = stored.to_text(&CALENDAR);
        let first = "✓ Extended  file  1.00 MiB  by 3 epochs, from epoch 6 to epoch 9\n";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("paid    0.000000045 WAL + 0.002 SUI gas"), "{text}");
        assert!(text.contains("until   epoch 9, about 1970-01-01 05:00 UTC (exclusive)"), "{text}");
        assert!(!text.contains("signed"), "{text}");
        let json = stored.to_json(&CALENDAR);
        assert_eq!((&json["action"], &json["plan"]["epochs_added"]), (&json!("extend"), &json!(3)));
        assert_eq!(
            (&json["already_certified"], &json["end"]),
            (&json!(false), &json!("1970-01-01 05:00 UTC"))
        );
    }

    #[test]
    fn a_blob_that_somebody_else_keeps_is_no_object_of_the_caller() {
        let mut kept = sample_stored(nothing(), 0);
        kept.report.object = None;
        let text = kept.to_text(&CALENDAR);
        assert!(text.starts_with("✓ Already stored  file"), "{text}");
        assert!(text.contains("none of yours") && !text.contains("paid"), "{text}");
        assert!(text.contains("nodes   have it on record; `haulout status "), "{text}");
        let json = kept.to_json(&CALENDAR);
        assert_eq!((&json["object_id"], &json["action"]), (&Value::Null, &json!("none")));
        assert_eq!(
            (&json["already_certified"], &json["evidence"]),
            (&json!(true), &json!("nodes"))
        );
        kept.report.evidence = Evidence::Ledger;
        let text = kept.to_text(&CALENDAR);
        assert!(text.contains("nodes   did not answer, the ledger proves it"), "{text}");
        assert_eq!(kept.to_json(&CALENDAR)["evidence"], "ledger");
    }

    #[test]
    fn a_stored_blob_names_the_storage_it_reuses() {
        let text = sample_stored(sample_plan(false, true), 4).to_text(&CALENDAR);
        assert!(text.starts_with("✓ Stored  file  1.00 MiB\n"), "{text}");
        assert!(text.contains("reused  a part of your storage 0x07"), "{text}");
        assert!(text.contains("signed  4 of 4 shards"), "{text}");
    }

    #[test]
    fn a_public_name_is_told_with_what_it_cost_even_if_the_blob_cost_nothing() {
        let receipt = Receipt {
            digest: "D".to_owned(),
            checkpoint: None,
            gas: 1_000_000,
            only_said_by: None,
        };
        let name = Some("a\n.txt".to_owned());
        let named = Named { name: name.clone(), public: Some(Some(receipt)), failed: None };
        let mut report = sample_stored(nothing(), 0).report;
        report.cost.gas = 0;
        let mut kept = Stored::new("file".to_owned(), report, named);
        let text = kept.to_text(&CALENDAR);
        assert!(text.contains("name    a\\n.txt is now on the ledger"), "{text}");
        assert!(text.contains("paid    0 WAL + 0.001 SUI gas"), "{text}");
        let json = kept.to_json(&CALENDAR);
        assert_eq!((&json["name"], &json["name_is_public"]), (&json!("a\n.txt"), &json!(true)));
        assert_eq!(json["name_transaction"]["gas_mist"], 1_000_000);
        kept.named = Named { name, ..Named::default() };
        assert!(!kept.to_text(&CALENDAR).contains("ledger"));
        assert_eq!(kept.to_json(&CALENDAR)["name_is_public"], false);
    }
}
