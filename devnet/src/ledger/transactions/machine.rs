//! Executes the commands of one transaction on its own copies of the objects.
//!
//! Promises: a value is in one place at a time; what is borrowed cannot be taken; nothing of
//! value is dropped.
//! Does not: touch the object store. A machine that failed is thrown away.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::Event;
use haulout_protocol::chain::object::Coin;
use serde::de::DeserializeOwned;
use sui_sdk_types::{
    Address, Argument, Command, CommandArgumentError, ExecutionError, Identifier, MergeCoins,
    MoveCall, SplitCoins, StructTag, Transaction, TransferObjects,
};

use super::effects::Output;
use super::loading::{Access, Loaded, Slot};
use crate::ledger::fields;
use crate::ledger::objects::{Names, Resource, StoredFields};
use haulout_protocol::rules::Context;

/// How a command uses an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Takes it for good.
    Value,
    /// Changes it.
    Mutable,
    /// Reads it.
    Immutable,
}

/// The state of a running transaction.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    pub(super) names: &'a Names,
    pub(super) context: Context<'a>,
    pub(super) sender: Address,
    reserved: u64,
    gas: Option<Resource>,
    inputs: Vec<Slot>,
    results: Vec<Vec<Option<Resource>>>,
    transferred: Vec<(Resource, Address)>,
    events: Vec<(Identifier, Event)>,
}

/// An argument error at a position of the command.
pub(super) fn at(argument: usize, kind: CommandArgumentError) -> ExecutionError {
    let argument = u16::try_from(argument).expect("arguments of a command are bounded");
    ExecutionError::CommandArgumentError { argument, kind }
}

impl<'a> Machine<'a> {
    /// A machine before the first command; the gas budget is set aside.
    pub(super) fn new(
        stored: &'a StoredFields<'a>,
        transaction: &Transaction,
        loaded: Loaded,
    ) -> Self {
        let names = stored.names;
        let reserved = transaction.gas_payment.budget;
        let gas = Coin { id: loaded.gas.id, balance: loaded.gas.balance - reserved };
        Machine {
            names,
            context: Context::new(transaction.digest().into_inner()).over(stored),
            sender: transaction.sender,
            reserved,
            gas: Some(Resource::Coin { token: names.sui.clone(), coin: gas }),
            inputs: loaded.inputs,
            results: Vec::new(),
            transferred: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Executes the next command.
    pub(super) fn step(&mut self, command: &Command) -> Result<(), ExecutionError> {
        let results = match command {
            Command::MoveCall(call) => self.call_and_listen(call)?,
            Command::TransferObjects(transfer) => self.transfer(transfer)?,
            Command::SplitCoins(split) => self.split(split)?,
            Command::MergeCoins(merge) => self.merge(merge)?,
            _ => return Err(ExecutionError::FeatureNotYetSupported),
        };
        self.results.push(results.into_iter().map(Some).collect());
        Ok(())
    }

    /// Calls a function and notes what it said; Sui files events under the module called.
    fn call_and_listen(&mut self, call: &MoveCall) -> Result<Vec<Resource>, ExecutionError> {
        let results = self.call(call)?;
        let said = std::mem::take(&mut self.context.events);
        self.events.extend(said.into_iter().map(|event| (call.module.clone(), event)));
        Ok(results)
    }

    /// What the transaction leaves behind; an error if that would drop something.
    pub(super) fn finish(self) -> Result<Output, ExecutionError> {
        for (result, values) in (0..).zip(&self.results) {
            for (subresult, value) in (0..).zip(values) {
                if value.is_some() {
                    return Err(ExecutionError::UnusedValueWithoutDrop { result, subresult });
                }
            }
        }
        let mut kept = Vec::new();
        for slot in self.inputs {
            match slot {
                Slot::Object { value: Some(value), .. } => kept.push(value),
                Slot::Object { value: None, .. } | Slot::Pure(_) => {}
            }
        }
        kept.extend(self.gas);
        let (reserved, transferred, events) = (self.reserved, self.transferred, self.events);
        let deleted =
            self.context.deleted.iter().copied().map(|id| Address::new(id.into())).collect();
        let (created, fields) = self.context.finish();
        let fields = fields::changes(fields);
        let created = created.into_iter().map(|id| Address::new(id.into())).collect();
        let (failure, stake, views) = (None, None, Vec::new());
        Ok(Output {
            failure,
            kept,
            transferred,
            created,
            deleted,
            fields,
            stake,
            views,
            events,
            reserved,
        })
    }

    /// Takes an argument out of its place; references must be put back with [`Self::put_back`].
    pub(super) fn take(
        &mut self,
        argument: Argument,
        usage: Use,
    ) -> Result<Resource, CommandArgumentError> {
        if argument == Argument::Gas && usage == Use::Value {
            return Err(CommandArgumentError::InvalidGasCoinUsage);
        }
        if let Argument::Input(index) = argument
            && let Some(Slot::Object { access, .. }) = self.inputs.get(usize::from(index))
        {
            match (usage, access) {
                (Use::Value, Access::SharedMutable | Access::SharedReadOnly) => {
                    return Err(CommandArgumentError::InvalidObjectByValue);
                }
                (Use::Mutable, Access::SharedReadOnly) => {
                    return Err(CommandArgumentError::InvalidObjectByMutRef);
                }
                _ => {}
            }
        }
        self.place(argument)?.take().ok_or(CommandArgumentError::InvalidValueUsage)
    }

    /// Notes that an object that was taken by value exists no more.
    pub(super) fn delete(&mut self, id: ObjectId) {
        self.context.deleted.insert(id);
    }

    /// Returns what was borrowed to where it came from.
    pub(super) fn put_back(&mut self, argument: Argument, value: Resource) {
        let place = self.place(argument).expect("the value was taken from this place");
        *place = Some(value);
    }

    fn place(&mut self, argument: Argument) -> Result<&mut Option<Resource>, CommandArgumentError> {
        let (index, subresult) = match argument {
            Argument::Gas => return Ok(&mut self.gas),
            Argument::Input(index) => {
                return match self.inputs.get_mut(usize::from(index)) {
                    Some(Slot::Object { value, .. }) => Ok(value),
                    Some(Slot::Pure(_)) => Err(CommandArgumentError::TypeMismatch),
                    None => Err(CommandArgumentError::IndexOutOfBounds { index }),
                };
            }
            Argument::Result(index) => (index, None),
            Argument::NestedResult(index, subresult) => (index, Some(subresult)),
        };
        let values = self
            .results
            .get_mut(usize::from(index))
            .ok_or(CommandArgumentError::IndexOutOfBounds { index })?;
        if subresult.is_none() && values.len() != 1 {
            return Err(CommandArgumentError::InvalidResultArity { result: index });
        }
        let subresult = subresult.unwrap_or_default();
        values
            .get_mut(usize::from(subresult))
            .ok_or(CommandArgumentError::SecondaryIndexOutOfBounds { result: index, subresult })
    }

    /// Reads a plain argument.
    pub(super) fn pure<T: DeserializeOwned>(
        &self,
        argument: Argument,
    ) -> Result<T, CommandArgumentError> {
        let Argument::Input(index) = argument else {
            return Err(CommandArgumentError::TypeMismatch);
        };
        match self.inputs.get(usize::from(index)) {
            Some(Slot::Pure(bytes)) => {
                bcs::from_bytes(bytes).map_err(|_| CommandArgumentError::InvalidBcsBytes)
            }
            Some(Slot::Object { .. }) => Err(CommandArgumentError::TypeMismatch),
            None => Err(CommandArgumentError::IndexOutOfBounds { index }),
        }
    }

    fn transfer(&mut self, command: &TransferObjects) -> Result<Vec<Resource>, ExecutionError> {
        let recipient_at = command.objects.len();
        let recipient: Address =
            self.pure(command.address).map_err(|kind| at(recipient_at, kind))?;
        for (index, argument) in command.objects.iter().enumerate() {
            let value = match argument {
                Argument::Gas => self.gas.take().ok_or(CommandArgumentError::InvalidValueUsage),
                _ => self.take(*argument, Use::Value),
            };
            self.transferred.push((value.map_err(|kind| at(index, kind))?, recipient));
        }
        Ok(Vec::new())
    }

    fn split(&mut self, command: &SplitCoins) -> Result<Vec<Resource>, ExecutionError> {
        let (token, mut coin) = self.take_coin(0, command.coin, Use::Mutable)?;
        let mut parts = Vec::new();
        for (index, amount) in (1..).zip(&command.amounts) {
            let balance: u64 = self.pure(*amount).map_err(|kind| at(index, kind))?;
            coin.balance =
                coin.balance.checked_sub(balance).ok_or(ExecutionError::InsufficientCoinBalance)?;
            let part = Coin { id: self.context.fresh_id(), balance };
            parts.push(Resource::Coin { token: token.clone(), coin: part });
        }
        self.put_back(command.coin, Resource::Coin { token, coin });
        Ok(parts)
    }

    fn merge(&mut self, command: &MergeCoins) -> Result<Vec<Resource>, ExecutionError> {
        let (token, mut coin) = self.take_coin(0, command.coin, Use::Mutable)?;
        for (index, argument) in (1..).zip(&command.coins_to_merge) {
            let (other_token, other) = self.take_coin(index, *argument, Use::Value)?;
            if other_token != token {
                return Err(at(index, CommandArgumentError::TypeMismatch));
            }
            coin.balance = coin
                .balance
                .checked_add(other.balance)
                .ok_or(ExecutionError::CoinBalanceOverflow)?;
            self.context.deleted.insert(other.id);
        }
        self.put_back(command.coin, Resource::Coin { token, coin });
        Ok(Vec::new())
    }

    fn take_coin(
        &mut self,
        index: usize,
        argument: Argument,
        usage: Use,
    ) -> Result<(StructTag, Coin), ExecutionError> {
        match self.take(argument, usage).map_err(|kind| at(index, kind))? {
            Resource::Coin { token, coin } => Ok((token, coin)),
            _ => Err(at(index, CommandArgumentError::TypeMismatch)),
        }
    }
}
