//! Members of the committee that are no nodes of this devnet: somebody started them by hand, with a ticket.
//!
//! Promises: what they do follows from what this devnet's nodes say of their connections. Does not: ask anybody; whether such
//! a node has all that belongs in its shards only it knows.

use serde_json::{Value, json};

use super::service::Part;
use crate::control::Trouble;
use crate::genesis;
use crate::probe::{ChainFacts, Health};
use crate::state::Card;
use crate::typed::counted;

/// What is known of such a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    /// A node of this devnet is connected with it.
    Connected,
    /// None of those that answer is.
    Away,
    /// None of them answers.
    Unknown,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Other {
    pub(super) name: String,
    peer: String,
    pub(super) shards: usize,
    contact: Contact,
}

/// All of them, in the order of their peers; `healths` are those of nodes that are in this epoch.
pub(super) fn of(card: &Card, facts: &ChainFacts, healths: &[&Health]) -> Vec<Other> {
    let numbers = card.removed.iter().filter_map(|name| genesis::number_of(name));
    let removed: Vec<String> =
        numbers.map(|number| genesis::peer_id_of(card.seed, number).to_string()).collect();
    let is_ours = |peer: &String| {
        card.nodes.iter().any(|node| node.peer_id == *peer) || removed.contains(peer)
    };
    let away = |health: &&Health| health.json()["members_away"].as_array().cloned();
    let away: Vec<Vec<Value>> = healths.iter().filter_map(away).collect();
    let others = facts.shards.iter().filter(|(peer, _)| !is_ours(peer));
    let others = others.map(|(peer, shards)| {
        let misses = |away: &Vec<Value>| away.iter().any(|one| one == peer.as_str());
        let contact = match (away.is_empty(), away.iter().all(misses)) {
            (true, _) => Contact::Unknown,
            (false, true) => Contact::Away,
            (false, false) => Contact::Connected,
        };
        let name = facts.names.get(peer).filter(|name| !name.is_empty()).unwrap_or(peer);
        Other { name: name.clone(), peer: peer.clone(), shards: shards.len(), contact }
    });
    others.collect()
}

impl Other {
    /// What reads and writes may count on.
    pub(super) fn part(&self) -> Part {
        match self.contact {
            Contact::Connected => Part::of((self.shards, self.shards), std::iter::empty()),
            Contact::Away => Part::away(self.shards),
            Contact::Unknown => Part::unheard(self.shards),
        }
    }

    /// Whether somebody is connected with it.
    pub(super) fn is_well(&self) -> bool {
        self.contact == Contact::Connected
    }

    /// Whether it surely is not there.
    pub(super) fn is_away(&self) -> bool {
        self.contact == Contact::Away
    }

    /// Why its shards count for nothing; nothing while they count, or nobody knows.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.is_away().then(|| Trouble {
            cause: format!(
                "a member that is no node of this devnet, with {}; none of the nodes here is connected with it",
                counted(u16::try_from(self.shards).unwrap_or(u16::MAX), "shard")
            ),
            next_step: "see where it was started whether it runs; if it is gone for good, its operator tells the ledger that it \
                        leaves"
                .to_owned(),
        })
    }

    /// The line in the table of nodes.
    pub(super) fn line(&self) -> String {
        let word = match self.contact {
            Contact::Connected => "connected",
            Contact::Away => "AWAY",
            Contact::Unknown => "unknown",
        };
        let shards = counted(u16::try_from(self.shards).unwrap_or(u16::MAX), "shard");
        format!("{}  {word}  {shards}, no node of this devnet", self.name)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "peer_id": self.peer,
            "shards": self.shards,
            "connected": match self.contact {
                Contact::Connected => Some(true),
                Contact::Away => Some(false),
                Contact::Unknown => None,
            },
        })
    }
}
