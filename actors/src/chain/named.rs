//! The objects of its sender that a transaction names: what it spends, in one version and no other.
//!
//! Does not: ask whether they are still so.

use sui_sdk_types::{Address, Input, ObjectReference, Transaction, TransactionKind};

/// An object that a transaction takes in one version and no other.
pub(super) type Named = (Address, u64);

/// The objects of its sender that a transaction names, those that pay for gas included.
pub(super) fn inputs(transaction: &Transaction) -> Vec<Named> {
    let all = references(transaction).into_iter();
    all.map(|reference| (*reference.object_id(), reference.version())).collect()
}

/// The same with their digests.
pub(super) fn references(transaction: &Transaction) -> Vec<ObjectReference> {
    let inputs = match &transaction.kind {
        TransactionKind::ProgrammableTransaction(commands) => commands.inputs.as_slice(),
        _ => &[],
    };
    let owned = inputs.iter().filter_map(|input| match input {
        Input::ImmutableOrOwned(reference) => Some(reference),
        _ => None,
    });
    owned.chain(&transaction.gas_payment.objects).cloned().collect()
}
