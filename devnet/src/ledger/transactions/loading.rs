//! From the names in a transaction to the objects it may use.
//!
//! Promises: every input exists at the named version and may be used by this sender; gas is
//! enough; every count is bounded. What is wrong here costs no gas.

use std::collections::BTreeSet;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::Coin;
use sui_sdk_types::{
    Address, Command, Input, Object, ObjectReference, Owner, ProgrammableTransaction, SharedInput,
    Transaction, TransactionExpiration, TransactionKind,
};

use super::{Before, GAS_BUDGET_MAX, GAS_COST, GAS_PRICE, Names, Objects, Refused, is_owned_by};
use crate::ledger::objects::{Resource, coin_balance};

/// Bounds of Sui's own protocol configuration.
const INPUTS_MAX: usize = 2048;
const COMMANDS_MAX: usize = 1024;
const ARGUMENTS_MAX: usize = 512;
const PURE_BYTES_MAX: usize = 16 * 1024;
const GAS_OBJECTS_MAX: usize = 256;

/// How a transaction may use one of its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The sender's own: by value or by reference.
    Owned,
    /// Shared and to be changed: by reference.
    SharedMutable,
    /// Shared and only read: by immutable reference.
    SharedReadOnly,
}

/// One input of a transaction.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "inputs are few, and most are objects")]
pub(super) enum Slot {
    /// Plain bytes.
    Pure(Vec<u8>),
    /// An object, until it is taken.
    Object {
        /// How it may be used.
        access: Access,
        /// The object.
        value: Option<Resource>,
    },
}

/// Everything a transaction works on.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    /// Inputs in order.
    pub(super) inputs: Vec<Slot>,
    /// The objects behind the inputs, with their use.
    pub(super) objects: Vec<(Object, Access)>,
    /// The coins that pay for gas; all but the first vanish into it.
    pub(super) gas_objects: Vec<Object>,
    /// The first gas coin holding what all of them held.
    pub(super) gas: Coin,
    /// The version everything written will have.
    pub(super) version: u64,
}

impl Loaded {
    /// The objects that change, as they were.
    pub(super) fn before(&self) -> Before {
        let inputs = self.objects.iter().filter(|(_, access)| *access != Access::SharedReadOnly);
        let objects = inputs.map(|(object, _)| object).chain(&self.gas_objects);
        objects.map(|object| (object.object_id(), object.clone())).collect()
    }
}

/// The commands of a transaction that [`load`] accepted.
pub(super) fn programmable(transaction: &Transaction) -> &ProgrammableTransaction {
    match &transaction.kind {
        TransactionKind::ProgrammableTransaction(programmable) => programmable,
        _ => unreachable!("only programmable transactions are loaded"),
    }
}

/// Finds and checks everything a transaction names.
pub(super) fn load(
    names: &Names,
    objects: &Objects,
    clock: &Object,
    transaction: &Transaction,
) -> Result<Loaded, Refused> {
    let TransactionKind::ProgrammableTransaction(programmable) = &transaction.kind else {
        return Err(Refused::Unsupported("transactions other than programmable ones"));
    };
    check_bounds(programmable)?;
    check_expiration(&transaction.expiration)?;
    let (gas_objects, gas) = load_gas(names, objects, transaction)?;
    let mut seen: BTreeSet<_> = gas_objects.iter().map(Object::object_id).collect();
    if seen.len() != gas_objects.len() {
        return Err(Refused::Gas("a gas coin is named twice".to_owned()));
    }
    let (mut inputs, mut used) = (Vec::new(), Vec::new());
    for input in &programmable.inputs {
        let (object, access) = match input {
            Input::Pure(bytes) if bytes.len() > PURE_BYTES_MAX => {
                return Err(Refused::TooLarge("bytes in one argument"));
            }
            Input::Pure(bytes) => {
                inputs.push(Slot::Pure(bytes.clone()));
                continue;
            }
            Input::ImmutableOrOwned(reference) => {
                (owned(objects, reference, &transaction.sender)?, Access::Owned)
            }
            Input::Shared(shared) => load_shared(objects, clock, shared)?,
            _ => return Err(Refused::Unsupported("receiving objects and address balances")),
        };
        let id = object.object_id();
        if !seen.insert(id) {
            return Err(Refused::Repeated(id));
        }
        let value = objects.resource(names, object).ok_or(Refused::NotAllowed(id))?;
        // Views change with what they show, and the clock by itself.
        let of_its_own =
            matches!(value, Resource::Staking(_) | Resource::StakingPool(_) | Resource::Clock(_));
        if access == Access::SharedMutable && of_its_own {
            return Err(Refused::NotAllowed(id));
        }
        let value = Some(value);
        inputs.push(Slot::Object { access, value });
        used.push((object.clone(), access));
    }
    let versions = used.iter().map(|(object, _)| object).chain(&gas_objects).map(Object::version);
    let version = versions.max().unwrap_or_default() + 1;
    Ok(Loaded { inputs, objects: used, gas_objects, gas, version })
}

fn check_bounds(programmable: &ProgrammableTransaction) -> Result<(), Refused> {
    if programmable.inputs.len() > INPUTS_MAX {
        return Err(Refused::TooLarge("inputs"));
    }
    if programmable.commands.len() > COMMANDS_MAX {
        return Err(Refused::TooLarge("commands"));
    }
    for command in &programmable.commands {
        let arguments = match command {
            Command::MoveCall(call) => call.arguments.len(),
            Command::TransferObjects(transfer) => transfer.objects.len(),
            Command::SplitCoins(split) => split.amounts.len(),
            Command::MergeCoins(merge) => merge.coins_to_merge.len(),
            _ => return Err(Refused::Unsupported("publishing, upgrading and vectors of objects")),
        };
        if arguments > ARGUMENTS_MAX {
            return Err(Refused::TooLarge("arguments of a command"));
        }
    }
    Ok(())
}

fn check_expiration(expiration: &TransactionExpiration) -> Result<(), Refused> {
    match expiration {
        // The chain's own epoch never changes, so none is over.
        TransactionExpiration::None | TransactionExpiration::Epoch(_) => Ok(()),
        _ => Err(Refused::Unsupported("transactions valid for a time only")),
    }
}

fn load_gas(
    names: &Names,
    objects: &Objects,
    transaction: &Transaction,
) -> Result<(Vec<Object>, Coin), Refused> {
    let payment = &transaction.gas_payment;
    if payment.price < GAS_PRICE {
        return Err(Refused::Gas(format!("the gas price is below {GAS_PRICE}")));
    }
    if !(GAS_COST..=GAS_BUDGET_MAX).contains(&payment.budget) {
        let text = format!("the gas budget must be between {GAS_COST} and {GAS_BUDGET_MAX}");
        return Err(Refused::Gas(text));
    }
    if payment.objects.len() > GAS_OBJECTS_MAX {
        return Err(Refused::TooLarge("gas coins"));
    }
    let (mut coins, mut total) = (Vec::new(), 0_u64);
    for reference in &payment.objects {
        let object = owned(objects, reference, &payment.owner)?;
        let sui = matches!(Resource::read(names, object),
            Some(Resource::Coin { token, .. }) if token == names.sui);
        let balance = coin_balance(object).filter(|_| sui);
        let balance = balance.ok_or(Refused::NotAllowed(object.object_id()))?;
        total = total
            .checked_add(balance)
            .ok_or_else(|| Refused::Gas("the gas coins hold more than a coin can".to_owned()))?;
        coins.push(object.clone());
    }
    let Some(first) = coins.first() else {
        return Err(Refused::Gas("the transaction names no gas coin".to_owned()));
    };
    if total < payment.budget {
        let text = format!("the gas coins hold {total}, less than the budget {}", payment.budget);
        return Err(Refused::Gas(text));
    }
    let gas = Coin { id: ObjectId::from_bytes(*first.object_id().inner()), balance: total };
    Ok((coins, gas))
}

fn owned<'a>(
    objects: &'a Objects,
    reference: &ObjectReference,
    owner: &Address,
) -> Result<&'a Object, Refused> {
    let id = *reference.object_id();
    let object = objects.get(&id).ok_or(Refused::NotFound(id))?;
    if object.version() != reference.version() || object.digest() != *reference.digest() {
        return Err(Refused::Stale { id, named: reference.version(), current: object.version() });
    }
    match is_owned_by(object, owner) {
        true => Ok(object),
        false => Err(Refused::NotAllowed(id)),
    }
}

fn load_shared<'a>(
    objects: &'a Objects,
    clock: &'a Object,
    shared: &SharedInput,
) -> Result<(&'a Object, Access), Refused> {
    let id = shared.object_id();
    let object = match id == clock.object_id() {
        true => clock,
        false => objects.get(&id).ok_or(Refused::NotFound(id))?,
    };
    if *object.owner() != Owner::Shared(shared.version()) {
        return Err(Refused::NotAllowed(id));
    }
    match shared.mutability().is_mutable() {
        true => Ok((object, Access::SharedMutable)),
        false => Ok((object, Access::SharedReadOnly)),
    }
}
