//! `reach/1`: a node asks another to dial it back, to learn whether strangers reach it, and at which address they see it.
//!
//! One [`Request`] frame, then one [`Reply`] frame. Whoever asks names ports, never an address: only the address that the
//! question came from is dialled, so nobody can be made to dial a third.
//!
//! Whoever shares an address with others could ask about their ports, too. So ports below [`PORT_MIN`], where a machine's own
//! services are, are dialled for nobody, and strangers hear whether the node that asked was reached, never why not.
//!
//! Promises: frames are small, and a request for more than [`DOORS_MAX`] ports is none. Does not: dial.

use std::net::IpAddr;

use bincode::{Decode, Encode};

use super::Refusal;

/// Most ports of one request: QUIC and TCP, and as many again.
pub const DOORS_MAX: usize = 4;

/// Lower ports are not dialled: services of the machine listen there, and who asks may share its address only.
pub const PORT_MIN: u16 = 1024;

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Door {
    /// QUIC over this UDP port.
    Quic(u16),
    /// This TCP port.
    Tcp(u16),
}

impl Door {
    /// Its port.
    pub fn port(self) -> u16 {
        match self {
            Door::Quic(port) | Door::Tcp(port) => port,
        }
    }

    /// Whether it is dialled for whoever asks.
    pub fn is_dialled(self) -> bool {
        self.port() >= PORT_MIN
    }
}

/// What a node asks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// Where to dial it back, at the address the request came from; one to [`DOORS_MAX`], each once, none of them zero.
    pub doors: Vec<Door>,
}

impl Request {
    /// Whether the request is one that may be carried out.
    pub fn is_sound(&self) -> bool {
        let is_new = |(at, door): (usize, &Door)| !self.doors[..at].contains(door);
        (1..=DOORS_MAX).contains(&self.doors.len())
            && self.doors.iter().all(|door| door.port() != 0)
            && self.doors.iter().enumerate().all(is_new)
    }
}

/// What became of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Tried {
    /// The node that asked answered, with its key.
    Reached,
    /// The machine refused the connection: nothing listens there, or a firewall says so.
    Refused,
    /// Nothing came back in time: most often a firewall, or a router that does not forward the port.
    Silent,
    /// Somebody else answered.
    Stranger,
    /// It was not dialled: too many were lately, the port is below [`PORT_MIN`], or the address is within a network that the
    /// other side is not in.
    NotTried,
    /// The node that asked was not reached. Only members hear why.
    NotReached,
}

impl Tried {
    /// The same for a stranger: what tells a closed port from a filtered or a foreign one is left out.
    pub fn for_strangers(self) -> Tried {
        match self {
            Tried::Refused | Tried::Silent | Tried::Stranger => Tried::NotReached,
            Tried::Reached | Tried::NotTried | Tried::NotReached => self,
        }
    }
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// It dialled.
    Dialled {
        /// The address that the request came from: an IPv6 address, or an IPv4 address mapped to one.
        seen_at: [u8; 16],
        /// What became of each door, in the order of the request.
        tried: Vec<Tried>,
    },
    /// Not this time; the stream ends.
    Refused(Refusal),
}

impl Reply {
    /// The answer to a request from this address.
    pub fn dialled(seen_at: IpAddr, tried: Vec<Tried>) -> Reply {
        let seen_at = match seen_at {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Reply::Dialled { seen_at: seen_at.octets(), tried }
    }
}

super::refusable!(Reply);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{SMALL_FRAME_BYTES_MAX, decode, encode};

    #[test]
    fn frames_read_what_they_write_and_are_small() {
        let request = Request { doors: vec![Door::Quic(0x0102), Door::Tcp(0x0304)] };
        let bytes = encode(&request);
        let fields = ["0200000000000000", "000000000201", "010000000403"];
        assert_eq!(hex::encode(&bytes), fields.concat());
        assert_eq!(decode(&bytes), Ok(request));
        let tried = vec![Tried::Reached, Tried::Refused, Tried::NotTried, Tried::NotReached];
        for ip in ["203.0.113.7", "2001:db8::1"] {
            let reply = Reply::dialled(ip.parse().unwrap(), tried.clone());
            let bytes = encode(&reply);
            assert!(u32::try_from(bytes.len()).is_ok_and(|it| it < SMALL_FRAME_BYTES_MAX));
            assert_eq!(decode(&bytes), Ok(reply.clone()));
            let Reply::Dialled { seen_at, .. } = reply else { unreachable!("it was made so") };
            assert_eq!(IpAddr::from(seen_at).to_canonical(), ip.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn a_stranger_hears_one_word_for_a_port_that_is_closed_filtered_or_foreign() {
        let ways = [Tried::Refused, Tried::Silent, Tried::Stranger];
        assert_eq!(ways.map(Tried::for_strangers), [Tried::NotReached; 3]);
        assert_eq!(Tried::Reached.for_strangers(), Tried::Reached);
        assert!(!Door::Tcp(1023).is_dialled() && Door::Quic(1024).is_dialled());
    }

    #[test]
    fn a_request_names_each_port_once_and_few() {
        let is_sound = |doors: &[Door]| Request { doors: doors.to_vec() }.is_sound();
        assert!(is_sound(&[Door::Quic(1), Door::Tcp(1)]));
        assert!(!is_sound(&[]) && !is_sound(&[Door::Tcp(0)]));
        assert!(!is_sound(&[Door::Tcp(1), Door::Quic(1), Door::Tcp(1)]));
        let many: Vec<Door> = (1..=5).map(Door::Tcp).collect();
        assert!(is_sound(&many[..DOORS_MAX]) && !is_sound(&many));
    }
}
