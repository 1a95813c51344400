//! `haulout info`: the network as the ledger describes it.

use clap::Args;
use haulout_actors::chain::SystemView;
use haulout_actors::market::Quote;
use haulout_actors::network::address_from_bytes;
use haulout_protocol::chain::object::staking::EpochState;
use haulout_protocol::committee::Member;
use serde_json::{Value, json};

use super::Cli;
use super::output::{Output, size};
use super::table::{Align, padded};
use crate::calendar::Calendar;
use crate::error::Result;
use crate::ledger_client::LedgerClient;
use crate::words::{self, count, label, wal};

/// What the example stores, and for how many epochs.
const EXAMPLE: (u64, u32) = (1 << 30, 5);

const MINUTE_MS: u64 = 60_000;

/// Describe the network: epoch, committee, prices, capacity
#[derive(Debug, Args)]
pub(super) struct Info {}

impl Info {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let client = LedgerClient::connect(cli.reader()?).await?;
        let facts = Facts {
            ledger: client.url().to_owned(),
            view: client.view().clone(),
            calendar: client.calendar(),
        };
        let epoch = facts.calendar.epoch.to_string();
        output.result(&facts.to_json(), &epoch, &facts.to_text());
        Ok(())
    }
}

/// What there is to tell.
struct Facts {
    ledger: String,
    view: SystemView,
    calendar: Calendar,
}

impl Facts {
    /// What the example costs, where it has a price.
    fn example(&self) -> Option<(Quote, u64)> {
        let quote = self.view.position.quote(EXAMPLE.0, EXAMPLE.1)?;
        Some((quote, quote.storage.checked_add(quote.write)?))
    }

    fn to_json(&self) -> Value {
        let (view, position) = (&self.view, &self.view.position);
        let example = self.example().map(|(quote, total)| {
            json!({
                "size": EXAMPLE.0,
                "encoded_size": quote.encoded_bytes,
                "epochs": EXAMPLE.1,
                "wal_frost": total,
            })
        });
        json!({
            "network": view.network.to_string(),
            "ledger": {
                "rpc": self.ledger,
                "checkpoint": position.checkpoint,
                "clock_ahead_ms": self.calendar.ahead_ms,
            },
            "protocol_version": view.protocol_version,
            "epoch": {
                "number": position.epoch.0,
                "state": state_word(position.phase),
                "started": self.calendar.date(position.epoch.0),
                "ends": self.calendar.due_ms().map(|due| self.calendar.shown(due)),
                "overdue": self.calendar.is_overdue(),
                "duration_ms": position.timing.duration_ms,
                "ahead_max": position.market.epochs_ahead_max,
            },
            "shards": position.committee.shards(),
            "f": position.parameters.faults(),
            "quorum": position.committee.quorum(),
            "segment_size": position.parameters.segment_bytes(),
            "short_blob_size_max": position.parameters.short_bytes_max(),
            "capacity": { "used": view.capacity.used, "total": view.capacity.total },
            "prices": {
                "storage_frost_per_mib_epoch": position.market.prices.storage,
                "write_frost_per_mib": position.market.prices.write,
                "example": example,
            },
            "committee": position.committee.members().iter().map(member).collect::<Vec<_>>(),
        })
    }

    fn to_text(&self) -> String {
        let (view, position) = (&self.view, &self.view.position);
        let mut text = format!(
            "network   {}\nledger    {} · checkpoint {} · protocol version {}\n",
            view.network, self.ledger, position.checkpoint, view.protocol_version
        );
        text.push_str(&format!("epoch     {}{}{}\n", position.epoch.0, self.end(), self.state()));
        text.push_str(&self.clock());
        text.push_str(&format!(
            "shards    {}, of which {} may fail; {} are a quorum\n",
            position.committee.shards(),
            position.parameters.faults(),
            position.committee.quorum(),
        ));
        text.push_str(&format!(
            "capacity  {} of {} used ({})\n",
            size(view.capacity.used),
            size(view.capacity.total),
            percent(view.capacity.used, view.capacity.total),
        ));
        text.push_str(&self.prices());
        let members = position.committee.members();
        text.push_str(&format!("committee {} nodes\n", members.len()));
        members.iter().for_each(|member| text.push_str(&node(member)));
        text
    }

    /// When the epoch ends.
    fn end(&self) -> String {
        let date = self.calendar.due_ms().map(|due| self.calendar.shown(due));
        match date {
            None => String::new(),
            Some(date) if self.calendar.is_overdue() => format!(" · should have ended {date}"),
            Some(date) => format!(" · ends {date}"),
        }
    }

    /// How far the ledger's clock is ahead, if that is worth a line: one of the two clocks is wrong.
    fn clock(&self) -> String {
        if self.calendar.ahead_ms == 0 {
            return String::new();
        }
        let minutes = self.calendar.ahead_ms.div_ceil(MINUTE_MS);
        let ahead = match minutes {
            0..120 => count(usize::try_from(minutes).unwrap_or_default(), "minute"),
            _ => count(usize::try_from((minutes + 30) / 60).unwrap_or(usize::MAX), "hour"),
        };
        format!(
            "clock     the ledger's is {ahead} ahead of this machine's, by which every date is told\n"
        )
    }

    /// How far the epoch is, if that is worth a word.
    fn state(&self) -> String {
        let position = &self.view.position;
        match position.phase {
            EpochState::Sync { weight, .. } => {
                let shards = position.committee.shards();
                format!(" · its nodes take over, {weight} of {shards} shards are held")
            }
            EpochState::Done { .. } => String::new(),
            EpochState::Selected { .. } => " · the next committee is chosen".to_owned(),
        }
    }

    fn prices(&self) -> String {
        let prices = &self.view.position.market.prices;
        let mut text = format!("prices    {}\n", words::prices(prices.storage, prices.write));
        if let Some((quote, total)) = self.example() {
            text.push_str(&format!(
                "          so {} for {} epochs cost {} ({} encoded)\n",
                size(EXAMPLE.0),
                EXAMPLE.1,
                wal(total),
                size(quote.encoded_bytes),
            ));
        }
        text
    }
}

/// How far an epoch is, for programs.
fn state_word(state: EpochState) -> &'static str {
    match state {
        EpochState::Sync { .. } => "sync",
        EpochState::Done { .. } => "done",
        EpochState::Selected { .. } => "selected",
    }
}

fn addresses(member: &Member) -> Vec<String> {
    member.addresses.iter().filter_map(|bytes| address_from_bytes(bytes)).collect()
}

fn member(member: &Member) -> Value {
    json!({
        "name": member.name,
        "node_id": member.node_id.to_string(),
        "peer_id": member.peer_id.to_string(),
        "shards": member.shards.iter().map(|shard| shard.0).collect::<Vec<_>>(),
        "addresses": addresses(member),
    })
}

/// A member for people: a line, and one for each address.
fn node(member: &Member) -> String {
    let name = padded(&label(&member.name), 12, Align::Left);
    let mut text = format!("  {name}  {:>4} shards  {}\n", member.shards.len(), member.peer_id);
    for address in addresses(member) {
        text.push_str(&format!("    {address}\n"));
    }
    text
}

/// A part of a whole, rounded down to a tenth of a percent.
fn percent(part: u64, whole: u64) -> String {
    match (u128::from(part) * 1000).checked_div(u128::from(whole)) {
        Some(0) if part > 0 => "under 0.1 %".to_owned(),
        Some(tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
        None => "nothing offered".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use haulout_actors::chain::{Capacity, NetworkObjects};
    use haulout_protocol::message::NetworkId;

    use super::*;
    use crate::holdings::sample_position;

    fn facts(now_ms: u64) -> Facts {
        let view = SystemView {
            position: sample_position(),
            network: NetworkId::from_bytes([5; 32]),
            capacity: Capacity { used: 1 << 20, total: 3 << 20 },
            protocol_version: 1,
            source: NetworkObjects::default(),
        };
        let calendar = Calendar::new(&view.position, now_ms);
        Facts { ledger: "http://127.0.0.1:9000".to_owned(), view, calendar }
    }

    #[test]
    fn people_read_when_the_epoch_ends_and_what_a_gibibyte_costs() {
        let text = facts(1_803_132_000_001).to_text();
        assert!(text.contains("epoch     4 · ends 2027-02-21 14:00 UTC"), "{text}");
        assert!(text.contains("4, of which 1 may fail; 3 are a quorum"), "{text}");
        assert!(text.contains("1.00 MiB of 3.00 MiB used (33.3 %)"), "{text}");
        assert!(text.contains("so 1.00 GiB for 5 epochs cost 0."), "{text}");
        assert!(text.contains("  n1               4 shards  12D3"), "{text}");
        let late = facts(2_000_000_000_000).to_text();
        assert!(late.contains("should have ended 2027-02-21 14:00 UTC"), "{late}");
    }

    #[test]
    fn a_ledger_whose_clock_was_moved_is_told_with_dates_that_this_machine_will_have() {
        let moved = facts(1_803_132_000_000 - 36 * 3_600_000);
        let text = moved.to_text();
        assert!(text.contains("epoch     4 · ends 2027-02-20 02:00 UTC"), "{text}");
        assert!(text.contains("clock     the ledger's is 36 hours ahead of this"), "{text}");
        let json = moved.to_json();
        assert_eq!(json["ledger"]["clock_ahead_ms"], 36 * 3_600_000);
        assert_eq!(json["epoch"]["started"], "2027-02-19 02:00 UTC");
        assert!(!facts(1_803_132_000_000).to_text().contains("clock"));
    }

    #[test]
    fn json_names_every_shard_of_every_member_and_prices_the_example() {
        let json = facts(0).to_json();
        assert_eq!(json["committee"][0]["shards"], json!([0, 1, 2, 3]));
        assert_eq!((&json["f"], &json["epoch"]["number"]), (&json!(1), &json!(4)));
        let example = &json["prices"]["example"];
        let units = example["encoded_size"].as_u64().unwrap().div_ceil(1 << 20);
        assert_eq!(example["wal_frost"], units * (5 * 5 + 1));
    }

    #[test]
    fn a_part_of_nothing_has_no_percentage() {
        assert_eq!(percent(1, 0), "nothing offered");
        assert_eq!(percent(u64::MAX, u64::MAX), "100.0 %");
        assert_eq!((percent(1, 1001), percent(0, 7)), ("under 0.1 %".into(), "0.0 %".into()));
    }
}
