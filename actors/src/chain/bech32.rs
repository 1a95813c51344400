//! Reads Bech32 text (BIP-173), the form in which the Sui command line exports private keys.
//!
//! Promises: a string with a wrong checksum, a foreign character or mixed case is refused.
//! Does not: write Bech32, or know Bech32m.

/// The 32 characters, in the order of the values they stand for.
const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// Characters of the checksum at the end.
const CHECKSUM_CHARS: usize = 6;
/// The generator polynomial of the checksum, one word per bit of the top symbol.
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];

/// Decodes `text` if its human-readable part is `prefix` and its checksum holds.
pub(super) fn decode(prefix: &str, text: &str) -> Option<Vec<u8>> {
    if text.chars().any(|c| c.is_ascii_uppercase()) && text.chars().any(|c| c.is_ascii_lowercase())
    {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let data = lower.strip_prefix(prefix)?.strip_prefix('1')?;
    let symbols: Vec<u8> = data.bytes().map(symbol).collect::<Option<_>>()?;
    if symbols.len() < CHECKSUM_CHARS || checksum(prefix, &symbols) != 1 {
        return None;
    }
    regroup(&symbols[..symbols.len() - CHECKSUM_CHARS])
}

/// The value of one character.
fn symbol(character: u8) -> Option<u8> {
    let position = ALPHABET.iter().position(|&known| known == character)?;
    u8::try_from(position).ok()
}

/// The checksum over the expanded prefix and all symbols; 1 when it holds.
fn checksum(prefix: &str, symbols: &[u8]) -> u32 {
    let high = prefix.bytes().map(|byte| byte >> 5);
    let low = prefix.bytes().map(|byte| byte & 31);
    let expanded = high.chain(std::iter::once(0)).chain(low).chain(symbols.iter().copied());
    expanded.fold(1, |sum, symbol| {
        let top = sum >> 25;
        let mut sum = ((sum & 0x01ff_ffff) << 5) ^ u32::from(symbol);
        for (bit, word) in GENERATOR.iter().enumerate() {
            if (top >> bit) & 1 == 1 {
                sum ^= word;
            }
        }
        sum
    })
}

/// Joins 5-bit symbols to bytes; what is left over must be zero padding.
fn regroup(symbols: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(symbols.len() * 5 / 8);
    let (mut window, mut bits) = (0u16, 0u8);
    for &symbol in symbols {
        window = (window << 5) | u16::from(symbol);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((window >> bits) & 0xff).ok()?);
            window &= (1 << bits) - 1;
        }
    }
    (bits < 5 && window == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by the Sui command line for an ed25519 key that nobody uses.
    const SAMPLE: &str = "suiprivkey1qzdlfxn2qa2lj5uprl8pyhexs02sg2wrhdy7qaq50cqgnffw4c2477kg9h3";

    #[test]
    fn a_key_of_the_sui_command_line_is_read() {
        let bytes = decode("suiprivkey", SAMPLE).unwrap();
        assert_eq!((bytes.len(), decode("suiprivkey", &SAMPLE.to_uppercase())), (33, Some(bytes)));
    }

    #[test]
    fn any_changed_character_is_noticed() {
        for at in 0..SAMPLE.len() {
            let mut text = SAMPLE.to_owned().into_bytes();
            text[at] = if text[at] == b'q' { b'p' } else { b'q' };
            let text = String::from_utf8(text).unwrap();
            assert_eq!(decode("suiprivkey", &text), None, "at {at}");
        }
        assert_eq!(decode("suiprivkey", ""), None);
        assert_eq!(decode("suiprivkey", "suiprivkey1"), None);
        assert_eq!(decode("suiprivkey", "Suiprivkey1qqqqqqq"), None);
    }
}
