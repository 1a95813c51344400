//! `haulout node show`: one's own nodes as the ledger has them, and how the running one is.
//!
//! Does not: join the peer-to-peer network, or ask any node but the one of the configuration.

use clap::Args;
use serde_json::{Value, json};

use super::commission::authority_json;
use super::operator::{Operator, metadata};
use super::running::Running;
use crate::calendar::Calendar;
use crate::cli::Cli;
use crate::cli::output::{Output, size};
use crate::cli::stake::{selection_json, selection_text, shards, status};
use crate::error::Result;
use crate::ledger_client::LedgerClient;
use crate::stakes::{self, ExitStep, OwnNode, Selection, receiver_text};
use crate::words::{self, label, percent, wal, wal_json};

/// Show the wallet's nodes as the ledger has them
///
/// If the configuration says where the node serves its health (http.listen), it is asked, too.
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    operator: Operator,
}

impl Show {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let config = cli.load(self.operator.settings()?)?;
        let endpoint = config.http();
        let client = LedgerClient::connect(config.client()?).await?;
        let owned = client.node_caps().await?;
        let book = client.stake_book().await?;
        let (staking, named) = (&book.staking, self.operator.node.as_deref());
        let caps = match (named, owned.is_empty()) {
            (None, false) => owned,
            _ => vec![stakes::own_cap(staking, &owned, named)?],
        };
        let nodes: Result<_> = caps.iter().map(|cap| stakes::own_node(&book, cap)).collect();
        let running = match endpoint {
            Some(endpoint) => Some(Running::ask(endpoint).await),
            None => None,
        };
        let facts = Facts {
            nodes: nodes?,
            running,
            shards: staking.n_shards,
            is_selected: staking.next.is_some(),
            selection: stakes::next_selection(&book),
            calendar: client.calendar(),
            wallet: self.operator.wallet(),
        };
        let ids: Vec<String> =
            facts.nodes.iter().map(|node| node.row.node_id.to_string()).collect();
        output.result(&facts.to_json(), &ids.join("\n"), &facts.to_text());
        Ok(())
    }
}

/// What there is to tell.
struct Facts {
    nodes: Vec<OwnNode>,
    running: Option<Running>,
    shards: u16,
    is_selected: bool,
    selection: Selection,
    calendar: Calendar,
    /// The wallet that was named, as a flag for commands about the same nodes.
    wallet: String,
}

impl Facts {
    fn to_json(&self) -> Value {
        json!({
            "epoch": self.calendar.epoch,
            "next_selection": selection_json(&self.selection, &self.calendar),
            "nodes": self.nodes.iter().map(|node| self.node_json(node)).collect::<Vec<_>>(),
            "running": self.running.as_ref().map(Running::to_json),
        })
    }

    fn node_json(&self, node: &OwnNode) -> Value {
        let row = &node.row;
        let held_until = match node.exit {
            ExitStep::Wait(epoch) => Some(epoch),
            _ => None,
        };
        let change = |(epoch, bps): &(u32, u64)| {
            json!({
                "from_epoch": epoch, "from": self.calendar.date(*epoch), "commission_bps": bps,
            })
        };
        json!({
            "name": row.name,
            "node_id": row.node_id.to_string(),
            "peer_id": node.peer_id.map(|peer| peer.to_string()),
            "addresses": node.profile.addresses,
            "metadata": metadata(&node.profile.metadata),
            "cap": node.cap.to_string(),
            "status": stakes::status_name(row.status),
            "role": row.role.name(),
            "stake": wal_json(row.stake),
            "next_stake": wal_json(row.next_stake),
            "shards": row.shards,
            "next_shards": row.next_shards,
            "commission_bps": row.commission_bps,
            "commission_changes": row.commission_changes.iter().map(change).collect::<Vec<_>>(),
            "commission": {
                "free": wal_json(node.commission.free),
                "blocked": wal_json(node.commission.blocked),
                "receiver": authority_json(&node.receiver),
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
            "is_running_here": self.running_of(node).is_some(),
        })
    }

    /// The running node, if it is this one.
    fn running_of(&self, node: &OwnNode) -> Option<&Running> {
        self.running.as_ref().filter(|running| running.is_of(node.peer_id))
    }

    fn to_text(&self) -> String {
        let mut text: String = self.nodes.iter().map(|node| self.node(node)).collect();
        let selection = selection_text(&self.selection, &self.calendar);
        text.push_str(&format!("now epoch {} · {selection}\n", self.calendar.epoch));
        let is_seen = self.nodes.iter().any(|node| self.running_of(node).is_some());
        if let Some(running) = self.running.as_ref().filter(|_| !is_seen) {
            text.push_str(&running.stranger());
        }
        text
    }

    fn node(&self, node: &OwnNode) -> String {
        let row = &node.row;
        let mut text = format!("{}  {}\n", label(&row.name), row.node_id);
        let mut line = |name: &str, value: String| {
            text.push_str(&format!("  {name:<11} {value}\n"));
        };
        line("status", status(row) + &self.prospects(node));
        if let Some(running) = self.running_of(node) {
            line("running", running.to_text(self.calendar.epoch));
            for (cause, next_step) in running.conditions() {
                line("", cause);
                line("", format!("  next: {next_step}"));
            }
        }
        line("stake", format!("{} now, {} next", wal(row.stake), wal(row.next_stake)));
        line("shards", shards(row, self.shards));
        for (name, value) in self.commission(node) {
            line(name, value);
        }
        let asks = row.asks;
        line("asks", words::prices(asks.storage, asks.write));
        line("capacity", size(row.capacity));
        line("bond", wal(node.bond) + &self.bond(node));
        let profile = &node.profile;
        for (at, address) in profile.addresses.iter().enumerate() {
            line(if at == 0 { "addresses" } else { "" }, label(address));
        }
        for (at, (topic, text)) in profile.metadata.iter().enumerate() {
            let name = if at == 0 { "texts" } else { "" };
            line(name, format!("{}={}", label(topic), label(text)));
        }
        text
    }

    /// The operator's part, what it becomes, what of it waits, and for whom.
    fn commission(&self, node: &OwnNode) -> Vec<(&'static str, String)> {
        let row = &node.row;
        let mut lines =
            vec![("commission", format!("{} of rewards", percent(row.commission_bps.into())))];
        for (epoch, bps) in &row.commission_changes {
            let from = self.calendar.until(*epoch);
            lines.push(("", format!("{} from the rewards of {from}", percent(*bps))));
        }
        let earned = node.commission;
        let blocked = match earned.blocked {
            0 => String::new(),
            blocked => format!(", {} once the next committee is chosen", wal(blocked)),
        };
        lines.push(("to collect", format!("{}{blocked}", wal(earned.free))));
        lines.push(("receiver", receiver_text(&node.receiver)));
        lines
    }

    /// What the next committee means to the node.
    fn prospects(&self, node: &OwnNode) -> String {
        match (node.row.next_shards, node.exit) {
            (Some(0), _) if self.is_selected => ", not in the next committee".to_owned(),
            (Some(shards), _) => {
                format!(", in the next committee with {}", words::count(shards, "shard"))
            }
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
            ExitStep::WithdrawBond => {
                let several = match self.nodes.len() {
                    1 => String::new(),
                    _ => format!(" --node {}", node.row.node_id),
                };
                format!(", free: `haulout node exit --withdraw-bond{several}{}`", self.wallet)
            }
            ExitStep::Gone => ", paid back".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use haulout_protocol::chain::ObjectId;
    use haulout_protocol::chain::object::staking::NodeCap;

    use super::*;
    use crate::stakes::{sample_book, sample_calendar};

    fn facts(id: u8) -> Facts {
        let book = sample_book();
        let cap = NodeCap {
            id: ObjectId::from_bytes([0xca; 32]),
            node_id: ObjectId::from_bytes([id; 32]),
        };
        Facts {
            nodes: vec![stakes::own_node(&book, &cap).unwrap()],
            running: None,
            shards: 4,
            is_selected: false,
            selection: stakes::next_selection(&book),
            calendar: sample_calendar(),
            wallet: String::new(),
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
        assert_eq!(json["running"], Value::Null);
    }

    #[test]
    fn a_free_bond_is_had_back_by_a_command_that_names_the_node_and_the_wallet_it_takes() {
        let mut facts = facts(1);
        facts.nodes[0].exit = ExitStep::WithdrawBond;
        assert!(facts.to_text().contains("`haulout node exit --withdraw-bond`"));
        facts.wallet = " --wallet my.key".to_owned();
        facts.nodes.push(facts.nodes[0].clone());
        let id = facts.nodes[0].row.node_id;
        let command = format!("`haulout node exit --withdraw-bond --node {id} --wallet my.key`");
        assert!(facts.to_text().contains(&command), "{}", facts.to_text());
    }

    #[test]
    fn what_others_see_of_the_node_and_what_will_change_is_shown() {
        let mut facts = facts(1);
        let node = &mut facts.nodes[0];
        node.row.commission_changes = vec![(6, 750)];
        node.profile.addresses = vec!["/ip4/10.0.0.1/tcp/1".to_owned()];
        node.profile.metadata = vec![("site".to_owned(), "https://tern.example".to_owned())];
        let text = facts.to_text();
        for said in [
            "commission  5 % of rewards\n              7.5 % from the rewards of epoch 6, about 2027",
            "receiver    who has the cap 0xcaca",
            "addresses   /ip4/10.0.0.1/tcp/1\n",
            "texts       site=https://tern.example\n",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        let json = facts.to_json();
        assert_eq!(json["nodes"][0]["commission_changes"][0]["from_epoch"], 6);
        assert_eq!(json["nodes"][0]["metadata"]["site"], "https://tern.example");
        assert!(json["nodes"][0]["commission"]["receiver"]["cap"].is_string());
    }
}
