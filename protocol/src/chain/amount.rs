//! Amounts of the ledger's two tokens, as people read them.
//!
//! Promises: exact, always with the unit, and written in one way: whole coins without trailing
//! zeros, as in `1.5 WAL` or `0.000006999 WAL`.
//! Does not: read amounts; the command line does.

use std::fmt;

/// The smallest units in one coin: FROST in a WAL, and MIST in a SUI.
pub const SMALLEST_PER_COIN: u64 = 1_000_000_000;

/// A token of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Pays for storage; its smallest unit is FROST.
    Wal,
    /// Pays for gas; its smallest unit is MIST.
    Sui,
}

/// So much of a token; its text is the amount with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Of which token.
    pub token: Token,
    /// How much, in the token's smallest unit.
    pub smallest: u64,
}

impl Token {
    /// An amount of this token in its smallest unit.
    pub const fn amount(self, smallest: u64) -> Amount {
        Amount { token: self, smallest }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Token::Wal => "WAL",
            Token::Sui => "SUI",
        })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.smallest / SMALLEST_PER_COIN, self.smallest % SMALLEST_PER_COIN);
        if part == 0 {
            return write!(f, "{whole} {}", self.token);
        }
        let part = format!("{part:09}");
        write!(f, "{whole}.{} {}", part.trim_end_matches('0'), self.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_exact_and_has_its_unit_and_no_trailing_zeros() {
        for (smallest, text) in [
            (0, "0 WAL"),
            (1, "0.000000001 WAL"),
            (6_999, "0.000006999 WAL"),
            (1_500_000_000, "1.5 WAL"),
            (20_000_000_000, "20 WAL"),
            (u64::MAX, "18446744073.709551615 WAL"),
        ] {
            assert_eq!(Token::Wal.amount(smallest).to_string(), text);
        }
        assert_eq!(Token::Sui.amount(1_000_000).to_string(), "0.001 SUI");
    }
}
