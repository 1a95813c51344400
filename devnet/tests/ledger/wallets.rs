//! Wallets that are shared, scattered over many coins or full of objects, and a ledger that is away
//! for a moment: what the client of nodes and wallets makes of it.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::try_join_all;
use haulout_actors::chain::{CallError, Chain, ChainOptions, Registration, Since, Wallet};
use haulout_actors::limits;
use haulout_protocol::blob::{BlobId, Encoding};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::amount::Token;
use haulout_protocol::chain::call::{Function as Callee, RegisterBlob};
use haulout_protocol::machine::space::{Need, Space};
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, Digest, TypeTag};
use sui_transaction_builder::TransactionBuilder;

use crate::relay::{Relay, has_paid};
use crate::world::{Account, FAUCET, Fill, PATIENCE, World, sample_blob};

/// The least a receipt of stake holds, and more than the faucet gives at a time.
const STAKE: u64 = 1_000_000_000;

/// An account twice: as the tests sign, and as our client does.
fn alice() -> (Account, Wallet) {
    (Account::ed25519(1), Wallet::from_ed25519([1; 32]))
}

impl World {
    /// Splits so many coins of one size off a coin the faucet gave.
    async fn scatter(&self, account: &Account, count: usize, size: u64) {
        let wal: TypeTag = self.wal_type().parse().unwrap();
        let coins = self.client.select_up_to_n_largest_coins(&account.address, &wal, 500, &[]);
        let coins = coins.await.unwrap();
        let gift = coins.iter().find(|coin| coin.balance() == FAUCET.wal).unwrap();
        let gift = self
            .owned(&ObjectId::from_bytes(*gift.object_id().parse::<Address>().unwrap().inner()))
            .await;
        self.run(account, |builder| {
            let gift = builder.object(gift);
            let size = builder.pure(&size);
            let parts = builder.split_coins(gift, vec![size; count]);
            let owner = builder.pure(&account.address);
            builder.transfer_objects(parts, owner);
        })
        .await;
    }

    /// Registers so many blobs that are alike but for the last bytes of their root, in one
    /// transaction; gives one more storage object to the account.
    async fn register_many(&self, account: &Account, roots: std::ops::Range<u16>) {
        let coin = self.owned(&self.wal_coin(account).await).await;
        let space = self.sample_space(numbered(0).size);
        self.run(account, |builder| {
            let paid = Fill { payment: Some(builder.object(coin)), ..Fill::default() };
            let mut made = Vec::new();
            for root in roots {
                let storage = self.call(builder, Callee::RESERVE_SPACE, space.arguments(), &paid);
                let fill = Fill { storage: Some(storage), ..paid };
                let blob = numbered(root).arguments();
                made.push(self.call(builder, Callee::REGISTER_BLOB, blob, &fill));
            }
            made.push(self.call(builder, Callee::RESERVE_SPACE, space.arguments(), &paid));
            let owner = builder.pure(&account.address);
            builder.transfer_objects(made, owner);
        })
        .await;
    }

    async fn stake_wal(
        &self,
        chain: &Chain,
        wallet: &Wallet,
        amount: u64,
    ) -> Result<(), CallError> {
        chain.stake_with(wallet, &self.ledger.ids().nodes[0], amount).await.map(drop)
    }
}

/// Sends so much SUI.
fn pay(to: Address, mist: u64) -> impl Fn(&mut TransactionBuilder) {
    move |builder| {
        let amount = builder.pure(&mist);
        let gas = builder.gas();
        let coins = builder.split_coins(gas, vec![amount]);
        let to = builder.pure(&to);
        builder.transfer_objects(coins, to);
    }
}

fn numbered(number: u16) -> RegisterBlob {
    let mut root = [9; 32];
    root[..2].copy_from_slice(&number.to_be_bytes());
    let blob = sample_blob(0, true);
    RegisterBlob {
        blob_id: *BlobId::derive(Encoding::Segments, blob.size, &root).as_bytes(),
        root,
        ..blob
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_with_one_wallet_both_get_all_their_transactions_through() {
    let world = World::start().await;
    let (account, wallet) = alice();
    for _ in 0..16 {
        world.fund(&account).await; // half a WAL each: a stake takes two coins and leaves none
    }
    // No folder in common, so neither knows of the other.
    let machines = [world.chain().await, world.chain().await];
    let stakes = (0..8).map(|number| world.stake_wal(&machines[number % 2], &wallet, STAKE));
    try_join_all(stakes).await.unwrap();
    assert_eq!(world.balance(&account, &world.wal_type()).await, 0, "each was paid once");
    let receipts = machines[0].owned_receipts(&wallet.address()).await.unwrap();
    assert_eq!(receipts.len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_from_more_coins_than_one_transaction_takes_merges_them_first() {
    let world = World::start().await;
    let (account, wallet) = alice();
    for _ in 0..3 {
        world.fund(&account).await;
    }
    let each = FAUCET.wal / 100;
    for _ in 0..3 {
        world.scatter(&account, 99, each).await;
    }
    let (chain, all) = (world.chain().await, 3 * FAUCET.wal);
    let refused = world.stake_wal(&chain, &wallet, all + 1).await.unwrap_err();
    let CallError::InsufficientFunds { token, available, needed, .. } = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!((*token, *available, *needed), (Token::Wal, all, all + 1));
    assert!(refused.to_string().contains("holds 1.5 WAL and needs at least"), "{refused}");

    let amount = all - 10 * each; // 290 of the 300 coins
    world.stake_wal(&chain, &wallet, amount).await.unwrap();
    assert_eq!(world.balance(&account, &world.wal_type()).await, all - amount);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_wallet_owns_is_found_beyond_its_first_two_thousand_objects() {
    let world = World::start().await;
    let (account, wallet) = alice();
    world.fund(&account).await;
    let (per_call, calls) = (350, 6);
    for call in 0..calls {
        world.register_many(&account, call * per_call..(call + 1) * per_call).await;
    }
    let chain = world.chain().await;
    let owner = wallet.address();
    let all: Vec<_> = chain.blobs(&owner).try_collect().await.unwrap();
    assert_eq!(all.len(), usize::from(per_call * calls));
    let last = all.last().unwrap();
    let found = chain.blobs_of(&owner, &BlobId::from_bytes(last.blob_id)).await.unwrap();
    assert_eq!(found, std::slice::from_ref(last));
    assert!(chain.blobs_of(&owner, &BlobId::from_bytes([1; 32])).await.unwrap().is_empty());
    assert_eq!(chain.storages(&owner).await.unwrap().len(), usize::from(calls));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_without_its_parameters_lists_all_of_its_kind_in_order_and_no_others() {
    let world = World::start().await;
    let (account, _) = alice();
    for _ in 0..3 {
        world.fund(&account).await;
    }
    world.register(&account, 1, true).await;
    let list = async |kind: &str, size: u32| {
        let request = rpc::ListOwnedObjectsRequest::default()
            .with_owner(account.address)
            .with_object_type(kind)
            .with_page_size(size)
            .with_read_mask(FieldMask::from_str("object_id,object_type"));
        let listed = world.client.list_owned_objects(request).try_collect::<Vec<_>>();
        listed.await.unwrap().iter().map(|one| one.object_id().to_owned()).collect::<Vec<_>>()
    };
    let wal = format!("0x2::coin::Coin<{}>", world.wal_type());
    let (wal, sui) = (list(&wal, 2).await, list("0x2::coin::Coin<0x2::sui::SUI>", 2).await);
    assert_eq!((wal.len(), sui.len()), (3, 3));
    let mut both: Vec<_> = wal.into_iter().chain(sui).collect();
    both.sort();
    assert_eq!(list("0x2::coin::Coin", 2).await, both);
    assert!(list("0x2::coin::CoinMetadata", 2).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_and_nothing_is_paid_twice() {
    lose_an_answer(|chain| chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_also_by_those_who_do_not_wait_for_a_ledger() {
    lose_an_answer(|chain| chain.impatient()).await;
}

/// Stakes with this view of a ledger whose first answer to the stake is lost.
async fn lose_an_answer(view: impl FnOnce(Chain) -> Chain) {
    let world = World::start().await;
    let (account, wallet) = alice();
    for _ in 0..5 {
        world.fund(&account).await;
    }
    let is_paid = has_paid(&world, account.address, 5 * FAUCET.wal);
    let relay = Relay::start(world.grpc, is_paid).await;
    let chain = world.chain_at(relay.address, PATIENCE).await.unwrap();
    world.stake_wal(&view(chain.clone()), &wallet, STAKE).await.unwrap();
    assert_eq!(relay.cuts.load(Ordering::SeqCst), 1, "the answer got lost once");
    assert_eq!(world.balance(&account, &world.wal_type()).await, 5 * FAUCET.wal - STAKE);
    assert_eq!(chain.owned_receipts(&wallet.address()).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_away_for_a_moment_is_waited_for() {
    let world = World::start().await;
    let (account, wallet) = alice();
    for _ in 0..4 {
        world.fund(&account).await;
    }
    let (chain, address) = (world.chain().await, world.grpc);
    let node = world.ledger.ids().nodes[0];
    let directory = world.stop().await;
    let staked = chain.stake_with(&wallet, &node, STAKE);
    let balances = chain
        .impatient()
        .balances(&ObjectId::from_bytes(account.address.into_inner()))
        .await
        .unwrap_err();
    assert!(matches!(balances, CallError::Unreachable { .. }), "{balances:?}");
    let mut staked = std::pin::pin!(staked);
    let waited = tokio::time::timeout(Duration::from_millis(700), &mut staked).await;
    assert!(waited.is_err(), "it waits: {waited:?}");
    let world = World::start_at(directory, address).await;
    staked.await.unwrap();
    assert_eq!(world.balance(&account, &world.wal_type()).await, 4 * FAUCET.wal - STAKE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_away_when_it_is_first_needed_is_waited_for() {
    let world = World::start().await;
    let (options, address) = (world.chain_options(world.grpc, PATIENCE), world.grpc);
    let directory = world.stop().await;
    let nobody_waits = ChainOptions { patience: Duration::ZERO, ..options.clone() };
    let refused = Chain::connect(nobody_waits).await.unwrap_err();
    assert!(matches!(refused, CallError::Unreachable { .. }), "{refused:?}");
    let mut connecting = std::pin::pin!(Chain::connect(options));
    // Longer than anybody waited for the first answer before.
    let waited = tokio::time::timeout(Duration::from_secs(6), &mut connecting).await;
    assert!(waited.is_err(), "it waits: {waited:?}");
    let world = World::start_at(directory, address).await;
    let chain = connecting.await.unwrap();
    assert_eq!(chain.system().await.unwrap().position.epoch.0, 1);
    drop(world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_with_too_little_gas_is_told_how_much_is_missing_whether_it_has_some_or_none() {
    let world = World::start().await;
    let (alice, _) = alice();
    let (bob, wallet) = (Account::ed25519(2), Wallet::from_ed25519([2; 32]));
    for _ in 0..5 {
        world.fund(&alice).await;
    }
    let wal = world.owned(&world.wal_coin(&alice).await).await;
    world
        .run(&alice, |builder| {
            let wal = builder.object(wal);
            let to = builder.pure(&bob.address);
            builder.transfer_objects(vec![wal], to);
        })
        .await;
    let chain = world.chain().await;
    for mist in [0, 5] {
        if mist > 0 {
            world.run(&alice, pay(bob.address, mist)).await;
        }
        let refused = world.stake_wal(&chain, &wallet, 0).await.unwrap_err();
        let CallError::InsufficientFunds { token, available, needed, .. } = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((token, available, needed > mist), (Token::Sui, mist, true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_planned_by_lists_that_may_not_show_what_the_wallet_did_last() {
    let world = World::start().await;
    let (account, wallet) = alice();
    world.fund(&account).await;
    let folder = tempfile::tempdir().unwrap();
    let options = ChainOptions {
        turns: Some(folder.path().into()),
        ..world.chain_options(world.grpc, Duration::from_millis(500))
    };
    let chain = Chain::connect(options).await.unwrap();
    let (terms, parameters) = {
        let position = chain.system().await.unwrap().position;
        (position.terms(), position.parameters)
    };
    let register = async |content: u8| {
        let blob = sample_blob(content, true);
        let bytes = parameters.encoded_bytes(blob.size, 5).unwrap();
        let (start_epoch, end_epoch) = (terms.epoch, terms.epoch + 1);
        let need = Need { bytes, start_epoch, end_epoch, is_extension: false };
        let space = Space::choose(&terms, &[], need).unwrap();
        let registration = Registration {
            blob_id: BlobId::from_bytes(blob.blob_id),
            root: blob.root,
            encoding: Encoding::Segments,
            length: blob.size,
            deletable: true,
            write: terms.write_cost(bytes).unwrap(),
            beside: Some(&[]),
            since: Since::default(),
        };
        chain.register_blob(&wallet, &registration, (&terms, &space)).await
    };
    let first = register(1).await.unwrap();
    // Another process executed something that the ledger's lists do not show: one that nobody knows.
    let mut files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let lock = files.find(|path| path.extension().is_some_and(|it| it == "lock")).unwrap();
    let word = |digest: &[u8; 32]| {
        let count = fs::read(&lock).unwrap()[..8].to_vec();
        fs::write(&lock, [&count, &digest[..]].concat()).unwrap();
    };
    word(&[7; 32]);
    let before = world.balance(&account, &world.wal_type()).await;
    let refused = register(2).await.unwrap_err();
    assert!(matches!(refused, CallError::Lagging { .. }), "{refused:?}");
    assert_eq!(world.balance(&account, &world.wal_type()).await, before);
    // One that they show is no reason to wait, and is forgotten.
    word(first.digest.parse::<Digest>().unwrap().inner());
    register(2).await.unwrap();
    let is_forgotten = || fs::read(&lock).unwrap()[8..].iter().all(|byte| *byte == 0);
    assert!(is_forgotten());
    // One that later checkpoints do not know is not waited for: the server has forgotten it, or it never was.
    word(&[7; 32]);
    let refused = register(3).await.unwrap_err();
    assert!(matches!(refused, CallError::Lagging { .. }), "{refused:?}");
    assert!(!is_forgotten());
    world.ledger.skip(limits::CHAIN_WORD_AGE_MAX + Duration::from_secs(1)).unwrap();
    register(3).await.unwrap();
    assert!(is_forgotten());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_stays_away_is_an_error_when_the_patience_ends() {
    let world = World::start().await;
    let (_, wallet) = alice();
    let patience = Duration::from_millis(300);
    let chain = world.chain_at(world.grpc, patience).await.unwrap();
    let node = world.ledger.ids().nodes[0];
    let address = world.grpc;
    drop(world.stop().await);
    let error = chain.stake_with(&wallet, &node, STAKE).await.unwrap_err();
    let CallError::Unreachable { url, reason, .. } = error else { panic!("{error:?}") };
    assert_eq!(url, format!("http://{address}"));
    assert!(reason.contains("refused"), "{reason}");
}
