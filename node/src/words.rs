//! Amounts and ids as people write them.

use haulout_protocol::chain::ObjectId;

/// FROST in a WAL, and MIST in a SUI.
const UNITS: u64 = 1_000_000_000;

/// An amount in whole coins, without trailing zeros.
pub(crate) fn coins(smallest: u64) -> String {
    let text = format!("{}.{:09}", smallest / UNITS, smallest % UNITS);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An object or an account.
pub(crate) fn object(id: &ObjectId) -> String {
    format!("0x{}", hex::encode(id))
}

/// A number of things: `1 object`, `2 objects`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn amounts_have_no_trailing_zeros() {
        assert_eq!(super::coins(0), "0");
        assert_eq!(super::coins(1), "0.000000001");
        assert_eq!(super::coins(1_500_000_000), "1.5");
        assert_eq!(super::coins(20_000_000_000), "20");
    }

    #[test]
    fn one_thing_has_no_plural() {
        assert_eq!(super::count(1, "object"), "1 object");
        assert_eq!(super::count(0, "object"), "0 objects");
    }
}
