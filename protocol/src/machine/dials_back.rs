//! Whom we dial back, when more ask for it than we dial.
//!
//! Promises: members and strangers have places and budgets apart, so no crowd of strangers keeps a member from being dialled
//! back; what is dialled for strangers is bounded by address, by subnet and all together. Does not: dial, or know who is what.

use std::net::IpAddr;

use super::Timestamp;
use super::dialling::Hearsay;
use super::guests::Class;

/// Dials back under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// For members, and for peers that the operator named.
    pub members: usize,
    /// For all others together.
    pub strangers: usize,
}

/// What one class has under way, and what it had us dial lately.
#[derive(Clone, Debug, Default)]
struct Share {
    under_way: usize,
    spent: Hearsay,
}

/// The dials back of one node.
#[derive(Clone, Debug)]
pub struct DialsBack {
    places: Places,
    members: Share,
    strangers: Share,
}

impl DialsBack {
    /// None yet.
    pub fn new(places: Places) -> Self {
        DialsBack { places, members: Share::default(), strangers: Share::default() }
    }

    fn share(&mut self, class: Class) -> (&mut Share, usize) {
        match class {
            Class::Member => (&mut self.members, self.places.members),
            Class::Payer | Class::Stranger => (&mut self.strangers, self.places.strangers),
        }
    }

    /// Whether a peer of this class may be dialled at this address now; then it has a place, and the dial is paid for. An
    /// address that somebody we trust stated costs nothing.
    pub fn begin(
        &mut self,
        class: Class,
        address: IpAddr,
        is_stated: bool,
        now: Timestamp,
    ) -> bool {
        let (share, places) = self.share(class);
        let may = share.under_way < places && (is_stated || share.spent.may_dial(address, now));
        share.under_way += usize::from(may);
        may
    }

    /// A dial that was begun has ended. Whoever answered is who was looked for: it cost nothing.
    pub fn end(&mut self, class: Class, address: IpAddr, is_stated: bool, has_answered: bool) {
        let (share, _) = self.share(class);
        debug_assert!(share.under_way > 0, "what ends was begun");
        share.under_way = share.under_way.saturating_sub(1);
        if has_answered && !is_stated {
            share.spent.answered(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: Places = Places { members: 2, strangers: 3 };

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn strangers_that_take_every_place_of_theirs_leave_members_theirs() {
        let mut dials = DialsBack::new(PLACES);
        let mut begin = |class, last| dials.begin(class, ip(last), false, Timestamp(0));
        let strangers = (0..9).filter(|last| begin(Class::Stranger, *last)).count();
        let payers = (0..9).filter(|last| begin(Class::Payer, *last)).count();
        let members = (0..9).filter(|last| begin(Class::Member, *last)).count();
        assert_eq!((strangers, payers, members), (3, 0, 2));
        dials.end(Class::Stranger, ip(0), false, false);
        assert!(!dials.begin(Class::Member, ip(0), false, Timestamp(0)), "it was a stranger's");
        assert!(dials.begin(Class::Stranger, ip(0), false, Timestamp(0)));
    }

    #[test]
    fn strangers_that_spend_all_there_is_leave_members_their_budget() {
        let mut dials = DialsBack::new(PLACES);
        let mut dial = |class, address| {
            let may = dials.begin(class, address, false, Timestamp(0));
            if may {
                dials.end(class, address, false, false);
            }
            may
        };
        let addresses = (0..=u8::MAX).flat_map(|net| (0..4).map(move |last| (net, last)));
        let addresses = addresses.map(|(net, last)| IpAddr::from([10, net, 0, last]));
        let dialled = addresses.filter(|address| dial(Class::Stranger, *address)).count();
        assert_eq!(dialled, 64, "all together");
        assert!(!dial(Class::Stranger, ip(1)) && dial(Class::Member, ip(1)));
    }

    #[test]
    fn an_address_that_is_stated_or_answers_costs_nothing() {
        let mut dials = DialsBack::new(PLACES);
        for (is_stated, has_answered) in [(true, false), (false, true)] {
            for _ in 0..100 {
                assert!(dials.begin(Class::Member, ip(1), is_stated, Timestamp(0)));
                dials.end(Class::Member, ip(1), is_stated, has_answered);
            }
        }
    }
}
