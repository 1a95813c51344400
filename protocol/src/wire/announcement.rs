//! What is gossiped on topic `blob`: certificates, so that nodes can act before the chain's event.

use bincode::{Decode, Encode};

/// A certificate heard of.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Announcement {
    /// Canonical bytes of the certificate.
    pub certificate: Vec<u8>,
}
