//! Fills the wallet of a running devnet with blob objects, to see what a large wallet costs.
//!
//! ```sh
//! devnet up -d
//! devnet=~/.local/state/haulout/devnet/default
//! haulout put README.md                    # the blob that the wallet owns for real
//! cargo run --release -p haulout-devnet --example full_wallet -- $devnet/client.toml 10000
//! time haulout put README.md               # knows it, and pays nothing
//! time haulout ls | head -1
//! ```
//!
//! Promises: the objects are registered as a client registers them, hundreds in a transaction; no
//! two are for the same blob. Does not: store a byte, so none of them is ever certified.

#![allow(clippy::print_stdout, reason = "a program for a person at a terminal")]

use std::path::Path;
use std::time::Duration;

use haulout_node::config::{ChainConfig, ClientConfig, Config, WalletSource};
use haulout_node::keys::{Kind, load};
use haulout_node::{LedgerClient, error::Error};
use haulout_protocol::blob::{BlobId, Encoding};
use haulout_protocol::chain::call::{Argument as Place, Function as Callee};
use haulout_protocol::chain::call::{RegisterBlob, ReserveSpace};
use haulout_protocol::chain::wal_coin_type;
use sui_crypto::SuiSigner;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_rpc::Client;
use sui_rpc::proto::sui::rpc::v2::ExecuteTransactionRequest;
use sui_sdk_types::{Address, Identifier, TypeTag};
use sui_transaction_builder::{Argument, Function, ObjectInput, TransactionBuilder};

/// Blobs of one transaction: each takes two calls, and a ledger takes a thousand.
const BLOBS_PER_TRANSACTION: u32 = 350;
/// The version at which the objects of a devnet became shared.
const SHARED_SINCE: u64 = 1;
/// Epochs that are paid.
const EPOCHS: u32 = 5;
/// How long a transaction may take.
const PATIENCE: Duration = Duration::from_secs(60);

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let usage = "full_wallet CLIENT_TOML COUNT";
    let path = arguments.next().ok_or(usage)?;
    let count: u32 = arguments.next().ok_or(usage)?.parse()?;
    let text = std::fs::read_to_string(&path)?;
    let config = Config::from_toml(&text, Path::new(&path))?.client()?;
    let mut filler = Filler::new(config).await?;
    for first in (0..count).step_by(usize::try_from(BLOBS_PER_TRANSACTION)?) {
        let last = count.min(first.saturating_add(BLOBS_PER_TRANSACTION));
        filler.register(first..last).await?;
        println!("{last} of {count}");
    }
    Ok(())
}

/// Whoever fills a wallet.
struct Filler {
    client: Client,
    chain: ChainConfig,
    key: Ed25519PrivateKey,
    owner: Address,
    space: ReserveSpace,
    /// Differs from run to run.
    seed: [u8; 16],
}

impl Filler {
    async fn new(config: ClientConfig) -> Result<Self, AnyError> {
        let ledger = LedgerClient::connect(config.clone()).await?;
        let (size, epoch) =
            (ledger.quote(1, EPOCHS)?.encoded_bytes, ledger.view().position.epoch.0);
        let (start_epoch, end_epoch) = (epoch, epoch + EPOCHS);
        let space = ReserveSpace { size, start_epoch, end_epoch, max_total: u64::MAX };
        let WalletSource::KeyFile(file) = config.wallet.ok_or("no wallet")?.source else {
            return Err("the wallet is in no key file".into());
        };
        let key = Ed25519PrivateKey::new(*load(&file, Kind::Ed25519)?.bytes());
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).map_err(|error| error.to_string())?;
        let client = Client::new(config.chain.rpc[0].as_str())?;
        let owner = key.public_key().derive_address();
        Ok(Self { client, chain: config.chain, key, owner, space, seed })
    }

    /// Registers blobs in one transaction.
    async fn register(&mut self, numbers: std::ops::Range<u32>) -> Result<(), AnyError> {
        let wal: TypeTag = wal_coin_type(&self.chain.package).parse()?;
        let TypeTag::Struct(wal) = wal else { return Err("a coin is a struct".into()) };
        let wal = wal.type_params().first().ok_or("a coin is of something")?.clone();
        let coins = self.client.select_coins(&self.owner, &wal, 1, &[]).await?;
        let coin: Address = coins.first().ok_or("no WAL")?.object_id().parse()?;
        let mut builder = TransactionBuilder::new();
        builder.set_sender(self.owner);
        let payment = builder.object(ObjectInput::new(coin));
        let mut made = Vec::new();
        for number in numbers {
            let reserve = self.space.arguments();
            let storage = self.call(&mut builder, Callee::RESERVE_SPACE, reserve, payment, None)?;
            let register = self.blob(number).arguments();
            let callee = Callee::REGISTER_BLOB;
            made.push(self.call(&mut builder, callee, register, payment, Some(storage))?);
        }
        let to = builder.pure(&self.owner);
        builder.transfer_objects(made, to);
        let transaction = builder.build(&mut self.client).await?;
        let signature = self.key.sign_transaction(&transaction)?;
        let request = ExecuteTransactionRequest::default()
            .with_transaction(transaction)
            .with_signatures(vec![signature.into()]);
        let done = self.client.execute_transaction_and_wait_for_checkpoint(request, PATIENCE).await;
        let done =
            done.map_err(|error| Error::new(haulout_node::error::Kind::Chain, error.to_string()))?;
        let status = done.into_inner().transaction().effects().status().clone();
        if status.success() { Ok(()) } else { Err(format!("{status:?}").into()) }
    }

    /// A blob of one byte that nobody has.
    fn blob(&self, number: u32) -> RegisterBlob {
        let mut root = [0; 32];
        root[..16].copy_from_slice(&self.seed);
        root[16..20].copy_from_slice(&number.to_be_bytes());
        RegisterBlob {
            blob_id: *BlobId::derive(Encoding::Segments, 1, &root).as_bytes(),
            root,
            size: 1,
            encoding_type: Encoding::Segments.number(),
            deletable: true,
            max_total: u64::MAX,
        }
    }

    fn call(
        &self,
        builder: &mut TransactionBuilder,
        callee: Callee,
        places: Vec<Place>,
        payment: Argument,
        storage: Option<Argument>,
    ) -> Result<Argument, AnyError> {
        let mut arguments = Vec::new();
        for place in places {
            arguments.push(match place {
                Place::System { mutable } => {
                    let system = Address::new(self.chain.system.into());
                    builder.object(ObjectInput::shared(system, SHARED_SINCE, mutable))
                }
                Place::Params => {
                    let params = Address::new(self.chain.params.into());
                    builder.object(ObjectInput::shared(params, SHARED_SINCE, false))
                }
                Place::Payment => payment,
                Place::Storage => storage.ok_or("the call takes storage")?,
                Place::Pure(bytes) => builder.pure_bytes(bytes),
                _ => return Err("the call takes something else".into()),
            });
        }
        let package = Address::new(self.chain.package.into());
        let function =
            Function::new(package, Identifier::new(callee.module)?, Identifier::new(callee.name)?);
        Ok(builder.move_call(function, arguments))
    }
}
