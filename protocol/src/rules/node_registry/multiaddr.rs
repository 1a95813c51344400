//! Whether bytes are an address that peers can dial: a binary multiaddr without a peer id.
//!
//! Promises: every component is of a known protocol and complete. Does not: dial.

use crate::rules::limits::ADDRESS_BYTES_MAX as BYTES_MAX;

/// The value of a protocol: so many bytes, or a length and that many.
enum Value {
    Fixed(usize),
    Prefixed,
}

/// Protocols an address may consist of; `/p2p` is not among them.
fn value_of(protocol: u64) -> Option<Value> {
    match protocol {
        4 => Some(Value::Fixed(4)),                     // ip4
        41 => Some(Value::Fixed(16)),                   // ip6
        6 | 273 => Some(Value::Fixed(2)),               // tcp, udp
        53..=56 => Some(Value::Prefixed),               // dns, dns4, dns6, dnsaddr
        443 | 448 | 460 | 461 => Some(Value::Fixed(0)), // https, tls, quic, quic-v1
        477 | 478 | 480 | 465 => Some(Value::Fixed(0)), // ws, wss, http, webtransport
        _ => None,
    }
}

/// Whether the bytes are such an address.
pub(super) fn is_valid(bytes: &[u8]) -> bool {
    if bytes.is_empty() || bytes.len() > BYTES_MAX {
        return false;
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        match component(rest) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// What follows the first component.
fn component(bytes: &[u8]) -> Option<&[u8]> {
    let (protocol, rest) = varint(bytes)?;
    let (length, rest) = match value_of(protocol)? {
        Value::Fixed(length) => (length, rest),
        Value::Prefixed => {
            let (length, rest) = varint(rest)?;
            (usize::try_from(length).ok().filter(|length| *length > 0)?, rest)
        }
    };
    Some(rest.split_at_checked(length)?.1)
}

/// A number in groups of seven bits, lowest first, in at most three bytes.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().take(3).position(|byte| byte & 0x80 == 0)?;
    let (head, rest) = bytes.split_at(end + 1);
    let number = head.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f));
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_whole_and_name_no_peer() {
        let quic = hex::decode("047f00000191027d0acd03").unwrap();
        let tcp = hex::decode("047f000001067d0a").unwrap();
        let dns = [&[54, 3][..], b"a.b", &[6, 0, 80]].concat();
        for good in [&quic, &tcp, &dns] {
            assert!(is_valid(good));
            assert!(!is_valid(&good[..good.len() - 1]));
        }
        let peer = [&tcp[..], &[0xa5, 0x03, 1, 7]].concat();
        for bad in [vec![], vec![0; 4], vec![0xff; 9], peer, dns.repeat(40)] {
            assert!(!is_valid(&bad), "{bad:?}");
        }
    }
}
