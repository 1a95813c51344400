//! What a running node says of itself.
//!
//! Promises: only the endpoint of the configuration is asked; a node that is not the wallet's is
//! never taken for it.
//! Does not: fail when nobody answers: a node that does not run is a fact, too.

use std::net::SocketAddr;

use haulout_protocol::crypto::PeerId;
use serde_json::{Value, json};

use crate::probe::{self, Health};
use crate::words::{count, label};

/// The endpoint of the configuration, and what was heard there.
pub(super) struct Running {
    endpoint: SocketAddr,
    health: Option<Health>,
}

impl Running {
    /// Asks the node.
    pub(super) async fn ask(endpoint: SocketAddr) -> Running {
        Running { endpoint, health: probe::health(endpoint).await }
    }

    /// What was heard there, as a test says.
    #[cfg(test)]
    pub(super) fn heard(endpoint: SocketAddr, health: Option<Health>) -> Running {
        Running { endpoint, health }
    }

    /// Whether the answer is of the node with this peer id.
    pub(super) fn is_of(&self, peer: Option<PeerId>) -> bool {
        let told = self.health.as_ref().and_then(|health| health.text("peer_id"));
        told.is_some() && told == peer.map(|peer| peer.to_string()).as_deref()
    }

    /// What is said instead, if no node of the wallet answered.
    pub(super) fn stranger(&self) -> String {
        let endpoint = self.endpoint;
        match self.health.as_ref().map(|health| health.text("peer_id").unwrap_or_default()) {
            None => format!("no node answers at http://{endpoint}/healthz: is it running?\n"),
            Some(peer) => format!(
                "the node at http://{endpoint} is the peer {}, none of these\n",
                label(peer)
            ),
        }
    }

    /// What was heard.
    pub(super) fn health(&self) -> Option<&Health> {
        self.health.as_ref()
    }

    /// Where it was asked.
    pub(super) fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// One line: how it is, in which epoch, and what it lacks.
    pub(super) fn to_text(&self, ledger_epoch: u32) -> String {
        let Some(health) = &self.health else { return "no".to_owned() };
        let number = |name| health.number(name).unwrap_or(0);
        let state = match (health.is_ok(), health.serves()) {
            (true, _) => "well",
            (_, true) => "degraded",
            (_, false) => "failing",
        };
        let epoch = number("epoch");
        let behind = match epoch < u64::from(ledger_epoch) {
            true => format!(", the ledger is in epoch {ledger_epoch}"),
            false => String::new(),
        };
        let missing = match health.number("shards_missing") {
            Some(0) => "none missing".to_owned(),
            Some(missing) => format!("{missing} MISSING"),
            None => "it cannot tell which are missing".to_owned(),
        };
        let peers = count(usize::try_from(number("peers")).unwrap_or(usize::MAX), "peer");
        let shards = count(usize::try_from(number("shards")).unwrap_or(usize::MAX), "shard");
        format!("{state}, epoch {epoch}{behind}, {shards}, {missing}, {peers}")
    }

    /// What is not well with it and what to do, a line each; names and texts are its own.
    pub(super) fn conditions(&self) -> Vec<(String, String)> {
        let told = self.health.iter().flat_map(Health::conditions);
        let lines = told.map(|told| {
            let cause = format!("{}: {}", label(&told.name), label(&told.cause));
            (cause, label(&told.next_step))
        });
        lines.collect()
    }

    /// The same for programs.
    pub(super) fn to_json(&self) -> Value {
        let health = self.health.as_ref();
        json!({
            "endpoint": format!("http://{}", self.endpoint),
            "ok": health.map(Health::is_ok),
            "status": health.and_then(|health| health.text("status")),
            "conditions": health.map(|health| health.json()["conditions"].clone()),
            "version": health.and_then(|health| health.text("version")),
            "peer_id": health.and_then(|health| health.text("peer_id")),
            "epoch": health.and_then(|health| health.number("epoch")),
            "shards": health.and_then(|health| health.number("shards")),
            "shards_missing": health.and_then(|health| health.number("shards_missing")),
            "peers": health.and_then(|health| health.number("peers")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(answer: Option<Value>) -> Running {
        let endpoint = "127.0.0.1:9000".parse().unwrap();
        Running { endpoint, health: answer.map(Health::from) }
    }

    #[test]
    fn an_operator_reads_what_a_running_node_lacks() {
        let peer = PeerId::from_key([7; 32]);
        let answer = json!({
            "status": "ok", "peer_id": peer.to_string(), "epoch": 4, "shards": 3,
            "shards_missing": 2, "peers": 1,
        });
        let running = running(Some(answer));
        assert!(running.conditions().is_empty());
        assert!(running.is_of(Some(peer)) && !running.is_of(Some(PeerId::from_key([8; 32]))));
        let text = running.to_text(5);
        let expected = "well, epoch 4, the ledger is in epoch 5, 3 shards, 2 MISSING, 1 peer";
        assert_eq!(text, expected);
        assert_eq!(running.to_json()["shards_missing"], 2);
    }

    #[test]
    fn an_operator_reads_what_is_not_well_and_what_to_do() {
        let condition = json!({
            "name": "disk full", "severity": "degraded", "cause": "0 bytes\u{1b} free", "next_step": "make room",
        });
        let running = running(Some(json!({ "status": "degraded", "conditions": [condition] })));
        assert!(running.to_text(0).starts_with("degraded, "), "{}", running.to_text(0));
        let expected = ("disk full: 0 bytes\\u{1b} free".to_owned(), "make room".to_owned());
        assert_eq!(running.conditions(), [expected]);
        assert_eq!(running.to_json()["conditions"][0]["name"], "disk full");
    }

    #[test]
    fn nobody_and_a_stranger_are_told_apart() {
        let nobody = running(None);
        assert!(!nobody.is_of(None));
        assert!(nobody.stranger().contains("no node answers at http://127.0.0.1:9000"));
        assert_eq!(nobody.to_json()["ok"], Value::Null);
        let other = running(Some(json!({ "status": "failing", "peer_id": "12D3\u{1b}" })));
        assert!(!other.is_of(None));
        assert!(other.stranger().contains("is the peer 12D3\\u{1b}, none of these"));
        assert!(other.to_text(1).starts_with("failing"), "{}", other.to_text(1));
    }
}
