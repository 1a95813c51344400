//! Twin of `messages`: what a committee can say, and the checks on it.
//!
//! Promises: version, application, network, epoch, kind and body are checked in this order.

use crate::blob::BlobId;
use crate::chain::abort::Abort;
use crate::chain::object::System;
use crate::epoch::Epoch;
use crate::message::{
    MessageError, NetworkId, Persistence, read_blob_certificate_message, read_invalid_blob_message,
    read_protocol_version_message,
};

/// Reads a blob certificate's message.
pub(super) fn blob_certificate(
    system: &System,
    message: &[u8],
) -> Result<(BlobId, Persistence), Abort> {
    let (network, epoch) = here(system);
    read_blob_certificate_message(message, &network, epoch).map_err(abort)
}

/// Reads which blob id a message declares invalid.
pub(super) fn invalid_blob(system: &System, message: &[u8]) -> Result<BlobId, Abort> {
    let (network, epoch) = here(system);
    read_invalid_blob_message(message, &network, epoch).map_err(abort)
}

/// Reads from which epoch on which protocol version is spoken.
pub(super) fn protocol_version(system: &System, message: &[u8]) -> Result<(Epoch, u64), Abort> {
    let (network, epoch) = here(system);
    read_protocol_version_message(message, &network, epoch).map_err(abort)
}

/// What the header of a message must say now.
fn here(system: &System) -> (NetworkId, Epoch) {
    (NetworkId::from_bytes(system.network_id.into()), Epoch(system.committee.epoch))
}

fn abort(error: MessageError) -> Abort {
    match error {
        MessageError::Version(_) => Abort::WrongVersion,
        MessageError::Application(_) => Abort::WrongApp,
        MessageError::Network(_) => Abort::WrongNetwork,
        MessageError::Epoch(_) => Abort::WrongEpoch,
        MessageError::Kind(_) => Abort::WrongType,
        MessageError::Malformed => Abort::Malformed,
    }
}
