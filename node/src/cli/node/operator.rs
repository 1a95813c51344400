//! What operators' verbs share: whose wallet, which of its nodes, and how a node is described.

use std::path::PathBuf;

use clap::Args;
use haulout_actors::chain::{Collector, StakeBook};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{Authority, NodeCap};
use serde_json::{Value, json};

use crate::cli::Cli;
use crate::config::{NetworkConfig, Setting};
use crate::error::{Error, Kind, Result};
use crate::keys;
use crate::ledger_client::LedgerClient;
use crate::stakes::{self, Collectable, OwnNode};
use crate::terminal;

/// Whose wallet.
#[derive(Debug, Args)]
pub(in crate::cli) struct Purse {
    /// The operator's key file (wallet.key_file)
    #[arg(long, value_name = "FILE")]
    wallet: Option<PathBuf>,
}

/// Which node of the wallet's.
#[derive(Debug, Args)]
pub(in crate::cli) struct Operator {
    /// Which node, by name or id, if the wallet has several
    #[arg(long, value_name = "NODE")]
    pub(super) node: Option<String>,
    #[command(flatten)]
    purse: Purse,
}

/// A node of the wallet's with the ledger it is on.
pub(super) struct Held {
    pub(super) client: LedgerClient,
    pub(super) book: StakeBook,
    pub(super) cap: NodeCap,
    pub(super) node: OwnNode,
}

/// A node whose commission is the wallet's, with the ledger it is on.
pub(super) struct Earner {
    pub(super) client: LedgerClient,
    pub(super) book: StakeBook,
    pub(super) owned: Vec<NodeCap>,
    pub(super) node_id: ObjectId,
    pub(super) name: String,
    pub(super) commission: Collectable,
    pub(super) receiver: Authority,
    pub(super) collector: Collector,
}

impl Purse {
    /// The flag as it was typed, for commands about the same wallet.
    pub(super) fn flags(&self) -> String {
        let wallet = self.wallet.as_ref();
        let wallet =
            wallet.map(|path| format!(" --wallet {}", terminal::shell(&path.to_string_lossy())));
        wallet.unwrap_or_default()
    }

    /// The flag as a setting.
    pub(super) fn settings(&self) -> Result<Vec<Setting>> {
        let Some(path) = &self.wallet else { return Ok(Vec::new()) };
        let not_text = || Error::new(Kind::Usage, format!("{} is not UTF-8", terminal::path(path)));
        let value = path.to_str().ok_or_else(not_text)?.to_owned();
        Ok(vec![Setting { flag: "--wallet", section: "wallet", key: "key_file", value }])
    }
}

impl Operator {
    /// The flags as settings.
    pub(super) fn settings(&self) -> Result<Vec<Setting>> {
        self.purse.settings()
    }

    /// The wallet's flag as it was typed.
    pub(super) fn wallet(&self) -> String {
        self.purse.flags()
    }

    /// The flags as they were typed, for commands about the same node: ` --node tern --wallet my.key`.
    pub(super) fn flags(&self) -> String {
        let node = self.node.as_ref().map(|node| format!(" --node {}", terminal::shell(node)));
        node.unwrap_or_default() + &self.purse.flags()
    }

    /// Reaches the ledger.
    async fn connect(&self, cli: &Cli) -> Result<LedgerClient> {
        LedgerClient::connect(cli.load(self.settings()?)?.client()?).await
    }

    /// Finds the node on the ledger.
    pub(super) async fn find(&self, cli: &Cli) -> Result<Held> {
        let client = self.connect(cli).await?;
        let caps = client.node_caps().await?;
        let book = client.stake_book().await?;
        let cap = stakes::own_cap(&book.staking, &caps, self.node.as_deref())?;
        let node = stakes::own_node(&book, &cap)?;
        Ok(Held { client, book, cap, node })
    }

    /// Finds the node whose commission the wallet may have, by its cap or as an account.
    pub(super) async fn earner(&self, cli: &Cli) -> Result<Earner> {
        let client = self.connect(cli).await?;
        let owned = client.node_caps().await?;
        let account = client.account().ok_or_else(|| keys::no_wallet("a commission"))?;
        let book = client.stake_book().await?;
        let (staking, node) = (&book.staking, self.node.as_deref());
        let (node_id, collector) = stakes::collector(staking, &owned, &account, node)?;
        let missing = || Error::new(Kind::NotFound, "the ledger does not have this node any more");
        let pool = staking.pools.get(&node_id).ok_or_else(missing)?;
        let (name, commission) = (pool.node.name.clone(), stakes::collectable(pool));
        let receiver = pool.commission_receiver;
        Ok(Earner { client, book, owned, node_id, name, commission, receiver, collector })
    }
}

/// Where others reach a node: what was given, else what the configuration says, without its peer
/// id, which the ledger knows.
pub(super) fn advertised(given: &[String], network: &NetworkConfig) -> Vec<String> {
    let lists = [given, &network.external, &network.listen];
    let first = lists.into_iter().find(|list| !list.is_empty());
    first.into_iter().flatten().map(|address| bare(address)).collect()
}

/// An address without the peer id at its end.
pub(super) fn bare(address: &str) -> String {
    address.find("/p2p/").map_or(address, |at| &address[..at]).to_owned()
}

/// A pair of metadata.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("`{text}` is no pair: write it as in site=https://tern.example");
    let (topic, value) = text.split_once('=').ok_or_else(wrong)?;
    match topic.is_empty() {
        true => Err(wrong()),
        false => Ok((topic.to_owned(), value.to_owned())),
    }
}

/// Metadata for programs.
pub(super) fn metadata(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(topic, text)| (topic.clone(), json!(text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_a_topic_and_a_text() {
        assert_eq!(pair("site=https://a/?b=c").unwrap().1, "https://a/?b=c");
        assert_eq!(pair("note=").unwrap(), ("note".to_owned(), String::new()));
        assert!(pair("note").is_err() && pair("=x").is_err());
    }

    #[test]
    fn an_address_is_told_without_its_peer() {
        assert_eq!(bare("/ip4/10.0.0.1/tcp/1/p2p/12D3"), "/ip4/10.0.0.1/tcp/1");
        assert_eq!(bare("/ip4/10.0.0.1/tcp/1"), "/ip4/10.0.0.1/tcp/1");
    }
}
