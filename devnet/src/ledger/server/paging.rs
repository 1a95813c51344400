//! Pages of long lists.
//!
//! Promises: a page has at least one place and at most as many as Sui's services give; a token is
//! the place where the next page begins, is as short as a name of that place, and goes on to work
//! when what was there is gone.

use sui_sdk_types::Address;
use tonic::Status;

/// Items of a page if nobody says how many.
const PAGE_ITEMS: u32 = 50;
/// The most items of a page.
const PAGE_ITEMS_MAX: u32 = 1000;

/// How many items a page may have.
pub(super) fn size(asked: Option<u32>) -> usize {
    let size = asked.unwrap_or(PAGE_ITEMS).clamp(1, PAGE_ITEMS_MAX);
    usize::try_from(size).expect("a page fits a usize")
}

/// The object a page begins with; the first of all without a token.
pub(super) fn start(token: Option<impl AsRef<[u8]>>) -> Result<Address, Status> {
    match token {
        Some(token) => Address::from_bytes(token.as_ref()).map_err(|_| bad_token()),
        None => Ok(Address::ZERO),
    }
}

/// The token of the page that begins with an object.
pub(super) fn token(id: Address) -> Vec<u8> {
    id.inner().to_vec()
}

/// The answer to a token that this ledger did not give.
pub(super) fn bad_token() -> Status {
    Status::invalid_argument("this is not a page token of this ledger; begin with the first page")
}
