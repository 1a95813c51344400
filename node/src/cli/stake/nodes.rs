//! `haulout stake nodes`: whom one can stake with.

use clap::Args;
use haulout_actors::chain::StakeBook;
use serde_json::{Value, json};

use crate::calendar::Calendar;
use crate::cli::Cli;
use crate::cli::output::{Output, size};
use crate::cli::table::{Align, table};
use crate::error::Result;
use crate::ledger_client::LedgerClient;
use crate::stakes::{self, NodeRow, Selection, SortBy, Yield};
use crate::words::{self, coins, percent, wal_json};

const COLUMNS: [(&str, Align); 11] = [
    ("NODE", Align::Left),
    ("STATUS", Align::Left),
    ("STAKE", Align::Right),
    ("NEXT", Align::Right),
    ("SHARDS", Align::Right),
    ("COMMISSION", Align::Left),
    ("STORE", Align::Right),
    ("WRITE", Align::Right),
    ("CAPACITY", Align::Right),
    ("YIELD", Align::Right),
    ("ID", Align::Left),
];

/// How the yield is computed, wherever it is shown.
const YIELD_NOTE: &str = "what a share of the node's stake gained in the last epoch, after \
                          commission, times the epochs of a year, without compounding; \"-\" where \
                          the ledger has no records of both epochs. The past promises nothing";

/// List the nodes to stake with
///
/// STAKE works now, NEXT counts when the next committee is chosen. STORE and WRITE are what the node
/// asks for a MiB of encoded bytes: for each epoch, and once. All are in WAL. A node with "!" holds more than
/// a tenth of all shards: stake elsewhere makes the network safer.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  haulout stake nodes --sort commission\n  haulout -q stake \
                        nodes   # only ids, one a line")]
pub(in crate::cli) struct Nodes {
    /// What comes first
    #[arg(long, value_enum, default_value_t, value_name = "BY")]
    sort: SortBy,
}

impl Nodes {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let client = LedgerClient::connect(cli.reader()?).await?;
        let book = client.stake_book().await?;
        let listing = Listing::new(&book, self.sort, client.calendar());
        let ids: Vec<String> = listing.rows.iter().map(|row| row.node_id.to_string()).collect();
        output.result(&listing.to_json(), &ids.join("\n"), &listing.to_text());
        Ok(())
    }
}

/// What was found.
struct Listing {
    rows: Vec<NodeRow>,
    shards: u16,
    selection: Selection,
    calendar: Calendar,
}

impl Listing {
    fn new(book: &StakeBook, by: SortBy, calendar: Calendar) -> Self {
        Listing {
            rows: stakes::rows(book, by),
            shards: book.staking.n_shards,
            selection: stakes::next_selection(book),
            calendar,
        }
    }

    fn to_json(&self) -> Value {
        let row = |row: &NodeRow| {
            json!({
                "name": row.name,
                "node_id": row.node_id.to_string(),
                "status": stakes::status_name(row.status),
                "role": row.role.name(),
                "stake": wal_json(row.stake),
                "next_stake": wal_json(row.next_stake),
                "shards": row.shards,
                "next_shards": row.next_shards,
                "shards_share": share(row.shards, self.shards),
                "concentrated": row.is_concentrated,
                "commission_bps": row.commission_bps,
                "commission_changes": changes(row),
                "asks": {
                    "storage_frost_per_mib_epoch": row.asks.storage,
                    "write_frost_per_mib": row.asks.write,
                },
                "capacity": row.capacity,
                "yield": row.earned.as_ref().map(yield_json),
            })
        };
        json!({
            "epoch": self.calendar.epoch,
            "shards": self.shards,
            "next_selection": selection_json(&self.selection, &self.calendar),
            "yield_is": YIELD_NOTE,
            "nodes": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }

    fn to_text(&self) -> String {
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| self.line(row)).collect();
        let mut text = table(&COLUMNS, &rows);
        let count = words::count(self.rows.len(), "node");
        let selection = selection_text(&self.selection, &self.calendar);
        text.push_str(&format!("{count} · now epoch {} · {selection}\n", self.calendar.epoch));
        text.push_str("STAKE, NEXT, STORE and WRITE in WAL; STORE for an encoded MiB and epoch, WRITE for writing one\n");
        if self.rows.iter().any(|row| row.is_concentrated) {
            text.push_str("! holds more than a tenth of all shards: stake elsewhere is safer\n");
        }
        if self.rows.iter().any(|row| row.earned.is_some()) {
            text.push_str(&format!("YIELD: {YIELD_NOTE}\n"));
        }
        text
    }

    fn line(&self, row: &NodeRow) -> Vec<String> {
        vec![
            words::label(&row.name),
            status(row),
            coins(row.stake),
            coins(row.next_stake),
            shards(row, self.shards),
            commission(row),
            coins(row.asks.storage),
            coins(row.asks.write),
            size(row.capacity),
            row.earned.as_ref().map_or_else(|| "-".to_owned(), |it| yearly(it.yearly)),
            row.node_id.to_string(),
        ]
    }
}

/// Whether the node takes part, and where it serves.
pub(in crate::cli) fn status(row: &NodeRow) -> String {
    match row.status {
        stakes::ACTIVE => row.role.name().to_owned(),
        other => format!("{}, {}", stakes::status_name(other), row.role.name()),
    }
}

/// How many shards now and, once that is known, next; with the part of all and the warning.
pub(in crate::cli) fn shards(row: &NodeRow, all: u16) -> String {
    let next = row.next_shards.filter(|next| *next != row.shards);
    let next = next.map(|next| format!(" -> {next}")).unwrap_or_default();
    let mark = if row.is_concentrated { "! " } else { "" };
    format!("{mark}{}{next} ({:.1} %)", row.shards, share(row.shards, all) * 100.0)
}

/// The operator's part now, and what it changes to.
fn commission(row: &NodeRow) -> String {
    let mut text = percent(row.commission_bps.into());
    for (epoch, bps) in &row.commission_changes {
        text.push_str(&format!(", {} from epoch {epoch}", percent(*bps)));
    }
    text
}

fn share(shards: usize, all: u16) -> f64 {
    if all == 0 { 0.0 } else { shards as f64 / f64::from(all) }
}

fn changes(row: &NodeRow) -> Vec<Value> {
    let change = |(epoch, bps): &(u32, u64)| json!({ "from_epoch": epoch, "commission_bps": bps });
    row.commission_changes.iter().map(change).collect()
}

fn yield_json(earned: &Yield) -> Value {
    json!({ "epoch": earned.epoch, "gain": earned.gain, "yearly": earned.yearly })
}

/// A yearly yield for people; one that no year can bear is only called large.
fn yearly(part: f64) -> String {
    match part * 100.0 {
        percent if percent > 9999.0 => "> 9999 %".to_owned(),
        percent if percent > 0.0 && percent < 0.05 => "< 0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

/// The next selection for programs.
pub(in crate::cli) fn selection_json(selection: &Selection, calendar: &Calendar) -> Value {
    json!({
        "epoch": selection.epoch,
        "not_before": calendar.shown(selection.at_ms),
        "is_due": selection.at_ms <= calendar.now_ms,
    })
}

/// The next selection for people.
pub(in crate::cli) fn selection_text(selection: &Selection, calendar: &Calendar) -> String {
    let epoch = selection.epoch;
    match selection.at_ms <= calendar.now_ms {
        true => format!("the committee of epoch {epoch} can be chosen now"),
        false => {
            let date = calendar.shown(selection.at_ms);
            format!("the committee of epoch {epoch} is chosen about {date}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stakes::{sample_book, sample_calendar};

    #[test]
    fn a_table_names_each_node_with_its_stake_asks_and_shards() {
        let text = Listing::new(&sample_book(), SortBy::Stake, sample_calendar()).to_text();
        assert!(text.starts_with("NODE"), "{text}");
        assert!(text.contains("tern"), "{text}");
        assert!(text.contains("! 3 (75.0 %)"), "{text}");
        assert!(text.contains("can be chosen now"), "{text}");
        assert!(!text.contains("YIELD:"), "nothing was recorded: {text}");
    }

    #[test]
    fn json_has_amounts_as_numbers_and_text() {
        let json = Listing::new(&sample_book(), SortBy::Stake, sample_calendar()).to_json();
        let first = &json["nodes"][0];
        assert_eq!(first["name"], "tern");
        let expected = json!({ "wal_frost": 3_000_000_000u64, "text": "3 WAL" });
        assert_eq!(first["stake"], expected);
        assert_eq!((&first["concentrated"], &first["yield"]), (&json!(true), &Value::Null));
    }

    #[test]
    fn a_yield_that_no_year_can_bear_is_not_spelled_out() {
        assert_eq!((yearly(0.0812), yearly(1e9)), ("8.1 %".to_owned(), "> 9999 %".to_owned()));
        assert_eq!([-0.5, 0.0, 1e-6].map(yearly), ["-50.0 %", "0.0 %", "< 0.1 %"]);
    }
}
