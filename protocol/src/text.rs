//! Text forms of byte strings: base58 and base64url.
//!
//! Promises: decoding is exact (one text per value) and bounded by the length asked for.
//! Does not: know what the bytes mean.

use base64::Engine;

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Base64url without padding (RFC 4648 section 5).
pub(crate) fn to_base64url(bytes: &[u8]) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// The 32 bytes written in base64url without padding, or nothing.
pub(crate) fn from_base64url(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 33];
    let length = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode_slice(text.as_bytes(), &mut bytes)
        .ok()?;
    (length == 32).then(|| bytes[..32].try_into().expect("the slice has 32 bytes"))
}

/// Base58 with the alphabet of Bitcoin, as libp2p writes peer ids.
pub(crate) fn to_base58(bytes: &[u8]) -> String {
    let mut digits: Vec<u8> = Vec::with_capacity(bytes.len() * 138 / 100 + 1);
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = u8::try_from(carry % 58).expect("a remainder below 58 fits a byte");
            carry /= 58;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 58).expect("a remainder below 58 fits a byte"));
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = std::iter::repeat_n(0, zeros).chain(digits.into_iter().rev());
    digits.map(|digit| char::from(BASE58[usize::from(digit)])).collect()
}

/// The bytes of a base58 text of at most 128 characters, or nothing.
pub(crate) fn from_base58(text: &str) -> Option<Vec<u8>> {
    if text.len() > 128 {
        return None;
    }
    let mut bytes: Vec<u8> = Vec::new();
    for character in text.bytes() {
        let value = BASE58.iter().position(|known| *known == character)?;
        let mut carry = u32::try_from(value).ok()?;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 58;
            *byte = u8::try_from(carry & 0xff).expect("a masked value fits a byte");
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(u8::try_from(carry & 0xff).expect("a masked value fits a byte"));
            carry >>= 8;
        }
    }
    let zeros = text.bytes().take_while(|character| *character == b'1').count();
    bytes.extend(std::iter::repeat_n(0, zeros));
    bytes.reverse();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base58_round_trips_and_keeps_leading_zeros() {
        for bytes in [&b""[..], b"\0", b"\0\0\x01", b"\xff\xfe\xfd", b"\0\x24\x08\x01\x12\x20abc"] {
            assert_eq!(from_base58(&to_base58(bytes)), Some(bytes.to_vec()));
        }
        assert_eq!(to_base58(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        assert_eq!(from_base58("0OIl"), None);
    }
}
