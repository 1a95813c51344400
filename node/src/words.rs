//! Amounts, parts and ids as people write them.
//!
//! Promises: an amount that parses is exact; a name from the ledger cannot move the cursor.

use haulout_protocol::chain::amount::{SMALLEST_PER_COIN, Token};
use serde_json::{Value, json};

use crate::terminal;

/// An amount in whole coins, without trailing zeros or unit: for programs that asked for one value.
pub(crate) fn coins(smallest: u64) -> String {
    let text = format!("{}.{:09}", smallest / SMALLEST_PER_COIN, smallest % SMALLEST_PER_COIN);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number of things: `1 object`, `2 objects`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// An amount of the token in its smallest unit: `500`, `500WAL`, `0.5WAL` or `123FROST`; a plain
/// number is WAL.
pub(crate) fn amount(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not an amount: write it as in 500WAL, 0.5WAL or 123FROST");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let decimals = match text[split..].trim_start() {
        "" | "WAL" | "wal" => 9,
        "FROST" | "frost" => 0,
        _ => return Err(wrong()),
    };
    decimal(&text[..split], decimals).ok_or_else(wrong)
}

/// For how many epochs: one is the least.
pub(crate) fn epochs(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        "it is a whole number of epochs, 1 or more; `haulout info` says how long one takes"
            .to_owned()
    })
}

/// A part of a whole in ten-thousandths: `5%`, `2.5%`, `5` or `500bps`.
pub(crate) fn basis_points(text: &str) -> Result<u16, String> {
    let wrong =
        || format!("`{text}` is not a part: write it as in 5%, 2.5% or 250bps, at most 100%");
    let (number, decimals) = match (text.strip_suffix('%'), text.strip_suffix("bps")) {
        (Some(number), _) => (number, 2),
        (None, Some(number)) => (number, 0),
        (None, None) => (text, 2),
    };
    let points = decimal(number.trim_end(), decimals)
        .filter(|points| *points <= 10_000)
        .ok_or_else(wrong)?;
    u16::try_from(points).map_err(|_| wrong())
}

/// A number with so many decimals at most, as a multiple of the last of them.
fn decimal(text: &str, decimals: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let fits = !whole.is_empty() && part.len() <= decimals && !text.ends_with('.');
    if !fits || !is_number(whole) || !is_number(part) {
        return None;
    }
    format!("{whole}{part:0<decimals$}").parse().ok()
}

/// Ten-thousandths as a percentage: `2.5 %`.
pub(crate) fn percent(basis_points: u64) -> String {
    let text = format!("{}.{:02}", basis_points / 100, basis_points % 100);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// An amount of the token for people.
pub(crate) fn wal(frost: u64) -> String {
    Token::Wal.amount(frost).to_string()
}

/// Prices of the network for people, in WAL as every amount: what a MiB costs for an epoch, and once.
pub(crate) fn prices(storage_frost: u64, write_frost: u64) -> String {
    format!("{}, {}", storage_price(storage_frost), write_price(write_frost))
}

/// The price of keeping a MiB of encoded bytes for an epoch, for people.
pub(crate) fn storage_price(frost: u64) -> String {
    format!("{} for an encoded MiB and epoch", wal(frost))
}

/// The price of writing a MiB of encoded bytes, for people.
pub(crate) fn write_price(frost: u64) -> String {
    format!("{} for writing an encoded MiB", wal(frost))
}

/// An amount of gas for people.
pub(crate) fn sui(mist: u64) -> String {
    Token::Sui.amount(mist).to_string()
}

/// An amount of the token for programs.
pub(crate) fn wal_json(frost: u64) -> Value {
    json!({ "wal_frost": frost, "text": wal(frost) })
}

/// A name that a stranger chose, on one line and without anything a terminal would obey.
pub(crate) fn label(name: &str) -> String {
    match name.trim().is_empty() {
        true => "(no name)".to_owned(),
        false => terminal::line(name).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn epochs_are_counted_from_one_and_a_slip_is_told_in_words() {
        assert_eq!(super::epochs("1"), Ok(1));
        for wrong in ["0", "-1", "x", "1.5", "99999999999", ""] {
            let told = super::epochs(wrong).unwrap_err();
            assert!(told.contains("1 or more") && !told.contains("digit"), "{wrong}: {told}");
        }
    }

    #[test]
    fn amounts_have_no_trailing_zeros() {
        assert_eq!(super::coins(0), "0");
        assert_eq!(super::coins(1), "0.000000001");
        assert_eq!(super::coins(1_500_000_000), "1.5");
        assert_eq!(super::coins(20_000_000_000), "20");
    }

    #[test]
    fn amounts_are_exact_in_either_unit_and_a_plain_number_is_wal() {
        for (text, frost) in [
            ("500WAL", 500_000_000_000),
            ("500", 500_000_000_000),
            ("0.5 WAL", 500_000_000),
            ("0.000000001", 1),
            ("123FROST", 123),
            ("0", 0),
            ("18446744073.709551615wal", u64::MAX),
        ] {
            assert_eq!(super::amount(text), Ok(frost), "{text}");
        }
        for text in [
            "",
            "WAL",
            ".5",
            "5.",
            "1.2.3",
            "-1",
            "1e3",
            "5 SUI",
            "0.5FROST",
            "0.0000000001",
            "18446744073.709551616",
            "½",
        ] {
            let refused = super::amount(text).unwrap_err();
            assert!(refused.contains("500WAL"), "{refused}");
        }
    }

    #[test]
    fn parts_are_percentages_with_two_decimals_at_most() {
        for (text, points) in
            [("5%", 500), ("2.5 %", 250), ("0", 0), ("100%", 10_000), ("750bps", 750)]
        {
            assert_eq!(super::basis_points(text), Ok(points), "{text}");
        }
        for text in ["", "%", "101%", "0.001%", "five", "-1", "10001bps", "7.5bps", "bps", "5%bps"]
        {
            assert!(super::basis_points(text).is_err(), "{text}");
        }
        let shown = [0, 250, 500, 10_000, 1].map(super::percent);
        assert_eq!(shown, ["0 %", "2.5 %", "5 %", "100 %", "0.01 %"]);
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(super::label("n1\u{1b}[2J\n"), r"n1\u{1b}[2J\n");
        assert_eq!(super::label(" "), "(no name)");
    }

    #[test]
    fn one_thing_has_no_plural() {
        assert_eq!(super::count(1, "object"), "1 object");
        assert_eq!(super::count(0, "object"), "0 objects");
    }
}
