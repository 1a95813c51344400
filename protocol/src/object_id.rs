//! The id of whatever lies on the ledger.
//!
//! Promises: one type, one parser and one printer for objects, packages and accounts; its bytes on the
//! wire, in BCS and in JSON are those of `[u8; 32]`.
//! Does not: know what an id belongs to, or derive ids; the ledger does.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The id of an object, a package or an account: 32 opaque bytes, written as `0x` and 64 hex digits.
#[derive(
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Encode,
    Decode,
)]
#[serde(transparent)]
pub struct ObjectId([u8; 32]);

/// A text that is no object id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an object id is 0x and 1 to 64 hex digits")]
pub struct ParseObjectIdError;

/// Digits of a whole id.
const DIGITS: usize = 64;
/// Digits that [`ObjectId::short`] leaves at the start, and at the end.
const SHORT: (usize, usize) = (4, 4);

impl ObjectId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        ObjectId(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Enough of the id for people to tell it from others on a screen: `0x7d20…07d2`; a small id, as
    /// Sui's own are, whole: `0x6`. Nothing to paste or to compare by.
    pub fn short(&self) -> String {
        let digits = hex::encode(self.0);
        let significant = digits.trim_start_matches('0');
        let (start, end) = SHORT;
        match significant.len() {
            0 => "0x0".to_owned(),
            length if length <= start + end => format!("0x{significant}"),
            _ => format!("0x{}…{}", &digits[..start], &digits[DIGITS - end..]),
        }
    }
}

impl From<[u8; 32]> for ObjectId {
    fn from(bytes: [u8; 32]) -> Self {
        ObjectId(bytes)
    }
}

impl From<ObjectId> for [u8; 32] {
    fn from(id: ObjectId) -> Self {
        id.0
    }
}

impl AsRef<[u8]> for ObjectId {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for ObjectId {
    type Err = ParseObjectIdError;

    /// `0x` and up to 64 hex digits; a short form is padded on the left.
    fn from_str(text: &str) -> Result<Self, ParseObjectIdError> {
        let digits = text.strip_prefix("0x").ok_or(ParseObjectIdError)?;
        if !(1..=DIGITS).contains(&digits.len()) {
            return Err(ParseObjectIdError);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(format!("{digits:0>DIGITS$}"), &mut bytes)
            .map_err(|_| ParseObjectIdError)?;
        Ok(ObjectId(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<ObjectId, ParseObjectIdError> {
        text.parse()
    }

    #[test]
    fn an_id_that_is_printed_parses_to_itself() {
        let bytes = std::array::from_fn(|place| u8::try_from(place * 7).unwrap());
        for id in [ObjectId::default(), ObjectId::from_bytes(bytes), ObjectId::from([0xff; 32])] {
            assert_eq!(parsed(&id.to_string()), Ok(id));
            assert_eq!(format!("{id:?}"), id.to_string());
        }
        assert_eq!(ObjectId::from([0xab; 32]).to_string(), format!("0x{}", "ab".repeat(32)));
    }

    #[test]
    fn a_short_form_is_padded_on_the_left() {
        let mut six = [0; 32];
        six[31] = 6;
        for text in ["0x6", "0x06", "0x0006"] {
            assert_eq!(parsed(text), Ok(ObjectId(six)), "{text}");
        }
        assert_eq!(parsed(&format!("0x{}", "F".repeat(64))), Ok(ObjectId([0xff; 32])));
    }

    #[test]
    fn a_text_without_0x_or_with_other_digits_is_no_id() {
        let (long, bare) = (format!("0x{}", "1".repeat(65)), "1".repeat(64));
        for text in ["", "0x", "6", "0xg", "0X6", "0x+6", "0x é", " 0x6", &long, &bare] {
            assert_eq!(parsed(text), Err(ParseObjectIdError), "{text:?}");
        }
    }

    #[test]
    fn people_see_both_ends_of_an_id_and_small_ids_whole() {
        let mut id = [0x7d; 32];
        id[31] = 0xd2;
        assert_eq!(ObjectId(id).short(), "0x7d7d…7dd2");
        assert_eq!(parsed("0x6").unwrap().short(), "0x6");
        assert_eq!(ObjectId::default().short(), "0x0");
        let just_long = parsed("0x123456789").unwrap();
        assert_eq!(parsed("0x12345678").unwrap().short(), "0x12345678");
        assert_eq!(just_long.short(), "0x0000…6789");
    }

    #[test]
    fn every_encoding_of_an_id_is_that_of_its_bytes() {
        let bytes = [0x5a; 32];
        let id = ObjectId(bytes);
        assert_eq!(bcs::to_bytes(&id).unwrap(), bcs::to_bytes(&bytes).unwrap());
        assert_eq!(bcs::from_bytes::<ObjectId>(&bytes), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), serde_json::to_string(&bytes).unwrap());
        let standard = bincode::config::standard();
        let wire = bincode::encode_to_vec(id, standard).unwrap();
        assert_eq!(wire, bincode::encode_to_vec(bytes, standard).unwrap());
        assert_eq!(bincode::decode_from_slice(&wire, standard).unwrap(), (id, 32));
    }
}
