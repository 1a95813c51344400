//! `haulout put --dry-run`: what storing would cost.
//!
//! Promises: asks the ledger alone and sends no byte of the file; needs no wallet.
//! Does not: know whether the network has the blob already, in which case a put costs nothing.

use haulout_actors::chain::Balances;
use haulout_actors::context::Quote;
use serde_json::{Value, json};

use super::output::{Output, size};
use crate::calendar::Calendar;
use crate::config::ClientConfig;
use crate::error::Result;
use crate::ledger_client::LedgerClient;
use crate::words::{coins, wal};

/// Prints what a put of `length` bytes would cost.
pub(super) async fn show(
    config: ClientConfig,
    output: &Output,
    name: &str,
    length: u64,
    epochs: u32,
) -> Result<()> {
    let client = LedgerClient::connect(config).await?;
    let quote = client.quote(length, epochs)?;
    let balances = match client.account() {
        Some(_) => Some(client.balances().await?),
        None => None,
    };
    let calendar = client.calendar();
    let end_epoch = calendar.epoch.saturating_add(epochs);
    let estimate = Estimate { name, length, end_epoch, quote, balances, calendar };
    let cost = coins(estimate.total());
    output.result(&estimate.to_json(), &cost, &estimate.to_text());
    Ok(())
}

/// What a put would cost, and from what it would be paid.
struct Estimate<'a> {
    name: &'a str,
    length: u64,
    end_epoch: u32,
    quote: Quote,
    balances: Option<Balances>,
    calendar: Calendar,
}

impl Estimate<'_> {
    fn total(&self) -> u64 {
        self.quote.storage.saturating_add(self.quote.write)
    }

    fn to_json(&self) -> Value {
        let balances = self.balances;
        json!({
            "dry_run": true,
            "size": self.length,
            "encoded_size": self.quote.encoded_bytes,
            "end_epoch": self.end_epoch,
            "end": self.calendar.date(self.end_epoch),
            "cost": {
                "wal_frost": self.total(),
                "storage_frost": self.quote.storage,
                "write_frost": self.quote.write,
            },
            "affordable": balances.map(|balances| balances.wal >= self.total()),
        })
    }

    fn to_text(&self) -> String {
        let mut text = format!(
            "{}  {} ({} encoded)\n  cost    {} and gas: {} for storage, {} for writing\n",
            self.name,
            size(self.length),
            size(self.quote.encoded_bytes),
            wal(self.total()),
            wal(self.quote.storage),
            wal(self.quote.write),
        );
        text.push_str(&format!(
            "          nothing, if the network already has it for as long\n  until   {} (exclusive)\n",
            self.calendar.until(self.end_epoch)
        ));
        if let Some(Balances { wal: held, .. }) = self.balances {
            let lack = if held < self.total() { ", too little" } else { "" };
            text.push_str(&format!("  wallet  {}{lack}\n", wal(held)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(balances: Option<Balances>) -> Estimate<'static> {
        let quote = Quote { encoded_bytes: 4 << 20, storage: 40, write: 5 };
        let calendar = Calendar { epoch: 4, started_ms: 0, duration_ms: 0, now_ms: 0 };
        Estimate { name: "file", length: 1 << 20, end_epoch: 9, quote, balances, calendar }
    }

    #[test]
    fn an_estimate_says_what_is_missing_and_does_without_a_wallet() {
        let poor = estimate(Some(Balances { sui: 0, wal: 44 }));
        assert!(poor.to_text().contains("wallet  0.000000044 WAL, too little"));
        assert_eq!(poor.to_json()["affordable"], false);
        let rich = estimate(Some(Balances { sui: 0, wal: 45 }));
        assert!(rich.to_text().ends_with("wallet  0.000000045 WAL\n"));
        let none = estimate(None);
        assert!(none.to_text().ends_with("until   epoch 9 (exclusive)\n"), "{}", none.to_text());
        assert_eq!((&none.to_json()["affordable"], none.total()), (&Value::Null, 45));
    }
}
