//! `devnet remove`: a node goes for good, in peace or at once.
//!
//! Promises: a node that leaves in peace serves until others have its shards, and the supervisor sees to that, also after
//! `down` and `up`; nothing that would take from the devnet what reads need is done unasked. Does not: end epochs.

use std::time::Duration;

use clap::Args;
use haulout_node::LedgerClient;
use haulout_node::error::{Error, Kind, Result};
use haulout_node::stakes::{self, ExitStep, Which};
use haulout_node::terminal;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::amount::Token;
use serde_json::{Value, json};

use super::{
    PATIENCE, card_of, connect, duration, note, operator, patience, print_line, print_text, status,
};
use crate::control::Request;
use crate::settings::no_process;
use crate::state::{Card, NodeCard, StateDirectory};

/// Remove a node for good: in peace with --graceful, else at once
///
/// With --graceful its operator tells the ledger that it leaves and asks its stake back; the node serves until the nodes of
/// a later epoch have its shards, and is stopped and forgotten then. Without it, the node is killed, what it stored is
/// deleted and it is forgotten; the ledger is told nothing and goes on counting on it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  devnet remove n5 --graceful   # then `devnet epoch next` and `devnet wait n5=gone`\n  \
                        devnet remove n5              # as if its machine had burned down\n\
                        For a node that shall come back, see `devnet kill` and `devnet restart`."
)]
pub(super) struct Remove {
    /// n1, n2, ...
    node: String,
    /// Leave in peace: nothing is lost, and it takes until the next epoch
    #[arg(long, conflicts_with = "force")]
    graceful: bool,
    /// Remove it even if files can be read no more then
    #[arg(long)]
    force: bool,
    /// How long to wait for a ledger that does not answer
    #[arg(long, default_value = "60s", value_parser = duration)]
    timeout: Duration,
}

/// What the ledger was told of a node that leaves.
struct Farewell {
    /// Epochs that must end before it has no duty any more.
    epochs: u32,
    /// Stake that was asked back or paid, in FROST.
    stake: u64,
    /// The first epoch in which its bond is free.
    bond_free: u32,
}

impl Remove {
    pub(super) async fn run(&self, directory: &StateDirectory, json: bool) -> Result<()> {
        let card = card_of(directory)?;
        drop(connect(directory).await?);
        let names = || card.nodes.iter().map(|node| node.name.as_str());
        let Some(node) = card.nodes.iter().find(|node| node.name == self.node) else {
            return Err(no_process(&self.node, names()));
        };
        match self.graceful && !node.node_id.is_empty() {
            true => self.leave(directory, &card, node, json).await,
            false => self.cut_off(directory, &card, node, json).await,
        }
    }

    /// Ends it now.
    async fn cut_off(
        &self,
        directory: &StateDirectory,
        card: &Card,
        node: &NodeCard,
        json: bool,
    ) -> Result<()> {
        let report = status::look(directory, card).await?;
        let (reads, writes) = report.without(&self.node);
        // Whether it may go is the supervisor's to say, which does one thing after the other.
        let forget = Request::Forget { target: self.node.clone(), force: self.force };
        connect(directory).await?.ask(&forget, PATIENCE).await?;
        let config = terminal::path(&directory.join(&self.node).join("node.toml"));
        let duties = match node.node_id.is_empty() {
            true => format!(
                "it was never added to the end; whether the ledger knows it: `haulout --config {config} node show`"
            ),
            false => format!(
                "the ledger was told nothing: as long as it has stake, each committee counts on its shards; \
                 `haulout --config {config} node exit --yes` tells it"
            ),
        };
        let writes_fail = (!writes.is_enough()).then(|| {
            let (up, needed) = (writes.up, writes.needed);
            format!("writes fail from now on: {up} shards are up and they need {needed}")
        });
        if json {
            return print_line(&json!({
                "name": self.node, "state": "gone", "shards_up": reads.up, "shards_storing": writes.up, "ledger": duties,
                "config": config,
            }));
        }
        let mut text = format!(
            "✓ {} is gone, and what it stored is deleted; its keys stay\n  {duties}\n",
            self.node
        );
        if let Some(line) = writes_fail {
            text.push_str(&format!("  {line}\n"));
        }
        print_text(&directory.spoken(&text))
    }

    /// Tells the ledger that it leaves, and the supervisor to let it go when it is through.
    async fn leave(
        &self,
        directory: &StateDirectory,
        card: &Card,
        node: &NodeCard,
        json: bool,
    ) -> Result<()> {
        let place = status::place(card).ok_or_else(|| card.damaged())?;
        drop(patience::ledger(directory, &place, self.timeout).await?);
        let id: ObjectId = node.node_id.parse().map_err(|_| card.damaged())?;
        let say = |text: String| match json {
            true => {
                note(&text);
                Ok(())
            }
            false => print_text(&format!("{text}\n")),
        };
        let client = operator::client(directory, &self.node).await?;
        let farewell = self.tell_ledger(&client, &id, &say).await?;
        let leave = Request::Leave { target: self.node.clone() };
        connect(directory).await?.ask(&leave, PATIENCE).await?;
        let name = &self.node;
        let next = match farewell.epochs {
            0 => format!("`devnet wait {name}=gone` returns when it is gone"),
            1 => format!("`devnet epoch next`, then `devnet wait {name}=gone`"),
            count => format!("`devnet epoch next`, {count} times, then `devnet wait {name}=gone`"),
        };
        let next = directory.spoken(&next);
        let free = farewell.bond_free;
        if json {
            return print_line(&self.left_json(&farewell, &next));
        }
        let config = terminal::path(&directory.join(name).join("node.toml"));
        say(format!(
            "✓ {name}  serves until others have its shards, and is stopped and forgotten then\n  bond  free from epoch {free}: \
             `haulout --config {config} node exit --withdraw-bond`\n  next  {next}"
        ))
    }

    fn left_json(&self, farewell: &Farewell, next: &str) -> Value {
        json!({
            "name": self.node,
            "state": "leaving",
            "epochs_to_end": farewell.epochs,
            "stake_asked_back_frost": farewell.stake,
            "bond_free_epoch": farewell.bond_free,
            "next_step": next,
        })
    }

    /// Leaves on the ledger, and asks back what the operator staked with it; what was done before is not done again.
    async fn tell_ledger(
        &self,
        client: &LedgerClient,
        id: &ObjectId,
        say: &impl Fn(String) -> Result<()>,
    ) -> Result<Farewell> {
        let book = client.stake_book().await?;
        let cap =
            stakes::own_cap(&book.staking, &client.node_caps().await?, Some(&id.to_string()))?;
        let own = stakes::own_node(&book, &cap)?;
        own.check_successors(&book).map_err(|error| {
            Error::new(error.kind(), error.message()).hint(
                "`devnet add` adds a node with stake; after `devnet epoch next` it can take over",
            )
        })?;
        if own.exit == ExitStep::Request {
            client.request_exit(&cap).await?;
        }
        say(format!("✓ ledger  {} leaves, and is not chosen any more", self.node))?;
        let stake = match client.plan_withdrawal(Which::All(Some(*id))).await {
            Ok(plan) => {
                client.withdraw(&plan).await?;
                plan.items.iter().map(|item| item.worth).fold(0, u64::saturating_add)
            }
            // There is none of the operator's, or all of it was asked back before.
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Permission) => 0,
            Err(error) => return Err(error),
        };
        if stake > 0 {
            say(format!("✓ stake   {} asked back by its operator", Token::Wal.amount(stake)))?;
        }
        let staking = &client.stake_book().await?.staking;
        let epochs = match (stakes::in_current(staking, id), stakes::in_next(staking, id)) {
            (_, true) => 2,
            (true, false) => 1,
            (false, false) => 0,
        };
        let bond_free =
            staking.pools.get(id).map_or(0, |pool| stakes::bond_free_from(staking, pool));
        Ok(Farewell { epochs, stake, bond_free })
    }
}
