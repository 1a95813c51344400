//! Completes a transaction a client has only sketched: kinds, versions, mutability, gas.
//!
//! Promises: what the client did say is kept; what it left out is what execution would accept
//! now.

use std::collections::BTreeSet;

use haulout_protocol::chain::amount::Token;
use haulout_protocol::chain::call::Function;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{
    Address, Object, Owner, StructTag, Transaction, TransactionExpiration, TypeTag,
};

use super::{GAS_COST, GAS_PRICE, Objects, Refused};
use crate::ledger::objects::{coin_balance, reference};

/// The most gas coins chosen for a sender.
const GAS_COINS_MAX: usize = 16;

/// Parameters that are only read, by function and position.
const READ_ONLY: [(Function, usize); 20] = [
    (Function::REGISTER_BLOB, 1),
    (Function::CERTIFY_BLOB, 0),
    (Function::EXTEND_BLOB_WITH_RESOURCE, 0),
    (Function::DELETE_BLOB, 0),
    (Function::BURN_BLOB, 0),
    (Function::REGISTER_NODE, 1),
    (Function::STAKE_WITH_POOL, 1),
    (Function::VOTING_END, 1),
    (Function::VOTING_END, 2),
    (Function::VOTING_END, 3),
    (Function::EPOCH_CHANGE, 2),
    (Function::EPOCH_CHANGE, 4),
    (Function::EPOCH_SYNC_DONE, 3),
    (Function::FORCE_SYNC_DONE, 1),
    (Function::FORCE_SYNC_DONE, 2),
    (Function::UPDATE_PRICES, 0),
    (Function::UPDATE_PRICES, 2),
    (Function::SPLIT_STAKED, 1),
    (Function::ROTATE_BLS, 1),
    (Function::ROTATE_PEER, 1),
];

/// Whether a simulated transaction must be one that could be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum Checks {
    /// It must be paid for.
    On,
    /// Nobody has to pay for it yet.
    Off,
}

/// The complete transaction, from what the client knows and the objects as they are now.
pub(in crate::ledger) fn resolve(
    objects: &Objects,
    sketch: &rpc::Transaction,
    checks: Checks,
) -> Result<Transaction, Refused> {
    if sketch.bcs.is_some() {
        return read(sketch);
    }
    let mut sketch = sketch.clone();
    let sender: Address =
        sketch.sender().parse().map_err(|_| Refused::Unreadable("no sender".to_owned()))?;
    if sketch.version.is_none() {
        sketch.version = Some(1);
    }
    if sketch.expiration.is_none() {
        sketch.expiration = Some(TransactionExpiration::None.into());
    }
    let kind = sketch.kind_mut();
    kind.set_kind(rpc::transaction_kind::Kind::ProgrammableTransaction);
    let programmable = kind.programmable_transaction_mut();
    for index in 0..programmable.inputs.len() {
        let writes = writes_input(programmable, index);
        resolve_input(objects, &mut programmable.inputs[index], writes)?;
    }
    let inputs = programmable.inputs.iter().filter_map(|input| input.object_id().parse().ok());
    let inputs = inputs.collect();
    let spends_gas = programmable.commands.iter().any(spends_gas);
    match resolve_gas(objects, sender, sketch.gas_payment_mut(), &inputs, spends_gas) {
        Err(Refused::Gas(_)) if checks == Checks::Off => {}
        resolved => resolved?,
    }
    read(&sketch)
}

fn read(transaction: &rpc::Transaction) -> Result<Transaction, Refused> {
    Transaction::try_from(transaction).map_err(|error| Refused::Unreadable(error.to_string()))
}

fn resolve_input(objects: &Objects, input: &mut rpc::Input, writes: bool) -> Result<(), Refused> {
    use rpc::input::{InputKind, Mutability};
    if input.object_id.is_none() {
        if input.pure.is_some() {
            input.set_kind(InputKind::Pure);
        }
        return Ok(());
    }
    let id: Address = input
        .object_id()
        .parse()
        .map_err(|_| Refused::Unreadable(format!("{:?} is no object id", input.object_id())))?;
    let object = objects.get(&id).ok_or(Refused::NotFound(id))?;
    if let Owner::Shared(start) = object.owner() {
        input.set_kind(InputKind::Shared);
        input.version.get_or_insert(*start);
        if input.mutable.is_none() && input.mutability() == Mutability::Unknown {
            input.set_mutable(writes);
        }
    } else {
        input.set_kind(InputKind::ImmutableOrOwned);
        input.version.get_or_insert(object.version());
        input.digest.get_or_insert_with(|| object.digest().to_string());
    }
    Ok(())
}

/// Whether any command needs the input mutable.
fn writes_input(programmable: &rpc::ProgrammableTransaction, index: usize) -> bool {
    let is_it = |argument: &rpc::Argument| {
        argument.kind() == rpc::argument::ArgumentKind::Input
            && usize::try_from(argument.input()).is_ok_and(|input| input == index)
    };
    programmable.commands.iter().any(|command| {
        let Some(rpc::command::Command::MoveCall(call)) = &command.command else {
            return false; // shared objects are used in calls only
        };
        call.arguments.iter().enumerate().any(|(position, argument)| {
            let reads = READ_ONLY.iter().any(|(function, at)| {
                function.module == call.module()
                    && function.name == call.function()
                    && *at == position
            });
            is_it(argument) && !reads
        })
    })
}

fn spends_gas(command: &rpc::Command) -> bool {
    use rpc::argument::ArgumentKind::Gas;
    let gas = |argument: &rpc::Argument| argument.kind() == Gas;
    match &command.command {
        Some(rpc::command::Command::SplitCoins(split)) => split.coin.as_ref().is_some_and(gas),
        Some(rpc::command::Command::TransferObjects(all)) => all.objects.iter().any(gas),
        _ => false,
    }
}

fn resolve_gas(
    objects: &Objects,
    sender: Address,
    payment: &mut rpc::GasPayment,
    inputs: &BTreeSet<Address>,
    spends_gas: bool,
) -> Result<(), Refused> {
    payment.price.get_or_insert(GAS_PRICE);
    let budget = *payment.budget.get_or_insert(GAS_COST);
    let owner = payment.owner.get_or_insert_with(|| sender.to_string());
    let owner: Address =
        owner.parse().map_err(|_| Refused::Unreadable("the gas owner is no address".to_owned()))?;
    if !payment.objects.is_empty() {
        return Ok(());
    }
    let gas = StructTag::coin(TypeTag::Struct(Box::new(StructTag::sui())));
    let mut coins: Vec<(u64, &Object)> = objects
        .owned_of_type(&owner, &gas, Address::ZERO)
        .filter(|object| !inputs.contains(&object.object_id()))
        .filter_map(|object| Some((coin_balance(object)?, object)))
        .collect();
    coins.sort_by_key(|(balance, _)| std::cmp::Reverse(*balance));
    let (mut total, mut chosen) = (0_u64, Vec::new());
    for (balance, coin) in coins.into_iter().take(GAS_COINS_MAX) {
        // A transaction that spends from its gas coin gets all of it; others just enough.
        if total >= budget && !spends_gas {
            break;
        }
        total = total.saturating_add(balance);
        chosen.push(reference(coin).into());
    }
    if total < budget {
        let [held, needed] = [total, budget].map(|mist| Token::Sui.amount(mist));
        let text = format!("{owner} has {held} for gas and needs {needed}; ask the faucet");
        return Err(Refused::Gas(text));
    }
    payment.objects = chosen;
    Ok(())
}
