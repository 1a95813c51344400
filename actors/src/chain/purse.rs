//! Coins to pay with: all of a wallet's count, however many there are.
//!
//! Promises: a call pays with the largest coins, as few as do; if more are needed than one
//! transaction takes, the largest are merged first, by transactions of their own; a refusal names
//! the whole balance.
//! Does not: choose coins for gas; the ledger does.

use std::pin::pin;

use futures::TryStreamExt;
use haulout_protocol::chain::amount::Token;
use haulout_protocol::chain::{ObjectId, wal_coin_type};
use tracing::info;

use super::coins::{COIN_FIELDS, Coin, Heap, Payment, Purse};
use super::error::CallError;
use super::handle::Chain;
use super::wallet::Wallet;
use crate::limits;

impl Chain {
    /// The coins of the token that an account has.
    pub(super) async fn purse(&self, account: &ObjectId) -> Result<Purse, CallError> {
        let kind = wal_coin_type(&self.shared.options.package);
        let mut coins = pin!(self.owned_objects(account, kind, &COIN_FIELDS, "coins"));
        let mut purse = Heap::default();
        while let Some(object) = coins.try_next().await? {
            purse.add(Coin::read(&object)?);
        }
        Ok(purse.close())
    }

    /// The same, known or read. The caller has the wallet's turn.
    pub(super) async fn purse_now(&self, account: &ObjectId) -> Result<Purse, CallError> {
        let known = self.shared.turns.account(account);
        if let Some(purse) = known.memory().coins_now() {
            return Ok(purse.clone());
        }
        let purse = self.purse(account).await?;
        known.memory().read(&purse, true);
        Ok(purse)
    }

    /// Coins that hold at least `needed` and fit one transaction; merges others before if they do
    /// not. The caller has the wallet's turn.
    pub(super) async fn coins_for(
        &self,
        wallet: &Wallet,
        needed: u64,
    ) -> Result<Vec<Coin>, CallError> {
        let (account, mut is_read) = (wallet.address(), false);
        for _ in 0..limits::CHAIN_MERGES_PER_CALL_MAX {
            let purse = self.purse_now(&account).await?;
            match purse.pay(needed) {
                Payment::With(coins) => return Ok(coins),
                // What is known may lack a coin that somebody sent.
                Payment::Short(_) if !std::mem::replace(&mut is_read, true) => {
                    self.shared.turns.account(&account).memory().forget_coins();
                }
                Payment::Short(available) => {
                    let (wallet, token) = (wallet.to_string(), Token::Wal);
                    return Err(CallError::InsufficientFunds { wallet, token, needed, available });
                }
                Payment::Merge(coins) => {
                    info!(count = coins.len(), "merging coins: a payment needs more than fit");
                    self.merge(wallet, &coins).await?;
                    self.shared.turns.account(&account).memory().forget_coins();
                }
            }
        }
        let amount = Token::Wal.amount(needed);
        Err(CallError::Rejected {
            reason: format!("{amount} are scattered over too many coins; merge some of them first"),
        })
    }
}
