//! Twin of `wal`: the token, whose supply is fixed at genesis.
//!
//! Promises: what is taken from a coin is handed to the caller, never created or lost.

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::object::Coin;

/// All WAL there will ever be, in its smallest unit (9 decimals).
pub(crate) const SUPPLY: u64 = 5_000_000_000_000_000_000;

/// Takes a payment out of a coin: first the caller's limit, then the coin's balance.
pub(super) fn pay(coin: &mut Coin, amount: u64, max_total: u64) -> Result<u64, Abort> {
    if amount > max_total {
        return Err(Abort::PriceAboveLimit);
    }
    coin.balance = coin.balance.checked_sub(amount).ok_or(Abort::InsufficientPayment)?;
    Ok(amount)
}
