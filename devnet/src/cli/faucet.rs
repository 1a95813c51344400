//! `devnet faucet`: WAL and SUI for any address.
//!
//! Promises: what was given is on the ledger when it returns. Does not: count; the faucet of a desk
//! gives to everybody, as long as it has something.

use std::num::IntErrorKind;
use std::time::Duration;

use clap::Args;
use haulout_node::error::{Error, Kind, Result};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::amount::{Amount, Token};
use serde_json::{Value, json};

use super::{card_of, connect, duration, patience, print_line, print_text, status};
use crate::probe;
use crate::state::{Card, StateDirectory};

/// Give WAL and SUI to an address
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        devnet faucet 0x5c1e...           # 500 WAL and 100 SUI\n  \
                        devnet faucet bob 2000WAL         # and the usual 100 SUI\n  \
                        devnet faucet 0x5c1e... 0WAL 5SUI\n\
                        `haulout wallet address` prints the address of your wallet.")]
pub(super) struct Faucet {
    /// 0x and up to 64 hex digits, or the name of an account of this devnet (alice, bob, carol)
    address: String,
    /// How much, as in 500WAL, 0.5SUI, 100FROST or 100MIST; a plain number is WAL [default: 500WAL 100SUI]
    #[arg(value_parser = read_amount, num_args = 0..=2)]
    amount: Vec<Amount>,
    /// How long to wait for a ledger that does not answer
    #[arg(long, default_value = "60s", value_parser = duration)]
    timeout: Duration,
}

/// An amount as people write it: a number and its unit.
pub(super) fn read_amount(text: &str) -> std::result::Result<Amount, String> {
    let wrong =
        || format!("{text:?} is not an amount: write it as in 500WAL, 0.5SUI, 100FROST or 100MIST");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let (token, decimals) = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "WAL" => (Token::Wal, 9),
        "FROST" => (Token::Wal, 0),
        "SUI" => (Token::Sui, 9),
        "MIST" => (Token::Sui, 0),
        _ => return Err(wrong()),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let fits = !whole.is_empty() && part.len() <= decimals && !number.ends_with('.');
    if !fits || part.contains('.') {
        return Err(wrong());
    }
    let digits = format!("{whole}{part:0<decimals$}");
    match digits.parse::<u64>() {
        Ok(smallest) => Ok(token.amount(smallest)),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => {
            let most = token.amount(u64::MAX);
            Err(format!("{text:?} is too large: no coin has more than {most}"))
        }
        Err(_) => Err(wrong()),
    }
}

impl Faucet {
    /// Refuses two amounts of one token: which of them is meant, or both, nobody knows.
    fn one_amount_of_each(&self) -> Result<()> {
        match self.amount.as_slice() {
            [one, other] if one.token == other.token => {
                Err(Error::new(Kind::Usage, format!("{one} and {other} are of one token"))
                    .hint("give one amount of each, as in 20WAL 5SUI; see `devnet help faucet`"))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn run(&self, directory: &StateDirectory, json: bool) -> Result<()> {
        self.one_amount_of_each()?;
        let card = card_of(directory)?;
        // A devnet that does not run says so, and how to start it.
        drop(connect(directory).await?);
        let recipient = address(&card, &self.address)?;
        let wanted = |token| self.amount.iter().find(|amount| amount.token == token);
        let [wal, sui] = [Token::Wal, Token::Sui].map(|token| wanted(token).map(|it| it.smallest));
        let place = status::place(&card).ok_or_else(|| card.damaged())?;
        patience::ledger(directory, &place, self.timeout).await?;
        let coins = give(&card, &recipient, wal, sui).await?;
        let now = probe::balances(&place, &recipient).await?;
        if json {
            return print_line(&json!({
                "address": recipient.to_string(),
                "coins": coins,
                "balances": { "wal_frost": now.wal, "sui_mist": now.sui },
            }));
        }
        let (wal, sui) = (Token::Wal.amount(now.wal), Token::Sui.amount(now.sui));
        print_text(&format!("✓ {} has {wal} and {sui} now\n", recipient))
    }
}

/// Gives so much FROST and MIST to an address, the usual where nothing is said; the coins, as the faucet tells them.
pub(super) async fn give(
    card: &Card,
    recipient: &ObjectId,
    wal: Option<u64>,
    sui: Option<u64>,
) -> Result<Value> {
    let body = json!({ "recipient": recipient.to_string(), "wal_frost": wal, "sui_mist": sui });
    let mut answer = probe::post(card.faucet_port()?, "/devnet/gift", &body).await?;
    if answer["status"] == "Success" {
        return Ok(answer["coins_sent"].take());
    }
    let reason = answer["status"]["Failure"]["Internal"].as_str();
    let reason = reason.map_or_else(|| answer.to_string(), str::to_owned);
    Err(Error::new(Kind::Chain, format!("the faucet gave nothing: {reason}"))
        .hint("ask for less; `devnet up --fresh` starts over with a full faucet"))
}

/// The address in an argument: an account of this devnet, or any other.
fn address(card: &Card, text: &str) -> Result<ObjectId> {
    let named = card.accounts.iter().find(|account| account.name == text);
    let is_bare = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let text = match named {
        Some(account) => account.address.clone(),
        None if is_bare => format!("0x{text}"),
        None => text.to_owned(),
    };
    text.parse::<ObjectId>().map_err(|error| {
        let names: Vec<&str> = card.accounts.iter().map(|account| account.name.as_str()).collect();
        Error::new(Kind::Usage, format!("{text:?} is not an address")).because(error).hint(format!(
            "write 0x and up to 64 hex digits, as `haulout wallet address` prints them, or {}",
            names.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_say_which_token_and_are_exact() {
        for (text, token, units) in [
            ("500", Token::Wal, 500_000_000_000),
            ("500WAL", Token::Wal, 500_000_000_000),
            ("0.5 sui", Token::Sui, 500_000_000),
            ("7FROST", Token::Wal, 7),
            ("7MIST", Token::Sui, 7),
            ("0SUI", Token::Sui, 0),
        ] {
            assert_eq!(read_amount(text), Ok(token.amount(units)), "{text}");
        }
        for text in
            ["", "WAL", "5.", "-1", "0.5MIST", "1.0000000001SUI", "5 EUR", "1e3", "99999999999WAL"]
        {
            assert!(read_amount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_no_coin_can_have_is_too_large_and_not_no_amount() {
        for text in ["99999999999WAL", "18446744074", "99999999999999999999MIST"] {
            assert!(read_amount(text).unwrap_err().contains("is too large: "), "{text}");
        }
        assert!(read_amount("18446744073.709551615WAL").is_ok());
        for text in ["9999999999999999999999 EUR", "99999999999999999999.1.2WAL"] {
            assert!(read_amount(text).unwrap_err().contains("is not an amount: "), "{text}");
        }
    }
}
