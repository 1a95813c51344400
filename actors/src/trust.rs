//! How far the ledger is believed right now: for those who sign and delete, and for health.
//!
//! Promises: while the ledger contradicts the history we verified, or our keys are not those it
//! lists, nobody here signs a confirmation or deletes what was paid for. What was wrong is forgotten
//! as soon as the proven history goes on.
//! Does not: judge (`ledger_history` and `node_keys` do), name what is wrong (`conditions` does), or
//! decide anything by time: silence is only named.

use std::sync::Arc;
use std::time::Instant;

use haulout_protocol::machine::conditions::{self, Condition, Facts, IllServer, Ledger};
use haulout_protocol::machine::ledger_history::Doubt;
use haulout_protocol::machine::node_keys::KeyFault;
use tokio::sync::watch;

use crate::limits;
use crate::position::Position;

/// The shared standing of the ledger: written by chain sync, read by all; a cheap clone.
#[derive(Clone, Debug)]
pub struct Trust {
    sender: Arc<watch::Sender<Standing>>,
}

/// What is wrong, as far as we know.
#[derive(Clone, Debug, Default)]
struct Standing {
    /// Why the ledger is not believed.
    doubt: Option<Doubt>,
    /// Why our keys are not those of the node we are.
    keys: Option<KeyFault>,
    /// What in the configuration keeps us from proving anything, and how to repair it.
    setting: Option<(String, &'static str)>,
    /// Whether what the ledger says of the network is one server's word.
    is_one_word: bool,
    /// Which of several servers of the ledger are not well.
    servers: Vec<IllServer>,
    /// When something proven came last, and why nothing came since; nothing is expected before
    /// somebody follows a ledger.
    heard: Option<(Instant, Option<String>)>,
}

/// What is wrong if nothing but one server says what the network is.
const ONE_WORD: &str = "some of the network's objects were written last before the checkpoint that chain.trusted names, so what \
                        they say is the word of one server: this node signs and deletes nothing";

/// What to do about it.
const ONE_WORD_REPAIR: &str = "set chain.trusted to an earlier checkpoint (the network's first is always right) and start with an \
                               empty node.data_dir, or set chain.rpc to three servers or more of which most agree";

impl Default for Trust {
    fn default() -> Trust {
        Trust { sender: Arc::new(watch::Sender::new(Standing::default())) }
    }
}

impl Trust {
    /// Whether a node at this position may sign for others and delete what was paid for.
    pub fn may_act(&self, position: &Position) -> bool {
        let standing = self.sender.borrow();
        let doubted = standing.doubt.is_some_and(|doubt| doubt.verdict.stops_us());
        position.is_proven && !doubted && standing.keys.is_none()
    }

    /// Everything that is not well with the ledger now, or between it and us.
    pub fn conditions(&self) -> Vec<Condition> {
        conditions_of(self.facts())
    }

    /// What is known of the ledger now, for health.
    pub fn facts(&self) -> Ledger {
        self.facts_at(Instant::now())
    }

    fn facts_at(&self, now: Instant) -> Ledger {
        let Standing { doubt, keys, setting, is_one_word, servers, heard } =
            self.sender.borrow().clone();
        let one_word = || (ONE_WORD.to_owned(), ONE_WORD_REPAIR);
        let setting = setting.or_else(|| is_one_word.then(one_word));
        let heard = heard.map(|(since, why)| (now.saturating_duration_since(since), why));
        let silent = heard.filter(|(quiet, _)| *quiet > limits::CHAIN_QUIET_MAX);
        let silence = silent.map(|(quiet, why)| (quiet.as_secs(), why));
        Ledger { doubt, keys, setting, servers, silence }
    }

    /// Somebody begins to follow the ledger: from now on silence is one. What is wrong stays so.
    pub(crate) fn expect(&self) {
        self.sender.send_modify(|standing| standing.heard = Some((Instant::now(), None)));
    }

    /// Something proven came: what was wrong with the ledger is over.
    pub(crate) fn heard(&self) {
        self.sender.send_modify(|standing| {
            standing.doubt = None;
            standing.setting = None;
            standing.heard = Some((Instant::now(), None));
        });
    }

    /// The ledger is not believed; whether that is news.
    pub(crate) fn doubt(&self, doubt: Doubt) -> bool {
        let mut is_news = false;
        self.sender.send_modify(|standing| {
            is_news = standing.doubt.map(|old| old.verdict) != Some(doubt.verdict);
            standing.doubt = Some(doubt);
        });
        is_news
    }

    /// The configuration is why nothing can be proven; whether that is news.
    pub(crate) fn misled(&self, cause: String, repair: &'static str) -> bool {
        let setting = Some((cause, repair));
        self.sender.send_if_modified(|standing| {
            let is_news = standing.setting != setting;
            standing.setting.clone_from(&setting);
            is_news
        })
    }

    /// What the ledger says of the network is, or is no longer, one server's word, and nobody signs by it.
    pub(crate) fn set_one_word(&self, is_one_word: bool) {
        self.sender.send_modify(|standing| standing.is_one_word = is_one_word);
    }

    /// The ledger did not answer, or cannot be understood.
    pub(crate) fn failed(&self, error: &dyn std::error::Error) {
        self.sender.send_modify(|standing| {
            if let Some((_, why)) = &mut standing.heard {
                *why = Some(error.to_string());
            }
        });
    }

    /// These servers of the ledger are not well; that alone stops nobody.
    pub(crate) fn set_servers(&self, servers: Vec<IllServer>) {
        self.sender.send_modify(|standing| standing.servers = servers);
    }

    /// Our keys are those the ledger lists, or not.
    pub fn set_keys(&self, fault: Option<KeyFault>) {
        self.sender.send_modify(|standing| standing.keys = fault);
    }
}

/// What follows from the ledger alone.
fn conditions_of(ledger: Ledger) -> Vec<Condition> {
    conditions::conditions(&Facts { ledger, ..Facts::default() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use haulout_protocol::committee::NodeId;
    use haulout_protocol::machine::conditions::Name;
    use haulout_protocol::machine::ledger_history::Verdict;

    use super::*;
    use crate::sample::sample_position;

    fn doubt(verdict: Verdict) -> Doubt {
        Doubt { verdict, checkpoint: 7 }
    }

    #[test]
    fn whoever_contradicts_what_was_verified_stops_signatures_until_the_truth_returns() {
        let (trust, position) = (Trust::default(), sample_position(4));
        trust.heard();
        assert!(trust.may_act(&position) && trust.conditions().is_empty());
        for (verdict, name) in [
            (Verdict::Fork, Name::LedgerForked),
            (Verdict::Gap, Name::LedgerGap),
            (Verdict::Rollback, Name::LedgerRolledBack),
            (Verdict::Forged, Name::LedgerForged),
        ] {
            assert!(trust.doubt(doubt(verdict)), "{verdict:?} is news");
            assert!(!trust.doubt(doubt(verdict)), "{verdict:?} is no news the second time");
            assert!(!trust.may_act(&position), "{verdict:?}");
            assert_eq!(trust.conditions()[0].name, name);
            trust.expect();
            assert!(!trust.may_act(&position), "who starts again knows no better");
            trust.heard();
            assert!(trust.may_act(&position) && trust.conditions().is_empty());
        }
        trust.doubt(doubt(Verdict::Behind));
        assert!(trust.may_act(&position), "a ledger that lags contradicts nothing");
        assert_eq!(trust.conditions()[0].name, Name::LedgerBehind);
    }

    #[test]
    fn nothing_is_signed_on_the_word_of_a_server_or_with_wrong_keys() {
        let (trust, mut position) = (Trust::default(), sample_position(4));
        let fault = KeyFault::Signing { node: NodeId::from_bytes([1; 32]), name: "n1".to_owned() };
        trust.set_keys(Some(fault));
        assert!(!trust.may_act(&position));
        assert_eq!(trust.conditions()[0].name, Name::KeysWrong);
        trust.set_keys(None);
        assert!(trust.may_act(&position));
        position.is_proven = false;
        assert!(!trust.may_act(&position));
    }

    #[test]
    fn a_network_that_one_server_describes_is_named_as_long_as_it_is_so() {
        let trust = Trust::default();
        let names = || trust.conditions().iter().map(|it| it.name).collect::<Vec<_>>();
        trust.set_one_word(true);
        trust.heard();
        assert_eq!(
            names(),
            [Name::TrustedUnusable],
            "proven checkpoints do not prove older objects"
        );
        trust.set_one_word(false);
        assert_eq!(names(), []);
    }

    #[test]
    fn a_setting_that_keeps_us_from_proving_anything_is_named_until_something_is_proven() {
        let trust = Trust::default();
        trust.expect();
        assert!(trust.misled("chain.trusted names".to_owned(), "set it"), "news");
        assert!(!trust.misled("chain.trusted names".to_owned(), "set it"), "no news");
        assert_eq!(trust.conditions()[0].name, Name::TrustedUnusable);
        assert_eq!(trust.conditions()[0].next_step, "set it");
        trust.heard();
        assert!(trust.conditions().is_empty());
    }

    #[test]
    fn silence_is_named_with_its_reason_and_stops_nobody() {
        let (trust, position) = (Trust::default(), sample_position(4));
        let after = |time| conditions_of(trust.facts_at(Instant::now() + time));
        assert!(after(limits::CHAIN_QUIET_MAX * 2).is_empty(), "nobody follows a ledger");
        trust.expect();
        assert!(after(Duration::ZERO).is_empty());
        trust.failed(&std::io::Error::other("connection refused"));
        let found = after(limits::CHAIN_QUIET_MAX + Duration::from_secs(1));
        assert_eq!(found[0].name, Name::LedgerSilent);
        assert!(found[0].cause.contains("connection refused"), "{found:?}");
        assert!(trust.may_act(&position));
        trust.heard();
        assert!(after(Duration::ZERO).is_empty());
    }
}
