//! Every counter and gauge of a node, named once.
//!
//! Promises: names follow `haulout_<subsystem>_<thing>_<unit>`, counters end in `_total` (the
//! encoder adds it), no label has more values than we write down here, and counting never waits.
//! Does not: serve the text over HTTP, or send it anywhere.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use haulout_protocol::machine::conditions::{Condition, Name};
use haulout_storage::Scrubbed;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// A gauge over unsigned numbers.
type Level = Gauge<u64, AtomicU64>;

/// The metrics of one node or client; a cheap handle.
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Inner>,
}

/// What all handles share.
#[derive(Debug)]
struct Inner {
    own: Registry,
    network: Arc<Mutex<Registry>>,
    actor_restarts: Family<ActorLabel, Counter>,
    blame: Family<ReasonLabel, Counter>,
    slivers_stored: Family<AxisLabel, Counter>,
    sliver_stored_bytes: Counter,
    slivers_served: Family<AxisLabel, Counter>,
    sliver_served_bytes: Counter,
    sessions_refused: Family<ReasonLabel, Counter>,
    pending_bytes: Level,
    confirmations: Counter,
    announcements: Family<VerdictLabel, Counter>,
    chain_lag: Level,
    chain_errors: Counter,
    ledger_doubts: Family<VerdictLabel, Counter>,
    checkpoint: Level,
    epoch: Level,
    shards_owned: Level,
    shards_missing: Level,
    incomplete: Level,
    repaired_pairs: Counter,
    handed_pairs: Counter,
    repair_bytes: Counter,
    scrubbed_bytes: Counter,
    scrub_rot: Counter,
    scrub_unreadable: Counter,
    scrub_tours: Counter,
    scrub_tour: Gauge<f64, AtomicU64>,
    scrub_tour_end: Level,
    conditions: Family<ConditionLabel, Level>,
}

/// Label of a condition: its name in the table of conditions.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ConditionLabel {
    name: &'static str,
}

/// Label of an actor: its name in the tree.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ActorLabel {
    actor: String,
}

/// Label of a reason: a word of our own code, never of a peer.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: String,
}

/// Label of an axis: `primary` or `secondary`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AxisLabel {
    axis: String,
}

/// Label of what became of an announcement.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VerdictLabel {
    verdict: String,
}

impl Metrics {
    /// Creates the metrics of one node of `network`; `version` is that of the program.
    pub fn new(version: &str, network: &str) -> Metrics {
        let mut own = Registry::with_prefix("haulout");
        let build = Info::new(vec![
            ("version".to_owned(), version.to_owned()),
            ("network".to_owned(), network.to_owned()),
        ]);
        own.register("build", "What runs here", build);
        let mut inner = Inner {
            own,
            network: Arc::default(),
            actor_restarts: Family::default(),
            blame: Family::default(),
            slivers_stored: Family::default(),
            sliver_stored_bytes: Counter::default(),
            slivers_served: Family::default(),
            sliver_served_bytes: Counter::default(),
            sessions_refused: Family::default(),
            pending_bytes: Level::default(),
            confirmations: Counter::default(),
            announcements: Family::default(),
            chain_lag: Level::default(),
            chain_errors: Counter::default(),
            ledger_doubts: Family::default(),
            checkpoint: Level::default(),
            epoch: Level::default(),
            shards_owned: Level::default(),
            shards_missing: Level::default(),
            incomplete: Level::default(),
            repaired_pairs: Counter::default(),
            handed_pairs: Counter::default(),
            repair_bytes: Counter::default(),
            scrubbed_bytes: Counter::default(),
            scrub_rot: Counter::default(),
            scrub_unreadable: Counter::default(),
            scrub_tours: Counter::default(),
            scrub_tour: Gauge::default(),
            scrub_tour_end: Level::default(),
            conditions: Family::default(),
        };
        inner.register();
        Metrics { inner: Arc::new(inner) }
    }

    /// Where libp2p counts; each new swarm replaces what the last one left there.
    pub fn network_registry(&self) -> Arc<Mutex<Registry>> {
        self.inner.network.clone()
    }

    /// Writes everything as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let mut write = |registry: &Registry| {
            encode(&mut text, registry).expect("writing to a string cannot fail");
            text.truncate(text.trim_end_matches("# EOF\n").len());
        };
        write(&self.inner.own);
        write(&self.network());
        text.push_str("# EOF\n");
        text
    }

    /// Counts a restart of an actor.
    pub fn actor_restarted(&self, actor: &str) {
        let label = ActorLabel { actor: actor.to_owned() };
        self.inner.actor_restarts.get_or_create(&label).inc();
    }

    /// Counts a fault found in a peer; `reason` is one of our own words.
    pub fn peer_blamed(&self, reason: &str) {
        let label = ReasonLabel { reason: reason.to_owned() };
        self.inner.blame.get_or_create(&label).inc();
    }

    /// Counts a sliver made durable here.
    pub(crate) fn sliver_stored(&self, axis: &str, bytes: u64) {
        let label = AxisLabel { axis: axis.to_owned() };
        self.inner.slivers_stored.get_or_create(&label).inc();
        self.inner.sliver_stored_bytes.inc_by(bytes);
    }

    /// Counts a sliver sent to a reader.
    pub(crate) fn sliver_served(&self, axis: &str, bytes: u64) {
        let label = AxisLabel { axis: axis.to_owned() };
        self.inner.slivers_served.get_or_create(&label).inc();
        self.inner.sliver_served_bytes.inc_by(bytes);
    }

    /// Counts a session that ended in a refusal.
    pub(crate) fn session_refused(&self, reason: &str) {
        let label = ReasonLabel { reason: reason.to_owned() };
        self.inner.sessions_refused.get_or_create(&label).inc();
    }

    /// Says how many bytes wait for their registration.
    pub(crate) fn set_pending_bytes(&self, bytes: u64) {
        self.inner.pending_bytes.set(bytes);
    }

    /// Counts a signed storage confirmation.
    pub(crate) fn confirmation_signed(&self) {
        self.inner.confirmations.inc();
    }

    /// Counts an announcement heard; `verdict` is `accepted`, `ignored` or `rejected`.
    pub(crate) fn announcement_judged(&self, verdict: &str) {
        let label = VerdictLabel { verdict: verdict.to_owned() };
        self.inner.announcements.get_or_create(&label).inc();
    }

    /// Says how many checkpoints we are behind the ledger.
    pub(crate) fn set_chain_lag(&self, checkpoints: u64) {
        self.inner.chain_lag.set(checkpoints);
    }

    /// Counts a failed exchange with the ledger.
    pub(crate) fn chain_failed(&self) {
        self.inner.chain_errors.inc();
    }

    /// Counts what the ledger showed and we did not believe; `verdict` is one of our own words.
    pub(crate) fn ledger_doubted(&self, verdict: &str) {
        let label = VerdictLabel { verdict: verdict.to_owned() };
        self.inner.ledger_doubts.get_or_create(&label).inc();
    }

    /// Says where we stand in the ledger's history.
    pub(crate) fn set_position(&self, checkpoint: u64, epoch: u32, shards_owned: u64) {
        self.inner.checkpoint.set(checkpoint);
        self.inner.epoch.set(u64::from(epoch));
        self.inner.shards_owned.set(shards_owned);
    }

    /// Says how many of our shards are not here.
    pub(crate) fn set_shards_missing(&self, shards: usize) {
        self.inner.shards_missing.set(u64::try_from(shards).unwrap_or(u64::MAX));
    }

    /// Says how many incomplete blobs the last look through the store found.
    pub(crate) fn set_incomplete(&self, blobs: u64) {
        self.inner.incomplete.set(blobs);
    }

    /// Counts pairs that were repaired, and the bytes that came for it.
    pub(crate) fn repaired(&self, pairs: u64, bytes: u64) {
        self.inner.repaired_pairs.inc_by(pairs);
        self.inner.repair_bytes.inc_by(bytes);
    }

    /// Counts pairs that former owners of shards handed over, and the bytes that came for it; they count as repaired, too.
    pub(crate) fn handed(&self, pairs: u64, bytes: u64) {
        self.inner.handed_pairs.inc_by(pairs);
        self.repaired(pairs, bytes);
    }

    /// Counts what was read again to see whether it rotted.
    pub(crate) fn scrubbed(&self, read: &Scrubbed) {
        self.inner.scrubbed_bytes.inc_by(read.bytes);
        self.inner.scrub_rot.inc_by(read.rotten);
        self.inner.scrub_unreadable.inc_by(read.unreadable);
    }

    /// Says how much of the tour is done.
    pub(crate) fn set_scrub_tour(&self, done_per_mille: u64) {
        let done = u32::try_from(done_per_mille).unwrap_or(1000);
        self.inner.scrub_tour.set(f64::from(done) / 1000.0);
    }

    /// Everything that is stored was read once, at that time.
    pub(crate) fn scrub_tour_ended(&self, unix_ms: u64) {
        self.inner.scrub_tours.inc();
        self.inner.scrub_tour_end.set(unix_ms / 1000);
    }

    /// Says which conditions are true; all others are not.
    pub fn set_conditions(&self, conditions: &[Condition]) {
        for name in Name::ALL {
            let is_true = conditions.iter().any(|condition| condition.name == *name);
            let label = ConditionLabel { name: name.as_str() };
            self.inner.conditions.get_or_create(&label).set(u64::from(is_true));
        }
    }

    /// The registry of the swarm that lives now.
    fn network(&self) -> MutexGuard<'_, Registry> {
        self.inner.network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Gives every metric its name and its sentence.
    fn register(&mut self) {
        let own = &mut self.own;
        own.register("actor_restarts", "Restarts of each actor", self.actor_restarts.clone());
        own.register("blame", "Faults found in peers", self.blame.clone());
        own.register("slivers_stored", "Slivers made durable", self.slivers_stored.clone());
        own.register(
            "sliver_stored_bytes",
            "Bytes of slivers made durable",
            self.sliver_stored_bytes.clone(),
        );
        own.register("slivers_served", "Slivers sent to readers", self.slivers_served.clone());
        own.register(
            "sliver_served_bytes",
            "Bytes of slivers sent to readers",
            self.sliver_served_bytes.clone(),
        );
        own.register(
            "sessions_refused",
            "Sessions that ended in a refusal",
            self.sessions_refused.clone(),
        );
        own.register(
            "sliver_pending_bytes",
            "Bytes that wait for their registration on the ledger",
            self.pending_bytes.clone(),
        );
        own.register(
            "storage_confirmations",
            "Storage confirmations signed",
            self.confirmations.clone(),
        );
        own.register("announcements", "Announcements heard", self.announcements.clone());
        own.register(
            "chain_lag_checkpoints",
            "Checkpoints we are behind the ledger",
            self.chain_lag.clone(),
        );
        own.register("chain_errors", "Failed exchanges with the ledger", self.chain_errors.clone());
        own.register(
            "ledger_doubts",
            "What the ledger showed and was not believed",
            self.ledger_doubts.clone(),
        );
        own.register("chain_checkpoint", "Last checkpoint applied", self.checkpoint.clone());
        own.register("epoch", "Storage epoch", self.epoch.clone());
        own.register("shards_owned", "Shards this node owns", self.shards_owned.clone());
        own.register(
            "shards_missing",
            "Shards this node owns and does not have",
            self.shards_missing.clone(),
        );
        own.register(
            "blobs_incomplete",
            "Incomplete blobs that the last look through the store found",
            self.incomplete.clone(),
        );
        own.register(
            "repaired_pairs",
            "Pairs, and symbols of short blobs, that were repaired here",
            self.repaired_pairs.clone(),
        );
        own.register(
            "handed_over_pairs",
            "Of these, pairs and symbols that former owners of shards handed over whole",
            self.handed_pairs.clone(),
        );
        own.register(
            "repair_received_bytes",
            "Bytes that came for repairs",
            self.repair_bytes.clone(),
        );
        self.register_scrub();
        let own = &mut self.own;
        own.register("condition", "What is not well: 1 while it is true", self.conditions.clone());
    }

    fn register_scrub(&mut self) {
        let own = &mut self.own;
        own.register(
            "scrub_read_bytes",
            "Stored bytes that were read again to see whether they rotted",
            self.scrubbed_bytes.clone(),
        );
        own.register(
            "scrub_rot",
            "Stored values that were found rotten so",
            self.scrub_rot.clone(),
        );
        own.register(
            "scrub_unreadable",
            "Slivers that the system did not let us read",
            self.scrub_unreadable.clone(),
        );
        own.register(
            "scrub_tours",
            "How often everything that is stored was read once",
            self.scrub_tours.clone(),
        );
        own.register(
            "scrub_tour_ratio",
            "How much of the tour that is under way is done, as far as can be told",
            self.scrub_tour.clone(),
        );
        own.register(
            "scrub_tour_end_timestamp_seconds",
            "When the last whole tour ended; 0 before the first",
            self.scrub_tour_end.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_one_while_it_is_true_and_zero_before_and_after() {
        let metrics = Metrics::new("0.1.0", "abcdef01");
        let line = |value| format!("haulout_condition{{name=\"disk full\"}} {value}\n");
        let full = Condition {
            name: Name::DiskFull,
            cause: String::new(),
            next_step: String::new(),
            only_strangers: false,
        };
        for (conditions, value) in [(vec![], 0), (vec![full], 1), (vec![], 0)] {
            metrics.set_conditions(&conditions);
            let text = metrics.encode();
            assert!(text.contains(&line(value)), "{text}");
            assert_eq!(text.matches("haulout_condition{").count(), Name::ALL.len());
        }
    }

    #[test]
    fn the_text_names_everything_and_ends_once() {
        let metrics = Metrics::new("0.1.0", "abcdef01");
        metrics.actor_restarted("gossip");
        metrics.sliver_stored("primary", 10);
        metrics.set_chain_lag(3);
        let mut swarm = Registry::default();
        swarm.register("swarm_things", "Things", Counter::<u64>::default());
        *metrics.network_registry().lock().unwrap() = swarm;
        let text = metrics.encode();
        for line in [
            "haulout_build_info{version=\"0.1.0\",network=\"abcdef01\"} 1",
            "haulout_actor_restarts_total{actor=\"gossip\"} 1",
            "haulout_slivers_stored_total{axis=\"primary\"} 1",
            "haulout_sliver_stored_bytes_total 10",
            "haulout_chain_lag_checkpoints 3",
            "swarm_things_total 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(text.ends_with("# EOF\n"));
    }
}
