//! Fifty epochs that nobody attends: nodes carry the network on while accounts use it.
//!
//! Time is moved ahead, nothing else: whoever votes, ends epochs and reports shards are the nodes.
//! Money is counted twice: as the ledger has it, and as the formulas of the design say, from what
//! accounts were told that they pay.

use std::collections::BTreeMap;
use std::time::Duration;

use haulout_actors::chain::{Chain, Checkpoint, Start};
use haulout_actors::session::upload::{PutOptions, PutReport, Source};
use haulout_devnet::Devnet;
use haulout_node::holdings::{Removal, Target};
use haulout_node::stakes::Which;
use haulout_node::{LedgerClient, LightClient};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::{Event, RewardsDistributed, StakeEvent};
use haulout_protocol::chain::object::staking::EpochState;
use haulout_protocol::chain::object::{System, Treasury};
use haulout_protocol::machine::put_plan::Plan;
use haulout_tests::{eventually, get, quiet, sample_blob};
use serde::de::DeserializeOwned;
use sui_rpc::Client;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::Address;

use crate::owner::bare;

const EPOCHS: u32 = 50;
const EPOCH: Duration = Duration::from_secs(600);
const WAL: u64 = 1_000_000_000;
const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];

/// What each epoch has earned, by what accounts were shown and the formulas of `contracts.md` 2.
#[derive(Default)]
struct Book {
    due: BTreeMap<u32, u64>,
}

impl Book {
    /// A payment for storage, in equal slices.
    fn storage(&mut self, epochs: std::ops::Range<u32>, paid: u64) {
        let count = u64::from(epochs.end - epochs.start);
        assert_eq!(paid % count, 0, "every epoch gets the same");
        epochs.for_each(|epoch| *self.due.entry(epoch).or_default() += paid / count);
    }

    /// Checks what a committee was paid, and carries the rest over.
    fn close(&mut self, said: &RewardsDistributed, shards: &BTreeMap<ObjectId, u64>) {
        let total = self.due.get(&said.epoch).copied().unwrap_or_default();
        assert_eq!(said.total, total, "what epoch {} earned", said.epoch);
        assert_eq!((said.burned, said.forfeited), (total * 3 / 100, 0));
        let (rewards, all) = (total - said.burned, shards.values().sum::<u64>());
        let kept: Vec<_> = said.node_ids.iter().map(|id| shards[id] * rewards / all).collect();
        assert_eq!(said.kept, kept, "rewards of epoch {}", said.epoch);
        let dust = rewards - kept.iter().sum::<u64>();
        *self.due.entry(said.epoch + 1).or_default() += dust;
    }
}

struct World {
    devnet: Devnet,
    chain: Chain,
    alice: LightClient,
    book: Book,
    /// Blobs with the epoch in which they end.
    blobs: Vec<(PutReport, u64)>,
    /// WAL of accounts that do nothing.
    idle: u64,
}

impl World {
    async fn start() -> World {
        let devnet = Devnet::builder().nodes(5).shards(20).seed(50).segment_bytes(16 << 10);
        // So much that what Carol stakes moves no shard: this is about money and time.
        let devnet = devnet.epoch(EPOCH).stake_per_shard(100_000 * WAL).start().await.unwrap();
        let (chain, _) = bare(&devnet, "alice").await;
        let alice = devnet.client("alice").await.unwrap();
        let (book, blobs) = (Book::default(), Vec::new());
        let mut world = World { devnet, chain, alice, book, blobs, idle: 0 };
        let (held, supply) = world.money().await;
        world.idle = supply - held;
        world
    }

    async fn client(&self, account: &str) -> LedgerClient {
        LedgerClient::connect(self.devnet.client_config(account).unwrap()).await.unwrap()
    }

    /// WAL of the accounts, the pools and the epochs to come; and all there is.
    async fn money(&self) -> (u64, u64) {
        let ids = self.devnet.ids();
        let stake = self.chain.stake().await.unwrap();
        let (system, treasury): (System, Treasury) =
            (self.object(&ids.system).await, self.object(&ids.treasury).await);
        let mut held = system.ring.entries.iter().map(|entry| entry.rewards).sum::<u64>();
        for pool in stake.pools.values() {
            held += pool.bond + pool.active + pool.pending + pool.unbonded + pool.commission;
        }
        for account in ACCOUNTS {
            held += self.client(account).await.balances().await.unwrap().wal;
        }
        (held, treasury.total_supply)
    }

    /// An object of the ledger, as anybody can read it.
    async fn object<T: DeserializeOwned>(&self, id: &ObjectId) -> T {
        let request = rpc::GetObjectRequest::new(&Address::new((*id).into()))
            .with_read_mask(FieldMask::from_str("contents"));
        let mut client = Client::new(self.devnet.rpc()).unwrap();
        let answer = client.ledger_client().get_object(request).await.unwrap().into_inner();
        bcs::from_bytes(answer.object().contents().value()).unwrap()
    }

    /// Lets an epoch pass and waits until the nodes hold the next one's shards.
    async fn pass(&self, epoch: u32) {
        for _ in 0..2 {
            self.devnet.ledger().unwrap().skip(EPOCH / 2).unwrap();
        }
        eventually("the next epoch begins", async || {
            let position = self.chain.system().await.unwrap().position;
            position.epoch.0 > epoch && !matches!(position.phase, EpochState::Sync { .. })
        })
        .await;
        let here = self.alice.context().position.subscribe();
        eventually("the client hears of it", async || here.borrow().epoch.0 > epoch).await;
    }

    /// Alice stores a blob, sometimes extends one, sometimes deletes one.
    async fn use_storage(&mut self, epoch: u32) {
        let (seed, epochs) = (u64::from(epoch), 1 + epoch % 4);
        let options = PutOptions { epochs, deletable: true, force: false };
        let source = Source::Memory(sample_blob(seed, 3_000).into());
        let stored = self.alice.put(source, options, &quiet()).await.unwrap();
        assert_eq!(stored.end_epoch, epoch + epochs);
        let owner = self.client("alice").await;
        let quote = owner.quote(3_000, epochs).unwrap();
        // What a deletion left is used before more is bought.
        let Plan::Register { space, write } = &stored.plan else { panic!("{:?}", stored.plan) };
        assert_eq!((space.price() + space.saved, *write), (quote.storage, quote.write));
        if let Some(bought) = space.bought {
            self.book.storage(bought.start_epoch..bought.end_epoch, bought.price);
        }
        *self.book.due.entry(epoch).or_default() += quote.write;
        if epoch.is_multiple_of(3) {
            let plan = owner.plan_extension(&Target::Blob(stored.blob_id), 2).await.unwrap();
            owner.extend(&plan).await.unwrap();
            self.book.storage(stored.end_epoch..stored.end_epoch + 2, plan.total);
        }
        if epoch.is_multiple_of(5) {
            let target = Target::Blob(stored.blob_id);
            let plan = owner.plan_removal(&target, Removal::Delete).await.unwrap();
            owner.remove(&plan).await.unwrap();
            return;
        }
        self.blobs.push((stored, seed));
    }

    /// Carol stakes, asks back and collects.
    async fn use_stake(&self, epoch: u32) {
        let carol = self.client("carol").await;
        if epoch % 4 == 1 {
            let node = format!("n{}", 1 + epoch % 5);
            let plan = carol.plan_stake(&node, u64::from(epoch) * WAL).await.unwrap();
            carol.stake(&plan).await.unwrap();
        }
        if epoch.is_multiple_of(3) {
            // With nothing to be done the plan is an error that says so.
            if let Ok(plan) = carol.plan_withdrawal(Which::All(None)).await {
                carol.withdraw(&plan).await.unwrap();
            }
        }
    }

    /// Every blob whose time is not over comes back, and no other.
    async fn check_blobs(&self, epoch: u32) {
        for (stored, seed) in self.blobs.iter().rev().take(3) {
            let extended = if *seed % 3 == 0 { 2 } else { 0 };
            let got = get(&self.alice, &stored.blob_id).await;
            if stored.end_epoch + extended > epoch {
                assert_eq!(got.unwrap(), sample_blob(*seed, 3_000), "stored in epoch {seed}");
            } else {
                assert!(got.unwrap_err().message().contains("expired"), "stored in epoch {seed}");
            }
        }
    }

    /// All events of the network's life.
    async fn history(&self) -> Vec<Event> {
        let tip = self.chain.latest_checkpoint().await.unwrap();
        let (mut events, mut source) = (Vec::new(), self.chain.checkpoints(Start::default()));
        loop {
            for Checkpoint { sequence, events: said, .. } in source.next_batch().await.unwrap() {
                events.extend(said);
                if sequence >= tip {
                    return events;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_epochs_pass_unattended_and_every_unit_of_money_is_accounted_for() {
    let mut world = World::start().await;
    for epoch in 1..=EPOCHS {
        world.use_storage(epoch).await;
        world.use_stake(epoch).await;
        world.pass(epoch).await;
        let (held, supply) = world.money().await;
        assert_eq!(held + world.idle, supply, "all WAL after epoch {epoch}");
        if epoch % 5 == 0 {
            world.check_blobs(epoch + 1).await;
        }
    }
    let committee = world.chain.system().await.unwrap().position.committee;
    let members = committee.members().iter();
    let shards: BTreeMap<_, _> =
        members.map(|one| (one.node_id.into(), one.shards.len() as u64)).collect();
    let (mut paid, mut forced) = (0, 0);
    for event in world.history().await {
        match event {
            Event::Stake(StakeEvent::RewardsDistributed(said)) if said.epoch > 0 => {
                world.book.close(&said, &shards);
                paid += 1;
            }
            Event::Stake(StakeEvent::EpochSyncForced(_)) => forced += 1,
            _ => {}
        }
    }
    assert_eq!((paid, forced), (EPOCHS, 0));
    let ledger = world.devnet.ledger().unwrap().clone();
    let replayed = tokio::task::spawn_blocking(move || {
        loop {
            let root = ledger.state_root();
            let replayed = ledger.replay().unwrap();
            if ledger.state_root() == root {
                assert_eq!(replayed.root, root);
                return replayed;
            }
            // A node reported its shards meanwhile.
        }
    });
    assert!(replayed.await.unwrap().transactions > u64::from(EPOCHS) * 8);
    drop(world.alice);
    world.devnet.shutdown().await;
}
