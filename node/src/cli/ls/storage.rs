//! `haulout ls --storage`: space the wallet has paid for and no blob lives in.
//!
//! Promises: says of each whether a put can use it now. Does not: say for which blob.

use haulout_protocol::chain::object::Storage;
use serde_json::{Value, json};

use super::super::output::{Output, size};
use super::layout::Layout;
use crate::calendar::Calendar;
use crate::error::Result;
use crate::ledger_client::LedgerClient;
use crate::words::count;

/// Lists the wallet's free storage, or what is left of it when its time is over.
pub(super) async fn show(
    client: &LedgerClient,
    expired: bool,
    columns: Option<usize>,
    output: &Output,
) -> Result<()> {
    let calendar = client.calendar();
    let listing = Listing::new(client.storages().await?, expired, calendar);
    let layout = Layout::of_storage(columns);
    output.result(&listing.to_json(), &listing.ids(), &listing.to_text(&layout));
    Ok(())
}

/// What was found, and which part of it is wanted.
struct Listing {
    calendar: Calendar,
    expired: bool,
    /// What ends first comes first.
    shown: Vec<Storage>,
    others: usize,
}

impl Listing {
    fn new(mut storages: Vec<Storage>, expired: bool, calendar: Calendar) -> Self {
        let all = storages.len();
        storages.retain(|storage| (state(storage, calendar.epoch) == "expired") == expired);
        storages.sort_by_key(|storage| (storage.end_epoch, storage.storage_size, storage.id));
        Listing { calendar, expired, others: all - storages.len(), shown: storages }
    }

    fn ids(&self) -> String {
        self.shown.iter().map(|one| one.id.to_string()).collect::<Vec<_>>().join("\n")
    }

    fn to_json(&self) -> Value {
        let one = |storage: &Storage| {
            json!({
                "object_id": storage.id.to_string(),
                "size": storage.storage_size,
                "state": state(storage, self.calendar.epoch),
                "start_epoch": storage.start_epoch,
                "end_epoch": storage.end_epoch,
                "end": self.calendar.date(storage.end_epoch),
            })
        };
        json!({
            "epoch": self.calendar.epoch,
            "storages": self.shown.iter().map(one).collect::<Vec<_>>(),
            "not_listed": self.others,
        })
    }

    fn to_text(&self, layout: &Layout) -> String {
        let width = layout.until_width();
        let mut text = String::new();
        if !self.shown.is_empty() {
            let columns = ("SIZE", "STATE", "FROM", "UNTIL");
            let (size, state, from, until) = columns;
            text.push_str(&format!(
                "{size:>11}  {state:<7}  {from:>10}  {until:<width$}  OBJECT\n"
            ));
        }
        for storage in &self.shown {
            text.push_str(&format!(
                "{:>11}  {:<7}  {:>10}  {:<width$}  {}\n",
                size(storage.storage_size),
                state(storage, self.calendar.epoch),
                format!("epoch {}", storage.start_epoch),
                layout.until(&self.calendar, storage.end_epoch),
                layout.id(&storage.id.to_string()),
            ));
        }
        let mut footer = self.footer();
        if !self.shown.is_empty() && layout.hides_ids() {
            let expired = if self.expired { " --expired" } else { "" };
            footer.push_str(&format!(" · whole ids: `haulout ls --storage{expired} --wide`"));
        }
        text + &footer + "\n"
    }

    fn footer(&self) -> String {
        let bytes = self.shown.iter().fold(0u64, |sum, one| sum.saturating_add(one.storage_size));
        let thing = if self.expired { "expired storage object" } else { "storage object" };
        let mut text = match (self.shown.len(), self.expired) {
            (0, _) => format!("no {thing}s"),
            (shown, true) => {
                format!("{}; `haulout storage destroy --expired` ends them", count(shown, thing))
            }
            (shown, false) => {
                format!(
                    "{}, {} encoded; `haulout put` uses what fits",
                    count(shown, thing),
                    size(bytes)
                )
            }
        };
        text.push_str(&format!(" · now epoch {}", self.calendar.epoch));
        match (self.others, self.expired) {
            (0, _) => {}
            (others, true) => {
                text.push_str(&format!(" · {others} not expired: `haulout ls --storage`"));
            }
            (others, false) => {
                text.push_str(&format!(" · {others} expired: `haulout ls --storage --expired`"));
            }
        }
        text
    }
}

/// Whether a put can use storage in an epoch.
fn state(storage: &Storage, epoch: u32) -> &'static str {
    match (epoch < storage.start_epoch, epoch < storage.end_epoch) {
        (true, _) => "later",
        (false, true) => "free",
        (false, false) => "expired",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(expired: bool) -> Listing {
        let calendar = Calendar { epoch: 4, started_ms: 0, duration_ms: 0, now_ms: 0, ahead_ms: 0 };
        let storage = |id, start_epoch, end_epoch| Storage {
            id: [id; 32].into(),
            start_epoch,
            end_epoch,
            storage_size: 2 << 20,
        };
        let storages = vec![storage(1, 5, 9), storage(2, 1, 5), storage(3, 1, 4)];
        Listing::new(storages, expired, calendar)
    }

    #[test]
    fn free_storage_is_listed_with_its_epochs_and_what_has_ended_is_counted_apart() {
        let text = listing(false).to_text(&Layout::of_storage(None));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].contains("2.00 MiB  free        epoch 1  epoch 5 "), "{text}");
        assert!(lines[2].contains("2.00 MiB  later       epoch 5  epoch 9 "), "{text}");
        assert!(lines[3].starts_with("2 storage objects, 4.00 MiB encoded; `haulout put` uses"));
        assert!(lines[3].ends_with("now epoch 4 · 1 expired: `haulout ls --storage --expired`"));
        assert_eq!(listing(false).ids().lines().count(), 2);
    }

    #[test]
    fn expired_storage_is_listed_when_asked_for_and_json_has_the_same_facts() {
        let json = listing(true).to_json();
        assert_eq!(
            (&json["not_listed"], &json["storages"][0]["state"]),
            (&json!(2), &json!("expired"))
        );
        assert_eq!(json["storages"].as_array().map(Vec::len), Some(1));
        assert_eq!(json["storages"][0]["end_epoch"], 4);
        assert!(listing(true).footer().starts_with(
            "1 expired storage object; `haulout storage destroy --expired` ends them · now"
        ));
    }
}
