//! `haulout stake withdraw`: takes whatever step receipts are due for.

use clap::Args;
use haulout_actors::chain::Payout;
use haulout_protocol::chain::ObjectId;
use serde_json::{Value, json};

use super::ls::acts_in;
use super::parts::receipt;
use crate::calendar::Calendar;
use crate::cli::Cli;
use crate::cli::output::Output;
use crate::cli::owner::{Consent, one_word, skipped_json, skipped_text};
use crate::error::Result;
use crate::ledger_client::LedgerClient;
use crate::stakes::{self, Position, Step, Which, WithdrawalPlan};
use crate::words::{sui, wal, wal_json};

/// Get stake back: asks for it, or pays it out, whichever is due
///
/// Stake that works is asked back first and is paid one or two epochs later by the same command.
/// Stake that does not work yet is paid at once, without rewards.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  haulout stake withdraw 0x12…\n  haulout stake withdraw --all \
                        --dry-run\n  haulout stake withdraw --all --node tern --yes"
)]
pub(in crate::cli) struct Withdraw {
    #[command(flatten)]
    meant: Meant,
    /// Only receipts of this node, by name or id
    #[arg(long, requires = "all", conflicts_with = "receipt", value_name = "NODE")]
    node: Option<String>,
    #[command(flatten)]
    consent: Consent,
}

/// One receipt, or all of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Meant {
    /// The receipt, as `haulout stake ls` prints it
    #[arg(value_name = "RECEIPT")]
    receipt: Option<String>,
    /// Every receipt that can take a step now
    #[arg(long)]
    all: bool,
}

impl Withdraw {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let receipt = self.meant.receipt.as_deref().map(receipt).transpose()?;
        let client = LedgerClient::connect(cli.load(Vec::new())?.client()?).await?;
        let which = self.which(receipt, &client).await?;
        let plan = client.plan_withdrawal(which).await?;
        let offer = Offer { plan, calendar: client.calendar() };
        let ids: Vec<String> =
            offer.plan.items.iter().map(|it| it.receipt.id.to_string()).collect();
        if self.consent.dry_run {
            output.result(&offer.to_json(None), &ids.join("\n"), &offer.to_text());
        } else if self.consent.given(&offer.to_text(), output).await? {
            let done = client.withdraw(&offer.plan).await?;
            one_word(&done.receipt);
            output.result(&offer.to_json(Some(&done)), &ids.join("\n"), &offer.done(&done));
        }
        Ok(())
    }

    async fn which(&self, receipt: Option<ObjectId>, client: &LedgerClient) -> Result<Which> {
        if let Some(id) = receipt {
            return Ok(Which::Receipt(id));
        }
        let Some(node) = &self.node else { return Ok(Which::All(None)) };
        let staking = client.stake_book().await?.staking;
        Ok(Which::All(Some(stakes::find_node(&staking, node)?)))
    }
}

/// What will be done.
struct Offer {
    plan: WithdrawalPlan,
    calendar: Calendar,
}

impl Offer {
    fn to_json(&self, done: Option<&Payout>) -> Value {
        let paid = |id: &ObjectId| done.and_then(|done| found(&done.paid, id));
        let asked = |id: &ObjectId| done.and_then(|done| found(&done.requested, id));
        let item = |item: &Position| {
            let receipt = &item.receipt;
            let from = asked(&receipt.id).or_else(|| acts_in(item.step));
            json!({
                "receipt": receipt.id.to_string(),
                "node_id": receipt.node_id.to_string(),
                "step": item.step.name(),
                "principal": wal_json(receipt.principal),
                "worth": wal_json(item.worth),
                "paid": paid(&receipt.id).map(wal_json),
                "paid_from_epoch": from,
                "paid_from": from.and_then(|epoch| self.calendar.date(epoch)),
            })
        };
        let total = done.map_or(self.plan.pays(), total);
        json!({
            "dry_run": done.is_none(),
            "receipts": self.plan.items.iter().map(item).collect::<Vec<_>>(),
            "paid": wal_json(total),
            "skipped": skipped_json(&self.plan.skipped),
            "gas_mist": done.map(|done| done.receipt.gas),
            "digest": done.map(|done| &done.receipt.digest),
            "only_said_by": done.and_then(|done| done.receipt.only_said_by.as_ref()),
        })
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for item in &self.plan.items {
            let what = match item.step {
                Step::Request(epoch) => {
                    format!("ask back, paid from {}", self.calendar.until(epoch))
                }
                Step::Cancel => "pay now: it does not work yet, so there are no rewards".to_owned(),
                _ => format!("pay now, {} of it rewards", wal(item.rewards())),
            };
            let worth = wal(item.worth);
            text.push_str(&format!("{worth}  {}\n  {what}\n", item.receipt.id));
        }
        text + &skipped_text(&self.plan.skipped)
    }

    fn done(&self, done: &Payout) -> String {
        let mut text = String::new();
        for (id, paid) in &done.paid {
            let principal = self.plan.items.iter().find(|item| item.receipt.id == *id);
            let principal = principal.map_or(0, |item| item.receipt.principal);
            let id = id.to_string();
            text.push_str(&format!("✓ Paid  {}  {id}\n", wal(*paid)));
            if let Some(rewards) = paid.checked_sub(principal).filter(|rewards| *rewards > 0) {
                text.push_str(&format!("  of it {} rewards\n", wal(rewards)));
            }
        }
        for (id, epoch) in &done.requested {
            let (id, from) = (id.to_string(), self.calendar.until(*epoch));
            text.push_str(&format!(
                "✓ Asked back  {id}\n  come back  from {from}\n             `haulout stake \
                 withdraw {id}`\n"
            ));
        }
        text.push_str(&skipped_text(&self.plan.skipped));
        text + &format!("  gas   {}\n", sui(done.receipt.gas))
    }
}

fn found<T: Copy>(pairs: &[(ObjectId, T)], id: &ObjectId) -> Option<T> {
    pairs.iter().find(|(key, _)| key == id).map(|(_, value)| *value)
}

fn total(done: &Payout) -> u64 {
    done.paid.iter().fold(0, |sum, (_, paid)| sum.saturating_add(*paid))
}

#[cfg(test)]
mod tests {
    use haulout_actors::chain::Receipt;

    use super::*;
    use crate::stakes::{sample_book, sample_calendar, sample_receipt};

    fn offer() -> Offer {
        let owned = vec![
            sample_receipt(7, 1, 5, None),
            sample_receipt(8, 1, 2, None),
            sample_receipt(9, 1, 2, Some(6)),
        ];
        let calendar = sample_calendar();
        let date = |epoch| calendar.until(epoch);
        let plan = WithdrawalPlan::new(&sample_book(), owned, Which::All(None), date).unwrap();
        Offer { plan, calendar }
    }

    #[test]
    fn each_receipt_is_shown_with_its_step_and_those_that_wait_with_the_date() {
        let text = offer().to_text();
        assert!(text.contains("it does not work yet"), "{text}");
        assert!(text.contains("ask back, paid from epoch 5, about 2027-02-21"), "{text}");
        assert!(text.contains("left alone: the receipt 0x0909"), "{text}");
        assert!(text.contains("is paid from epoch 6, about 2027-02-22"), "{text}");
    }

    #[test]
    fn the_result_says_what_was_paid_and_when_to_come_back() {
        let receipt =
            Receipt { digest: "D".to_owned(), checkpoint: None, gas: 1, only_said_by: None };
        let (requested, paid) = (
            vec![(ObjectId::from_bytes([8; 32]), 6)],
            vec![(ObjectId::from_bytes([7; 32]), 1_500_000_000)],
        );
        let done = Payout { requested, paid, receipt };
        let (text, json) = (offer().done(&done), offer().to_json(Some(&done)));
        assert!(text.contains("✓ Paid  1.5 WAL") && text.contains("of it 0.5 WAL"), "{text}");
        assert!(text.contains("come back  from epoch 6, about"), "{text}");
        assert_eq!(json["paid"]["wal_frost"], 1_500_000_000u64);
        assert_eq!(json["receipts"][1]["paid_from_epoch"], 6, "the ledger's word counts");
    }
}
