//! Moving a devnet's ledger from one epoch to the next by hand.
//!
//! Promises: correct also where somebody else takes a step first: what is waited for is the state
//! of the ledger, not the success of our own call. Does not: hold tests.

use std::time::Duration;

use haulout_actors::chain::Chain;
use haulout_devnet::Devnet;
use haulout_protocol::chain::call::Function as Callee;
use haulout_protocol::chain::object::staking::{EpochState, Staking};
use haulout_protocol::chain::{CLOCK, ObjectId};
use haulout_tests::eventually;
use sui_crypto::SuiSigner;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_rpc::Client;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, Identifier};
use sui_transaction_builder::{Function, ObjectInput, TransactionBuilder};

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The epochs of a devnet.
pub(crate) struct Epochs<'a> {
    devnet: &'a Devnet,
    chain: Chain,
}

impl<'a> Epochs<'a> {
    pub(crate) fn of(devnet: &'a Devnet, chain: Chain) -> Self {
        Epochs { devnet, chain }
    }

    /// The state of stake now.
    pub(crate) async fn state(&self) -> Staking {
        self.chain.stake().await.unwrap()
    }

    /// The committee of the next epoch is chosen.
    pub(crate) async fn select(&self) {
        let epoch = self.state().await.epoch;
        self.half();
        let ids = self.devnet.ids();
        let objects = [ids.staking_inner(), ids.system, ids.params, CLOCK];
        let chosen = async || {
            self.call(0, Callee::VOTING_END, &objects, None).await;
            let state = self.state().await;
            state.next.is_some() || state.epoch > epoch
        };
        eventually("a committee is chosen", chosen).await;
    }

    /// The next epoch begins, and its committee says that it holds its shards.
    pub(crate) async fn change(&self) {
        self.begin().await;
        self.settle().await;
    }

    /// The next epoch begins.
    pub(crate) async fn begin(&self) {
        let epoch = self.state().await.epoch;
        self.half();
        let ids = self.devnet.ids();
        let objects = [ids.staking_inner(), ids.system, ids.params, ids.treasury, CLOCK];
        let begun = async || {
            self.call(0, Callee::EPOCH_CHANGE, &objects, None).await;
            self.state().await.epoch > epoch
        };
        eventually("the next epoch begins", begun).await;
    }

    /// The committee of the epoch says that it holds its shards, whether it does or not.
    pub(crate) async fn settle(&self) {
        let epoch = self.state().await.epoch;
        let synced = async || {
            self.report(epoch).await;
            !matches!(self.state().await.state, EpochState::Sync { .. })
        };
        eventually("a quorum holds its shards", synced).await;
    }

    /// One epoch later.
    pub(crate) async fn next(&self) {
        self.select().await;
        self.change().await;
    }

    /// Every node of genesis says that it holds its shards.
    async fn report(&self, epoch: u32) {
        for index in 0..self.devnet.members() {
            let account = Ed25519PrivateKey::new(self.devnet.member_keys(index).account);
            let account = account.public_key().derive_address().into_inner();
            let caps = self.chain.node_caps(&ObjectId::from_bytes(account)).await.unwrap();
            let objects = [self.devnet.ids().staking_inner(), caps[0].id, CLOCK];
            self.call(index, Callee::EPOCH_SYNC_DONE, &objects, Some(epoch)).await;
        }
    }

    fn half(&self) {
        let ledger = self.devnet.ledger().unwrap();
        ledger.skip(Duration::from_millis(ledger.genesis().epoch_duration_ms) / 2).unwrap();
    }

    /// Makes one call as a member's operator; whether it is refused does not matter. A number goes
    /// before the last object.
    async fn call(&self, member: usize, callee: Callee, objects: &[ObjectId], number: Option<u32>) {
        let key = Ed25519PrivateKey::new(self.devnet.member_keys(member).account);
        let mut client = Client::new(self.devnet.rpc()).unwrap();
        let mut builder = TransactionBuilder::new();
        builder.set_sender(key.public_key().derive_address());
        let object = |id: &ObjectId| builder.object(ObjectInput::new(Address::new((*id).into())));
        let mut arguments: Vec<_> = objects.iter().map(object).collect();
        if let Some(number) = number {
            let number = builder.pure(&number);
            arguments.insert(arguments.len() - 1, number);
        }
        let (module, name) = (Identifier::new(callee.module), Identifier::new(callee.name));
        let package = Address::new((self.devnet.ids().package).into());
        builder.move_call(Function::new(package, module.unwrap(), name.unwrap()), arguments);
        let Ok(transaction) = builder.build(&mut client).await else { return };
        let signature = key.sign_transaction(&transaction).unwrap();
        let request = rpc::ExecuteTransactionRequest::default()
            .with_transaction(transaction)
            .with_signatures(vec![signature.into()]);
        let _ = client.execute_transaction_and_wait_for_checkpoint(request, PATIENCE).await;
    }
}
