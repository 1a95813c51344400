//! Ten nodes, short epochs: stake moves shards with every one, a node is killed in each, and somebody reads all the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use haulout_node::LedgerClient;
use haulout_node::stakes::{self, SortBy, Which};
use haulout_protocol::chain::ObjectId;

use crate::network::Network;
use crate::readers::{Reader, quantile, some};

const NODES: usize = 10;
const EPOCH: &str = "30s";
/// Blobs of these lengths, some of each.
const LENGTHS: [usize; 6] = [0, 500, 20 << 10, 300 << 10, 1 << 20, 4 << 20];
const OF_EACH: usize = 6;
/// With so many nodes is staked at a time: of ten none may have more than a fifth of the shards.
const FAVOURITES: usize = 3;
/// Of the stake of all, so much with each of them brings it to that fifth.
const EACH_PERCENT: u64 = 25;
/// A node is killed so many reads after a change at most.
const READS_BEFORE_A_KILL: usize = 40;
const WAL: u64 = 1_000_000_000;

/// So many changes of the committee.
pub(crate) async fn measure(changes: usize) -> Result<()> {
    let network = Network::start(NODES, EPOCH)?;
    let lengths: Vec<usize> = LENGTHS.into_iter().cycle().take(OF_EACH * LENGTHS.len()).collect();
    let stored = network.store(&lengths, 4_000).await?;
    let ledger = network.ledger().await?;
    let mut staker = Staker::new(&network, &ledger).await?;
    let reader = Reader::start(Arc::clone(&network), stored.clone());
    let mut stuck: BTreeMap<String, usize> = BTreeMap::new();
    let (mut shards, mut moved_in_all) = (staker.shards().await?, 0);
    for change in 0..changes {
        staker.move_stake(change).await?;
        let victim = network.nodes[(change * 7 + 3) % NODES].name.clone();
        let until = staker.wait_for_the_next_epoch(&network).await?;
        // In the midst of what the change brings about, some reads later each time.
        some(&network, &stored, change * 5 % READS_BEFORE_A_KILL).await?;
        network.devnet(&["kill", &victim]).await?;
        network.devnet(&["restart", &victim]).await?;
        let now = staker.shards().await?;
        let gained = |(name, count): (&String, &usize)| {
            count.saturating_sub(shards.get(name).copied().unwrap_or(0))
        };
        let moved: usize = now.iter().map(gained).sum();
        (shards, moved_in_all) = (now, moved_in_all + moved);
        let lacking = network.lacking().await?;
        stuck.retain(|name, _| lacking.contains_key(name));
        for name in lacking.keys() {
            *stuck.entry(name.clone()).or_default() += 1;
        }
        println!(
            "  epoch {until}: {moved} of 100 shards moved, {victim} was killed; not whole yet: {lacking:?}"
        );
        ensure!(stuck.values().all(|epochs| *epochs <= 2), "stuck over two epochs: {stuck:?}");
    }
    let healed = network.healed().await?;
    let took = reader.stop().await?;
    println!(
        "  {changes} changes moved {:.0} shards each; whole {:.1} s after the last; {} reads, all right, p99 {:.0} ms",
        moved_in_all as f64 / changes as f64,
        healed.as_secs_f64(),
        took.len(),
        quantile(&took, 99)
    );
    some(&network, &stored, stored.len()).await.context("after the last change")?;
    Ok(())
}

/// Who moves shards by staking.
struct Staker<'a> {
    ledger: &'a LedgerClient,
    receipts: Vec<ObjectId>,
    amount: u64,
    epoch: u64,
}

impl<'a> Staker<'a> {
    async fn new(network: &Arc<Network>, ledger: &'a LedgerClient) -> Result<Self> {
        let book = ledger.stake_book().await?;
        let all: u64 = stakes::rows(&book, SortBy::Stake).iter().map(|row| row.stake).sum();
        let amount = all / 100 * EACH_PERCENT / WAL * WAL;
        let wanted = format!("{}WAL", amount / WAL * 6 * FAVOURITES as u64);
        network.devnet(&["faucet", "alice", &wanted, "100SUI"]).await?;
        let epoch = u64::from(book.staking.epoch);
        Ok(Staker { ledger, receipts: Vec::new(), amount, epoch })
    }

    /// Stakes with the next nodes, and asks back what was staked before.
    async fn move_stake(&mut self, change: usize) -> Result<()> {
        for place in 0..FAVOURITES {
            let name = format!("n{}", (change * FAVOURITES + place) % NODES + 1);
            let plan = self.ledger.plan_stake(&name, self.amount).await?;
            self.receipts.push(self.ledger.stake(&plan).await?.object);
        }
        let old = self.receipts.len().saturating_sub(FAVOURITES);
        for receipt in self.receipts[..old].iter().copied() {
            // What cannot be asked back now can be later.
            if let Ok(plan) = self.ledger.plan_withdrawal(Which::Receipt(receipt)).await {
                self.ledger.withdraw(&plan).await?;
            }
        }
        Ok(())
    }

    /// Shards of each node, by its name.
    async fn shards(&self) -> Result<BTreeMap<String, usize>> {
        let book = self.ledger.stake_book().await?;
        let rows = stakes::rows(&book, SortBy::Stake).into_iter();
        Ok(rows.map(|row| (row.name, row.shards)).collect())
    }

    async fn wait_for_the_next_epoch(&mut self, network: &Arc<Network>) -> Result<u64> {
        self.epoch += 1;
        let began = Instant::now();
        let fact = format!("epoch={}", self.epoch);
        network.devnet(&["wait", &fact, "--timeout", "300s"]).await?;
        ensure!(began.elapsed() < Duration::from_secs(200), "epoch {} came late", self.epoch);
        Ok(self.epoch)
    }
}
