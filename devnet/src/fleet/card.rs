//! What is told of a fleet: the state of each process, and `devnet.json`.
//!
//! Promises: what does not run has a cause and a next step. Does not: change anything but the file.

use haulout_node::error::Result;
use tokio::time::Instant;

use super::members::Member;
use super::{Fleet, trouble};
use crate::control::{ProcessState, ProcessStatus, Reply, Trouble};
use crate::genesis;
use crate::state::{AccountCard, Card, ChainCard, NodeCard, Packages};

impl Fleet {
    /// What each process does, the ledger's first.
    pub(super) fn statuses(&mut self) -> Vec<ProcessStatus> {
        let now = Instant::now();
        let resumes = self.resumes.clone();
        let resumes_in_ms = |name: &str| {
            let (when, _) = resumes.iter().find(|(_, paused)| paused == name)?;
            u64::try_from(when.saturating_duration_since(now).as_millis()).ok()
        };
        let strangers = self.members.iter().filter(|member| member.node_id.is_none());
        let strangers: Vec<String> = strangers.map(|member| member.name().to_owned()).collect();
        self.processes()
            .map(|process| {
                let seen = process.look();
                let is_paused = seen.state == ProcessState::Paused;
                let resumes_in_ms = resumes_in_ms(seen.name).filter(|_| is_paused);
                let is_stranger = strangers.iter().any(|name| name == seen.name);
                ProcessStatus {
                    name: seen.name.to_owned(),
                    state: seen.state,
                    pid: seen.pid,
                    seconds: seen.seconds,
                    resumes_in_ms,
                    trouble: match is_stranger {
                        true => Some(unfinished(seen.name)),
                        false => trouble::of(&seen, resumes_in_ms),
                    },
                    doing: None,
                }
            })
            .collect()
    }

    /// What each process does while something is done with one of them, for whoever asks meanwhile.
    pub(crate) fn statuses_while(&mut self, doing: Option<(&str, &str)>) -> Reply {
        let mut processes = self.statuses();
        for process in &mut processes {
            let word = doing.filter(|(name, _)| *name == process.name).map(|(_, word)| word);
            process.doing = word.map(str::to_owned);
        }
        Reply::Status { processes }
    }

    /// Replaces `devnet.json`.
    pub(super) fn keep_card(&mut self, state: &str) -> Result<Card> {
        let card = self.card(state);
        self.directory.keep_card(&card).map(|()| card)
    }

    fn card(&mut self, state: &str) -> Card {
        let statuses = self.statuses();
        let pid = |place: usize| statuses[place].pid.unwrap_or(0);
        let word = |place: usize| statuses[place].state.word().to_lowercase();
        let is_partial = statuses.iter().any(|status| status.state == ProcessState::Exited);
        let state = if state == "ready" && is_partial { "degraded" } else { state };
        let ids = &self.chain.ids;
        let nodes = (1..).zip(&self.members);
        let nodes = nodes.map(|(place, member)| self.node_card(member, pid(place), word(place)));
        let accounts = self.accounts.iter().filter(|one| one.name != genesis::SELF_TEST);
        Card {
            schema: 1,
            name: self.directory.name().to_owned(),
            seed: self.settings.seed,
            state: state.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            supervisor_pid: std::process::id(),
            shards: self.settings.shards,
            segment_bytes: self.settings.segment_bytes,
            epoch_ms: self.settings.epoch_ms,
            chain: ChainCard {
                kind: "embedded".to_owned(),
                network: ids.network_id.to_string(),
                rpc: self.chain.rpc.clone(),
                faucet: format!("http://127.0.0.1:{}", self.settings.faucet_port),
                pid: pid(0),
                state: word(0),
                packages: Packages { haulout: ids.package.to_string() },
                system_object: ids.system.to_string(),
                staking_object: ids.staking.to_string(),
                params_object: ids.params.to_string(),
                treasury_object: ids.treasury.to_string(),
                trusted: self.chain.trusted.map(|trusted| trusted.to_string()),
            },
            bootstrap: self.members.iter().take(1).map(|member| member.node.address()).collect(),
            accounts: accounts
                .map(|account| AccountCard {
                    name: account.name.to_owned(),
                    address: account.address.to_string(),
                    key_file: self.directory.join("keys").join(format!("{}.key", account.name)),
                })
                .collect(),
            nodes: nodes.collect(),
            removed: self.settings.removed.iter().copied().map(genesis::node_name).collect(),
            context: self.context(),
            client_config: self.client_config(),
        }
    }

    fn node_card(&self, member: &Member, pid: u32, state: String) -> NodeCard {
        let http = format!("http://127.0.0.1:{}", member.ports.http);
        let peer_id = member.node.peer_id.to_string();
        // Until the ledger was asked those of its birth are the best guess.
        let shards = match self.shards.is_empty() {
            true => member.node.shards.clone(),
            false => self.shards.get(&peer_id).cloned().unwrap_or_default(),
        };
        NodeCard {
            name: member.name().to_owned(),
            peer_id,
            node_id: member.node_id.map(|id| id.to_string()).unwrap_or_default(),
            pid,
            address: member.node.address(),
            metrics: format!("{http}/metrics"),
            http,
            log: self.directory.log(member.name()),
            state,
            shards,
            is_leaving: self.settings.leaving.contains(&member.number),
        }
    }
}

/// What is told of a node that nobody registered to the end.
fn unfinished(name: &str) -> Trouble {
    Trouble {
        cause: "it is being added, or an add was cut off before its end".to_owned(),
        next_step: format!("`devnet add` goes on with it; `devnet remove {name}` forgets it"),
    }
}
