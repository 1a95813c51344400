//! A transaction before it is signed: calls of our contracts, put together.
//!
//! Promises: objects go in in their present version, and are what their own bytes say (`exact`); no more of the token leaves the wallet than
//! the calls take; a draft the ledger would refuse ends in the reason, and nothing was sent. A
//! draft does not wait for a ledger that is silent: whoever builds it has the wallet's turn. No two
//! drafts are the same transaction, even if they do the same.
//! Does not: sign or send (`submit` does), or know what a call is for.

use haulout_protocol::chain::call::{self, Argument as Place};
use haulout_protocol::chain::object::staking::NodeCap;
use haulout_protocol::chain::{CLOCK, ObjectId, object, staking_inner};
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::simulate_transaction_request::TransactionChecks;
use sui_sdk_types::{Address, Digest, Identifier, Transaction};
use sui_transaction_builder::{Argument, Function, ObjectInput, TransactionBuilder};

use super::coins::Coin;
use super::error::CallError;
use super::error::execution_error;
use super::gas;
use super::handle::Chain;
use super::named::inputs;
use super::wallet::Wallet;

/// The clock has been shared since every Sui network began.
const CLOCK_SINCE: u64 = 1;

/// Chance in a transaction, as an argument that no call takes.
const NONCE_BYTES: usize = 16;

/// The parts of a trial we read.
const TRIAL_FIELDS: [&str; 2] = ["transaction.transaction", "transaction.effects"];

/// A transaction of a wallet that is being put together.
pub(super) struct Draft<'a> {
    pub(super) chain: Chain,
    pub(super) wallet: &'a Wallet,
    pub(super) builder: TransactionBuilder,
    /// The coins that go in.
    coins: Vec<Coin>,
}

/// A transaction that can be signed.
pub(super) struct Built {
    pub(super) transaction: Transaction,
    /// The coins of the token that it names; they become one, or are given away.
    pub(super) coins: Vec<Coin>,
}

/// What fills the places of a call that are objects of ours.
#[derive(Clone, Copy, Default)]
pub(super) struct Places {
    pub(super) payment: Option<Argument>,
    pub(super) storage: Option<Argument>,
    pub(super) other_storage: Option<Argument>,
    pub(super) blob: Option<Argument>,
    pub(super) receipt: Option<Argument>,
    pub(super) other_receipt: Option<Argument>,
    pub(super) cap: Option<Argument>,
}

impl<'a> Draft<'a> {
    /// A transaction that does nothing yet.
    pub(super) fn new(chain: &Chain, wallet: &'a Wallet) -> Self {
        let mut builder = TransactionBuilder::new();
        builder.set_sender(wallet.sender());
        // Two who ask for the same at the same time would send the same transaction: the ledger
        // would execute it once, and tell both that they got what they asked for.
        let mut nonce = [0; NONCE_BYTES];
        if getrandom::fill(&mut nonce).is_ok() {
            builder.pure_bytes(nonce.to_vec());
        }
        Draft { chain: chain.impatient(), wallet, builder, coins: Vec::new() }
    }

    /// A blob of the wallet, as the one a call is about.
    pub(super) async fn blob(&mut self, id: &ObjectId) -> Result<Places, CallError> {
        Ok(self.blob_now(id).await?.0)
    }

    /// Blobs of the wallet, each as the one a call is about, all of them at one moment.
    pub(super) async fn blobs(&mut self, ids: &[ObjectId]) -> Result<Vec<Places>, CallError> {
        let own = self.own::<object::Blob>(ids).await?.into_iter();
        let places = own.map(|(_, blob)| Places { blob: Some(blob), ..Places::default() });
        Ok(places.collect())
    }

    /// As [`Draft::blob`], and what the blob is in the version that goes in.
    pub(super) async fn blob_now(
        &mut self,
        id: &ObjectId,
    ) -> Result<(Places, object::Blob), CallError> {
        let (now, blob) = one(self.own(&[*id]).await?)?;
        Ok((Places { blob: Some(blob), ..Places::default() }, now))
    }

    /// A node's cap of the wallet, as the one a call shows.
    pub(super) async fn cap(&mut self, cap: &NodeCap) -> Result<Places, CallError> {
        let cap = one(self.own_as(std::slice::from_ref(cap)).await?)?;
        Ok(Places { cap: Some(cap), ..Places::default() })
    }

    /// A coin that holds at least `needed`, merged from several if one is not enough.
    pub(super) async fn purse(&mut self, needed: u64) -> Result<Argument, CallError> {
        let coins = self.chain.coins_for(self.wallet, needed).await?;
        self.merged(&coins)
    }

    /// One coin that holds what these hold; there must be one.
    fn merged(&mut self, coins: &[Coin]) -> Result<Argument, CallError> {
        let input = |coin: &Coin| ObjectInput::owned(coin.id, coin.version, coin.digest);
        let mut inputs = coins.iter().map(|coin| self.builder.object(input(coin)));
        let first = inputs.next().ok_or_else(|| CallError::unreadable("a payment of no coin"))?;
        let rest: Vec<Argument> = inputs.collect();
        if !rest.is_empty() {
            self.builder.merge_coins(first, rest);
        }
        self.coins.extend(coins);
        Ok(first)
    }

    /// A coin that holds exactly `amount`, as the one a call takes.
    pub(super) async fn exact_payment(&mut self, amount: u64) -> Result<Places, CallError> {
        let purse = self.purse(amount).await?;
        let amount = self.builder.pure(&amount);
        let payment = self.builder.split_coins(purse, vec![amount]).first().copied();
        Ok(Places { payment, ..Places::default() })
    }

    /// Adds a call; what it returns can go on into others.
    pub(super) fn call(
        &mut self,
        function: &call::Function,
        wanted: Vec<Place>,
        places: &Places,
    ) -> Result<Argument, CallError> {
        let arguments = self.arguments(wanted, places)?;
        let module = Identifier::new(function.module).map_err(CallError::unreadable)?;
        let name = Identifier::new(function.name).map_err(CallError::unreadable)?;
        let function = Function::new(self.chain.shared.package, module, name);
        Ok(self.builder.move_call(function, arguments))
    }

    /// Fills the places of a call.
    fn arguments(
        &mut self,
        wanted: Vec<Place>,
        places: &Places,
    ) -> Result<Vec<Argument>, CallError> {
        let builder = &mut self.builder;
        let empty = || CallError::unreadable("a call with a place left empty");
        let (shared, since) = (&self.chain.shared, self.chain.since());
        let filled = wanted.into_iter().map(|place| match place {
            Place::System { mutable } => {
                Ok(builder.object(input(&shared.options.system, since.system, mutable)))
            }
            Place::Params => Ok(builder.object(input(&shared.options.params, since.params, false))),
            Place::Treasury => {
                Ok(builder.object(input(&shared.options.treasury, since.treasury, true)))
            }
            Place::Staking { mutable } => {
                let id = staking_inner(&shared.options.staking);
                Ok(builder.object(input(&id, since.staking, mutable)))
            }
            Place::Clock => Ok(builder.object(input(&CLOCK, CLOCK_SINCE, false))),
            Place::Payment => places.payment.ok_or_else(empty),
            Place::Storage => places.storage.ok_or_else(empty),
            Place::Blob => places.blob.ok_or_else(empty),
            Place::Receipt => places.receipt.ok_or_else(empty),
            Place::NodeCap => places.cap.ok_or_else(empty),
            Place::OtherReceipt => places.other_receipt.ok_or_else(empty),
            Place::OtherStorage => places.other_storage.ok_or_else(empty),
            Place::Pure(bytes) => Ok(builder.pure_bytes(bytes)),
        });
        filled.collect()
    }

    /// Gives the wallet what calls returned.
    pub(super) fn keep(&mut self, returned: Vec<Argument>) {
        let owner = self.builder.pure(&self.wallet.sender());
        self.builder.transfer_objects(returned, owner);
    }

    /// Lets the ledger choose gas and try the transaction.
    pub(super) async fn finish(self) -> Result<Built, CallError> {
        let Draft { chain, wallet, mut builder, coins } = self;
        // A transaction is complete with gas only; what is put in here is taken out again.
        builder.set_gas_price(1);
        builder.set_gas_budget(1);
        builder.add_gas_objects([ObjectInput::owned(Address::ZERO, 0, Digest::ZERO)]);
        let mut draft = builder.try_build().map_err(CallError::unreadable)?;
        draft.gas_payment.objects.clear();
        let (named, sender, kind) = (inputs(&draft), draft.sender, draft.kind.clone());
        let mut sketch = proto::Transaction::from(draft);
        (sketch.bcs, sketch.digest) = (None, None);
        let payer = proto::GasPayment::default().with_owner(wallet.to_string());
        sketch.gas_payment = Some(payer);
        let request = proto::SimulateTransactionRequest::default()
            .with_transaction(sketch)
            .with_do_gas_selection(true)
            .with_read_mask(FieldMask::from_paths(TRIAL_FIELDS));
        let tried = chain.exchange(|client| {
            let (mut client, request) = (client.clone().execution_client(), request.clone());
            async move { client.simulate_transaction(request).await }
        });
        let tried = match tried.await {
            Ok(tried) => tried,
            Err(status) => {
                let gas = chain.gas_of(&request).await;
                return Err(chain.refusal(wallet, &status, (&named, false), gas).await);
            }
        };
        let status = tried.transaction().effects().status();
        if !status.success() {
            let error = execution_error(status.error(), &wallet.to_string());
            let is_gas = matches!(error, CallError::InsufficientFunds { .. });
            let short = match is_gas {
                true => chain.short_of_gas(wallet, chain.gas_of(&request).await).await,
                false => None,
            };
            return Err(short.unwrap_or(error));
        }
        let Ok(tried) = tried.transaction().transaction().bcs().deserialize::<Transaction>() else {
            return Err(chain.untrue("what it tried in bytes that are no transaction".to_owned()));
        };
        if let Some(objection) = gas::objection(&tried.gas_payment, &sender, &kind) {
            return Err(chain.untrue(objection));
        }
        // The server chooses what pays for gas, within bounds. What is done, it does not.
        Ok(Built { transaction: Transaction { kind, sender, ..tried }, coins })
    }
}

impl Chain {
    /// Merges coins of the wallet into the first of them. The caller has the wallet's turn.
    pub(super) async fn merge(&self, wallet: &Wallet, coins: &[Coin]) -> Result<(), CallError> {
        let mut draft = Draft::new(self, wallet);
        draft.merged(coins)?;
        let built = draft.finish().await?;
        self.run_before(wallet, built.transaction).await?;
        Ok(())
    }

    /// What a transaction would take for gas, in MIST, whoever pays for it; nothing if it cannot be
    /// told.
    async fn gas_of(&self, trial: &proto::SimulateTransactionRequest) -> Option<u64> {
        let mut trial = trial.clone();
        trial.set_checks(TransactionChecks::Disabled);
        trial.do_gas_selection = Some(false);
        let tried = self.exchange(|client| {
            let (mut client, request) = (client.clone().execution_client(), trial.clone());
            async move { client.simulate_transaction(request).await }
        });
        let tried = tried.await.ok()?;
        let used = tried.transaction().effects().gas_used();
        let used = used.computation_cost().saturating_add(used.storage_cost());
        Some(used.max(tried.transaction().transaction().gas_payment().budget()))
    }
}

/// A shared object as an input.
fn input(id: &ObjectId, since: u64, mutable: bool) -> ObjectInput {
    ObjectInput::shared(Address::new((*id).into()), since, mutable)
}

/// The only one.
fn one<T>(mut found: Vec<T>) -> Result<T, CallError> {
    found.pop().ok_or_else(|| CallError::unreadable("fewer objects than asked for"))
}
