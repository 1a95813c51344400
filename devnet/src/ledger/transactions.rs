//! Transactions: who may send them, what they do to objects, what is recorded of them.
//!
//! Promises: a transaction happens completely or costs gas and nothing else; a refused one costs
//! nothing; the same transaction on the same objects always has the same effects.
//! Does not: store, order or publish anything.

mod calls;
mod effects;
mod loading;
mod machine;
mod resolution;
mod signatures;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;

use sui_sdk_types::{
    Address, ExecutionError, Object, Owner, Transaction, TransactionEffects, TransactionEvents,
};

use super::objects::{Changes, Names, Objects, Resource, StoredFields};
use super::tables;
use effects::Output;
use loading::Loaded;
use machine::Machine;

pub(super) use effects::wrap_event;
pub(super) use resolution::{Checks, resolve};
pub(super) use signatures::authorise;

/// What every transaction costs, whatever it does, in MIST.
pub(super) const GAS_COST: u64 = 1_000_000;
/// The least price of a unit of gas, in MIST.
pub(super) const GAS_PRICE: u64 = 1_000;
/// The most a transaction may offer for gas, in MIST.
pub(super) const GAS_BUDGET_MAX: u64 = 50_000_000_000;
/// Sui's own epoch: the chain's validators never change here.
pub(super) const CHAIN_EPOCH: u64 = 0;

/// Why a transaction is not executed at all.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The signatures do not authorise it.
    #[error("{0}")]
    Signature(String),
    /// The embedded ledger cannot do this.
    #[error("the embedded ledger does not support {0}")]
    Unsupported(&'static str),
    /// More than a bound allows.
    #[error("the transaction has more {0} than a transaction may have")]
    TooLarge(&'static str),
    /// An object is not there.
    #[error("object {0} does not exist")]
    NotFound(Address),
    /// An object has moved on.
    #[error("object {id} is at version {current}, not {named}; read it again and rebuild")]
    Stale {
        /// The object.
        id: Address,
        /// The version the transaction names.
        named: u64,
        /// The version there is.
        current: u64,
    },
    /// An object belongs to somebody else or is used as what it is not.
    #[error("object {0} may not be used this way by this sender")]
    NotAllowed(Address),
    /// An object is named twice.
    #[error("object {0} is an input twice")]
    Repeated(Address),
    /// The gas offered does not do.
    #[error("{0}")]
    Gas(String),
    /// It cannot be read.
    #[error("the transaction cannot be read: {0}")]
    Unreadable(String),
}

/// What happened.
#[derive(Clone, Debug)]
pub(super) struct Executed {
    /// What is recorded, signed through the checkpoint.
    pub(super) effects: TransactionEffects,
    /// What it said.
    pub(super) events: Option<TransactionEvents>,
    /// What it did to the objects.
    pub(super) changes: Changes,
}

/// Executes a transaction against the objects as they are now, changing none of them, at the time
/// of `clock`.
pub(super) fn execute(
    names: &Names,
    objects: &Objects,
    clock: &Object,
    transaction: &Transaction,
) -> Result<Executed, Refused> {
    let loaded = loading::load(names, objects, clock, transaction)?;
    let digest = transaction.digest();
    let stored = StoredFields { names, objects };
    let output = match run(&stored, transaction, loaded.clone()) {
        Ok(output) => with_stake(&stored, output),
        Err(failure) => Output::failed(&loaded, *failure),
    };
    let mut before = loaded.before();
    let fields = output.fields.keys().copied().map(|id| Address::new(id.into()));
    for id in fields.chain(output.views.iter().map(Resource::id)) {
        before.extend(objects.get(&id).map(|object| (id, object.clone())));
    }
    Ok(effects::record(names, transaction, digest, &loaded, &before, output))
}

/// Adds what follows from a change of the state of stake: entries of its tables, and its views.
fn with_stake(stored: &StoredFields<'_>, mut output: Output) -> Output {
    let new = output.kept.iter().find_map(|object| match object {
        Resource::StakingInner(state) => Some(state.clone()),
        _ => None,
    });
    let (Some(new), Some(old)) = (new, stored.objects.stake()) else { return output };
    if !Arc::ptr_eq(&new, old) {
        output.fields.extend(tables::changes(Some(old), &new));
        output.views = views::changed(stored, old, &new);
        output.stake = Some(new);
    }
    output
}

/// Why a run ended early.
#[derive(Debug)]
struct Failure {
    error: ExecutionError,
    /// The command that failed; nothing if all ran and left something over.
    command: Option<u64>,
}

/// Runs every command; the first that fails undoes all.
fn run(
    stored: &StoredFields<'_>,
    transaction: &Transaction,
    loaded: Loaded,
) -> Result<Output, Box<Failure>> {
    let failed = |error, command| Box::new(Failure { error, command });
    let mut machine = Machine::new(stored, transaction, loaded);
    for (index, command) in (0..).zip(&loading::programmable(transaction).commands) {
        machine.step(command).map_err(|error| failed(error, Some(index)))?;
    }
    machine.finish().map_err(|error| failed(error, None))
}

/// The objects a transaction can change, as they were before it.
type Before = BTreeMap<Address, Object>;

/// Whether an account owns an object.
fn is_owned_by(object: &Object, account: &Address) -> bool {
    *object.owner() == Owner::Address(*account)
}
