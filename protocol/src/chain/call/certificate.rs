//! Calls that carry a signature of the committee.
//!
//! Does not: say which of its arguments the caller owns.

use super::{Argument, pure};

/// `certify_blob(&System, &mut Blob, signature, signers, message)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifyBlob {
    /// The aggregated BLS signature, 96 bytes.
    pub signature: Vec<u8>,
    /// Who signed, one bit per member, lowest bit first.
    pub signers: Vec<u8>,
    /// The bytes that were signed.
    pub message: Vec<u8>,
}

impl CertifyBlob {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![
            Argument::System { mutable: false },
            Argument::Blob,
            pure(&self.signature),
            pure(&self.signers),
            pure(&self.message),
        ]
    }
}

/// `invalidate_blob_id(&mut System, signature, signers, message)`: one correct member must have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidateBlobId {
    /// The aggregated BLS signature, 96 bytes.
    pub signature: Vec<u8>,
    /// Who signed, one bit per member, lowest bit first.
    pub signers: Vec<u8>,
    /// The bytes that were signed.
    pub message: Vec<u8>,
}

impl InvalidateBlobId {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![
            Argument::System { mutable: true },
            pure(&self.signature),
            pure(&self.signers),
            pure(&self.message),
        ]
    }
}

/// `set_protocol_version(&mut System, signature, signers, message)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetProtocolVersion {
    /// The aggregated BLS signature, 96 bytes.
    pub signature: Vec<u8>,
    /// Who signed, one bit per member, lowest bit first.
    pub signers: Vec<u8>,
    /// The bytes that were signed.
    pub message: Vec<u8>,
}

impl SetProtocolVersion {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![
            Argument::System { mutable: true },
            pure(&self.signature),
            pure(&self.signers),
            pure(&self.message),
        ]
    }
}
