//! Twin of `messages`: what a committee can say, and the checks on it.

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::object::System;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{
    MessageError, NetworkId, Persistence, read_blob_certificate_message,
};

/// Reads a blob certificate's message: version, application, network, epoch, kind, body.
pub(super) fn blob_certificate(
    system: &System,
    message: &[u8],
) -> Result<(BlobId, Persistence), Abort> {
    let network = NetworkId::from_bytes(system.network_id);
    let epoch = Epoch(system.committee.epoch);
    read_blob_certificate_message(message, &network, epoch).map_err(|error| match error {
        MessageError::Version(_) => Abort::WrongVersion,
        MessageError::Application(_) => Abort::WrongApp,
        MessageError::Network(_) => Abort::WrongNetwork,
        MessageError::Epoch(_) => Abort::WrongEpoch,
        MessageError::Kind(_) => Abort::WrongType,
        MessageError::Malformed => Abort::Malformed,
    })
}
