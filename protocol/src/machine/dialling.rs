//! Which addresses of others are believed, and how often they are dialled.
//!
//! A stranger that names addresses makes us send packets to them. So it may name its own only, and whatever is dialled
//! on hearsay is paid from a small budget: of the address, of its subnet and of all together. Whoever answers with the
//! key that was expected gives back what its dial cost, so only those who do not answer run out.
//!
//! Promises: memory is bounded, whatever is named; an address that never answers is dialled as often as
//! [`OF_ADDRESS`] refills in the long run. Does not: dial, or judge addresses that the ledger or the operator states; those cost nothing.

use std::net::IpAddr;

use super::Timestamp;
use super::budgets::{Budget, Budgets};
use super::places::subnet_of;

/// How far an address reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// This machine.
    Loopback,
    /// A private network, or one link.
    Private,
    /// Everywhere.
    Public,
    /// No peer has it: unspecified, multicast, broadcast.
    Nowhere,
}

/// How far an address reaches.
pub fn reach(address: IpAddr) -> Reach {
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let is_shared = first == 100 && second & 0b1100_0000 == 64; // carriers' NAT
            if ip.is_unspecified() || ip.is_multicast() || first == 0 || first >= 240 {
                Reach::Nowhere
            } else if ip.is_loopback() {
                Reach::Loopback
            } else if ip.is_private() || ip.is_link_local() || is_shared {
                Reach::Private
            } else {
                Reach::Public
            }
        }
        IpAddr::V6(ip) => {
            if ip.is_unspecified() || ip.is_multicast() {
                Reach::Nowhere
            } else if ip.is_loopback() {
                Reach::Loopback
            } else if ip.is_unique_local() || ip.is_unicast_link_local() {
                Reach::Private
            } else {
                Reach::Public
            }
        }
    }
}

/// For one address that does not answer.
pub const OF_ADDRESS: Budget = Budget { burst: 8, refill_ms: 10_000 };
/// For one subnet.
pub const OF_SUBNET: Budget = Budget { burst: 24, refill_ms: 2_500 };
/// For everything that is dialled on hearsay.
pub const OF_ALL: Budget = Budget { burst: 64, refill_ms: 250 };
/// Addresses and subnets remembered, each: more than [`OF_ALL`] lets through until the first is full again.
pub const REMEMBERED_MAX: usize = 1024;

/// What dials on hearsay have cost lately.
#[derive(Clone, Debug)]
pub struct Hearsay {
    of_address: Budgets<IpAddr>,
    of_subnet: Budgets<IpAddr>,
    of_all: Budgets<()>,
}

impl Default for Hearsay {
    fn default() -> Self {
        Hearsay {
            of_address: Budgets::new(OF_ADDRESS, REMEMBERED_MAX),
            of_subnet: Budgets::new(OF_SUBNET, REMEMBERED_MAX),
            of_all: Budgets::new(OF_ALL, REMEMBERED_MAX),
        }
    }
}

impl Hearsay {
    /// Whether an address somebody named may be dialled now; then it is paid for.
    pub fn may_dial(&mut self, address: IpAddr, now: Timestamp) -> bool {
        let (address, subnet) = (address.to_canonical(), subnet_of(address));
        let may = self.of_all.has_left((), now)
            && self.of_subnet.has_left(subnet, now)
            && self.of_address.has_left(address, now);
        if may {
            self.of_all.spend((), now);
            self.of_subnet.spend(subnet, now);
            self.of_address.spend(address, now);
        }
        may
    }

    /// The peer that was looked for answered there.
    pub fn answered(&mut self, address: IpAddr) {
        self.of_all.give_back(&());
        self.of_subnet.give_back(&subnet_of(address));
        self.of_address.give_back(&address.to_canonical());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_never_answers_is_dialled_less_and_less() {
        let mut hearsay = Hearsay::default();
        let victim = ip("192.0.2.1");
        let dialled = (0..600_000).filter(|ms| hearsay.may_dial(victim, Timestamp(*ms))).count();
        assert_eq!(dialled, 8 + 59, "in ten minutes");
    }

    #[test]
    fn whoever_answers_is_dialled_as_often_as_needed() {
        let mut hearsay = Hearsay::default();
        for _ in 0..1_000 {
            assert!(hearsay.may_dial(ip("192.0.2.1"), Timestamp(0)));
            hearsay.answered(ip("192.0.2.1"));
        }
    }

    #[test]
    fn reaches_are_told_apart() {
        for (text, expected) in [
            ("127.0.0.1", Reach::Loopback),
            ("127.9.9.9", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("10.1.2.3", Reach::Private),
            ("172.31.0.1", Reach::Private),
            ("192.168.0.1", Reach::Private),
            ("169.254.169.254", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("fd00::1", Reach::Private),
            ("fe80::1", Reach::Private),
            ("100.128.0.1", Reach::Public),
            ("8.8.8.8", Reach::Public),
            ("2001:4860::8888", Reach::Public),
            ("0.0.0.0", Reach::Nowhere),
            ("0.1.2.3", Reach::Nowhere),
            ("::", Reach::Nowhere),
            ("224.0.0.1", Reach::Nowhere),
            ("255.255.255.255", Reach::Nowhere),
            ("ff02::1", Reach::Nowhere),
        ] {
            assert_eq!(reach(ip(text)), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn many_names_cost_no_more_memory_and_no_more_packets_than_a_few(
            names in prop::collection::vec((any::<u32>(), 0..20u64), 1..4_000),
        ) {
            let (mut hearsay, mut now, mut dialled) = (Hearsay::default(), 0, 0);
            for (name, pause) in names {
                now += pause;
                let address = IpAddr::from(name.to_be_bytes());
                dialled += u64::from(hearsay.may_dial(address, Timestamp(now)));
            }
            prop_assert!(dialled <= u64::from(OF_ALL.burst) + now / OF_ALL.refill_ms);
            prop_assert!(hearsay.of_address.len() <= REMEMBERED_MAX);
            prop_assert!(hearsay.of_subnet.len() <= REMEMBERED_MAX);
        }
    }
}
