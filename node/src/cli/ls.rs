//! `haulout ls`: the blobs the wallet owns with their names, and its free storage.
//!
//! Promises: the whole wallet is listed, whatever its size; lines appear as the ledger hands blobs out, unless they are
//! to be sorted. Does not: ask nodes.

mod layout;
mod naming;
mod storage;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::pin::pin;

use clap::{Args, ValueEnum};
use futures::StreamExt;
use haulout_protocol::chain::object::Blob;
use serde_json::{Value, json};

use self::layout::Layout;
use self::naming::{NamesOf, Naming, blob_id};
use super::Cli;
use super::output::{Output, size};
use super::table::{Align, padded};
use crate::calendar::Calendar;
use crate::error::Result;
use crate::holdings::State;
use crate::ledger_client::LedgerClient;
use crate::terminal;
use crate::words;

/// Blobs printed together at most: what a page of the ledger holds.
const CHUNK: usize = 1_000;

/// List the blobs the wallet owns
///
/// A name is the one that `haulout put` remembered on this machine, else the one its owner wrote on the ledger
/// (`haulout put --public-name`). JSON has it in full as `name`, or null.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  haulout ls --sort end\n  haulout ls --expired --json\n  haulout ls --storage   # what \
                  deleted blobs left; the next put uses it\n  haulout -q ls          # only blob ids, one a line"
)]
pub(super) struct Ls {
    /// List those whose time is over, in place of the others
    #[arg(long)]
    expired: bool,
    /// List storage in which no blob lives, in place of blobs, as `haulout storage ls` does
    #[arg(long)]
    storage: bool,
    /// Read all of the list first and sort it; otherwise it comes in the order of the ledger
    #[arg(long, value_name = "BY", conflicts_with = "storage")]
    sort: Option<Sort>,
    /// Show whole ids, objects and dates, however narrow the terminal is
    #[arg(long)]
    wide: bool,
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// What ends first comes first
    End,
    /// What is largest comes first
    Size,
}

impl Ls {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let config = cli.load(Vec::new())?.client()?;
        let folder = config.state_dir.clone();
        let client = LedgerClient::connect(config).await?;
        let columns = terminal::columns().filter(|_| !self.wide);
        if self.storage {
            return storage::show(&client, self.expired, columns, output).await;
        }
        let naming = Naming::read(&client, folder).await?;
        let mut listing = Listing::new(client.calendar(), self.expired, Layout::of_blobs(columns));
        if output.is_json() || self.sort.is_some() {
            let mut blobs = listing.take(client.owned().await?);
            sort(&mut blobs, self.sort.unwrap_or(Sort::End));
            let names = naming.of(&blobs).await?;
            match output.is_json() {
                true => output.result(&listing.to_json(&blobs, &names), "", ""),
                false if listing.print(&blobs, &names, output).is_break() => return Ok(()),
                false => {}
            }
        } else {
            let mut chunks = pin!(client.blobs()?.ready_chunks(CHUNK));
            while let Some(chunk) = chunks.next().await {
                let blobs = listing.take(chunk.into_iter().collect::<Result<_>>()?);
                let names = naming.of(&blobs).await?;
                if listing.print(&blobs, &names, output).is_break() {
                    return Ok(()); // nobody reads on
                }
            }
        }
        // A lost answer changes the exit code by itself.
        let _ = output.part("", &output.spoken(&listing.footer()));
        Ok(())
    }
}

/// Lists the wallet's free storage.
pub(super) async fn show_storage(
    client: &LedgerClient,
    expired: bool,
    wide: bool,
    output: &Output,
) -> Result<()> {
    let columns = terminal::columns().filter(|_| !wide);
    storage::show(client, expired, columns, output).await
}

fn sort(blobs: &mut [Blob], by: Sort) {
    blobs.sort_by_key(|blob| {
        let end = (blob.storage.end_epoch, blob.blob_id, blob.id);
        let size = match by {
            Sort::End => u64::MAX,
            Sort::Size => blob.size,
        };
        (std::cmp::Reverse(size), end)
    });
}

/// A list on its way: which blobs are wanted, and what was seen of them so far.
struct Listing {
    calendar: Calendar,
    expired: bool,
    layout: Layout,
    shown: usize,
    bytes: u64,
    others: usize,
    /// Blobs whose ids are printed, so that none is twice.
    named: BTreeSet<[u8; 32]>,
    has_header: bool,
}

impl Listing {
    fn new(calendar: Calendar, expired: bool, layout: Layout) -> Self {
        Listing {
            calendar,
            expired,
            layout,
            shown: 0,
            bytes: 0,
            others: 0,
            named: BTreeSet::new(),
            has_header: false,
        }
    }

    /// Counts blobs, and leaves those that are wanted.
    fn take(&mut self, mut blobs: Vec<Blob>) -> Vec<Blob> {
        let all = blobs.len();
        let is_expired = |blob: &Blob| State::of(blob, self.calendar.epoch) == State::Expired;
        blobs.retain(|blob| is_expired(blob) == self.expired);
        self.others += all - blobs.len();
        self.shown += blobs.len();
        self.bytes = blobs.iter().fold(self.bytes, |sum, blob| sum.saturating_add(blob.size));
        blobs
    }

    fn print(&mut self, blobs: &[Blob], names: &NamesOf, output: &Output) -> ControlFlow<()> {
        if blobs.is_empty() {
            return ControlFlow::Continue(());
        }
        let (ids, rows) = (self.ids(blobs), self.rows(blobs, names));
        output.part(&ids, &rows)
    }

    /// Blob ids that were not printed before, one a line.
    fn ids(&mut self, blobs: &[Blob]) -> String {
        let new = blobs.iter().filter(|blob| self.named.insert(blob.blob_id));
        new.map(|blob| blob_id(blob) + "\n").collect()
    }

    /// Lines for people, the first of all with a header above.
    fn rows(&mut self, blobs: &[Blob], names: &NamesOf) -> String {
        let mut text = String::new();
        if !std::mem::replace(&mut self.has_header, true) {
            let header = ["NAME", "SIZE", "STATE", "KIND", "UNTIL", "BLOB", "OBJECT"];
            text.push_str(&self.line(header.map(str::to_owned)));
        }
        for blob in blobs {
            text.push_str(&self.line([
                naming::cell(names.get(&blob.id), self.layout.name),
                size(blob.size),
                State::of(blob, self.calendar.epoch).name().to_owned(),
                if blob.deletable { "deletable" } else { "permanent" }.to_owned(),
                self.layout.until(&self.calendar, blob.storage.end_epoch),
                self.layout.id(&blob_id(blob)),
                blob.id.to_string(),
            ]));
        }
        text
    }

    /// One line of cells in their columns.
    fn line(&self, [name, size, state, kind, until, blob, object]: [String; 7]) -> String {
        let layout = &self.layout;
        let name = padded(&name, layout.name, Align::Left);
        let (until_width, blob_width) = (layout.until_width(), layout.blob_width());
        let mut line = format!(
            "{name}  {size:>11}  {state:<10}  {kind:<9}  {until:<until_width$}  {blob:<blob_width$}"
        );
        if layout.has_objects {
            line.push_str(&format!("  {object}"));
        }
        line.truncate(line.trim_end().len());
        line + "\n"
    }

    fn to_json(&self, blobs: &[Blob], names: &NamesOf) -> Value {
        let blob = |blob: &Blob| {
            json!({
                "object_id": blob.id.to_string(),
                "blob_id": blob_id(blob),
                "name": names.get(&blob.id),
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
            "blobs": blobs.iter().map(blob).collect::<Vec<_>>(),
            "not_listed": self.others,
            "complete": true,
        })
    }

    /// The last line: how many, and how to see the others.
    fn footer(&self) -> String {
        let adjective = if self.expired { "expired blob" } else { "blob" };
        let mut text = match self.shown {
            0 => format!("no {adjective}s"),
            shown => format!("{}, {}", words::count(shown, adjective), size(self.bytes)),
        };
        text.push_str(&format!(" · now epoch {}", self.calendar.epoch));
        match (self.others, self.expired) {
            (0, _) => {}
            (others, true) => text.push_str(&format!(" · {others} not expired: `haulout ls`")),
            (others, false) => {
                text.push_str(&format!(" · {others} expired: `haulout ls --expired`"));
            }
        }
        if self.shown > 0 && self.layout.hides_ids() {
            let expired = if self.expired { " --expired" } else { "" };
            text.push_str(&format!(" · whole ids: `haulout ls{expired} --wide`"));
        }
        text + "\n"
    }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::holdings::sample;

    fn listing(expired: bool) -> Listing {
        let calendar = Calendar {
            epoch: 4,
            started_ms: 1_803_132_000_000,
            duration_ms: 86_400_000,
            now_ms: 0,
            ahead_ms: 0,
        };
        Listing::new(calendar, expired, Layout::of_blobs(None))
    }

    fn blobs() -> Vec<Blob> {
        vec![sample(2, Some(1), 9), sample(1, None, 6), sample(3, Some(1), 4)]
    }

    #[test]
    fn pages_add_up_to_one_list_with_one_header_and_expired_blobs_are_counted_apart() {
        let mut listing = listing(false);
        let mut text = String::new();
        let names = NamesOf::from([(blobs()[0].id, "a\u{1b}[2J.txt".to_owned())]);
        for blob in blobs() {
            let shown = listing.take(vec![blob]);
            if !shown.is_empty() {
                text.push_str(&listing.rows(&shown, &names));
            }
        }
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("NAME ") && lines[2].starts_with("-  "), "{text}");
        assert!(lines[1].starts_with("a\\u{1b}[2J.txt  "), "{text}");
        assert!(lines[1].contains("certified   deletable  epoch 9, about 2027-02-25"), "{text}");
        assert!(lines[2].contains("registered  deletable  epoch 6, about 2027-02-22"), "{text}");
        let footer = "2 blobs, 200 B · now epoch 4 · 1 expired: `haulout ls --expired`\n";
        assert_eq!(listing.footer(), footer);
    }

    #[test]
    fn a_line_fits_the_terminal_and_the_footer_says_how_to_see_the_rest() {
        let names = NamesOf::from([(blobs()[0].id, "海豹海豹海豹海豹海豹海豹".to_owned())]);
        for columns in [71, 80, 100, 120, 144, 145, 212] {
            let mut listing = Listing { layout: Layout::of_blobs(Some(columns)), ..listing(false) };
            let shown = listing.take(blobs());
            let rows = listing.rows(&shown, &names);
            assert!(rows.lines().all(|line| line.width() <= columns), "{columns}: {rows}");
            assert!(listing.footer().contains("`haulout ls --wide`"), "{columns}");
        }
        let mut wide = listing(false);
        wide.take(blobs());
        assert!(!wide.footer().contains("--wide"));
    }

    #[test]
    fn a_sorted_list_begins_with_what_ends_first_or_is_largest() {
        let mut sorted = blobs();
        let order =
            |blobs: &[Blob]| -> Vec<u8> { blobs.iter().map(|one| one.blob_id[0]).collect() };
        sort(&mut sorted, Sort::End);
        assert_eq!(order(&sorted), [3, 1, 2]);
        sorted[1].size = 101;
        sort(&mut sorted, Sort::Size);
        assert_eq!(order(&sorted), [1, 3, 2]);
    }

    #[test]
    fn json_has_every_fact_of_the_blobs_that_are_listed() {
        let mut listing = listing(true);
        let shown = listing.take(blobs());
        let names = NamesOf::from([(shown[0].id, "letter".to_owned())]);
        let json = listing.to_json(&shown, &names);
        assert_eq!(json["blobs"][0]["name"], "letter");
        assert_eq!(listing.to_json(&shown, &NamesOf::new())["blobs"][0]["name"], Value::Null);
        assert_eq!((&json["not_listed"], &json["complete"]), (&json!(2), &json!(true)));
        let blobs = json["blobs"].as_array().expect("a list");
        assert_eq!(blobs.len(), 1);
        assert_eq!((&blobs[0]["state"], &blobs[0]["end_epoch"]), (&json!("expired"), &json!(4)));
        assert_eq!(blobs[0]["end"], "2027-02-20 14:00 UTC");
        assert_eq!(blobs[0]["object_id"].as_str().map(str::len), Some(66));
    }

    #[test]
    fn a_blob_with_two_objects_has_its_id_printed_once_and_an_empty_list_says_so() {
        let mut listing = listing(false);
        assert_eq!(listing.footer(), "no blobs · now epoch 4\n");
        let twice = [sample(1, Some(1), 6), sample(1, Some(1), 7)];
        assert_eq!(listing.ids(&twice[..1]).lines().count(), 1);
        assert_eq!(listing.ids(&twice), "");
    }
}
