//! `devnet add`: one more node, with keys of its own, registered and staked on the ledger as anybody's would be.
//!
//! Promises: nothing begins before the ledger answers; each step is told when it is over; what was cut off is taken up again
//! by the next `devnet add`, and nothing of it is paid twice. Does not: end the epoch; the node is a candidate until
//! somebody does, or its time is over.

use std::time::Duration;

use clap::Args;
use haulout_actors::chain::{NodeRegistration, StakeBook};
use haulout_node::LedgerClient;
use haulout_node::error::{Error, Kind, Result};
use haulout_node::keys::{Kind as KeyKind, Secret};
use haulout_node::stakes::{self, Application};
use haulout_node::terminal;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::amount::{Amount, SMALLEST_PER_COIN, Token};
use haulout_protocol::chain::object::staking::Asks;
use serde_json::json;

use super::faucet::{give, read_amount};
use super::{
    PATIENCE, card_of, connect, duration, note, operator, patience, print_line, print_text, status,
};
use crate::control::{Reply, Request};
use crate::genesis::{self, NodeGenesis, PeerPort};
use crate::state::{Card, NodeCard, StateDirectory};

/// What an operator gets for gas, in MIST.
const GAS_MONEY: u64 = 10 * SMALLEST_PER_COIN;

/// Add a node: it is a candidate until the next epoch, and then a member
///
/// Its keys follow from the seed, its ports are found free. Its operator gets money from the faucet, registers it, pays
/// its bond and stakes with it. It starts from the address of one node that runs.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  devnet add                  # with about as much stake as each member has\n  \
                        devnet add --stake 250WAL\n  devnet epoch next           # then it is a member, and gets its shards\n\
                        An add that was cut off is gone on with by the next one. `devnet remove NODE --graceful` is the way back."
)]
pub(super) struct Add {
    /// Stake so much with it, as in 500WAL; 0WAL stakes nothing [default: about what each member has]
    #[arg(long, value_name = "AMOUNT", value_parser = stake_amount)]
    stake: Option<u64>,
    /// How long to wait for a ledger that does not answer
    #[arg(long, default_value = "60s", value_parser = duration)]
    timeout: Duration,
}

/// An amount of the token that is staked, in FROST.
fn stake_amount(text: &str) -> std::result::Result<u64, String> {
    match read_amount(text)? {
        Amount { token: Token::Wal, smallest } => Ok(smallest),
        other => Err(format!("{other} cannot be staked: write it as in 500WAL or 0.5WAL")),
    }
}

/// What came of the steps.
struct Added {
    name: String,
    node_id: ObjectId,
    bond: u64,
    stake: u64,
    /// The first epoch in which its stake counts, and when that begins; nothing if it has none.
    member_from: Option<(u32, String)>,
}

impl Add {
    pub(super) async fn run(&self, directory: &StateDirectory, json: bool) -> Result<()> {
        let say = |text: String| match json {
            true => {
                note(&text);
                Ok(())
            }
            false => print_text(&format!("{text}\n")),
        };
        let card = card_of(directory)?;
        drop(connect(directory).await?);
        let place = status::place(&card).ok_or_else(|| card.damaged())?;
        // A ledger that is away leaves nothing half done.
        drop(patience::ledger(directory, &place, self.timeout).await?);
        let Reply::Node { name } = connect(directory).await?.ask(&Request::Add, PATIENCE).await?
        else {
            return Err(Error::new(Kind::Version, "the supervisor answered something else"));
        };
        let card = card_of(directory)?;
        let node = node_of(&card, &name)?;
        say(format!("✓ node      {name}, keys from the seed {}, {}", card.seed, node.address))?;
        let added = self.enter(directory, &card, node, &say).await?;
        let join = Request::Join { target: name.clone(), node_id: added.node_id.to_string() };
        connect(directory).await?.ask(&join, PATIENCE).await?;
        say(format!("✓ process   {name} runs, {}", node.http))?;
        self.tell(directory, &card_of(directory)?, &added, json)
    }

    /// Everything on the ledger.
    async fn enter(
        &self,
        directory: &StateDirectory,
        card: &Card,
        node: &NodeCard,
        say: &impl Fn(String) -> Result<()>,
    ) -> Result<Added> {
        let keys = keys_of(card, node)?;
        let client = operator::client(directory, &node.name).await?;
        let book = client.stake_book().await?;
        let known = book.staking.by_peer.get(keys.peer_key().as_slice()).copied();
        let staked = match known {
            Some(id) => client.receipts().await?.into_iter().find(|it| it.node_id == id),
            None => None,
        };
        let bond = stakes::min_bond(&book);
        let stake = self.stake.unwrap_or_else(|| usual_stake(&book));
        let needed = if known.is_some() { 0 } else { bond }.saturating_add(if staked.is_some() {
            0
        } else {
            stake
        });
        fund(card, &client, needed).await?;
        let node_id = match known {
            Some(id) => id,
            None => register(&client, &book, &keys, bond).await?,
        };
        let paid = Token::Wal.amount(bond);
        say(format!("✓ ledger    registered as {}, a bond of {paid}", node_id.short()))?;
        let mut added =
            Added { name: node.name.clone(), node_id, bond, stake: 0, member_from: None };
        let from = |epoch| Some((epoch, client.calendar().until(epoch)));
        if let Some(receipt) = staked {
            (added.stake, added.member_from) = (receipt.principal, from(receipt.activation_epoch));
        } else if stake > 0 {
            let plan = client.plan_stake(&node_id.to_string(), stake).await?;
            let receipt = client.stake(&plan).await?;
            (added.stake, added.member_from) = (stake, from(receipt.activation_epoch));
        }
        say(format!("✓ stake     {} by its operator", Token::Wal.amount(added.stake)))?;
        Ok(added)
    }

    fn tell(
        &self,
        directory: &StateDirectory,
        card: &Card,
        added: &Added,
        json: bool,
    ) -> Result<()> {
        let node = node_of(card, &added.name)?;
        let name = &added.name;
        let next = match &added.member_from {
            Some((_, when)) => format!(
                "{name} is a candidate, and a member from {when} on, if its stake is worth a shard then: `devnet epoch next` \
                 begins the next epoch now"
            ),
            None => format!(
                "{name} is no candidate before somebody stakes with it: `haulout stake add {name} 500WAL`, then \
                 `devnet epoch next`"
            ),
        };
        let next = directory.spoken(&next);
        let config = directory.join(name).join("node.toml");
        if json {
            return print_line(&json!({
                "name": name,
                "node_id": added.node_id.to_string(),
                "peer_id": node.peer_id,
                "address": node.address,
                "http": node.http,
                "pid": node.pid,
                "config": terminal::path(&config),
                "bond_frost": added.bond,
                "stake_frost": added.stake,
                "member_from_epoch": added.member_from.as_ref().map(|(epoch, _)| epoch),
                "next_step": next,
            }));
        }
        print_text(&format!(" next: {next}\n"))
    }
}

fn node_of<'a>(card: &'a Card, name: &str) -> Result<&'a NodeCard> {
    card.nodes.iter().find(|node| node.name == name).ok_or_else(|| card.damaged())
}

/// Its keys, which follow from the seed and its number.
fn keys_of(card: &Card, node: &NodeCard) -> Result<NodeGenesis> {
    let number = genesis::number_of(&node.name);
    let port = node.address.split('/').nth(4).and_then(|port| port.parse().ok());
    let (Some(number), Some(port)) = (number, port) else { return Err(card.damaged()) };
    Ok(genesis::later_node(card.seed, number, PeerPort(port)))
}

/// About what each member has: the average of the committee in whole WAL.
fn usual_stake(book: &StakeBook) -> u64 {
    let stakes: Vec<u64> = operator::members(book).iter().map(|row| row.stake).collect();
    let count = u64::try_from(stakes.len()).unwrap_or(u64::MAX).max(1);
    let sum = stakes.into_iter().fold(0, u64::saturating_add);
    let average = sum / count / SMALLEST_PER_COIN * SMALLEST_PER_COIN;
    average.max(stakes::min_stake(book))
}

/// Gives an operator what it lacks of so much WAL, and gas money.
async fn fund(card: &Card, client: &LedgerClient, needed: u64) -> Result<()> {
    let Some(account) = client.account() else { return Err(card.damaged()) };
    let has = client.balances().await?;
    let (wal, sui) = (needed.saturating_sub(has.wal), GAS_MONEY.saturating_sub(has.sui));
    if wal > 0 || sui > 0 {
        give(card, &account, Some(wal), Some(sui)).await?;
    }
    Ok(())
}

/// Registers the node as its members are: with their prices and as much room, and no commission.
async fn register(
    client: &LedgerClient,
    book: &StakeBook,
    keys: &NodeGenesis,
    bond: u64,
) -> Result<ObjectId> {
    let prices = client.view().position.market.prices;
    let room = operator::members(book).iter().map(|row| row.capacity).max();
    let application = Application {
        registration: NodeRegistration {
            name: keys.name.clone(),
            multiaddrs: keys.multiaddrs(),
            bond,
            commission_bps: 0,
            asks: Asks { storage: prices.storage, write: prices.write },
            capacity: room.unwrap_or(0),
            metadata: Vec::new(),
        },
        addresses: keys.listen().to_vec(),
        peer_key: keys.peer_key(),
        bls_public_key: keys.protocol_key.public_key().to_bytes().to_vec(),
    };
    application.check(book)?;
    let network = Secret::new(KeyKind::Ed25519, keys.network_key);
    Ok(client.register_node(&application, &network, &keys.protocol_key).await?.node_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_staked_is_an_amount_of_stake() {
        assert_eq!(stake_amount("250WAL"), Ok(250 * SMALLEST_PER_COIN));
        assert_eq!(stake_amount("0WAL"), Ok(0));
        assert!(stake_amount("5SUI").unwrap_err().contains("5 SUI cannot be staked"));
        assert!(stake_amount("much").is_err());
    }
}
