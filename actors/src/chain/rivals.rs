//! Transactions that were signed for one order and refused, and what follows for them if some version of an object is true.
//!
//! Promises: two that name one version of an object exclude each other; what was found out holds for those alone for which
//! it was. Does not: ask the ledger; `excluding` does.

use std::sync::{Arc, Mutex};

use sui_sdk_types::{Address, Digest, ObjectReference};

use super::error::CallError;

/// A transaction that was sent and refused.
#[derive(Clone, Debug)]
pub(super) struct Rival {
    pub(super) digest: Digest,
    /// The objects of its sender that it names.
    pub(super) named: Vec<ObjectReference>,
    /// Those that pay for gas.
    pub(super) gas: Vec<Address>,
    /// How many servers say that it was not executed.
    pub(super) denied_by: usize,
}

/// Those of one order, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    pub(super) sent: Vec<Rival>,
    pub(super) known: Vec<Known>,
    /// What was to be sent in their place could have happened beside one of them.
    pub(super) is_open: bool,
}

/// If this version is a true one, the first so many of all rivals cannot happen.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) version: ObjectReference,
    pub(super) excludes: usize,
}

/// What follows for a rival if some version of an object is a true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It cannot happen, or whoever names that version cannot.
    Excluded,
    /// It was executed.
    Happened,
    /// More of the object's past would tell.
    Unknown,
    /// Nothing.
    Apart,
}

/// How an object came to a version: what wrote it, and what was used up, the latest first.
#[derive(Debug)]
pub(super) struct Past {
    id: Address,
    version: u64,
    /// Those that wrote this version and those before.
    pub(super) writers: Vec<Digest>,
    /// The oldest version of which it is known who used it up.
    pub(super) oldest: Option<u64>,
    /// So many of the first rivals are excluded by what is known of a version on the way.
    pub(super) excludes: usize,
}

impl Past {
    pub(super) fn of(named: &ObjectReference) -> Past {
        let (id, version) = (*named.object_id(), named.version());
        Past { id, version, writers: Vec::new(), oldest: None, excludes: 0 }
    }

    fn fate(&self, place: usize, rival: &Rival) -> Fate {
        let named = rival.named.iter().find(|named| *named.object_id() == self.id);
        let Some(named) = named.map(ObjectReference::version) else { return Fate::Apart };
        if self.writers.contains(&rival.digest) {
            return Fate::Happened;
        }
        // A version that was passed over never was, and never will be.
        let is_used_up = self.oldest.is_some_and(|oldest| oldest <= named);
        if named == self.version || place < self.excludes || (named < self.version && is_used_up) {
            return Fate::Excluded;
        }
        if named < self.version { Fate::Unknown } else { Fate::Apart }
    }

    pub(super) fn fates(&self, rivals: &[Rival]) -> Vec<Fate> {
        rivals.iter().enumerate().map(|(place, rival)| self.fate(place, rival)).collect()
    }
}

impl Rivals {
    /// The error for an order that ends with this one: if something was signed for it, that may have been executed, unless two
    /// servers deny it.
    pub(super) fn doubted(&self, error: CallError, servers: String) -> CallError {
        let is_denied = !self.is_open && self.sent.iter().all(|rival| rival.denied_by > 1);
        if is_denied || matches!(error, CallError::Unconfirmed { .. } | CallError::Denied { .. }) {
            return error;
        }
        let digests = self.sent.iter().map(|rival| rival.digest.to_string());
        let digests = digests.collect::<Vec<_>>().join(" or ");
        let reason = match error {
            // Only on its word has somebody else used it.
            CallError::Contended { .. } => "what it spends was used meanwhile".to_owned(),
            error => error.to_string(),
        };
        CallError::Denied { servers, digests, reason }
    }
}

/// Handles of one order share what was sent for it.
pub(super) type OfOrder = Option<Arc<Mutex<Rivals>>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn version(id: u8, version: u64) -> ObjectReference {
        ObjectReference::new(Address::new([id; 32]), version, Digest::new([id; 32]))
    }

    fn digest(number: u8) -> Digest {
        Digest::new([number; 32])
    }

    fn rival(number: u8, named: ObjectReference) -> Rival {
        Rival { digest: digest(number), named: vec![named], gas: Vec::new(), denied_by: 1 }
    }

    #[test]
    fn two_that_name_one_version_of_an_object_exclude_each_other_and_others_do_not() {
        let past = Past::of(&version(1, 7));
        assert_eq!(past.fate(0, &rival(1, version(1, 7))), Fate::Excluded);
        assert_eq!(past.fate(0, &rival(1, version(1, 6))), Fate::Unknown);
        assert_eq!(past.fate(0, &rival(1, version(1, 8))), Fate::Apart);
        assert_eq!(past.fate(0, &rival(1, version(2, 7))), Fate::Apart, "another coin");
    }

    #[test]
    fn a_version_that_somebody_else_used_up_or_that_never_was_excludes_whoever_names_it() {
        let mut past = Past::of(&version(1, 9));
        past.writers = vec![digest(8), digest(7)];
        past.oldest = Some(5);
        for named in [5, 6, 8] {
            assert_eq!(past.fate(0, &rival(1, version(1, named))), Fate::Excluded, "{named}");
        }
        assert_eq!(past.fate(0, &rival(1, version(1, 4))), Fate::Unknown);
        assert_eq!(past.fate(0, &rival(7, version(1, 5))), Fate::Happened, "it wrote one itself");
        // What was found out for the first two holds for them alone.
        past.excludes = 2;
        let old = rival(1, version(1, 4));
        let fates = [0, 1, 2].map(|place| past.fate(place, &old));
        assert_eq!(fates, [Fate::Excluded, Fate::Excluded, Fate::Unknown]);
    }

    #[test]
    fn an_order_of_which_something_was_signed_ends_in_doubt_unless_two_servers_deny_it() {
        let refused = CallError::Rejected { reason: "no".into() };
        let mut rivals = Rivals { sent: vec![rival(1, version(1, 1))], ..Rivals::default() };
        let doubt = rivals.doubted(refused.clone(), "http://a".into());
        let told = doubt.to_string();
        assert!(told.contains(&digest(1).to_string()) && told.contains("http://a"), "{told}");
        rivals.sent[0].denied_by = 2;
        assert_eq!(rivals.doubted(refused.clone(), String::new()), refused);
        rivals.is_open = true;
        assert_ne!(rivals.doubted(refused.clone(), String::new()), refused);
    }
}
