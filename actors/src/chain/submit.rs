//! Telling the ledger: registering and certifying blobs.
//!
//! Promises: a transaction is signed once; whatever happens to the connection, only those bytes are
//! sent again, and the ledger executes a digest once. A transaction is built anew only when the
//! ledger said that it did not take the old one.
//! Does not: remember anything across a restart of the program; the caller's journal does.

use futures::StreamExt;
use haulout_protocol::blob::{BlobId, ENCODING};
use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::call::{
    self, Argument as Place, CertifyBlob, RegisterBlob, ReserveSpace,
};
use haulout_protocol::chain::event::Event;
use haulout_protocol::chain::{CLOCK, ObjectId, TypeName, object, staking_inner};
use haulout_protocol::crypto::Digest;
use haulout_protocol::epoch::Epoch;
use sui_rpc::client::ExecuteAndWaitError;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, Identifier, Transaction, TypeTag, UserSignature};
use sui_transaction_builder::{Argument, Error, Function, ObjectInput, TransactionBuilder};
use tracing::debug;

use super::checkpoints::decode_events;
use super::error::execution_error;
use super::read::decode;
use super::{CallError, Chain, Wallet};
use crate::context::{Position, Quote};
use crate::limits;

/// The parts of an executed transaction we read.
const RESULT_FIELDS: [&str; 5] =
    ["digest", "effects.status", "effects.gas_used", "events", "checkpoint"];

/// The clock has been shared since every Sui network began.
const CLOCK_SINCE: u64 = 1;

/// A blob to be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its id.
    pub blob_id: BlobId,
    /// The root the id is derived from.
    pub root: Digest,
    /// Its length before encoding.
    pub length: u64,
    /// For how many epochs, the current one included.
    pub epochs: u32,
    /// Whether its owner may delete it earlier.
    pub deletable: bool,
}

/// What a transaction cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Of the storage token, in its smallest unit.
    pub wal: u64,
    /// Gas, in MIST; rebates can make it zero.
    pub gas: u64,
}

/// A blob registered by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The blob object, ours.
    pub object: ObjectId,
    /// The transaction.
    pub digest: String,
    /// The checkpoint that contains it, if it was seen.
    pub checkpoint: Option<u64>,
    /// The first epoch no longer paid for.
    pub end_epoch: Epoch,
    /// What it cost.
    pub cost: Cost,
}

/// A blob registered by us that has no certificate yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncertified {
    /// The blob object, ours.
    pub object: ObjectId,
    /// The first epoch no longer paid for.
    pub end_epoch: Epoch,
}

/// A blob certified by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// The epoch of the certificate.
    pub epoch: Epoch,
    /// The transaction; absent if the blob had been certified before.
    pub digest: Option<String>,
    /// The checkpoint that contains it, if it was seen.
    pub checkpoint: Option<u64>,
    /// What it cost.
    pub cost: Cost,
}

/// An executed, successful transaction.
pub(super) struct Executed {
    pub(super) digest: String,
    pub(super) checkpoint: Option<u64>,
    pub(super) events: Vec<Event>,
    pub(super) gas: u64,
}

impl Chain {
    /// Buys storage for a blob and registers it, in one transaction.
    pub async fn register_blob(
        &self,
        wallet: &Wallet,
        registration: &Registration,
    ) -> Result<Registered, CallError> {
        let position = self.system().await?.position;
        let quote = position.quote(registration.length, registration.epochs);
        let quote = quote.ok_or(CallError::TooLarge)?;
        let build = || self.build_registration(wallet, registration, &position, &quote);
        let executed = self.run(wallet, build).await?;
        let mut cost = Cost { wal: quote.write, gas: executed.gas };
        let mut registered = None;
        for event in &executed.events {
            match event {
                Event::StoragePurchased(bought) => cost.wal = cost.wal.saturating_add(bought.paid),
                Event::BlobRegistered(event) => registered = Some(event),
                _ => {}
            }
        }
        let missing = || CallError::unreadable("a registration that registered nothing");
        let registered = registered.ok_or_else(missing)?;
        Ok(Registered {
            object: registered.object_id,
            end_epoch: Epoch(registered.end_epoch),
            digest: executed.digest,
            checkpoint: executed.checkpoint,
            cost,
        })
    }

    /// An object the wallet registered for the same blob, paid for at least as long, that still
    /// waits for its certificate: an interrupted put goes on with it and pays nothing twice.
    pub async fn uncertified_blob(
        &self,
        wallet: &Wallet,
        registration: &Registration,
    ) -> Result<Option<Uncertified>, CallError> {
        let epoch = self.system().await?.position.epoch.0;
        let until = epoch.checked_add(registration.epochs).ok_or(CallError::TooLarge)?;
        let request = self.blobs_request(&wallet.address());
        let mut owned = Box::pin(self.client.list_owned_objects(request));
        let mut seen = 0;
        while let Some(object) = owned.next().await {
            let object = object.map_err(|status| self.call_error(&status, "blob objects"))?;
            let blob: object::Blob = decode(&object)?;
            if blob.blob_id == *registration.blob_id.as_bytes()
                && blob.deletable == registration.deletable
                && blob.certified_epoch.is_none()
                && blob.storage.end_epoch >= until
            {
                let end_epoch = Epoch(blob.storage.end_epoch);
                return Ok(Some(Uncertified { object: blob.id, end_epoch }));
            }
            seen += 1;
            if seen >= limits::CHAIN_OBJECTS_MAX {
                break;
            }
        }
        Ok(None)
    }

    /// Puts a certificate on the ledger; succeeds at once if the blob object has one already.
    pub async fn certify_blob(
        &self,
        wallet: &Wallet,
        object: &ObjectId,
        certificate: &Certificate,
    ) -> Result<Certified, CallError> {
        let blob: object::Blob = decode(&self.object(object, "blob object").await?)?;
        if let Some(epoch) = blob.certified_epoch {
            let (digest, checkpoint, cost) = (None, None, Cost::default());
            return Ok(Certified { epoch: Epoch(epoch), digest, checkpoint, cost });
        }
        let build = || self.build_certification(wallet, object, certificate);
        let executed = self.run(wallet, build).await?;
        let certified = executed.events.iter().find_map(|event| match event {
            Event::BlobCertified(certified) => Some(Epoch(certified.epoch)),
            _ => None,
        });
        let missing = || CallError::unreadable("a certification that certified nothing");
        Ok(Certified {
            epoch: certified.ok_or_else(missing)?,
            digest: Some(executed.digest),
            checkpoint: executed.checkpoint,
            cost: Cost { wal: 0, gas: executed.gas },
        })
    }

    /// The transaction that registers a blob.
    async fn build_registration(
        &self,
        wallet: &Wallet,
        registration: &Registration,
        position: &Position,
        quote: &Quote,
    ) -> Result<Transaction, CallError> {
        let mut builder = TransactionBuilder::new();
        builder.set_sender(wallet.sender());
        let needed = quote.storage.checked_add(quote.write).ok_or(CallError::TooLarge)?;
        let payment = self.payment(&mut builder, wallet, needed).await?;
        let start_epoch = position.epoch.0;
        let end_epoch = start_epoch.checked_add(registration.epochs).ok_or(CallError::TooLarge)?;
        let (size, max_total) = (quote.encoded_bytes, quote.storage);
        let reserve = ReserveSpace { size, start_epoch, end_epoch, max_total };
        let mut places = Places { payment: Some(payment), ..Places::default() };
        let arguments = self.arguments(&mut builder, reserve.arguments(), &places)?;
        let function = self.function(&call::Function::RESERVE_SPACE)?;
        places.storage = Some(builder.move_call(function, arguments));
        let register = RegisterBlob {
            blob_id: *registration.blob_id.as_bytes(),
            root: registration.root,
            size: registration.length,
            encoding_type: ENCODING,
            deletable: registration.deletable,
            max_total: quote.write,
        };
        let arguments = self.arguments(&mut builder, register.arguments(), &places)?;
        let blob = builder.move_call(self.function(&call::Function::REGISTER_BLOB)?, arguments);
        let owner = builder.pure(&wallet.sender());
        builder.transfer_objects(vec![blob], owner);
        self.finish(builder, wallet).await
    }

    /// The transaction that certifies a blob.
    async fn build_certification(
        &self,
        wallet: &Wallet,
        blob: &ObjectId,
        certificate: &Certificate,
    ) -> Result<Transaction, CallError> {
        let mut builder = TransactionBuilder::new();
        builder.set_sender(wallet.sender());
        let blob = builder.object(owned_input(&self.object(blob, "blob object").await?)?);
        let certify = CertifyBlob {
            signature: certificate.signature.to_bytes().to_vec(),
            signers: certificate.signers.clone(),
            message: certificate.message.clone(),
        };
        let places = Places { blob: Some(blob), ..Places::default() };
        let arguments = self.arguments(&mut builder, certify.arguments(), &places)?;
        builder.move_call(self.function(&call::Function::CERTIFY_BLOB)?, arguments);
        self.finish(builder, wallet).await
    }

    /// A coin that holds at least `needed`, merged from several if one is not enough.
    pub(super) async fn payment(
        &self,
        builder: &mut TransactionBuilder,
        wallet: &Wallet,
        needed: u64,
    ) -> Result<Argument, CallError> {
        let name = TypeName::WAL.qualified(&self.shared.options.package);
        let coin_type: TypeTag = name.parse().map_err(CallError::unreadable)?;
        let (owner, count) = (wallet.sender(), limits::CHAIN_COINS_MAX);
        let coins = self.client.select_up_to_n_largest_coins(&owner, &coin_type, count, &[]).await;
        let mut coins = coins.map_err(|status| self.call_error(&status, "coins"))?;
        coins.sort_by_key(|coin| std::cmp::Reverse(coin.balance()));
        let mut available = 0u64;
        let mut inputs = Vec::new();
        for coin in coins.iter().filter(|coin| coin.balance() > 0) {
            if available >= needed && !inputs.is_empty() {
                break;
            }
            available = available.saturating_add(coin.balance());
            inputs.push(builder.object(owned_input(coin)?));
        }
        if available < needed || inputs.is_empty() {
            let (wallet, token) = (wallet.to_string(), "WAL");
            return Err(CallError::InsufficientFunds { wallet, token, needed, available });
        }
        let first = inputs.remove(0);
        if !inputs.is_empty() {
            builder.merge_coins(first, inputs);
        }
        Ok(first)
    }

    /// Our function as the builder wants it.
    pub(super) fn function(&self, function: &call::Function) -> Result<Function, CallError> {
        let module = Identifier::new(function.module).map_err(CallError::unreadable)?;
        let name = Identifier::new(function.name).map_err(CallError::unreadable)?;
        Ok(Function::new(self.shared.package, module, name))
    }

    /// Fills the places of a call.
    pub(super) fn arguments(
        &self,
        builder: &mut TransactionBuilder,
        wanted: Vec<Place>,
        places: &Places,
    ) -> Result<Vec<Argument>, CallError> {
        let empty = || CallError::unreadable("a call with a place left empty");
        let shared = &self.shared;
        let filled = wanted.into_iter().map(|place| match place {
            Place::System { mutable } => {
                Ok(builder.object(input(&shared.options.system, shared.since.system, mutable)))
            }
            Place::Params => {
                Ok(builder.object(input(&shared.options.params, shared.since.params, false)))
            }
            Place::Treasury => {
                Ok(builder.object(input(&shared.options.treasury, shared.since.treasury, true)))
            }
            Place::Staking { mutable } => {
                let id = staking_inner(&shared.options.staking);
                Ok(builder.object(input(&id, shared.since.staking, mutable)))
            }
            Place::Clock => Ok(builder.object(input(&CLOCK, CLOCK_SINCE, false))),
            Place::Payment => places.payment.ok_or_else(empty),
            Place::Storage => places.storage.ok_or_else(empty),
            Place::Blob => places.blob.ok_or_else(empty),
            Place::Receipt => places.receipt.ok_or_else(empty),
            Place::NodeCap => places.cap.ok_or_else(empty),
            Place::OtherReceipt => places.other_receipt.ok_or_else(empty),
            Place::OtherStorage => Err(empty()),
            Place::Pure(bytes) => Ok(builder.pure_bytes(bytes)),
        });
        filled.collect()
    }

    /// Lets the ledger choose gas and try the transaction.
    pub(super) async fn finish(
        &self,
        builder: TransactionBuilder,
        wallet: &Wallet,
    ) -> Result<Transaction, CallError> {
        let error = match builder.build(&mut self.client.clone()).await {
            Ok(transaction) => return Ok(transaction),
            Err(error) => error,
        };
        if let Error::SimulationFailure(failure) = &error {
            return Err(execution_error(failure.execution_error(), &wallet.to_string()));
        }
        // The builder hides the status behind words: ask whether anybody is there, and for gas.
        let balances = self.balances(&wallet.address()).await?;
        if balances.sui == 0 {
            let (wallet, token) = (wallet.to_string(), "SUI");
            return Err(CallError::InsufficientFunds { wallet, token, needed: 1, available: 0 });
        }
        Err(CallError::Rejected { reason: error.to_string() })
    }

    /// Builds, signs and executes; builds anew as long as the ledger did not take the transaction.
    pub(super) async fn run<Build, Built>(
        &self,
        wallet: &Wallet,
        build: Build,
    ) -> Result<Executed, CallError>
    where
        Build: Fn() -> Built,
        Built: Future<Output = Result<Transaction, CallError>>,
    {
        // Transactions of one wallet spend the same coins: one after the other, none is in vain.
        let _turn = self.shared.turn.lock().await;
        let mut attempt = 1;
        loop {
            match self.attempt(wallet, build().await).await {
                Err(CallError::Rejected { reason }) if attempt < limits::CHAIN_REBUILDS_MAX => {
                    debug!(%reason, attempt, "transaction was not taken, building it anew");
                    tokio::time::sleep(limits::CHAIN_BACKOFF_MIN * attempt).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// Signs and executes a transaction that could be built.
    async fn attempt(
        &self,
        wallet: &Wallet,
        built: Result<Transaction, CallError>,
    ) -> Result<Executed, CallError> {
        let transaction = built?;
        let signature = wallet.sign(&transaction)?;
        self.execute(wallet, transaction, signature).await
    }

    /// Sends one signed transaction until its fate is known.
    async fn execute(
        &self,
        wallet: &Wallet,
        transaction: Transaction,
        signature: UserSignature,
    ) -> Result<Executed, CallError> {
        let digest = transaction.digest().to_string();
        let request = proto::ExecuteTransactionRequest::default()
            .with_transaction(transaction)
            .with_signatures(vec![signature.into()])
            .with_read_mask(FieldMask::from_paths(RESULT_FIELDS));
        let wait = limits::CHAIN_CHECKPOINT_TIMEOUT;
        for attempt in 1..=limits::CHAIN_SUBMISSIONS_MAX {
            let mut client = self.client.clone();
            let sent = client.execute_transaction_and_wait_for_checkpoint(request.clone(), wait);
            let response = match sent.await {
                Ok(response)
                | Err(ExecuteAndWaitError::CheckpointTimeout(response))
                | Err(ExecuteAndWaitError::CheckpointStreamError { response, .. }) => response,
                Err(ExecuteAndWaitError::RpcError(status)) => {
                    match self.call_error(&status, "transaction") {
                        CallError::Unreachable { reason, .. } => {
                            debug!(digest, reason, attempt, "sending the same transaction again");
                            tokio::time::sleep(limits::CHAIN_BACKOFF_MIN * (1 << attempt)).await;
                            continue;
                        }
                        error => return Err(error),
                    }
                }
                Err(error) => return Err(CallError::unreadable(error)),
            };
            return self.judge(wallet, digest, response.get_ref().transaction());
        }
        Err(CallError::Unconfirmed { digest })
    }

    /// Reads what an executed transaction did.
    fn judge(
        &self,
        wallet: &Wallet,
        digest: String,
        transaction: &proto::ExecutedTransaction,
    ) -> Result<Executed, CallError> {
        let status = transaction.effects().status();
        if !status.success() {
            return Err(execution_error(status.error(), &wallet.to_string()));
        }
        let gas = transaction.effects().gas_used();
        let spent = gas.computation_cost().saturating_add(gas.storage_cost());
        Ok(Executed {
            digest,
            checkpoint: transaction.checkpoint,
            events: decode_events(&self.shared.package, transaction)?,
            gas: spent.saturating_sub(gas.storage_rebate()),
        })
    }
}

/// What fills the places of a call that are objects of ours.
#[derive(Clone, Copy, Default)]
pub(super) struct Places {
    pub(super) payment: Option<Argument>,
    pub(super) storage: Option<Argument>,
    pub(super) blob: Option<Argument>,
    pub(super) receipt: Option<Argument>,
    pub(super) other_receipt: Option<Argument>,
    pub(super) cap: Option<Argument>,
}

/// A shared object as an input.
fn input(id: &ObjectId, since: u64, mutable: bool) -> ObjectInput {
    ObjectInput::shared(Address::new(*id), since, mutable)
}

/// An object of the sender as an input.
pub(super) fn owned_input(object: &proto::Object) -> Result<ObjectInput, CallError> {
    let id = object.object_id().parse().map_err(CallError::unreadable)?;
    let digest = object.digest().parse().map_err(CallError::unreadable)?;
    Ok(ObjectInput::owned(id, object.version(), digest))
}
