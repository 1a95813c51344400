//! Stakers see what the ledger will do, do it, and are paid to the unit what they were shown.

use haulout_actors::chain::{Chain, ReceiptStep, Wallet};
use haulout_actors::session::upload::{PutOptions, Source};
use haulout_devnet::Devnet;
use haulout_node::LedgerClient;
use haulout_node::error::Kind;
use haulout_node::stakes::{self, Position, SortBy, Stage, Step, Which};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_tests::{quiet, sample_blob};

use crate::epochs::Epochs;
use crate::owner::bare;

const WAL: u64 = 1_000_000_000;

/// A network with an account that stakes.
struct World {
    devnet: Devnet,
    chain: Chain,
    wallet: Wallet,
}

impl World {
    async fn start(seed: u64) -> World {
        let devnet = Devnet::builder().nodes(4).shards(10).seed(seed).segment_bytes(16 << 10);
        let devnet = devnet.stake_per_shard(WAL).start().await.unwrap();
        let (chain, wallet) = bare(&devnet, "alice").await;
        World { devnet, chain, wallet }
    }

    /// What the commands see now.
    async fn client(&self) -> LedgerClient {
        LedgerClient::connect(self.devnet.client_config("alice").unwrap()).await.unwrap()
    }

    fn epochs(&self) -> Epochs<'_> {
        Epochs::of(&self.devnet, self.chain.clone())
    }

    /// Somebody pays for storage, so that nodes earn.
    async fn earn(&self, epochs: u32) {
        let bob = self.devnet.client("bob").await.unwrap();
        let source = Source::Memory(sample_blob(1, 5_000).into());
        let options = PutOptions { epochs, deletable: true, force: false };
        bob.put(source, options, &quiet()).await.unwrap();
    }

    /// Stakes as the command does, and says which receipt came of it.
    async fn stake(&self, node: &str, amount: u64) -> ObjectId {
        let client = self.client().await;
        let plan = client.plan_stake(node, amount).await.unwrap();
        let before = client.balances().await.unwrap().wal;
        let done = client.stake(&plan).await.unwrap();
        assert_eq!(before - client.balances().await.unwrap().wal, amount, "exactly that is paid");
        assert_eq!(done.activation_epoch, plan.activation_epoch);
        done.object
    }

    /// Where a receipt stands, after making sure that the ledger refuses every other step.
    async fn position(&self, id: ObjectId) -> Position {
        let receipts = self.client().await.receipts().await.unwrap();
        let receipt = receipts.into_iter().find(|receipt| receipt.id == id).unwrap();
        let staking = self.epochs().state().await;
        let position = Position::new(&staking, receipt.clone()).unwrap();
        let wrong = match position.step {
            Step::Request(_) => vec![(ReceiptStep::Withdraw(receipt), Abort::NotWithdrawing)],
            Step::Cancel | Step::WithdrawNow => {
                vec![(ReceiptStep::Request(receipt), Abort::WithdrawDirectly)]
            }
            Step::Collect => vec![(ReceiptStep::Request(receipt), Abort::NotStaked)],
            Step::Wait(_) => vec![
                (ReceiptStep::Withdraw(receipt.clone()), Abort::WithdrawTooEarly),
                (ReceiptStep::Request(receipt), Abort::NotStaked),
            ],
        };
        for (step, abort) in wrong {
            let refused = self.chain.advance_receipts(&self.wallet, &[step]).await.unwrap_err();
            assert_eq!(refused.abort(), Some(abort), "{:?}", position.step);
        }
        position
    }

    /// Takes the step a receipt is due for, and checks that the ledger did what was shown.
    async fn withdraw(&self, id: ObjectId) -> u64 {
        let (client, position) = (self.client().await, self.position(id).await);
        let plan = client.plan_withdrawal(Which::Receipt(id)).await.unwrap();
        let before = client.balances().await.unwrap().wal;
        let done = client.withdraw(&plan).await.unwrap();
        let gained = client.balances().await.unwrap().wal - before;
        assert_eq!(gained, plan.pays(), "what was shown is paid");
        match position.step {
            Step::Request(epoch) => assert_eq!(done.requested, [(id, epoch)]),
            _ => assert_eq!(done.paid, [(id, position.worth)]),
        }
        gained
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alice_stakes_earns_asks_back_and_is_paid_principal_and_rewards() {
    let world = World::start(81).await;
    world.earn(4).await;
    let receipt = world.stake("n2", 3 * WAL).await;
    let pending = world.position(receipt).await;
    assert_eq!((pending.stage, pending.step), (Stage::Pending(2), Step::Cancel));

    let epochs = world.epochs();
    epochs.next().await;
    let active = world.position(receipt).await;
    assert_eq!((active.stage, active.step), (Stage::Active, Step::Request(3)));
    assert_eq!(active.rewards(), 0, "nothing is earned before an epoch was served");
    assert!(3 * WAL - active.worth <= 1, "buying shares rounds down by a unit at most");

    epochs.next().await;
    let earned = world.position(receipt).await;
    assert!(earned.rewards() > 0, "{earned:?}");
    let book = world.client().await.stake_book().await.unwrap();
    let rows = stakes::rows(&book, SortBy::Stake);
    assert_eq!(rows[0].name, "n2", "it has most stake");
    assert!(rows[0].earned.unwrap().gain > 0.0 && rows[0].is_concentrated);

    assert_eq!(world.withdraw(receipt).await, 0, "it is only asked back");
    let leaving = world.position(receipt).await;
    assert_eq!((leaving.stage, leaving.step), (Stage::Leaving(4), Step::Wait(4)));
    let client = world.client().await;
    let again = client.plan_withdrawal(Which::All(None)).await.unwrap_err();
    assert_eq!(again.kind(), Kind::Permission);
    assert!(again.message().contains("paid from epoch 4"), "{again}");

    epochs.next().await;
    let payable = world.position(receipt).await;
    assert_eq!((payable.stage, payable.step), (Stage::Payable, Step::Collect));
    assert!(payable.worth > earned.worth, "it earned in its last epoch, too");
    assert_eq!(world.withdraw(receipt).await, payable.worth);
    assert!(world.client().await.receipts().await.unwrap().is_empty());
    world.devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_a_committee_is_chosen_stake_that_it_counts_on_serves_an_epoch() {
    let world = World::start(82).await;
    let early = world.stake("n1", 2 * WAL).await;
    assert_eq!(world.withdraw(early).await, 2 * WAL, "nobody counted on it yet");
    let counted = world.stake("n1", 2 * WAL).await;
    let epochs = world.epochs();
    epochs.select().await;
    let late = world.stake("n1", 2 * WAL).await;
    assert_eq!(world.position(counted).await.step, Step::Request(3));
    let fresh = world.position(late).await;
    assert_eq!((fresh.stage, fresh.step), (Stage::Pending(3), Step::Cancel));

    // One transaction asks the first back and pays the second.
    let client = world.client().await;
    let plan = client.plan_withdrawal(Which::All(None)).await.unwrap();
    let done = client.withdraw(&plan).await.unwrap();
    assert_eq!((done.requested, done.paid), (vec![(counted, 3)], vec![(late, 2 * WAL)]));

    epochs.change().await;
    assert_eq!(world.position(counted).await.step, Step::Wait(3), "it serves");
    let held = world.stake("n1", 2 * WAL).await;
    epochs.next().await;
    assert_eq!(world.withdraw(counted).await, 2 * WAL, "nobody paid for storage");
    // An active stake that is asked back after the selection leaves an epoch later.
    epochs.select().await;
    assert_eq!(world.position(held).await.step, Step::Request(5));
    world.withdraw(held).await;
    epochs.change().await;
    assert_eq!(world.position(held).await.step, Step::Wait(5));
    world.devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_split_and_joined_and_nobody_elses_are_touched() {
    let world = World::start(83).await;
    let receipt = world.stake("n3", 3 * WAL).await;
    let client = world.client().await;
    let plan = client.plan_split(receipt, WAL).await.unwrap();
    client.split(&plan).await.unwrap();
    let parts = client.receipts().await.unwrap();
    let part = parts.iter().find(|part| part.id != receipt).unwrap();
    assert_eq!((parts.len(), part.principal), (2, WAL));
    let plan = client.plan_join(receipt, &[part.id]).await.unwrap();
    client.join(&plan).await.unwrap();
    let [whole] = client.receipts().await.unwrap().try_into().unwrap();
    assert_eq!((whole.id, whole.principal), (receipt, 3 * WAL));

    let config = world.devnet.client_config("bob").unwrap();
    let stranger = LedgerClient::connect(config).await.unwrap();
    for which in [Which::Receipt(receipt), Which::All(None)] {
        let refused = stranger.plan_withdrawal(which).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::NotFound, "{refused}");
    }
    let (chain, wallet) = bare(&world.devnet, "bob").await;
    chain.advance_receipts(&wallet, &[ReceiptStep::Withdraw(whole)]).await.unwrap_err();
    for (node, amount, kind) in
        [("n9", WAL, Kind::NotFound), ("n1", WAL - 1, Kind::Usage), ("n1", 0, Kind::Usage)]
    {
        let refused = client.plan_stake(node, amount).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{node} {amount}");
    }
    let rich = client.plan_stake("n1", u64::MAX).await.unwrap();
    let balance = client.balances().await.unwrap().wal;
    assert_eq!(rich.affordable(balance).unwrap_err().kind(), Kind::Funds);
    let told: haulout_node::Error = client.stake(&rich).await.unwrap_err();
    assert_eq!(told.kind(), Kind::Funds, "and the wallet is not touched");
    world.devnet.shutdown().await;
}
