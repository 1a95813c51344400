//! Whoever moves epochs on: signed turns, time that passes, and all the money there is.

use std::net::SocketAddr;
use std::time::Duration;

use haulout_actors::chain::{CallError, Chain, ChainOptions, SystemView};
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::Function as Callee;
use haulout_protocol::chain::object::staking::Staking as StakeState;
use haulout_protocol::chain::object::{Clock, System, Treasury};
use haulout_protocol::chain::{CLOCK, ObjectId, TypeName};
use haulout_protocol::crypto::blake2b_256;
use haulout_protocol::rules::staking_pool;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::Address;
use sui_transaction_builder::{ObjectInput, TransactionBuilder};

use crate::world::{Account, PATIENCE, SHARDS, World, operator, sample_config};

/// How long an epoch lasts in these tests, by the ledger's clock.
pub(crate) const EPOCH: Duration = Duration::from_secs(60);

/// One turn of the epoch machine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    VotingEnd,
    EpochChange,
    /// The owner of a node's cap says that it holds its shards in an epoch.
    Sync(usize, u32),
    ForceSync,
    UpdatePrices,
}

/// A turn with the cap it shows.
#[derive(Clone)]
struct Prepared {
    turn: Turn,
    cap: Option<ObjectInput>,
}

/// The state that turns may change.
pub(crate) type State = (StakeState, System, Treasury);

impl World {
    /// Takes a turn, which must succeed; says what happened.
    pub(crate) async fn turn(&self, account: &Account, turn: Turn) -> rpc::ExecutedTransaction {
        let prepared = self.prepare(turn).await;
        self.run(account, |builder| self.add(builder, &prepared)).await
    }

    /// Takes a turn that must be refused, and checks that nothing changed.
    pub(crate) async fn refused_turn(&self, account: &Account, turn: Turn) -> Abort {
        let (prepared, before) = (self.prepare(turn).await, self.state().await);
        let (_, abort) = self.run_refused(account, |builder| self.add(builder, &prepared)).await;
        assert_eq!(self.state().await, before);
        abort.unwrap()
    }

    pub(crate) async fn state(&self) -> State {
        let treasury = self.object(&self.ledger.ids().treasury).await;
        (self.stake_state().await, self.system().await, treasury)
    }

    pub(crate) async fn now_ms(&self) -> u64 {
        self.object::<Clock>(&CLOCK).await.timestamp_ms
    }

    /// The cap of a node of genesis.
    pub(crate) async fn cap(&self, node: usize) -> Address {
        self.cap_of(&operator(node)).await
    }

    /// The cap of an account with one node.
    pub(crate) async fn cap_of(&self, account: &Account) -> Address {
        Address::new((self.owned_of(account, TypeName::NODE_CAP).await[0]).into())
    }

    /// The receipts of an account.
    pub(crate) async fn receipts(&self, account: &Account) -> Vec<ObjectId> {
        self.owned_of(account, TypeName::STAKED).await
    }

    async fn owned_of(&self, account: &Account, kind: TypeName) -> Vec<ObjectId> {
        let request = rpc::ListOwnedObjectsRequest::default()
            .with_owner(account.address)
            .with_object_type(kind.qualified(&self.ledger.ids().package));
        let answer = self.client.clone().state_client().list_owned_objects(request).await.unwrap();
        let objects = answer.into_inner().objects;
        objects.iter().map(|it| it.object_id().parse().unwrap()).collect()
    }

    async fn prepare(&self, turn: Turn) -> Prepared {
        let cap = match turn {
            Turn::Sync(node, _) => {
                Some(self.owned(&ObjectId::from_bytes(*self.cap(node).await.inner())).await)
            }
            _ => None,
        };
        Prepared { turn, cap }
    }

    fn add(&self, builder: &mut TransactionBuilder, prepared: &Prepared) {
        let ids = self.ledger.ids();
        let shared = |id, mutable| ObjectInput::shared(Address::new(id), 1, mutable);
        let clock = shared(CLOCK.into(), false);
        let (callee, rest) = match prepared.turn {
            Turn::VotingEnd => (
                Callee::VOTING_END,
                vec![shared(ids.system.into(), false), self.params_input(), clock],
            ),
            Turn::EpochChange => {
                let (system, treasury) =
                    (shared(ids.system.into(), true), shared(ids.treasury.into(), true));
                (Callee::EPOCH_CHANGE, vec![system, self.params_input(), treasury, clock])
            }
            Turn::Sync(_, epoch) => {
                let cap = builder.object(prepared.cap.clone().unwrap());
                let epoch = builder.pure(&epoch);
                let clock = builder.object(clock);
                self.stake_call(builder, Callee::EPOCH_SYNC_DONE, vec![cap, epoch, clock]);
                return;
            }
            Turn::ForceSync => (Callee::FORCE_SYNC_DONE, vec![self.params_input(), clock]),
            Turn::UpdatePrices => {
                (Callee::UPDATE_PRICES, vec![shared(ids.system.into(), true), self.params_input()])
            }
        };
        let rest = rest.into_iter().map(|input| builder.object(input)).collect();
        self.stake_call(builder, callee, rest);
    }

    /// Lets half an epoch pass.
    pub(crate) fn half(&self) {
        self.ledger.skip(EPOCH / 2).unwrap();
    }

    /// Every member says that it holds its shards.
    pub(crate) async fn sync_all(&self, epoch: u32) {
        for node in 0..SHARDS.len() {
            self.turn(&operator(node), Turn::Sync(node, epoch)).await;
        }
    }

    /// Checks that coins, pools and the ring hold exactly the supply.
    pub(crate) async fn check_money(&self, accounts: &[&Account]) {
        let (stake, system, treasury) = self.state().await;
        let pools = stake.pools.values().map(|pool| staking_pool::funds(pool).unwrap());
        let ring = system.ring.entries.iter().map(|entry| entry.rewards);
        let mut money: u64 = pools.chain(ring).sum();
        let config = sample_config();
        money += config.accounts.iter().map(|account| account.wal).sum::<u64>();
        let secret = blake2b_256(&[b"haulout ledger key", b"faucet", &config.network_seed]);
        money += self.balance(&Account::from_secret(secret), &self.wal_type()).await;
        for account in accounts {
            money += self.balance(account, &self.wal_type()).await;
        }
        assert_eq!(money, treasury.total_supply);
    }

    /// The ledger as nodes and wallets reach it.
    pub(crate) async fn chain(&self) -> Chain {
        self.chain_at(self.grpc, PATIENCE).await.unwrap()
    }

    /// The ledger through another address, by somebody of this patience.
    pub(crate) async fn chain_at(
        &self,
        grpc: SocketAddr,
        patience: Duration,
    ) -> Result<Chain, CallError> {
        Chain::connect(self.chain_options(grpc, patience)).await
    }

    /// Where the ledger and its objects are, for somebody of this patience.
    pub(crate) fn chain_options(&self, grpc: SocketAddr, patience: Duration) -> ChainOptions {
        let (ids, url) = (self.ledger.ids(), format!("http://{grpc}"));
        ChainOptions {
            urls: vec![url],
            package: ids.package,
            system: ids.system,
            staking: ids.staking,
            params: ids.params,
            treasury: ids.treasury,
            patience,
            turns: None,
            trusted: Some(self.ledger.trusted()),
        }
    }

    /// What a node reads of the network.
    pub(crate) async fn seen_by_nodes(&self) -> SystemView {
        self.chain().await.system().await.unwrap()
    }

    /// Checks that what clients read shows one committee, that of the state of stake.
    pub(crate) async fn check_views(&self) {
        let (stake, system, _) = self.state().await;
        let view = self.staking().await;
        assert_eq!((view.epoch, &view.committee), (stake.epoch, &stake.committee));
        assert_eq!(system.committee.epoch, stake.epoch);
        let committee =
            haulout_protocol::chain::committee(&system, &view, &self.pools().await).unwrap();
        assert_eq!(committee.epoch().0, stake.epoch);
        let head = usize::try_from(system.ring.current_index).unwrap();
        assert_eq!(system.ring.entries[head].epoch, stake.epoch);
    }
}
