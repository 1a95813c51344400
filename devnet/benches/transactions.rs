//! What applying one transaction costs: everything but signatures of accounts, the disk and the network.

#![allow(missing_docs, reason = "criterion's macros make functions without documentation")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use haulout_devnet::ledger::{FaucetAmounts, GenesisAccount, GenesisConfig, GenesisNode, State};
use haulout_protocol::blob::{BlobId, Encoding};
use haulout_protocol::chain::call::Function;
use haulout_protocol::chain::object::{Blob, Coin, System};
use haulout_protocol::chain::{CLOCK, ObjectId};
use haulout_protocol::crypto::{SecretKey, Signature, aggregate_signatures};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{NetworkId, Persistence, blob_certificate_message};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_sdk_types::{
    Address, Argument, Command, ExecutionStatus, GasPayment, Identifier, Input, MoveCall, Object,
    ObjectReference, Owner, ProgrammableTransaction, SharedInput, SplitCoins, Transaction,
    TransactionExpiration, TransactionKind, TransferObjects,
};

const USER: Address = Address::new([9; 32]);
const BEGIN_MS: u64 = 1_700_000_000_000;
const EPOCH_MS: u64 = 60_000;
const MONEY: u64 = 1_000_000_000_000;

fn seed(number: u16) -> [u8; 32] {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&number.to_le_bytes());
    seed
}

/// A network of so many nodes with equal shards, the first ones with one more.
fn config(nodes: u16, shards: u16) -> GenesisConfig {
    let genesis_node = |number: u16| GenesisNode {
        name: format!("n{number}"),
        peer_key: Ed25519PrivateKey::new(seed(number)).public_key().into_inner(),
        multiaddrs: vec![vec![4, 127, 0, 0, 1, 6, 0x1f, 0x90]],
        bls_public_key: SecretKey::from_seed(&seed(number)).public_key().to_bytes().to_vec(),
        shards: (0..shards).filter(|shard| shard % nodes == number).collect(),
        operator: ObjectId::from_bytes([8; 32]),
        peer_proof: vec![],
        bls_proof: vec![],
    };
    let mut config = GenesisConfig {
        network_seed: [1; 32],
        shards,
        segment_bytes: 1 << 20,
        short_bytes_max: 0,
        header_replicas: 5,
        max_epochs_ahead: 53,
        epoch_duration_ms: EPOCH_MS,
        capacity: 1 << 50,
        storage_price: 100,
        write_price: 20,
        stake_per_shard: 1_000_000_000,
        nodes: (0..nodes).map(genesis_node).collect(),
        accounts: vec![GenesisAccount {
            address: ObjectId::from_bytes(USER.into_inner()),
            sui: MONEY,
            wal: MONEY,
        }],
        faucet: FaucetAmounts { sui: 1, wal: 1 },
    };
    let network = config.ids().network_id;
    for (number, node) in (0..).zip(&mut config.nodes) {
        node.prove(&network, &seed(number), &SecretKey::from_seed(&seed(number)));
    }
    config
}

/// A network and what is in it.
struct Desk {
    config: GenesisConfig,
    state: State,
}

impl Desk {
    fn new(nodes: u16, shards: u16) -> Self {
        let config = config(nodes, shards);
        let state = State::genesis(&config, BEGIN_MS).expect("the configuration is a network");
        Desk { config, state }
    }

    fn object(&self, id: ObjectId) -> &Object {
        let found =
            self.state.objects().find(|object| object.object_id() == Address::new(id.into()));
        found.expect("it is there")
    }

    fn read<T: DeserializeOwned>(&self, id: ObjectId) -> T {
        let data = self.object(id).as_struct().expect("it is an object of Move");
        bcs::from_bytes(data.contents()).expect("it has this type")
    }

    /// The user's object of a type, by the type's name or its token's.
    fn mine(&self, name: &str) -> &Object {
        let mut mine = self.state.objects().filter(|it| *it.owner() == Owner::Address(USER));
        let is_it = |object: &&Object| {
            let kind = object.as_struct().map(|data| data.object_type().to_string());
            kind.is_some_and(|kind| kind.trim_end_matches('>').ends_with(name))
        };
        mine.find(is_it).expect("the user has one")
    }

    fn draft(&self) -> Draft<'_> {
        Draft { desk: self, inputs: Vec::new(), commands: Vec::new() }
    }

    /// Executes a transaction that must succeed.
    fn run(&mut self, now_ms: u64, transaction: &Transaction) {
        let effects = self.state.apply(now_ms, transaction).expect("it is a sound transaction");
        assert_eq!(*effects.status(), ExecutionStatus::Success);
    }
}

/// A transaction in the making.
struct Draft<'a> {
    desk: &'a Desk,
    inputs: Vec<Input>,
    commands: Vec<Command>,
}

impl Draft<'_> {
    fn input(&mut self, input: Input) -> Argument {
        self.inputs.push(input);
        Argument::Input(u16::try_from(self.inputs.len() - 1).expect("inputs are few"))
    }

    fn shared(&mut self, id: ObjectId, mutable: bool) -> Argument {
        self.input(Input::Shared(SharedInput::new(Address::new(id.into()), 1, mutable)))
    }

    fn owned(&mut self, object: &Object) -> Argument {
        let (id, version, digest) = (object.object_id(), object.version(), object.digest());
        self.input(Input::ImmutableOrOwned(ObjectReference::new(id, version, digest)))
    }

    fn pure(&mut self, value: &impl Serialize) -> Argument {
        self.input(Input::Pure(bcs::to_bytes(value).expect("plain values serialise")))
    }

    fn call(&mut self, function: Function, arguments: Vec<Argument>) -> Argument {
        let name = |name| Identifier::new(name).expect("names are identifiers");
        self.command(Command::MoveCall(MoveCall {
            package: Address::new((self.desk.config.ids().package).into()),
            module: name(function.module),
            function: name(function.name),
            type_arguments: vec![],
            arguments,
        }))
    }

    fn command(&mut self, command: Command) -> Argument {
        self.commands.push(command);
        let at = u16::try_from(self.commands.len() - 1).expect("commands are few");
        Argument::NestedResult(at, 0)
    }

    fn keep(&mut self, object: Argument) {
        let address = self.pure(&USER);
        let objects = vec![object];
        self.command(Command::TransferObjects(TransferObjects { objects, address }));
    }

    fn finish(self) -> Transaction {
        let gas = self.desk.mine("::SUI");
        let (id, version, digest) = (gas.object_id(), gas.version(), gas.digest());
        let (inputs, commands) = (self.inputs, self.commands);
        let program = ProgrammableTransaction { inputs, commands };
        Transaction {
            kind: TransactionKind::ProgrammableTransaction(program),
            sender: USER,
            gas_payment: GasPayment {
                objects: vec![ObjectReference::new(id, version, digest)],
                owner: USER,
                price: 1_000,
                budget: 1_000_000,
            },
            expiration: TransactionExpiration::None,
        }
    }
}

/// Buys space for a blob and registers it.
fn register(desk: &Desk) -> Transaction {
    let (ids, mut draft) = (desk.config.ids(), desk.draft());
    let (size, root) = (1_000_u64, [3_u8; 32]);
    let (system, params) = (draft.shared(ids.system, true), draft.shared(ids.params, false));
    let coin = draft.owned(desk.mine("::WAL"));
    let space = [draft.pure(&(1_u64 << 30)), draft.pure(&1_u32), draft.pure(&4_u32)];
    let max = draft.pure(&u64::MAX);
    let arguments = vec![system, space[0], space[1], space[2], coin, max];
    let storage = draft.call(Function::RESERVE_SPACE, arguments);
    let id = draft.pure(BlobId::derive(Encoding::Segments, size, &root).as_bytes());
    let (root, size) = (draft.pure(&root), draft.pure(&size));
    let (kind, deletable) = (draft.pure(&Encoding::Segments.number()), draft.pure(&false));
    let arguments = vec![system, params, storage, id, root, size, kind, deletable, coin, max];
    let blob = draft.call(Function::REGISTER_BLOB, arguments);
    draft.keep(blob);
    draft.finish()
}

/// Certifies the blob there is with the signatures of a quorum.
fn certify(desk: &Desk) -> Transaction {
    let (ids, mut draft) = (desk.config.ids(), desk.draft());
    let object = desk.mine("::Blob");
    let blob: Blob = desk.read(ObjectId::from_bytes(object.object_id().into_inner()));
    let system: System = desk.read(ids.system);
    let network = NetworkId::from_bytes(ids.network_id.into());
    let id = BlobId::from_bytes(blob.blob_id);
    let message = blob_certificate_message(&network, Epoch(1), &id, &Persistence::Permanent);
    let members = system.committee.members.len();
    let (mut bitmap, mut signatures) = (vec![0_u8; members.div_ceil(8)], Vec::new());
    // All have about the same weight, so two thirds and one more are a quorum.
    for (at, number) in (0..=members * 2 / 3).zip(0..) {
        bitmap[at / 8] |= 1 << (at % 8);
        signatures.push(SecretKey::from_seed(&seed(number)).sign(&message));
    }
    let signature = aggregate_signatures(&signatures).expect("there are signers");
    let (system, blob) = (draft.shared(ids.system, false), draft.owned(object));
    let signature = draft.pure(&signature.to_bytes().to_vec());
    let (bitmap, message) = (draft.pure(&bitmap), draft.pure(&message));
    draft.call(Function::CERTIFY_BLOB, vec![system, blob, signature, bitmap, message]);
    draft.finish()
}

/// Stakes one WAL with the first node.
fn stake(desk: &Desk) -> Transaction {
    let (ids, mut draft) = (desk.config.ids(), desk.draft());
    let (state, params) =
        (draft.shared(ids.staking_inner(), true), draft.shared(ids.params, false));
    let coin = draft.owned(desk.mine("::WAL"));
    let (amount, node) = (draft.pure(&1_000_000_000_u64), draft.pure(&ids.nodes[0]));
    let part = draft.command(Command::SplitCoins(SplitCoins { coin, amounts: vec![amount] }));
    let receipt = draft.call(Function::STAKE_WITH_POOL, vec![state, params, part, node]);
    draft.keep(receipt);
    draft.finish()
}

fn turn(desk: &Desk, function: Function) -> Transaction {
    let (ids, mut draft) = (desk.config.ids(), desk.draft());
    let change = function == Function::EPOCH_CHANGE;
    let mut arguments = vec![
        draft.shared(ids.staking_inner(), true),
        draft.shared(ids.system, change),
        draft.shared(ids.params, false),
    ];
    if change {
        arguments.push(draft.shared(ids.treasury, true));
    }
    arguments.push(draft.shared(CLOCK, false));
    draft.call(function, arguments);
    draft.finish()
}

/// Measures a transaction on copies of a network.
fn measure(
    criterion: &mut Criterion,
    name: &str,
    desk: &Desk,
    now: u64,
    transaction: &Transaction,
) {
    criterion.bench_function(name, |bench| {
        bench.iter_batched(
            || desk.state.clone(),
            |mut state| {
                black_box(state.apply(now, transaction)).expect("a sound transaction");
                state
            },
            BatchSize::LargeInput,
        );
    });
}

fn transactions(criterion: &mut Criterion) {
    for (nodes, shards) in [(5, 100), (150, 1_000)] {
        let mut desk = Desk::new(nodes, shards);
        let rich: Coin =
            desk.read(ObjectId::from_bytes(desk.mine("::WAL").object_id().into_inner()));
        assert_eq!(rich.balance, MONEY);
        let of = |what: &str| format!("{what}/{nodes} nodes, {shards} shards");
        let buy = register(&desk);
        measure(criterion, &of("reserve and register"), &desk, BEGIN_MS, &buy);
        measure(criterion, &of("stake"), &desk, BEGIN_MS, &stake(&desk));
        desk.run(BEGIN_MS, &buy);
        let certified = certify(&desk);
        measure(criterion, &of("certify"), &desk, BEGIN_MS, &certified);
        desk.run(BEGIN_MS, &certified);
        let (middle, end) = (BEGIN_MS + EPOCH_MS / 2, BEGIN_MS + EPOCH_MS);
        let select = turn(&desk, Function::VOTING_END);
        measure(criterion, &of("voting_end"), &desk, middle, &select);
        desk.run(middle, &select);
        let change = turn(&desk, Function::EPOCH_CHANGE);
        measure(criterion, &of("epoch_change"), &desk, end, &change);
        desk.run(end, &change);
    }
}

/// What no certificate can do without: reading a signature and checking it under one key.
fn floor(criterion: &mut Criterion) {
    let key = SecretKey::from_seed(&seed(1));
    let (public, message) = (key.public_key(), [5; 105]);
    let signature = key.sign(&message).to_bytes();
    criterion.bench_function("one signature of one key", |bench| {
        bench.iter(|| {
            let signature = Signature::from_bytes(black_box(&signature)).expect("a signature");
            assert!(signature.verify(&public, &message));
        });
    });
}

criterion_group! {
    name = ledger;
    config = Criterion::default().measurement_time(Duration::from_secs(3));
    targets = floor, transactions
}
criterion_main!(ledger);
