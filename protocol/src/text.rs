//! Text forms of byte strings: base58 and base64url.
//!
//! Promises: decoding is exact (one text per value) and bounded by the length asked for.
//! Does not: know what the bytes mean.

use base64::Engine;

/// Reading base58 takes time by the square of its length.
const BASE58_CHARS_MAX: usize = 128;

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
    bs58::encode(bytes).into_string()
}

/// The bytes of a base58 text of at most [`BASE58_CHARS_MAX`] characters, or nothing.
pub(crate) fn from_base58(text: &str) -> Option<Vec<u8>> {
    if text.len() > BASE58_CHARS_MAX {
        return None;
    }
    bs58::decode(text).into_vec().ok()
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
        assert_eq!((from_base58("0OIl"), from_base58("é")), (None, None));
        assert_eq!(from_base58(&"1".repeat(128)), Some(vec![0; 128]));
        assert_eq!(from_base58(&"1".repeat(129)), None);
    }
}
