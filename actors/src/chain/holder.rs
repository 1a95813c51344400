//! Whose an object is, as its own bytes say.

use haulout_protocol::chain::ObjectId;
use sui_sdk_types::{Object, Owner};

/// Who can use an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// One account.
    Account(ObjectId),
    /// Not one account: it is shared, frozen or part of another object.
    Other,
}

/// Whose an object is.
pub(super) fn holder_of(object: &Object) -> Holder {
    match object.owner() {
        Owner::Address(account) => Holder::Account(account.into_inner().into()),
        _ => Holder::Other,
    }
}
