//! `haulout node exit`: a node leaves, and then its bond comes back.

use clap::Args;
use haulout_actors::chain::Receipt;
use serde_json::{Value, json};

use super::operator::{Held, Operator};
use crate::cli::Cli;
use crate::cli::output::Output;
use crate::cli::owner::{Consent, one_word};
use crate::error::Result;
use crate::stakes;
use crate::words::{coins, label, sui, wal, wal_json};

/// Leave the network, and get the bond back
///
/// The node is not chosen any more. It must serve to the end of the last epoch it was chosen for;
/// two epochs after asking at the earliest, `--withdraw-bond` pays the bond back. This cannot be
/// taken back. Its stakers can have their stake back as always.
#[derive(Debug, Args)]
pub(in crate::cli) struct Exit {
    /// Get back the bond of a node that has left
    #[arg(long)]
    withdraw_bond: bool,
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    consent: Consent,
}

impl Exit {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let held = self.operator.find(cli).await?;
        match self.withdraw_bond {
            true => self.bond(&held, output).await,
            false => self.leave(&held, output).await,
        }
    }

    async fn leave(&self, held: &Held, output: &Output) -> Result<()> {
        held.node.check_exit()?;
        held.node.check_successors(&held.book)?;
        let (id, free) = (held.cap.node_id.to_string(), self.free_from(held));
        let calendar = held.client.calendar();
        let json = |done: Option<&Receipt>| leaving_json(held, free, done);
        let until = calendar.until(free);
        let text = format!(
            "{} leaves for good\n  duty  keep it running to the end of the last epoch it was \
             chosen for\n  bond  {}, free from {until}, at the earliest\n",
            label(&held.node.row.name),
            wal(held.node.bond),
        );
        if self.consent.dry_run {
            output.result(&json(None), &id, &text);
        } else if self.consent.given(&text, output).await? {
            let done = held.client.request_exit(&held.cap).await?;
            one_word(&done);
            let gas = sui(done.gas);
            let flags = self.operator.flags();
            let text = format!(
                "✓ {text}  then  `haulout node exit --withdraw-bond{flags}`\n  gas   {gas}\n"
            );
            output.result(&json(Some(&done)), &id, &text);
        }
        Ok(())
    }

    /// The first epoch in which the bond is free.
    fn free_from(&self, held: &Held) -> u32 {
        let pool = held.book.staking.pools.get(&held.cap.node_id);
        pool.map_or(0, |pool| stakes::bond_free_from(&held.book.staking, pool))
    }

    async fn bond(&self, held: &Held, output: &Output) -> Result<()> {
        let calendar = held.client.calendar();
        held.node.check_bond(|epoch| calendar.until(epoch))?;
        let bond = held.node.bond;
        let json = |done: Option<&(u64, Receipt)>| {
            json!({
                "dry_run": done.is_none(),
                "node_id": held.cap.node_id.to_string(),
                "bond": wal_json(bond),
                "paid": done.map(|(paid, _)| wal_json(*paid)),
                "gas_mist": done.map(|(_, receipt)| receipt.gas),
                "digest": done.map(|(_, receipt)| &receipt.digest),
                "only_said_by": done.and_then(|(_, receipt)| receipt.only_said_by.as_ref()),
            })
        };
        let text = format!("pay back the bond of {}: {}\n", label(&held.node.row.name), wal(bond));
        if self.consent.dry_run {
            output.result(&json(None), &coins(bond), &text);
        } else if self.consent.given(&text, output).await? {
            let done = held.client.withdraw_bond(&held.cap).await?;
            one_word(&done.1);
            let (paid, gas) = (wal(done.0), sui(done.1.gas));
            let text = format!("✓ Paid back  {paid}\n  gas  {gas}\n");
            output.result(&json(Some(&done)), &coins(done.0), &text);
        }
        Ok(())
    }
}

fn leaving_json(held: &Held, free: u32, done: Option<&Receipt>) -> Value {
    json!({
        "dry_run": done.is_none(),
        "node_id": held.cap.node_id.to_string(),
        "bond": wal_json(held.node.bond),
        "bond_free_epoch": free,
        "bond_free": held.client.calendar().date(free),
        "gas_mist": done.map(|done| done.gas),
        "digest": done.map(|done| &done.digest),
        "only_said_by": done.and_then(|done| done.only_said_by.as_ref()),
    })
}
