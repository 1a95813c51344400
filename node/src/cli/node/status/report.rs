//! What there is to tell of a node, for people and for programs.

use std::time::Duration;

use haulout_protocol::crypto::PeerId;
use serde_json::{Value, json};

use crate::calendar::Calendar;
use crate::checks;
use crate::cli::node::running::Running;
use crate::cli::output::size;
use crate::cli::stake::{selection_json, selection_text, shards};
use crate::error::Result;
use crate::periods;
use crate::probe::{self, Health};
use crate::stakes::{NodeRow, Role, Selection};
use crate::words::{count, label, wal, wal_json};

/// Where the ledger has a node.
pub(super) struct Place {
    /// The node as stakers see it; nothing if it is not registered.
    pub(super) row: Option<NodeRow>,
    /// The least stake that gives it a shard now.
    pub(super) least: Option<u64>,
    /// All shards of the network.
    pub(super) shards: u16,
    pub(super) selection: Selection,
    pub(super) calendar: Calendar,
}

/// What a node lacks and does about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Repairs {
    incomplete: u64,
    pairs: u64,
    bytes: u64,
    is_complete: bool,
    /// How many cannot be repaired now, and some of them with why.
    stuck: (u64, Vec<String>),
    /// About how long it takes, as fast as it was while it was watched.
    left: Option<Duration>,
}

/// All of it.
pub(super) struct Report {
    pub(super) name: Option<String>,
    pub(super) peer: Option<PeerId>,
    pub(super) running: Running,
    pub(super) repairs: Repairs,
    pub(super) place: Result<Place>,
}

impl Repairs {
    /// What the node said, and how fast it was until it was asked again.
    pub(super) fn of(running: &Running, later: Option<(Running, Duration)>) -> Repairs {
        let read = |health: &Health| {
            let told = &health.json()["repairs"];
            let number = |name: &str| told[name].as_u64().unwrap_or(0);
            Repairs {
                incomplete: number("incomplete_blobs"),
                pairs: number("repaired_pairs"),
                bytes: number("received_bytes"),
                is_complete: told["complete"].as_bool().unwrap_or(false),
                stuck: (number("stuck_blobs"), probe::stuck(health)),
                left: None,
            }
        };
        let before = running.health().map(read).unwrap_or_default();
        let after =
            later.as_ref().and_then(|(running, watched)| Some((read(running.health()?), *watched)));
        match after {
            None => before,
            Some((after, watched)) => Repairs { left: before.left(&after, watched), ..after },
        }
    }

    /// How long it takes if it goes on as it went on between two questions.
    fn left(&self, after: &Repairs, watched: Duration) -> Option<Duration> {
        if after.stuck.0 > 0 {
            return None; // what cannot be repaired has no pace
        }
        let done = self.incomplete.checked_sub(after.incomplete).filter(|done| *done > 0)?;
        let left = watched.as_secs_f64() * after.incomplete as f64 / done as f64;
        Duration::try_from_secs_f64(left.ceil()).ok()
    }

    /// The blobs that wait alone does not bring back, and what does.
    fn stuck_text(&self) -> Vec<String> {
        let (count, named) = &self.stuck;
        let mut lines: Vec<String> = named.iter().map(|blob| label(blob)).collect();
        match count.saturating_sub(u64::try_from(named.len()).unwrap_or(u64::MAX)) {
            0 => {}
            more => lines.push(format!("and {more} more")),
        }
        if *count > 0 {
            lines.push(probe::STUCK_STEP.to_owned());
        }
        lines
    }

    fn to_text(&self) -> String {
        let pairs = count(usize::try_from(self.pairs).unwrap_or(usize::MAX), "pair");
        let done = format!("{pairs} repaired from {}", size(self.bytes));
        let left = match self.left {
            Some(left) => {
                format!("; about {} more, as fast as in the last seconds", periods::spoken(left))
            }
            None => String::new(),
        };
        match (self.incomplete, self.is_complete) {
            (0, true) => format!("nothing is missing; {done}"),
            (0, false) => format!("it still looks for what is missing; {done}"),
            (some, _) => {
                let blobs = count(usize::try_from(some).unwrap_or(usize::MAX), "blob");
                let stuck = match self.stuck.0 {
                    0 => String::new(),
                    stuck => format!(", {stuck} of them CANNOT BE REPAIRED now"),
                };
                format!("{blobs} INCOMPLETE{stuck}; {done}{left}")
            }
        }
    }
}

impl Report {
    /// Whether the node answers and is well.
    pub(super) fn is_well(&self) -> bool {
        self.is_here() && self.health().is_some_and(Health::is_ok)
    }

    /// How it is in one word.
    pub(super) fn word(&self) -> &str {
        match self.health() {
            Some(health) if self.is_here() => health.text("status").unwrap_or("unknown"),
            _ => "down",
        }
    }

    fn health(&self) -> Option<&Health> {
        self.running.health()
    }

    /// Whether it is this node that answered.
    fn is_here(&self) -> bool {
        self.running.is_of(self.peer)
    }

    pub(super) fn to_json(&self) -> Value {
        let place = self.place.as_ref().ok();
        let row = place.and_then(|place| place.row.as_ref());
        let told = |name: &str| {
            self.health().filter(|_| self.is_here()).map(|health| health.json()[name].clone())
        };
        json!({
            "name": self.name,
            "peer_id": self.peer.map(|peer| peer.to_string()),
            "status": self.word(),
            "running": self.is_here().then(|| self.running.to_json()),
            "role": place.map(|_| row.map_or("unregistered", |row| row.role.name())),
            "node_id": row.map(|row| row.node_id.to_string()),
            "stake": row.map(|row| wal_json(row.stake)),
            "next_stake": row.map(|row| wal_json(row.next_stake)),
            "stake_for_a_shard": place.and_then(|place| place.least).map(wal_json),
            "shards": row.map(|row| row.shards),
            "next_shards": row.and_then(|row| row.next_shards),
            "next_selection": place.map(|place| selection_json(&place.selection, &place.calendar)),
            "repairs": {
                "complete": self.repairs.is_complete,
                "incomplete_blobs": self.repairs.incomplete,
                "repaired_pairs": self.repairs.pairs,
                "received_bytes": self.repairs.bytes,
                "stuck_blobs": self.repairs.stuck.0,
                "stuck": told("repairs").map(|repairs| repairs["stuck"].clone()),
                "seconds_left": self.repairs.left.map(|left| left.as_secs()),
            },
            "reachability": told("reachability"),
            "disk": told("disk"),
            "ledger_error": self.place.as_ref().err().map(|error| error.message()),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = self.head();
        let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<11} {value}\n"));
        match (self.is_here(), self.health()) {
            (true, Some(health)) => {
                let epoch = self.place.as_ref().map_or(0, |place| place.calendar.epoch);
                let version = label(health.text("version").unwrap_or("?"));
                line("running", &format!("{}, version {version}", self.running.to_text(epoch)));
                line("repairs", &self.repairs.to_text());
                self.repairs.stuck_text().iter().for_each(|stuck| line("", &format!("  {stuck}")));
                self.reach(health).iter().enumerate().for_each(|(at, reach)| {
                    line(if at == 0 { "reachable" } else { "" }, reach);
                });
                if let (Some(free), Some(kept)) = disk(health) {
                    line(
                        "disk",
                        &format!("{} free, of which {} are never used", size(free), size(kept)),
                    );
                }
                for (cause, next_step) in self.running.conditions() {
                    line("!", &cause);
                    line("", &format!("  next: {next_step}"));
                }
            }
            _ => {
                line("running", &format!("no: {}", self.running.stranger().trim_end()));
                line(
                    "",
                    "  next: start it with `haulout node run`; if it does not start, `haulout node check` says why",
                );
            }
        }
        match &self.place {
            Err(error) => line("ledger", &format!("not asked: {}", error.message())),
            Ok(place) => place.lines().iter().for_each(|(name, value)| line(name, value)),
        }
        text
    }

    /// Who it is, and what to the network.
    fn head(&self) -> String {
        let name = self.name.as_deref().map_or_else(|| "(no name)".to_owned(), label);
        let peer = self.peer.map_or_else(|| "no key yet".to_owned(), |peer| peer.to_string());
        let role = match &self.place {
            Err(_) => String::new(),
            Ok(place) => format!(
                "  {}",
                place.row.as_ref().map_or("NOT REGISTERED", |row| standing(row.role))
            ),
        };
        format!("{name}  {peer}{role}\n")
    }

    /// A line for each way in.
    fn reach(&self, health: &Health) -> Vec<String> {
        let told = checks::told_reach(health.json()).unwrap_or_default();
        match told.is_empty() {
            true => vec!["not known yet: no peer was asked to dial back".to_owned()],
            false => told
                .iter()
                .map(|check| format!("{} {}", check.outcome.sign(), label(&check.found)))
                .collect(),
        }
    }
}

fn disk(health: &Health) -> (Option<u64>, Option<u64>) {
    let disk = &health.json()["disk"];
    (disk["free_bytes"].as_u64(), disk["kept_free_bytes"].as_u64())
}

/// What a node is to the network, as its operator reads it.
fn standing(role: Role) -> &'static str {
    match role {
        Role::Committee => "MEMBER",
        Role::Next => "MEMBER of the next committee",
        Role::Candidate => "CANDIDATE",
        Role::Unstaked => "CANDIDATE without stake",
        Role::Outside => "OUTSIDE: it leaves, left, or is jailed",
    }
}

impl Place {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let Some(row) = &self.row else {
            let text =
                "the ledger does not know it: `haulout node register --capacity SIZE` registers it";
            return vec![("stake", text.to_owned())];
        };
        let mut lines =
            vec![("stake", format!("{} now, {} next", wal(row.stake), wal(row.next_stake)))];
        let least = self
            .least
            .map(|least| format!("about {} give it a shard at the next selection", wal(least)));
        if row.next_stake < self.least.unwrap_or(0) || row.next_stake == 0 {
            let least = least.unwrap_or_else(|| "no stake gives it a shard now".to_owned());
            lines.push((
                "",
                format!(
                    "{least}, if nobody else stakes; anybody may: `haulout stake add {} AMOUNT`",
                    row.node_id
                ),
            ));
        }
        lines.push((
            "shards",
            format!("{} of {}", shards(row, self.shards), count(usize::from(self.shards), "shard")),
        ));
        lines.push(("selection", selection_text(&self.selection, &self.calendar)));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};
    use crate::stakes::{SortBy, next_selection, rows, sample_book, sample_calendar};

    fn report(answer: Option<Value>, id: Option<u8>) -> Report {
        let peer = PeerId::from_key([7; 32]);
        let answer = answer.map(|mut answer| {
            answer["peer_id"] = json!(peer.to_string());
            Health::from(answer)
        });
        let running = Running::heard("127.0.0.1:9000".parse().unwrap(), answer);
        let repairs = Repairs::of(&running, None);
        let book = sample_book();
        let found = rows(&book, SortBy::Stake)
            .into_iter()
            .find(|row| Some(row.node_id.as_bytes()[0]) == id);
        let place = Place {
            row: found,
            least: Some(2_500_000_000),
            shards: 4,
            selection: next_selection(&book),
            calendar: sample_calendar(),
        };
        Report {
            name: Some("tern\u{1b}".to_owned()),
            peer: Some(peer),
            running,
            repairs,
            place: Ok(place),
        }
    }

    #[test]
    fn a_member_reads_how_it_is_and_what_peers_found() {
        let doors = json!([
            { "door": "udp/7 (QUIC)", "reached": 3, "tried": 3, "failure": null },
            { "door": "tcp/7", "reached": 0, "tried": 3, "failure": "refused" },
        ]);
        let answer = json!({
            "status": "ok", "epoch": 4, "shards": 3, "shards_missing": 0, "peers": 5, "version": "0.1.0",
            "repairs": { "complete": true, "incomplete_blobs": 0, "repaired_pairs": 2, "received_bytes": 2048 },
            "reachability": { "asked": 3, "seen_at": ["203.0.113.7"], "doors": doors },
            "disk": { "free_bytes": 1_u64 << 40, "kept_free_bytes": 256 << 20 },
        });
        let report = report(Some(answer), Some(1));
        let text = report.to_text();
        for said in [
            "tern\\u{1b}  12D3KooW",
            "  MEMBER\n",
            "running     well, epoch 4, 3 shards, none missing, 5 peers, version 0.1.0\n",
            "repairs     nothing is missing; 2 pairs repaired from 2.00 KiB\n",
            "reachable   ✓ udp/7 (QUIC): 3 of 3 peers",
            "! tcp/7: none of 3 peers that dialled back came in, refused\n",
            "disk        1.00 TiB free, of which 256.00 MiB are never used\n",
            "stake       3 WAL now, 3 WAL next\n",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
        assert!(report.is_well() && report.word() == "ok");
        let json = report.to_json();
        assert_eq!(
            (&json["role"], &json["disk"]["free_bytes"]),
            (&json!("committee"), &json!(1_u64 << 40))
        );
    }

    #[test]
    fn a_candidate_reads_how_much_stake_it_needs() {
        let text = report(Some(json!({ "status": "ok" })), Some(3)).to_text();
        assert!(text.contains("CANDIDATE without stake\n"), "{text}");
        assert!(text.contains("about 2.5 WAL give it a shard"), "{text}");
        assert!(text.contains("`haulout stake add 0x03"), "{text}");
        let unknown = report(Some(json!({ "status": "ok" })), None).to_text();
        assert!(
            unknown.contains("NOT REGISTERED") && unknown.contains("node register"),
            "{unknown}"
        );
    }

    #[test]
    fn a_node_that_does_not_run_and_a_ledger_that_is_away_are_told() {
        let mut report = report(None, Some(1));
        report.place = Err(Error::new(Kind::LedgerUnreachable, "it does not answer"));
        let text = report.to_text();
        assert!(
            text.contains("running     no: no node answers at http://127.0.0.1:9000"),
            "{text}"
        );
        assert!(
            text.contains("`haulout node run`")
                && text.contains("ledger      not asked: it does not answer")
        );
        assert_eq!((report.is_well(), report.word()), (false, "down"));
        assert_eq!(report.to_json()["running"], Value::Null);
    }

    #[test]
    fn a_repair_that_cannot_end_names_blobs_and_why_and_no_time() {
        let stuck = json!([{ "blob_id": "abc", "slivers_left": 2, "slivers_needed": 7, "is_faulty": false }]);
        let repairs = json!({
            "complete": false, "incomplete_blobs": 1, "repaired_pairs": 1, "received_bytes": 0, "stuck_blobs": 2, "stuck": stuck,
        });
        let report = report(Some(json!({ "status": "degraded", "repairs": repairs })), Some(1));
        let text = report.to_text();
        for said in [
            "1 blob INCOMPLETE, 2 of them CANNOT BE REPAIRED now; 1 pair repaired",
            "abc: 2 of 7 slivers that it takes can be had\n",
            "and 1 more\n",
            "`haulout put FILE --repair`",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
        assert_eq!(report.to_json()["repairs"]["stuck"], stuck);
        let before = Repairs { incomplete: 5, ..Repairs::default() };
        let after = Repairs { incomplete: 4, stuck: (1, Vec::new()), ..Repairs::default() };
        assert_eq!(before.left(&after, Duration::from_secs(1)), None);
    }

    #[test]
    fn how_long_a_repair_takes_is_told_as_fast_as_it_was() {
        let before = Repairs { incomplete: 100, ..Repairs::default() };
        let after = Repairs { incomplete: 90, ..Repairs::default() };
        assert_eq!(before.left(&after, Duration::from_secs(2)), Some(Duration::from_secs(18)));
        assert_eq!(before.left(&before, Duration::from_secs(2)), None);
    }
}
