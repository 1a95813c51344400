//! Everything that nodes sign: canonical fixed-width bytes.
//!
//! Header: kind u8, version u8 = 1, application u8 = 0x62, network id of 32 bytes, epoch u32; numbers little endian; then a
//! body whose length the kind fixes. Promises: a signature of one kind, network or epoch never passes for another.
//! Source: `contracts.md` 4.3.

use crate::blob::BlobId;
use crate::chain::ObjectId;
use crate::crypto::PublicKey;
use crate::epoch::Epoch;

/// Names a network: the id of its `System` object on Sui, the hash of its genesis on the devnet's ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId([u8; 32]);

/// A text that is no network id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a network id; it is 0x and up to 64 hex digits")]
pub struct ParseNetworkIdError;

impl NetworkId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        NetworkId(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for NetworkId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        ObjectId::from_bytes(self.0).fmt(formatter)
    }
}

impl std::fmt::Debug for NetworkId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

impl std::str::FromStr for NetworkId {
    type Err = ParseNetworkIdError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkIdError> {
        let id: ObjectId = text.parse().map_err(|_| ParseNetworkIdError)?;
        Ok(NetworkId(id.into()))
    }
}

/// Whether a blob object may be deleted by its owner before it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Persistence {
    /// Stays until it expires.
    Permanent,
    /// May be deleted; the certificate is bound to this object.
    Deletable(ObjectId),
}

/// Version of the header.
const VERSION: u8 = 1;
/// Number of this application.
const APPLICATION: u8 = 0x62;
/// Bytes of the header.
const HEADER_BYTES: usize = 39;

/// Kinds of messages. The numbers are fixed by `contracts.md` 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    ProofOfPossession = 0,
    BlobCertificate = 1,
    InvalidBlob = 2,
    ProtocolVersion = 6,
}

/// Why bytes are not the message expected; the order of the variants is the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Another version of the header.
    #[error("message version {0} is not known")]
    Version(u8),
    /// Signed for another application.
    #[error("the message belongs to application {0:#04x}")]
    Application(u8),
    /// Signed for another network.
    #[error("the message belongs to network {0}")]
    Network(NetworkId),
    /// Signed in another epoch.
    #[error("the message belongs to epoch {0}")]
    Epoch(Epoch),
    /// Another kind of message.
    #[error("message kind {0} is not the one expected")]
    Kind(u8),
    /// Cut short, too long, or with an unknown tag.
    #[error("the message is malformed")]
    Malformed,
}

fn header(kind: Kind, network: &NetworkId, epoch: Epoch) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + 80);
    bytes.extend_from_slice(&[kind as u8, VERSION, APPLICATION]);
    bytes.extend_from_slice(network.as_bytes());
    bytes.extend_from_slice(&epoch.0.to_le_bytes());
    bytes
}

/// What a node signs to prove that it holds its BLS key: bound to the sender of the registration and its epoch.
pub fn proof_of_possession_message(
    network: &NetworkId,
    epoch: Epoch,
    sender: &ObjectId,
    key: &PublicKey,
) -> Vec<u8> {
    let mut bytes = header(Kind::ProofOfPossession, network, epoch);
    bytes.extend_from_slice(sender.as_bytes());
    bytes.extend_from_slice(&key.to_bytes());
    bytes
}

/// What a node signs with its libp2p key to register it: bound to sender, epoch and BLS key.
pub fn peer_proof_message(
    network: &NetworkId,
    epoch: Epoch,
    sender: &ObjectId,
    bls_public_key: &[u8],
) -> Vec<u8> {
    let epoch = epoch.0.to_le_bytes();
    let (network, sender) = (network.as_bytes(), sender.as_bytes());
    [b"haulout-peer-v1", network.as_slice(), &epoch, sender, bls_public_key].concat()
}

/// What a node signs when all its pairs of a registered blob are durable.
pub fn blob_certificate_message(
    network: &NetworkId,
    epoch: Epoch,
    blob_id: &BlobId,
    persistence: &Persistence,
) -> Vec<u8> {
    let mut bytes = header(Kind::BlobCertificate, network, epoch);
    bytes.extend_from_slice(blob_id.as_bytes());
    match persistence {
        Persistence::Permanent => bytes.push(0),
        Persistence::Deletable(object) => {
            bytes.push(1);
            bytes.extend_from_slice(object.as_bytes());
        }
    }
    bytes
}

/// What a node signs when it has seen the proof that a blob was encoded inconsistently.
pub fn invalid_blob_message(network: &NetworkId, epoch: Epoch, blob_id: &BlobId) -> Vec<u8> {
    let mut bytes = header(Kind::InvalidBlob, network, epoch);
    bytes.extend_from_slice(blob_id.as_bytes());
    bytes
}

/// What a node signs when it can speak a version of the protocol from an epoch on.
pub fn protocol_version_message(
    network: &NetworkId,
    epoch: Epoch,
    start: Epoch,
    version: u64,
) -> Vec<u8> {
    let mut bytes = header(Kind::ProtocolVersion, network, epoch);
    bytes.extend_from_slice(&start.0.to_le_bytes());
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes
}

/// The body of a message, after the checks of its header in the contract's order.
fn read_body<'a>(
    bytes: &'a [u8],
    network: &NetworkId,
    epoch: Epoch,
    kind: Kind,
) -> Result<&'a [u8], MessageError> {
    let (header, body) = bytes.split_at_checked(HEADER_BYTES).ok_or(MessageError::Malformed)?;
    if header[1] != VERSION {
        return Err(MessageError::Version(header[1]));
    }
    if header[2] != APPLICATION {
        return Err(MessageError::Application(header[2]));
    }
    let found = NetworkId::from_bytes(header[3..35].try_into().expect("the slice has 32 bytes"));
    if found != *network {
        return Err(MessageError::Network(found));
    }
    let found = Epoch(u32::from_le_bytes(header[35..].try_into().expect("the slice has 4 bytes")));
    if found != epoch {
        return Err(MessageError::Epoch(found));
    }
    match header[0] == kind as u8 {
        true => Ok(body),
        false => Err(MessageError::Kind(header[0])),
    }
}

/// Which blob a blob certificate's message is about, and how persistent it is.
pub fn read_blob_certificate_message(
    bytes: &[u8],
    network: &NetworkId,
    epoch: Epoch,
) -> Result<(BlobId, Persistence), MessageError> {
    let body = read_body(bytes, network, epoch, Kind::BlobCertificate)?;
    let (id, persistence) = body.split_first_chunk().ok_or(MessageError::Malformed)?;
    let persistence = match persistence.split_first() {
        Some((0, [])) => Persistence::Permanent,
        Some((1, object)) => {
            let object = object.try_into().map_err(|_| MessageError::Malformed)?;
            Persistence::Deletable(ObjectId::from_bytes(object))
        }
        _ => return Err(MessageError::Malformed),
    };
    Ok((BlobId::from_bytes(*id), persistence))
}

/// Which blob a message declares invalid.
pub fn read_invalid_blob_message(
    bytes: &[u8],
    network: &NetworkId,
    epoch: Epoch,
) -> Result<BlobId, MessageError> {
    let body = read_body(bytes, network, epoch, Kind::InvalidBlob)?;
    Ok(BlobId::from_bytes(body.try_into().map_err(|_| MessageError::Malformed)?))
}

/// From which epoch on which version of the protocol is spoken.
pub fn read_protocol_version_message(
    bytes: &[u8],
    network: &NetworkId,
    epoch: Epoch,
) -> Result<(Epoch, u64), MessageError> {
    let body = read_body(bytes, network, epoch, Kind::ProtocolVersion)?;
    let (start, version) = body.split_first_chunk().ok_or(MessageError::Malformed)?;
    let version = version.try_into().map_err(|_| MessageError::Malformed)?;
    Ok((Epoch(u32::from_le_bytes(*start)), u64::from_le_bytes(version)))
}

/// The epoch a message's header names, for choosing the committee; nothing for bytes too short.
pub fn epoch_of(bytes: &[u8]) -> Option<Epoch> {
    Some(Epoch(u32::from_le_bytes(bytes.get(35..HEADER_BYTES)?.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;

    const NETWORK: NetworkId = NetworkId::from_bytes([3; 32]);

    #[test]
    fn a_blob_message_reads_back_and_every_changed_field_is_noticed() {
        let blob = BlobId::from_bytes([5; 32]);
        for persistence in
            [Persistence::Permanent, Persistence::Deletable(ObjectId::from_bytes([8; 32]))]
        {
            let bytes = blob_certificate_message(&NETWORK, Epoch(2), &blob, &persistence);
            let read = |bytes: &[u8]| read_blob_certificate_message(bytes, &NETWORK, Epoch(2));
            assert_eq!(read(&bytes), Ok((blob, persistence)));
            assert_eq!(epoch_of(&bytes), Some(Epoch(2)));
            for at in 0..bytes.len() {
                let mut bytes = bytes.clone();
                bytes[at] ^= 0x10;
                assert_ne!(read(&bytes), Ok((blob, persistence)), "byte {at}");
            }
            assert_eq!(read(&bytes[..bytes.len() - 1]), Err(MessageError::Malformed));
            assert_eq!(read(&[&bytes[..], &[0]].concat()), Err(MessageError::Malformed));
        }
    }

    #[test]
    fn a_proof_of_possession_is_no_blob_message() {
        let key = SecretKey::from_seed(&[1; 32]).public_key();
        let bytes =
            proof_of_possession_message(&NETWORK, Epoch(0), &ObjectId::from_bytes([4; 32]), &key);
        assert_eq!(bytes.len(), HEADER_BYTES + 80);
        let read = read_blob_certificate_message(&bytes, &NETWORK, Epoch(0));
        assert_eq!(read, Err(MessageError::Kind(0)));
    }

    #[test]
    fn a_peer_proof_names_network_epoch_sender_and_key() {
        let bytes =
            peer_proof_message(&NETWORK, Epoch(0x0102), &ObjectId::from_bytes([4; 32]), &[5; 48]);
        let fields = ["03".repeat(32), "02010000".into(), "04".repeat(32), "05".repeat(48)];
        assert_eq!(hex::encode(bytes), hex::encode("haulout-peer-v1") + &fields.concat());
    }

    #[test]
    fn the_bytes_never_change_unnoticed() {
        let blob = BlobId::from_bytes([5; 32]);
        let bytes =
            blob_certificate_message(&NETWORK, Epoch(0x0102), &blob, &Persistence::Permanent);
        let head = |kind| format!("{kind}0162{}02010000", "03".repeat(32));
        assert_eq!(hex::encode(bytes), format!("{}{}00", head("01"), "05".repeat(32)));
        let bytes = invalid_blob_message(&NETWORK, Epoch(0x0102), &blob);
        assert_eq!(hex::encode(bytes), format!("{}{}", head("02"), "05".repeat(32)));
        let bytes = protocol_version_message(&NETWORK, Epoch(0x0102), Epoch(7), 0x0304);
        assert_eq!(hex::encode(bytes), format!("{}070000000403000000000000", head("06")));
    }

    #[test]
    fn verdicts_and_versions_read_back_at_their_exact_length_only() {
        let blob = BlobId::from_bytes([5; 32]);
        let verdict = invalid_blob_message(&NETWORK, Epoch(2), &blob);
        let version = protocol_version_message(&NETWORK, Epoch(2), Epoch(4), 9);
        let read_verdict = |bytes: &[u8]| read_invalid_blob_message(bytes, &NETWORK, Epoch(2));
        let read_version = |bytes: &[u8]| read_protocol_version_message(bytes, &NETWORK, Epoch(2));
        assert_eq!(read_verdict(&verdict), Ok(blob));
        assert_eq!(read_version(&version), Ok((Epoch(4), 9)));
        for cut in HEADER_BYTES..verdict.len() {
            assert_eq!(read_verdict(&verdict[..cut]), Err(MessageError::Malformed));
        }
        for cut in HEADER_BYTES..version.len() {
            assert_eq!(read_version(&version[..cut]), Err(MessageError::Malformed));
        }
        assert_eq!(read_verdict(&[&verdict[..], &[0]].concat()), Err(MessageError::Malformed));
        assert_eq!(read_version(&[&version[..], &[0]].concat()), Err(MessageError::Malformed));
        assert_eq!(read_verdict(&version), Err(MessageError::Kind(6)));
        assert_eq!(read_version(&verdict), Err(MessageError::Kind(2)));
    }

    #[test]
    fn each_field_of_the_header_is_refused_by_its_name() {
        let blob = BlobId::from_bytes([5; 32]);
        let bytes = blob_certificate_message(&NETWORK, Epoch(2), &blob, &Persistence::Permanent);
        let mut network = [3; 32];
        network[0] = 9;
        for (at, expected) in [
            (0, MessageError::Kind(9)),
            (1, MessageError::Version(9)),
            (2, MessageError::Application(9)),
            (3, MessageError::Network(NetworkId::from_bytes(network))),
            (35, MessageError::Epoch(Epoch(9))),
        ] {
            let mut bytes = bytes.clone();
            bytes[at] = 9;
            let read = read_blob_certificate_message(&bytes, &NETWORK, Epoch(2));
            assert_eq!(read, Err(expected), "byte {at}");
        }
        assert_eq!(epoch_of(&bytes[..HEADER_BYTES]), Some(Epoch(2)));
        assert_eq!(epoch_of(&bytes[..HEADER_BYTES - 1]), None);
    }

    #[test]
    fn a_network_id_reads_what_it_writes() {
        let id = NetworkId::from_bytes([0xa7; 32]);
        assert_eq!(id.to_string(), format!("0x{}", "a7".repeat(32)));
        assert_eq!(format!("{id:?}"), id.to_string());
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("0xa7zz".parse::<NetworkId>(), Err(ParseNetworkIdError));
    }
}
