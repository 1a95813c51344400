//! Blobs that are registered and certified at the same time share transactions, and nothing else: what fails of one fails
//! of one, and each pays for itself.
//!
//! Most tests have one thread, so that all callers wait before the first transaction begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use futures::future::{join_all, try_join_all};
use futures::poll;
use haulout_actors::chain::{
    CallError, Certified, Chain, ChainOptions, Cost, Registered, Registration, Since, Wallet,
};
use haulout_actors::limits;
use haulout_protocol::blob::{BlobId, Encoding};
use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::object::Blob;
use haulout_protocol::crypto::Signature;
use haulout_protocol::machine::space::{Need, Space, Terms};

use crate::relay::{Relay, has_paid};
use crate::world::{Account, FAUCET, PATIENCE, World, sample_blob, sui_type};

/// Gas of one transaction here, whatever is in it.
const GAS: u64 = 1_000_000;

/// A funded wallet, and what the ledger sells.
struct Desk {
    world: World,
    account: Account,
    wallet: Wallet,
    terms: Terms,
}

/// Who asks for a registration, and how.
#[derive(Clone, Copy)]
struct Asked {
    number: u16,
    /// The most that may be paid for writing, if it is not the price.
    write: Option<u64>,
}

impl Desk {
    async fn new() -> Desk {
        let world = World::start().await;
        let (account, wallet) = (Account::ed25519(1), Wallet::from_ed25519([1; 32]));
        world.fund(&account).await;
        let terms = world.chain().await.system().await.unwrap().position.terms();
        Desk { world, account, wallet, terms }
    }

    fn blob_id(number: u16) -> (BlobId, [u8; 32]) {
        let mut root = [9; 32];
        root[..2].copy_from_slice(&number.to_be_bytes());
        (BlobId::derive(Encoding::Segments, sample_blob(0, true).size, &root), root)
    }

    /// What one blob costs.
    fn space(&self) -> (Space, u64) {
        let bytes = self.world.sample_space(sample_blob(0, true).size).size;
        let (start_epoch, end_epoch) = (self.terms.epoch, self.terms.epoch + 2);
        let need = Need { bytes, start_epoch, end_epoch, is_extension: false };
        let space = Space::choose(&self.terms, &[], need).unwrap();
        (space, self.terms.write_cost(bytes).unwrap())
    }

    fn price(&self) -> u64 {
        let (space, write) = self.space();
        space.price() + write
    }

    async fn register(&self, chain: &Chain, asked: Asked) -> Result<Registered, CallError> {
        let ((blob_id, root), (space, write)) = (Desk::blob_id(asked.number), self.space());
        let registration = Registration {
            blob_id,
            root,
            encoding: Encoding::Segments,
            length: sample_blob(0, true).size,
            deletable: true,
            write: asked.write.unwrap_or(write),
            beside: Some(&[]),
            since: Since::default(),
        };
        chain.register_blob(&self.wallet, &registration, (&self.terms, &space)).await
    }

    /// All at once.
    async fn register_all(
        &self,
        chain: &Chain,
        numbers: impl IntoIterator<Item = u16>,
    ) -> Vec<Registered> {
        let asked = numbers.into_iter().map(|number| Asked { number, write: None });
        try_join_all(asked.map(|asked| self.register(chain, asked))).await.unwrap()
    }

    async fn certify(
        &self,
        chain: &Chain,
        object: &ObjectId,
        signers: &[usize],
    ) -> Result<Certified, CallError> {
        let blob: Blob = self.world.object(object).await;
        let sound = self.world.certificate(&blob, signers);
        let signature = Signature::from_bytes(&sound.signature).unwrap();
        let (signers, message) = (sound.signers, sound.message);
        let certificate = Certificate { signers, message, signature };
        chain.certify_blob(&self.wallet, object, &certificate).await
    }

    async fn balances(&self) -> Cost {
        let wal = self.world.balance(&self.account, &self.world.wal_type()).await;
        let gas = self.world.balance(&self.account, &sui_type().to_string()).await;
        Cost { wal, gas }
    }

    /// Checks that the wallet has so much less than before, and what it has now.
    async fn paid(&self, before: Cost, costs: impl IntoIterator<Item = Cost>) -> Cost {
        let now = self.balances().await;
        let said = costs.into_iter().fold(Cost::default(), Cost::plus);
        assert_eq!(said, Cost { wal: before.wal - now.wal, gas: before.gas - now.gas });
        now
    }
}

/// How many transactions these were, and how many were in the largest.
fn transactions<'a>(digests: impl IntoIterator<Item = &'a str>) -> (usize, usize) {
    let mut counts = BTreeMap::<_, usize>::new();
    digests.into_iter().for_each(|digest| *counts.entry(digest).or_default() += 1);
    (counts.len(), counts.into_values().max().unwrap_or_default())
}

fn digests(registered: &[Registered]) -> (usize, usize) {
    transactions(registered.iter().map(|one| one.digest.as_str()))
}

#[tokio::test]
async fn blobs_that_wait_share_a_transaction_and_each_pays_for_itself() {
    let desk = Desk::new().await;
    let (chain, most) = (desk.world.chain().await, limits::CHAIN_BLOBS_PER_CALL_MAX);
    let count = most + 30;
    let before = desk.balances().await;
    let registered = desk.register_all(&chain, 0..u16::try_from(count).unwrap()).await;
    assert_eq!(digests(&registered), (2, most), "as many as one takes, and the rest");
    let now = desk.paid(before, registered.iter().map(|one| one.cost)).await;
    assert!(registered.iter().all(|one| one.cost.wal == desk.price()));
    assert_eq!(before.gas - now.gas, 2 * GAS);
    let objects: BTreeSet<_> = registered.iter().map(|one| one.object).collect();
    assert_eq!(objects.len(), count);
    for (number, one) in (0..).zip(&registered) {
        let blob: Blob = desk.world.object(&one.object).await;
        assert_eq!(blob.blob_id, *Desk::blob_id(number).0.as_bytes(), "each has its own");
        assert_eq!(blob.storage.end_epoch, one.end_epoch.0);
    }

    let certified = registered.iter().map(|one| desk.certify(&chain, &one.object, &[0, 1, 2]));
    let certified = try_join_all(certified).await.unwrap();
    desk.paid(now, certified.iter().map(|one| one.cost)).await;
    let (transactions, _) = transactions(certified.iter().filter_map(|one| one.digest.as_deref()));
    assert!(transactions <= count / 2, "{transactions} for {count}");
    for one in &registered {
        let blob: Blob = desk.world.object(&one.object).await;
        assert_eq!(blob.certified_epoch, Some(1));
    }
    // What is certified costs nothing, also among others.
    let more = desk.register_all(&chain, 1_000..1_003).await;
    let all = more.iter().chain(&registered[..3]);
    let again = all.map(|one| desk.certify(&chain, &one.object, &[0, 1, 2]));
    let again = try_join_all(again).await.unwrap();
    assert_eq!(again.iter().filter(|one| one.cost == Cost::default()).count(), 3);
    assert_eq!(again.iter().filter(|one| one.digest.is_some()).count(), 3);
}

#[tokio::test]
async fn one_that_is_refused_among_many_fails_alone_and_pays_nothing() {
    let desk = Desk::new().await;
    let chain = desk.world.chain().await;
    let first = desk.register_all(&chain, 0..1).await;
    let before = desk.balances().await;
    // One that may cost too little, one that the wallet has already, and others.
    let asked = (0..6).map(|number| Asked { number, write: (number == 3).then_some(0) });
    let done = join_all(asked.map(|asked| desk.register(&chain, asked))).await;
    assert!(matches!(done[0], Err(CallError::Outdated { .. })), "{:?}", done[0]);
    assert!(matches!(done[3], Err(CallError::Refused { .. })), "{:?}", done[3]);
    let done: Vec<_> = done.into_iter().filter_map(Result::ok).collect();
    assert_eq!(done.len(), 4);
    let now = desk.paid(before, done.iter().map(|one| one.cost)).await;
    assert_eq!(before.wal - now.wal, 4 * desk.price());

    let objects: Vec<_> = first.iter().chain(&done).map(|one| one.object).collect();
    let few: &[usize] = &[0];
    let certified = objects.iter().enumerate().map(|(place, object)| {
        desk.certify(&chain, object, if place == 2 { few } else { &[0, 1, 2] })
    });
    let certified = join_all(certified).await;
    let refused = certified[2].as_ref().unwrap_err();
    assert!(matches!(refused, CallError::Refused { .. }), "{refused:?}");
    assert_ne!(refused.abort(), Some(Abort::AlreadyCertified));
    let certified: Vec<_> = certified.into_iter().filter_map(Result::ok).collect();
    assert_eq!(certified.len(), 4);
    desk.paid(now, certified.iter().map(|one| one.cost)).await;
}

#[tokio::test]
async fn what_the_wallet_has_already_among_many_costs_the_others_no_transaction() {
    let desk = Desk::new().await;
    let chain = desk.world.chain().await;
    desk.register_all(&chain, [0, 2]).await;
    let asked = (0..5).map(|number| Asked { number, write: None });
    let done = join_all(asked.map(|asked| desk.register(&chain, asked))).await;
    assert!(matches!(
        (&done[0], &done[2]),
        (Err(CallError::Outdated { .. }), Err(CallError::Outdated { .. }))
    ));
    let done: Vec<_> = done.into_iter().filter_map(Result::ok).collect();
    assert_eq!(digests(&done), (1, 3));
}

#[tokio::test]
async fn one_blob_that_is_asked_for_twice_at_once_is_registered_once() {
    let desk = Desk::new().await;
    let chain = desk.world.chain().await;
    let before = desk.balances().await;
    let asked = [7, 8, 7].map(|number| Asked { number, write: None });
    let done = join_all(asked.map(|asked| desk.register(&chain, asked))).await;
    assert!(matches!(done[2], Err(CallError::Outdated { .. })), "{:?}", done[2]);
    let done: Vec<_> = done.into_iter().filter_map(Result::ok).collect();
    assert_eq!(digests(&done), (1, 2));
    desk.paid(before, done.iter().map(|one| one.cost)).await;
}

#[tokio::test]
async fn who_goes_away_before_its_turn_pays_nothing_and_the_others_do_not_notice() {
    let desk = Desk::new().await;
    let chain = desk.world.chain().await;
    let before = desk.balances().await;
    // The first has called for all of them.
    let asked = Asked { number: 0, write: None };
    let mut gone = Box::pin(desk.register(&chain, asked));
    assert!(poll!(&mut gone).is_pending());
    let mut all = Box::pin(desk.register_all(&chain, 1..4));
    assert!(poll!(&mut all).is_pending());
    drop(gone);
    let done = all.await;
    assert_eq!(digests(&done), (1, 3));
    desk.paid(before, done.iter().map(|one| one.cost)).await;
    // Also if nobody else is there: the next one is not kept waiting.
    let mut gone = Box::pin(desk.register(&chain, asked));
    assert!(poll!(&mut gone).is_pending());
    drop(gone);
    assert_eq!(desk.register_all(&chain, [0]).await.len(), 1);
}

#[tokio::test]
async fn a_wallet_that_can_pay_for_some_of_them_pays_for_some() {
    let desk = Desk::new().await;
    let chain = desk.world.chain().await;
    // All but the price of two and a half.
    let (price, rest) = (desk.price(), desk.price() * 5 / 2);
    let coin = desk.world.owned(&desk.world.wal_coin(&desk.account).await).await;
    let (spent, nobody) = (FAUCET.wal - rest, sui_sdk_types::Address::new([77; 32]));
    desk.world
        .run(&desk.account, |builder| {
            let (coin, spent) = (builder.object(coin), builder.pure(&spent));
            let part = builder.split_coins(coin, vec![spent]);
            let nobody = builder.pure(&nobody);
            builder.transfer_objects(part, nobody);
        })
        .await;
    let asked = (0..5).map(|number| Asked { number, write: None });
    let done = join_all(asked.map(|asked| desk.register(&chain, asked))).await;
    let short = done.iter().filter(|one| matches!(one, Err(CallError::InsufficientFunds { .. })));
    assert_eq!(short.count(), 3);
    assert_eq!(done.iter().filter(|one| one.is_ok()).count(), 2);
    assert_eq!(desk.balances().await.wal, rest - 2 * price);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_a_shared_transaction_is_asked_for_again_and_nothing_is_paid_twice() {
    let desk = Desk::new().await;
    let is_paid = has_paid(&desk.world, desk.account.address, FAUCET.wal);
    let relay = Relay::start(desk.world.grpc, is_paid).await;
    let chain = desk.world.chain_at(relay.address, PATIENCE).await.unwrap();
    let before = desk.balances().await;
    let done = desk.register_all(&chain, 0..40).await;
    assert_eq!(relay.cuts.load(Ordering::SeqCst), 1, "the answer got lost once");
    let now = desk.paid(before, done.iter().map(|one| one.cost)).await;
    assert_eq!(before.wal - now.wal, 40 * desk.price());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_with_one_wallet_share_no_transaction_and_get_all_of_theirs_through() {
    let desk = Desk::new().await;
    let folder = tempfile::tempdir().unwrap();
    let options = ChainOptions {
        turns: Some(folder.path().into()),
        ..desk.world.chain_options(desk.world.grpc, PATIENCE)
    };
    let one = Chain::connect(options.clone()).await.unwrap();
    let other = Chain::connect(options).await.unwrap();
    let before = desk.balances().await;
    let (mine, theirs) =
        tokio::join!(desk.register_all(&one, 0..30), desk.register_all(&other, 100..130));
    let all = [mine.clone(), theirs.clone()].concat();
    let now = desk.paid(before, all.iter().map(|one| one.cost)).await;
    assert_eq!(before.wal - now.wal, 60 * desk.price());
    let (mine, theirs) = (digests(&mine).0, digests(&theirs).0);
    assert_eq!(digests(&all).0, mine + theirs);
    assert_eq!((before.gas - now.gas) / GAS, u64::try_from(mine + theirs).unwrap());
}
