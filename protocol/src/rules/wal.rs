//! Twin of `wal`: the token, whose supply is fixed at genesis.
//!
//! Promises: what is taken from a coin is handed to the caller, never created or lost; what is
//! burned leaves the supply.

use crate::chain::abort::Abort;
use crate::chain::event::{Burned, Event};
use crate::chain::object::{Coin, Treasury};

use super::Context;

/// All WAL there will ever be, in its smallest unit (9 decimals).
pub const SUPPLY: u64 = 5_000_000_000_000_000_000;

/// Why WAL is burned; the numbers are those of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reason {
    /// Its owner wants so.
    Owner = 0,
    /// The share of an epoch's fees that nobody gets.
    Epoch = 1,
    /// A part of what members lost for missing work.
    Forfeit = 2,
}

/// Takes a payment out of a coin: first the caller's limit, then the coin's balance.
pub(super) fn pay(coin: &mut Coin, amount: u64, max_total: u64) -> Result<u64, Abort> {
    if amount > max_total {
        return Err(Abort::PriceAboveLimit);
    }
    coin.balance = coin.balance.checked_sub(amount).ok_or(Abort::InsufficientPayment)?;
    Ok(amount)
}

/// Burns a whole coin.
pub fn burn(context: &mut Context<'_>, treasury: &mut Treasury, coin: Coin) -> Result<(), Abort> {
    let Coin { id, balance } = coin;
    context.deleted.insert(id);
    leave_supply(treasury, balance)?;
    say_burned(context, balance, Reason::Owner);
    Ok(())
}

/// Takes out of the supply what the caller has taken from somewhere.
pub(super) fn leave_supply(treasury: &mut Treasury, amount: u64) -> Result<(), Abort> {
    let left = treasury.total_supply.checked_sub(amount).ok_or(Abort::TokenOverflow)?;
    treasury.total_supply = left;
    Ok(())
}

/// Says that WAL leaves the supply.
pub(super) fn say_burned(context: &mut Context<'_>, amount: u64, reason: Reason) {
    context.events.push(Event::Burned(Burned { amount, reason: reason as u8 }));
}
