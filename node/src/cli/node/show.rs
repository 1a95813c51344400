//! `haulout node show`: one's own nodes as the ledger has them.
//!
//! Does not: ask whether a node runs; its `/healthz` says so.

use clap::Args;
use serde_json::{Value, json};

use super::operator::Operator;
use crate::calendar::Calendar;
use crate::cli::Cli;
use crate::cli::output::{Output, size};
use crate::cli::stake::{commission, selection_json, selection_text, shards, status};
use crate::error::Result;
use crate::stakes::{self, ExitStep, OwnNode, Selection};
use crate::words::{self, object, wal, wal_json};

/// Show the wallet's nodes as the ledger has them
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    operator: Operator,
}

impl Show {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let client = self.operator.connect(cli).await?;
        let owned = client.node_caps().await?;
        let book = client.stake_book().await?;
        let (staking, named) = (&book.staking, self.operator.node.as_deref());
        let caps = match (named, owned.caps.is_empty()) {
            (None, false) => owned.caps,
            _ => vec![stakes::own_cap(staking, &owned, named)?],
        };
        let facts = Facts {
            nodes: caps
                .iter()
                .map(|cap| stakes::own_node(&book, cap))
                .collect::<Result<Vec<_>>>()?,
            shards: staking.n_shards,
            is_selected: staking.next.is_some(),
            selection: stakes::next_selection(&book),
            calendar: client.calendar(),
        };
        let ids: Vec<String> = facts.nodes.iter().map(|node| object(&node.row.node_id)).collect();
        output.result(&facts.to_json(), &ids.join("\n"), &facts.to_text());
        Ok(())
    }
}

/// What there is to tell.
struct Facts {
    nodes: Vec<OwnNode>,
    shards: u16,
    is_selected: bool,
    selection: Selection,
    calendar: Calendar,
}

impl Facts {
    fn to_json(&self) -> Value {
        let node = |node: &OwnNode| {
            let row = &node.row;
            let held_until = match node.exit {
                ExitStep::Wait(epoch) => Some(epoch),
                _ => None,
            };
            json!({
                "name": row.name,
                "node_id": object(&row.node_id),
                "cap": object(&node.cap),
                "status": stakes::status_name(row.status),
                "role": row.role.name(),
                "stake": wal_json(row.stake),
                "next_stake": wal_json(row.next_stake),
                "shards": row.shards,
                "next_shards": row.next_shards,
                "commission_bps": row.commission_bps,
                "commission": {
                    "free": wal_json(node.commission.free),
                    "blocked": wal_json(node.commission.blocked),
                },
                "asks": {
                    "storage_frost_per_mib_epoch": row.asks.storage,
                    "write_frost_per_mib": row.asks.write,
                },
                "capacity": row.capacity,
                "bond": wal_json(node.bond),
                "exit_epoch": node.exit_epoch,
                "bond_free_epoch": held_until,
                "bond_free": held_until.and_then(|epoch| self.calendar.date(epoch)),
            })
        };
        json!({
            "epoch": self.calendar.epoch,
            "next_selection": selection_json(&self.selection, &self.calendar),
            "nodes": self.nodes.iter().map(node).collect::<Vec<_>>(),
        })
    }

    fn to_text(&self) -> String {
        let mut text: String = self.nodes.iter().map(|node| self.node(node)).collect();
        let selection = selection_text(&self.selection, &self.calendar);
        text.push_str(&format!("now epoch {} · {selection}\n", self.calendar.epoch));
        text
    }

    fn node(&self, node: &OwnNode) -> String {
        let row = &node.row;
        let mut text = format!("{}  {}\n", words::label(&row.name), object(&row.node_id));
        let mut line = |name: &str, value: String| {
            text.push_str(&format!("  {name:<11} {value}\n"));
        };
        line("status", status(row) + &self.prospects(node));
        line("stake", format!("{} now, {} next", wal(row.stake), wal(row.next_stake)));
        line("shards", shards(row, self.shards));
        line("commission", format!("{} of rewards", commission(row)));
        let earned = node.commission;
        let blocked = match earned.blocked {
            0 => String::new(),
            blocked => format!(", {} once the next committee is chosen", wal(blocked)),
        };
        line("to collect", format!("{}{blocked}", wal(earned.free)));
        let asks = row.asks;
        line(
            "asks",
            format!("{} FROST for a MiB and an epoch, {} for writing it", asks.storage, asks.write),
        );
        line("capacity", size(row.capacity));
        line("bond", wal(node.bond) + &self.bond(node));
        text
    }

    /// What the next committee means to the node.
    fn prospects(&self, node: &OwnNode) -> String {
        match (node.row.next_shards, node.exit) {
            (Some(0), _) if self.is_selected => ", not in the next committee".to_owned(),
            (Some(shards), _) => format!(", in the next committee with {shards} shards"),
            (None, ExitStep::Request) if node.row.next_stake == 0 => {
                ", cannot be chosen without stake".to_owned()
            }
            (None, _) => String::new(),
        }
    }

    /// What becomes of the bond.
    fn bond(&self, node: &OwnNode) -> String {
        match node.exit {
            ExitStep::Request | ExitStep::Jailed => String::new(),
            ExitStep::Wait(epoch) => format!(", held until {}", self.calendar.until(epoch)),
            ExitStep::WithdrawBond => ", free: haulout node exit --withdraw-bond".to_owned(),
            ExitStep::Gone => ", paid back".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use haulout_protocol::chain::object::staking::NodeCap;

    use super::*;
    use crate::stakes::{sample_book, sample_calendar};

    fn facts(id: u8) -> Facts {
        let book = sample_book();
        let cap = NodeCap { id: [0xca; 32], node_id: [id; 32] };
        Facts {
            nodes: vec![stakes::own_node(&book, &cap).unwrap()],
            shards: 4,
            is_selected: false,
            selection: stakes::next_selection(&book),
            calendar: sample_calendar(),
        }
    }

    #[test]
    fn an_operator_reads_whether_the_node_serves_and_what_it_lacks() {
        let text = facts(1).to_text();
        assert!(text.contains("status      committee\n"), "{text}");
        assert!(text.contains("stake       3 WAL now, 3 WAL next"), "{text}");
        let text = facts(3).to_text();
        assert!(text.contains("status      unstaked, cannot be chosen without stake"), "{text}");
        let json = facts(1).to_json();
        assert_eq!(json["nodes"][0]["commission"]["free"]["wal_frost"], 0);
        assert_eq!(json["nodes"][0]["exit_epoch"], Value::Null);
    }
}
