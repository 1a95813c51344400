//! A transaction before it is signed: calls of our contracts, put together.
//!
//! Promises: objects go in in their present version; no more of the token leaves the wallet than
//! the calls take; a draft the ledger would refuse ends in the reason, and nothing was sent.
//! Does not: sign or send (`submit` does), or know what a call is for.

use haulout_protocol::chain::amount::Token;
use haulout_protocol::chain::call::{self, Argument as Place};
use haulout_protocol::chain::{CLOCK, ObjectId, TypeName, staking_inner};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, Identifier, Transaction, TypeTag};
use sui_transaction_builder::{Argument, Error, Function, ObjectInput, TransactionBuilder};

use super::error::execution_error;
use super::{CallError, Chain, Wallet};
use crate::limits;

/// The clock has been shared since every Sui network began.
const CLOCK_SINCE: u64 = 1;

/// A transaction of a wallet that is being put together.
pub(super) struct Draft<'a> {
    chain: &'a Chain,
    wallet: &'a Wallet,
    builder: TransactionBuilder,
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
    pub(super) fn new(chain: &'a Chain, wallet: &'a Wallet) -> Self {
        let mut builder = TransactionBuilder::new();
        builder.set_sender(wallet.sender());
        Draft { chain, wallet, builder }
    }

    /// A blob of the wallet, as the one a call is about.
    pub(super) async fn blob(&mut self, id: &ObjectId) -> Result<Places, CallError> {
        Ok(Places { blob: Some(self.own(id, "blob object").await?), ..Places::default() })
    }

    /// A node's cap of the wallet, as the one a call shows.
    pub(super) async fn cap(&mut self, id: &ObjectId) -> Result<Places, CallError> {
        Ok(Places { cap: Some(self.own(id, "operator's cap").await?), ..Places::default() })
    }

    /// A receipt of stake of the wallet.
    pub(super) async fn receipt(&mut self, id: &ObjectId) -> Result<Argument, CallError> {
        self.own(id, "receipt").await
    }

    /// An object of the wallet, in its present version, as an input.
    pub(super) async fn own(&mut self, id: &ObjectId, what: &str) -> Result<Argument, CallError> {
        let object = self.chain.object(id, what).await?;
        Ok(self.builder.object(owned_input(&object)?))
    }

    /// A coin that holds at least `needed`, merged from several if one is not enough.
    pub(super) async fn purse(&mut self, needed: u64) -> Result<Argument, CallError> {
        let name = TypeName::WAL.qualified(&self.chain.shared.options.package);
        let coin_type: TypeTag = name.parse().map_err(CallError::unreadable)?;
        let (owner, count) = (self.wallet.sender(), limits::CHAIN_COINS_MAX);
        let coins =
            self.chain.client.select_up_to_n_largest_coins(&owner, &coin_type, count, &[]).await;
        let mut coins = coins.map_err(|status| self.chain.call_error(&status, "coins"))?;
        coins.sort_by_key(|coin| std::cmp::Reverse(coin.balance()));
        let mut available = 0u64;
        let mut inputs = Vec::new();
        for coin in coins.iter().filter(|coin| coin.balance() > 0) {
            if available >= needed && !inputs.is_empty() {
                break;
            }
            available = available.saturating_add(coin.balance());
            inputs.push(self.builder.object(owned_input(coin)?));
        }
        if available < needed || inputs.is_empty() {
            let (wallet, token) = (self.wallet.to_string(), Token::Wal);
            return Err(CallError::InsufficientFunds { wallet, token, needed, available });
        }
        let first = inputs.remove(0);
        if !inputs.is_empty() {
            self.builder.merge_coins(first, inputs);
        }
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
        let shared = &self.chain.shared;
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
    pub(super) async fn finish(self) -> Result<Transaction, CallError> {
        let error = match self.builder.build(&mut self.chain.client.clone()).await {
            Ok(transaction) => return Ok(transaction),
            Err(error) => error,
        };
        if let Error::SimulationFailure(failure) = &error {
            return Err(execution_error(failure.execution_error(), &self.wallet.to_string()));
        }
        // The builder hides the status behind words: ask whether anybody is there, and for gas.
        let balances = self.chain.balances(&self.wallet.address()).await?;
        if balances.sui == 0 {
            return Err(CallError::no_gas(&self.wallet.to_string()));
        }
        Err(CallError::Rejected { reason: error.to_string() })
    }
}

/// A shared object as an input.
fn input(id: &ObjectId, since: u64, mutable: bool) -> ObjectInput {
    ObjectInput::shared(Address::new(*id), since, mutable)
}

/// An object of the sender as an input.
fn owned_input(object: &proto::Object) -> Result<ObjectInput, CallError> {
    let id = object.object_id().parse().map_err(CallError::unreadable)?;
    let digest = object.digest().parse().map_err(CallError::unreadable)?;
    Ok(ObjectInput::owned(id, object.version(), digest))
}
