//! `haulout ls`: the blobs the wallet owns.

use clap::Args;
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::object::Blob;
use serde_json::{Value, json};

use super::Cli;
use super::output::{Output, size};
use crate::calendar::Calendar;
use crate::error::Result;
use crate::holdings::State;
use crate::ledger_client::LedgerClient;
use crate::words;

/// List the blobs the wallet owns
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  haulout ls\n  haulout ls --expired --json\n  haulout -q ls   \
                        # only blob ids, one a line"
)]
pub(super) struct Ls {
    /// List those whose time is over, in place of the others
    #[arg(long)]
    expired: bool,
}

impl Ls {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let client = LedgerClient::connect(cli.load(Vec::new())?.client()?).await?;
        let owned = client.owned().await?;
        let listing = Listing {
            calendar: client.calendar(),
            expired: self.expired,
            is_whole: owned.is_whole,
            blobs: owned.blobs,
        };
        output.result(&listing.to_json(), &listing.ids().join("\n"), &listing.to_text());
        Ok(())
    }
}

/// What was found, and which part of it is wanted.
struct Listing {
    calendar: Calendar,
    expired: bool,
    is_whole: bool,
    blobs: Vec<Blob>,
}

impl Listing {
    /// The blobs wanted, the one that ends first at the top; and how many are left out.
    fn shown(&self) -> (Vec<&Blob>, usize) {
        let is_shown =
            |blob: &&Blob| (State::of(blob, self.calendar.epoch) == State::Expired) == self.expired;
        let mut shown: Vec<&Blob> = self.blobs.iter().filter(is_shown).collect();
        shown.sort_by_key(|blob| (blob.storage.end_epoch, blob.blob_id, blob.id));
        let others = self.blobs.len() - shown.len();
        (shown, others)
    }

    /// Blob ids, each once.
    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.shown().0.into_iter().map(blob_id).collect();
        let mut seen = std::collections::BTreeSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        ids
    }

    fn to_json(&self) -> Value {
        let (shown, others) = self.shown();
        let blob = |blob: &&Blob| {
            json!({
                "object_id": blob.id.to_string(),
                "blob_id": blob_id(blob),
                "size": blob.size,
                "encoded_size": blob.storage.storage_size,
                "state": State::of(blob, self.calendar.epoch).name(),
                "deletable": blob.deletable,
                "registered_epoch": blob.registered_epoch,
                "certified_epoch": blob.certified_epoch,
                "end_epoch": blob.storage.end_epoch,
                "end": self.calendar.date(blob.storage.end_epoch),
            })
        };
        json!({
            "epoch": self.calendar.epoch,
            "blobs": shown.iter().map(blob).collect::<Vec<_>>(),
            "not_listed": others,
            "complete": self.is_whole,
        })
    }

    fn to_text(&self) -> String {
        let (shown, others) = self.shown();
        let mut text = String::new();
        if !shown.is_empty() {
            text.push_str(&format!(
                "{:>11}  {:<10}  {:<9}  {:<38}  {:<43}  OBJECT\n",
                "SIZE", "STATE", "KIND", "UNTIL", "BLOB"
            ));
        }
        for blob in &shown {
            text.push_str(&format!(
                "{:>11}  {:<10}  {:<9}  {:<38}  {}  {}\n",
                size(blob.size),
                State::of(blob, self.calendar.epoch).name(),
                if blob.deletable { "deletable" } else { "permanent" },
                self.calendar.until(blob.storage.end_epoch),
                blob_id(blob),
                blob.id,
            ));
        }
        text + &self.footer(shown.len(), others)
    }

    /// The last line: how many, and how to see the others.
    fn footer(&self, shown: usize, others: usize) -> String {
        let bytes = self.shown().0.iter().fold(0u64, |sum, blob| sum.saturating_add(blob.size));
        let adjective = if self.expired { "expired blob" } else { "blob" };
        let mut text = match shown {
            0 => format!("no {adjective}s"),
            _ => format!("{}, {}", words::count(shown, adjective), size(bytes)),
        };
        text.push_str(&format!(" · now epoch {}", self.calendar.epoch));
        match (others, self.expired) {
            (0, _) => {}
            (_, true) => text.push_str(&format!(" · {others} not expired: `haulout ls`")),
            (_, false) => text.push_str(&format!(" · {others} expired: `haulout ls --expired`")),
        }
        if !self.is_whole {
            let read = self.blobs.len();
            text.push_str(&format!("\nonly the first {read} objects of the wallet were read"));
        }
        text + "\n"
    }
}

fn blob_id(blob: &Blob) -> String {
    BlobId::from_bytes(blob.blob_id).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holdings::sample;

    fn listing(expired: bool) -> Listing {
        let calendar = Calendar {
            epoch: 4,
            started_ms: 1_803_132_000_000,
            duration_ms: 86_400_000,
            now_ms: 0,
        };
        let blobs = vec![sample(2, Some(1), 9), sample(1, None, 6), sample(3, Some(1), 4)];
        Listing { calendar, expired, is_whole: true, blobs }
    }

    #[test]
    fn what_ends_first_comes_first_and_expired_blobs_are_counted_apart() {
        let text = listing(false).to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].contains("registered  deletable  epoch 6, about 2027-02-22"), "{text}");
        assert!(lines[2].contains("certified   deletable  epoch 9, about 2027-02-25"), "{text}");
        assert_eq!(lines[3], "2 blobs, 200 B · now epoch 4 · 1 expired: `haulout ls --expired`");
    }

    #[test]
    fn json_has_every_fact_of_the_blobs_that_are_listed() {
        let json = listing(true).to_json();
        assert_eq!((&json["not_listed"], &json["complete"]), (&json!(2), &json!(true)));
        let blobs = json["blobs"].as_array().expect("a list");
        assert_eq!(blobs.len(), 1);
        assert_eq!((&blobs[0]["state"], &blobs[0]["end_epoch"]), (&json!("expired"), &json!(4)));
        assert_eq!(blobs[0]["end"], "2027-02-20 14:00 UTC");
        assert_eq!(blobs[0]["object_id"].as_str().map(str::len), Some(66));
    }

    #[test]
    fn a_list_that_is_not_whole_says_so_and_an_empty_one_too() {
        let cut = Listing { is_whole: false, ..listing(false) };
        assert!(cut.to_text().ends_with("only the first 3 objects of the wallet were read\n"));
        let empty = Listing { blobs: Vec::new(), ..listing(false) };
        assert_eq!(empty.to_text(), "no blobs · now epoch 4\n");
        assert!(empty.ids().is_empty());
    }

    #[test]
    fn a_blob_with_two_objects_has_its_id_printed_once() {
        let twice = vec![sample(1, Some(1), 6), sample(1, Some(1), 7)];
        assert_eq!(Listing { blobs: twice, ..listing(false) }.ids().len(), 1);
    }
}
