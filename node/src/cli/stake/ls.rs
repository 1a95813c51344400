//! `haulout stake ls`: what the wallet has at stake.

use clap::Args;
use haulout_protocol::chain::ObjectId;
use serde_json::{Value, json};

use crate::calendar::Calendar;
use crate::cli::Cli;
use crate::cli::output::Output;
use crate::cli::table::{Align, table};
use crate::error::Result;
use crate::ledger_client::LedgerClient;
use crate::stakes::{Position, Stage, Step};
use crate::words::{self, wal, wal_json};

const COLUMNS: [(&str, Align); 7] = [
    ("NODE", Align::Left),
    ("PRINCIPAL", Align::Right),
    ("WORTH", Align::Right),
    ("REWARDS", Align::Right),
    ("STATE", Align::Left),
    ("NEXT", Align::Left),
    ("RECEIPT", Align::Left),
];

/// List the wallet's stake: what it is worth, and what can be done when
///
/// WORTH is principal and rewards by the rate the ledger recorded last; a receipt that works on
/// earns until it is paid.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  haulout stake ls\n  haulout -q stake ls   # only receipts, \
                        one a line")]
pub(in crate::cli) struct Ls {}

impl Ls {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let client = LedgerClient::connect(cli.load(Vec::new())?.client()?).await?;
        let owned = client.receipts().await?;
        let staking = client.stake_book().await?.staking;
        let calendar = Calendar { epoch: staking.epoch, ..client.calendar() };
        let name = |id: &ObjectId| staking.pools.get(id).map(|pool| words::label(&pool.node.name));
        let line = |receipt| {
            let position = Position::new(&staking, receipt)?;
            Ok((name(&position.receipt.node_id).unwrap_or_default(), position))
        };
        let mut lines = owned.into_iter().map(line).collect::<Result<Vec<_>>>()?;
        lines.sort_by(|one, two| (&one.0, one.1.receipt.id).cmp(&(&two.0, two.1.receipt.id)));
        let listing = Listing { lines, calendar };
        let ids: Vec<String> = listing.ids().collect();
        output.result(&listing.to_json(), &ids.join("\n"), &listing.to_text());
        Ok(())
    }
}

/// The wallet's receipts with the names of their nodes.
struct Listing {
    lines: Vec<(String, Position)>,
    calendar: Calendar,
}

impl Listing {
    fn ids(&self) -> impl Iterator<Item = String> {
        self.lines.iter().map(|(_, position)| position.receipt.id.to_string())
    }

    fn sum(&self, of: impl Fn(&Position) -> u64) -> u64 {
        self.lines.iter().fold(0, |sum, (_, position)| sum.saturating_add(of(position)))
    }

    fn to_json(&self) -> Value {
        let line = |(name, position): &(String, Position)| {
            let receipt = &position.receipt;
            let acts = acts_in(position.step);
            let withdraw = match position.stage {
                Stage::Leaving(epoch) => Some(epoch),
                _ => None,
            };
            json!({
                "receipt": receipt.id.to_string(),
                "node": name,
                "node_id": receipt.node_id.to_string(),
                "principal": wal_json(receipt.principal),
                "worth": wal_json(position.worth),
                "rewards": wal_json(position.rewards()),
                "state": position.stage.name(),
                "activation_epoch": receipt.activation_epoch,
                "activation": self.calendar.date(receipt.activation_epoch),
                "withdraw_epoch": withdraw,
                "next": {
                    "step": position.step.name(),
                    "paid_from_epoch": acts,
                    "paid_from": acts.and_then(|epoch| self.calendar.date(epoch)),
                },
            })
        };
        json!({
            "epoch": self.calendar.epoch,
            "receipts": self.lines.iter().map(line).collect::<Vec<_>>(),
            "total": {
                "principal": wal_json(self.sum(|position| position.receipt.principal)),
                "worth": wal_json(self.sum(|position| position.worth)),
                "rewards": wal_json(self.sum(Position::rewards)),
            },
        })
    }

    fn to_text(&self) -> String {
        if self.lines.is_empty() {
            return "no stake yet: `haulout stake nodes`, then `haulout stake add NODE AMOUNT`\n"
                .into();
        }
        let row = |(name, position): &(String, Position)| {
            vec![
                name.clone(),
                wal(position.receipt.principal),
                wal(position.worth),
                wal(position.rewards()),
                position.stage.name().to_owned(),
                self.next(position),
                position.receipt.id.to_string(),
            ]
        };
        let mut text = table(&COLUMNS, &self.lines.iter().map(row).collect::<Vec<_>>());
        text.push_str(&format!(
            "{}, worth {} with {} of rewards · now epoch {}\n",
            words::count(self.lines.len(), "receipt"),
            wal(self.sum(|position| position.worth)),
            wal(self.sum(Position::rewards)),
            self.calendar.epoch,
        ));
        text
    }

    /// What can be done next, and from when on.
    fn next(&self, position: &Position) -> String {
        match (position.step, position.stage) {
            (Step::Cancel, Stage::Pending(epoch)) => {
                format!("works from {}; can be had back until then", self.calendar.until(epoch))
            }
            (Step::Request(paid), Stage::Pending(epoch)) => format!(
                "works from {}; asked back now, paid from epoch {paid}",
                self.calendar.until(epoch)
            ),
            (Step::Request(paid), _) => {
                format!("asked back now, paid from {}", self.calendar.until(paid))
            }
            (Step::Wait(epoch), _) => format!("paid from {}", self.calendar.until(epoch)),
            (Step::Cancel | Step::WithdrawNow | Step::Collect, _) => "can be paid now".to_owned(),
        }
    }
}

/// From which epoch on a receipt is paid, if its owner asks now.
pub(super) fn acts_in(step: Step) -> Option<u32> {
    match step {
        Step::Request(epoch) | Step::Wait(epoch) => Some(epoch),
        Step::Cancel | Step::WithdrawNow | Step::Collect => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stakes::{sample_book, sample_calendar, sample_receipt};

    fn listing() -> Listing {
        let staking = sample_book().staking;
        let position = |id, activation, asked| {
            let receipt = sample_receipt(id, 1, activation, asked);
            ("tern".to_owned(), Position::new(&staking, receipt).unwrap())
        };
        let lines = vec![position(7, 5, None), position(8, 2, None), position(9, 2, Some(6))];
        Listing { lines, calendar: sample_calendar() }
    }

    #[test]
    fn each_receipt_says_what_can_be_done_and_when() {
        let text = listing().to_text();
        for part in [
            "works from epoch 5, about 2027-02-21 14:00 UTC; can be had back until then",
            "asked back now, paid from epoch 5",
            "withdrawing",
            "paid from epoch 6, about 2027-02-22 14:00 UTC",
            "3 receipts, worth 3 WAL with 0 WAL of rewards · now epoch 4",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json = listing().to_json();
        assert_eq!(json["receipts"][2]["withdraw_epoch"], 6);
        assert_eq!(json["receipts"][1]["next"]["step"], "request");
        assert_eq!(json["total"]["worth"]["wal_frost"], 3_000_000_000u64);
    }
}
