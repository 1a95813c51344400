//! A ledger on free ports, accounts with money, and the calls of the package.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use haulout_devnet::ledger::{FaucetAmounts, GenesisAccount, GenesisConfig, GenesisNode, Ledger};
use haulout_protocol::blob::{BlobId, Encoding};
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{
    Argument as Slot, CertifyBlob, Function as Callee, RegisterBlob, ReserveSpace,
};
use haulout_protocol::chain::event::Event;
use haulout_protocol::chain::object::{Blob, Params, Staking, StakingPool, System};
use haulout_protocol::chain::{CLOCK, ObjectId, TypeName};
use haulout_protocol::crypto::{SecretKey, aggregate_signatures};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{NetworkId, Persistence, blob_certificate_message};
use serde::de::DeserializeOwned;
use sui_crypto::SuiSigner;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_crypto::secp256k1::Secp256k1PrivateKey;
use sui_rpc::Client;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, Identifier, StructTag, Transaction, TypeTag, UserSignature};
use sui_transaction_builder::{Argument, Function, ObjectInput, TransactionBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Shards of each node: 10 in all, so that 7 are a quorum.
pub(crate) const SHARDS: [u16; 4] = [3, 3, 2, 2];
pub(crate) const CAPACITY: u64 = 1 << 30;
pub(crate) const STORAGE_PRICE: u64 = 100;
pub(crate) const WRITE_PRICE: u64 = 20;
pub(crate) const FAUCET: FaucetAmounts = FaucetAmounts { sui: 2_000_000_000, wal: 500_000_000 };
/// Everything must happen within this time, however busy the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn bls_key(node: usize) -> SecretKey {
    SecretKey::from_seed(&[u8::try_from(node).unwrap() + 1; 32])
}

pub(crate) fn sample_config() -> GenesisConfig {
    let mut next_shard = 0;
    let nodes = SHARDS.iter().enumerate().map(|(index, count)| {
        let shards = (next_shard..next_shard + count).collect();
        next_shard += count;
        GenesisNode {
            name: format!("n{index}"),
            peer_key: Ed25519PrivateKey::new(peer_secret(index)).public_key().into_inner(),
            multiaddrs: vec![vec![4, 127, 0, 0, 1, 6, 0x1f, 0x90]],
            bls_public_key: bls_key(index).public_key().to_bytes().to_vec(),
            shards,
            operator: ObjectId::from_bytes(operator(index).address.into_inner()),
            peer_proof: vec![],
            bls_proof: vec![],
        }
    });
    let sui = |index| GenesisAccount {
        address: ObjectId::from_bytes(operator(index).address.into_inner()),
        sui: FAUCET.sui,
        wal: 0,
    };
    let stranger = GenesisAccount { address: ObjectId::from_bytes([1; 32]), sui: 5, wal: 6 };
    let accounts = std::iter::once(stranger).chain((0..SHARDS.len()).map(sui));
    let mut config = GenesisConfig {
        network_seed: [7; 32],
        shards: SHARDS.iter().sum(),
        segment_bytes: 1 << 20,
        short_bytes_max: 0,
        header_replicas: 5,
        max_epochs_ahead: 53,
        epoch_duration_ms: 60_000,
        capacity: CAPACITY,
        storage_price: STORAGE_PRICE,
        write_price: WRITE_PRICE,
        stake_per_shard: 1_000_000_000,
        nodes: nodes.collect(),
        accounts: accounts.collect(),
        faucet: FAUCET,
    };
    prove(&mut config);
    config
}

/// Signs every node's registration; proofs hold for exactly one configuration.
pub(crate) fn prove(config: &mut GenesisConfig) {
    let network_id = config.ids().network_id;
    for (index, node) in config.nodes.iter_mut().enumerate() {
        node.prove(&network_id, &peer_secret(index), &bls_key(index));
    }
}

/// Who owns a node's cap and its stake.
pub(crate) fn operator(node: usize) -> Account {
    Account::ed25519(u8::try_from(node).unwrap() + 200)
}

fn peer_secret(node: usize) -> [u8; 32] {
    [u8::try_from(node).unwrap() + 100; 32]
}

/// Who signs.
pub(crate) struct Account {
    key: Key,
    pub(crate) address: Address,
}

enum Key {
    Ed25519(Ed25519PrivateKey),
    Secp256k1(Secp256k1PrivateKey),
}

impl Account {
    pub(crate) fn ed25519(seed: u8) -> Self {
        Account::from_secret([seed; 32])
    }

    pub(crate) fn from_secret(secret: [u8; 32]) -> Self {
        let key = Ed25519PrivateKey::new(secret);
        Account { address: key.public_key().derive_address(), key: Key::Ed25519(key) }
    }

    pub(crate) fn secp256k1(seed: u8) -> Self {
        let key = Secp256k1PrivateKey::new([seed; 32]).unwrap();
        Account { address: key.public_key().derive_address(), key: Key::Secp256k1(key) }
    }

    pub(crate) fn sign(&self, transaction: &Transaction) -> UserSignature {
        match &self.key {
            Key::Ed25519(key) => key.sign_transaction(transaction).unwrap(),
            Key::Secp256k1(key) => key.sign_transaction(transaction).unwrap(),
        }
    }
}

/// A serving ledger.
pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) client: Client,
    pub(crate) grpc: SocketAddr,
    faucet: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        World::start_in(tempfile::tempdir().unwrap()).await
    }

    async fn start_in(directory: tempfile::TempDir) -> Self {
        World::start_at(directory, "127.0.0.1:0".parse().unwrap()).await
    }

    /// Starts the ledger of a directory at an address, as if it had been there all the time.
    pub(crate) async fn start_at(directory: tempfile::TempDir, grpc: SocketAddr) -> Self {
        let path = directory.path().join("ledger.redb");
        let ledger = Ledger::open(&path, sample_config()).unwrap();
        let grpc_listener = TcpListener::bind(grpc).await.unwrap();
        let faucet_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grpc = grpc_listener.local_addr().unwrap();
        let client = Client::new(format!("http://{grpc}")).unwrap();
        let faucet = faucet_listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn({
            let (ledger, stop) = (ledger.clone(), stop.clone());
            async move { ledger.serve(grpc_listener, faucet_listener, stop).await.unwrap() }
        });
        World { ledger, client, grpc, faucet, stop, serving, directory }
    }

    /// Stops the ledger and starts it again from disk.
    pub(crate) async fn restart(self) -> Self {
        World::start_in(self.stop().await).await
    }

    /// Stops the ledger and keeps its directory.
    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.stop.cancel();
        self.serving.await.unwrap();
        drop((self.ledger, self.client));
        self.directory
    }

    /// Asks the faucet; says what it answered.
    pub(crate) async fn fund(&self, account: &Account) -> String {
        let (status, body) = ask_faucet(self.faucet, &account.address.to_string()).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    pub(crate) async fn ask_faucet(&self, recipient: &str) -> (u16, String) {
        ask_faucet(self.faucet, recipient).await
    }

    pub(crate) fn wal_type(&self) -> String {
        TypeName::WAL.qualified(&self.ledger.ids().package)
    }

    pub(crate) async fn balance(&self, account: &Account, coin_type: &str) -> u64 {
        let request =
            rpc::GetBalanceRequest::default().with_owner(account.address).with_coin_type(coin_type);
        let answer = self.client.clone().state_client().get_balance(request).await.unwrap();
        answer.into_inner().balance().balance()
    }

    /// The id of the account's richest coin of WAL.
    pub(crate) async fn wal_coin(&self, account: &Account) -> ObjectId {
        let wal: TypeTag = self.wal_type().parse().unwrap();
        let coins = self.client.select_coins(&account.address, &wal, 1, &[]).await.unwrap();
        ObjectId::from_bytes(*coins[0].object_id().parse::<Address>().unwrap().inner())
    }

    pub(crate) async fn object<T: DeserializeOwned>(&self, id: &ObjectId) -> T {
        let bytes = self.object_bytes(id).await.unwrap();
        bcs::from_bytes(&bytes).unwrap()
    }

    pub(crate) async fn object_bytes(&self, id: &ObjectId) -> Option<Vec<u8>> {
        let request = rpc::GetObjectRequest::new(&Address::new((*id).into()))
            .with_read_mask(FieldMask::from_str("contents"));
        let answer = self.client.clone().ledger_client().get_object(request).await.ok()?;
        Some(answer.into_inner().object().contents().value().to_vec())
    }

    pub(crate) async fn system(&self) -> System {
        self.object(&self.ledger.ids().system).await
    }

    pub(crate) async fn params(&self) -> Params {
        self.object(&self.ledger.ids().params).await
    }

    pub(crate) async fn staking(&self) -> Staking {
        self.object(&self.ledger.ids().staking).await
    }

    pub(crate) async fn pools(&self) -> Vec<StakingPool> {
        let mut pools = Vec::new();
        for id in &self.ledger.ids().nodes {
            pools.push(self.object(id).await);
        }
        pools
    }

    /// Lets the stock builder complete a transaction: versions, mutability, gas.
    pub(crate) async fn build(
        &self,
        account: &Account,
        sketch: impl FnOnce(&mut TransactionBuilder),
    ) -> Result<Transaction, sui_transaction_builder::Error> {
        let mut builder = TransactionBuilder::new();
        builder.set_sender(account.address);
        sketch(&mut builder);
        builder.build(&mut self.client.clone()).await
    }

    pub(crate) async fn execute(
        &self,
        transaction: &Transaction,
        signatures: Vec<UserSignature>,
    ) -> Result<rpc::ExecutedTransaction, String> {
        let request = rpc::ExecuteTransactionRequest::default()
            .with_transaction(transaction.clone())
            .with_signatures(signatures.into_iter().map(Into::into).collect::<Vec<_>>())
            .with_read_mask(FieldMask::from_str("*"));
        let mut client = self.client.clone();
        let executed = client.execute_transaction_and_wait_for_checkpoint(request, PATIENCE).await;
        Ok(executed.map_err(|error| error.to_string())?.into_inner().transaction().clone())
    }

    /// Builds, signs, executes; the transaction must succeed.
    pub(crate) async fn run(
        &self,
        account: &Account,
        sketch: impl FnOnce(&mut TransactionBuilder),
    ) -> rpc::ExecutedTransaction {
        let transaction = self.build(account, sketch).await.unwrap();
        let done = self.execute(&transaction, vec![account.sign(&transaction)]).await.unwrap();
        assert!(done.effects().status().success(), "{:?}", done.effects().status());
        done
    }

    /// Executes although simulation says it fails; says how it failed.
    pub(crate) async fn run_refused(
        &self,
        account: &Account,
        sketch: impl Fn(&mut TransactionBuilder),
    ) -> (rpc::ExecutedTransaction, Option<Abort>) {
        let gas = self.client.select_coins(&account.address, &sui_type(), 1, &[]).await.unwrap();
        let mut builder = TransactionBuilder::new();
        builder.set_sender(account.address);
        builder.set_gas_budget(2_000_000);
        builder.set_gas_price(1_000);
        builder.add_gas_objects([ObjectInput::owned(
            gas[0].object_id().parse().unwrap(),
            gas[0].version(),
            gas[0].digest().parse().unwrap(),
        )]);
        sketch(&mut builder);
        let transaction = builder.try_build().unwrap();
        let done = self.execute(&transaction, vec![account.sign(&transaction)]).await.unwrap();
        assert!(!done.effects().status().success());
        let abort = abort_of(&done);
        (done, abort)
    }

    /// Adds a call of the package, with objects by reference to the ledger's latest versions.
    pub(crate) fn call(
        &self,
        builder: &mut TransactionBuilder,
        callee: Callee,
        slots: Vec<Slot>,
        fill: &Fill,
    ) -> Argument {
        let ids = self.ledger.ids();
        let arguments = slots.into_iter().map(|slot| match slot {
            Slot::System { mutable } => {
                builder.object(ObjectInput::shared(Address::new(ids.system.into()), 1, mutable))
            }
            Slot::Params => {
                builder.object(ObjectInput::shared(Address::new(ids.params.into()), 1, false))
            }
            Slot::Payment => fill.payment.expect("the call pays"),
            Slot::Treasury => {
                builder.object(ObjectInput::shared(Address::new(ids.treasury.into()), 1, true))
            }
            Slot::Storage => fill.storage.expect("the call takes storage"),
            Slot::OtherStorage => fill.other_storage.expect("the call takes two storages"),
            Slot::Blob => fill.blob.expect("the call takes a blob"),
            Slot::Staking { mutable } => {
                let id = Address::new(ids.staking_inner().into());
                builder.object(ObjectInput::shared(id, 1, mutable))
            }
            Slot::Clock => {
                builder.object(ObjectInput::shared(Address::new(CLOCK.into()), 1, false))
            }
            Slot::Receipt | Slot::OtherReceipt | Slot::NodeCap => {
                panic!("the tests of stake name their objects themselves")
            }
            Slot::Pure(bytes) => builder.pure_bytes(bytes),
        });
        let arguments = arguments.collect();
        let function = Function::new(
            Address::new(ids.package.into()),
            Identifier::new(callee.module).unwrap(),
            Identifier::new(callee.name).unwrap(),
        );
        builder.move_call(function, arguments)
    }

    /// Buys space and registers a blob in one transaction.
    pub(crate) async fn register(
        &self,
        account: &Account,
        content: u8,
        deletable: bool,
    ) -> (Blob, rpc::ExecutedTransaction) {
        let coin = self.wal_coin(account).await;
        let register = sample_blob(content, deletable);
        let reserve = self.sample_space(register.size);
        let done = self
            .run(account, |builder| {
                let payment = builder.object(ObjectInput::new(Address::new(coin.into())));
                let fill = Fill { payment: Some(payment), ..Fill::default() };
                let storage = self.call(builder, Callee::RESERVE_SPACE, reserve.arguments(), &fill);
                let fill = Fill { storage: Some(storage), ..fill };
                let blob = self.call(builder, Callee::REGISTER_BLOB, register.arguments(), &fill);
                let to = builder.pure(&account.address);
                builder.transfer_objects(vec![blob], to);
            })
            .await;
        let Some(Event::BlobRegistered(registered)) = self.events(&done).pop() else {
            panic!("the last event is the registration");
        };
        (self.object(&registered.object_id).await, done)
    }

    /// Exactly the space a blob of a size needs, for five epochs.
    pub(crate) fn sample_space(&self, size: u64) -> ReserveSpace {
        let config = self.ledger.genesis();
        let parameters = config.parameters().unwrap();
        let size = parameters.encoded_bytes(size, config.header_replicas).unwrap();
        ReserveSpace { size, start_epoch: 0, end_epoch: 6, max_total: u64::MAX }
    }

    /// A certificate for a blob by some of the nodes.
    pub(crate) fn certificate(&self, blob: &Blob, signers: &[usize]) -> CertifyBlob {
        let persistence = match blob.deletable {
            true => Persistence::Deletable(blob.id),
            false => Persistence::Permanent,
        };
        let network = NetworkId::from_bytes((self.ledger.ids().network_id).into());
        let id = BlobId::from_bytes(blob.blob_id);
        sign(signers, blob_certificate_message(&network, Epoch(1), &id, &persistence))
    }

    pub(crate) async fn certify(
        &self,
        account: &Account,
        blob: &Blob,
        certificate: &CertifyBlob,
    ) -> rpc::ExecutedTransaction {
        self.run(account, |builder| {
            let blob = builder.object(ObjectInput::new(Address::new(blob.id.into())));
            let fill = Fill { blob: Some(blob), ..Fill::default() };
            self.call(builder, Callee::CERTIFY_BLOB, certificate.arguments(), &fill);
        })
        .await
    }

    pub(crate) fn events(&self, executed: &rpc::ExecutedTransaction) -> Vec<Event> {
        let package = Address::new((self.ledger.ids().package).into()).to_string();
        let events = executed.events().events().iter().map(|event| {
            let tag: StructTag = event.event_type().parse().unwrap();
            assert_eq!((event.package_id(), tag.module().as_str()), (package.as_str(), "events"));
            Event::decode(tag.name().as_str(), event.contents().value()).unwrap().unwrap()
        });
        events.collect()
    }

    /// An object at its latest version, for transactions built without the server.
    pub(crate) async fn owned(&self, id: &ObjectId) -> ObjectInput {
        let request = rpc::GetObjectRequest::new(&Address::new((*id).into()));
        let answer = self.client.clone().ledger_client().get_object(request).await.unwrap();
        let object = answer.into_inner().object().clone();
        ObjectInput::owned(
            Address::new((*id).into()),
            object.version(),
            object.digest().parse().unwrap(),
        )
    }
}

/// What to put where a call wants objects.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fill {
    pub(crate) payment: Option<Argument>,
    pub(crate) storage: Option<Argument>,
    pub(crate) other_storage: Option<Argument>,
    pub(crate) blob: Option<Argument>,
}

pub(crate) fn sui_type() -> TypeTag {
    TypeTag::Struct(Box::new(StructTag::sui()))
}

pub(crate) fn sign(signers: &[usize], message: Vec<u8>) -> CertifyBlob {
    let signatures: Vec<_> = signers.iter().map(|node| bls_key(*node).sign(&message)).collect();
    let bitmap = signers.iter().fold(0, |bits, node| bits | 1 << node);
    CertifyBlob {
        signature: aggregate_signatures(&signatures).unwrap().to_bytes().to_vec(),
        signers: vec![bitmap],
        message,
    }
}

pub(crate) fn sample_blob(content: u8, deletable: bool) -> RegisterBlob {
    let (root, size) = ([content; 32], 1000);
    RegisterBlob {
        blob_id: *BlobId::derive(Encoding::Segments, size, &root).as_bytes(),
        root,
        size,
        encoding_type: Encoding::Segments.number(),
        deletable,
        max_total: u64::MAX,
    }
}

pub(crate) fn abort_of(executed: &rpc::ExecutedTransaction) -> Option<Abort> {
    let abort = executed.effects().status().error().abort_opt()?;
    let known = Abort::from_code(abort.abort_code())?;
    assert_eq!(abort.location().module(), known.module());
    Some(known)
}

/// Asks a faucet that must answer.
pub(crate) async fn ask_faucet(faucet: SocketAddr, recipient: &str) -> (u16, String) {
    try_faucet(faucet, recipient).await.unwrap()
}

/// Asks a faucet that may die meanwhile.
pub(crate) async fn try_faucet(
    faucet: SocketAddr,
    recipient: &str,
) -> std::io::Result<(u16, String)> {
    let body = format!(r#"{{"FixedAmountRequest":{{"recipient":"{recipient}"}}}}"#);
    let request = format!(
        "POST /v2/gas HTTP/1.1\r\nhost: {faucet}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len(),
    );
    let mut stream = TcpStream::connect(faucet).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok((status, body.to_owned()))
}

/// Opens a ledger that nobody serves.
pub(crate) fn open(path: &Path) -> Result<Ledger, haulout_devnet::ledger::OpenError> {
    Ledger::open(path, sample_config())
}
