//! Blobs: their ids and the header that commits to their segments.
//!
//! Promises: a header that verifies against an id is the only header for it; reading one allocates no more than its
//! bytes. Does not: hold blob data or know where it is stored.
//! Source: `protocol.md` section 3.

use crate::crypto::{self, Digest};
use crate::encoding::content::merge_content;
use crate::encoding::parameters::Parameters;
use crate::{merkle, text};

pub use crate::encoding::kind::Encoding;

/// Names a blob by its length and content: 32 bytes, written as 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId([u8; 32]);

/// A text that is no blob id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a blob id; it has 43 characters of A-Z, a-z, 0-9, - and _")]
pub struct ParseBlobIdError;

impl BlobId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        BlobId(bytes)
    }

    /// The id's bytes; on chain they are a little-endian `u256`.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id of a blob with this encoding, length and Merkle root of segment leaves, as the chain recomputes it.
    pub fn derive(encoding: Encoding, length: u64, blob_root: &Digest) -> Self {
        let encoding = [encoding.number()];
        BlobId(crypto::blake2b_256(&[&encoding, &length.to_le_bytes(), blob_root]))
    }

    /// The first ten characters, for logs.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(10);
        text
    }
}

impl std::fmt::Display for BlobId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(&text::to_base64url(&self.0))
    }
}

impl std::fmt::Debug for BlobId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

impl std::str::FromStr for BlobId {
    type Err = ParseBlobIdError;

    fn from_str(text: &str) -> Result<Self, ParseBlobIdError> {
        text::from_base64url(text).map(BlobId).ok_or(ParseBlobIdError)
    }
}

/// What a header says of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct SegmentCommitment {
    /// Merkle root over the leaves of the segment's sliver pairs; of a short blob, over its symbols.
    pub slivers_root: Digest,
    /// BLAKE3 chaining value of the segment's bytes as a subtree of the blob, or the plain hash of a blob of one segment.
    pub content: Digest,
}

/// Commits to every segment of a blob: 64 bytes per 32 MiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobHeader {
    /// How the blob is encoded.
    pub encoding: Encoding,
    /// Length of the blob in bytes.
    pub length: u64,
    /// One commitment per segment, in order; never empty.
    pub segments: Vec<SegmentCommitment>,
}

/// Why bytes are not the header of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Cut short, or with bytes left over.
    #[error("a header of this length needs {expected} bytes, not {found}")]
    Length {
        /// What the stated blob length asks for, or the minimum.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// Another encoding.
    #[error("encoding {0} is not known here; a newer version may read it")]
    Encoding(u8),
    /// Not the encoding that blobs of this length have in this network.
    #[error("blobs of {length} bytes have {expected} in this network, not {found}")]
    WrongEncoding {
        /// The length that the header states.
        length: u64,
        /// What that length asks for.
        expected: Encoding,
        /// What the header says.
        found: Encoding,
    },
    /// A well-formed header of some other blob.
    #[error("the header belongs to blob {found}, not to {expected}")]
    WrongBlob {
        /// The id asked for.
        expected: BlobId,
        /// The id the header commits to.
        found: BlobId,
    },
}

/// One segment's commitment, and what ties it to the blob: in place of a header, whose length grows with the blob.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct SegmentProof {
    /// Length of the blob in bytes.
    pub length: u64,
    /// What the header says of the segment.
    pub commitment: SegmentCommitment,
    /// The way from the segment's leaf to the blob's root.
    pub path: merkle::Proof,
}

impl SegmentProof {
    /// Whether the blob's header says this of that segment.
    pub fn is_of(&self, blob_id: &BlobId, segment: u32, parameters: &Parameters) -> bool {
        let count = usize::try_from(parameters.segment_count(self.length));
        let (Ok(index), Ok(count)) = (usize::try_from(segment), count) else { return false };
        let leaf = crypto::hash_segment(&self.commitment.slivers_root, &self.commitment.content);
        let root = self.path.root(&leaf, index, count);
        let encoding = parameters.encoding_of(self.length);
        root.is_some_and(|root| BlobId::derive(encoding, self.length, &root) == *blob_id)
    }
}

/// Bytes before the commitments: encoding and length.
const FIXED_BYTES: usize = 9;
/// Bytes of one commitment.
const COMMITMENT_BYTES: usize = 64;

impl BlobHeader {
    /// The header of a blob of this length in this network. To compute one from a blob's bytes, see
    /// [`header_of`](crate::encoding::header_of).
    pub fn new(parameters: &Parameters, length: u64, segments: Vec<SegmentCommitment>) -> Self {
        BlobHeader { encoding: parameters.encoding_of(length), length, segments }
    }

    /// How many canonical bytes the header of a blob of this length has.
    pub fn bytes_of(length: u64, parameters: &Parameters) -> u64 {
        let commitments = parameters.segment_count(length).saturating_mul(COMMITMENT_BYTES as u64);
        commitments.saturating_add(FIXED_BYTES as u64)
    }

    fn leaves(&self) -> Vec<Digest> {
        let leaf = |segment: &SegmentCommitment| {
            crypto::hash_segment(&segment.slivers_root, &segment.content)
        };
        self.segments.iter().map(leaf).collect()
    }

    /// Merkle root over the segment leaves.
    pub fn blob_root(&self) -> Digest {
        merkle::root(&self.leaves())
    }

    /// What convinces somebody without the header of one segment's commitment; `None` if there is no such segment.
    pub fn prove(&self, segment: u32) -> Option<SegmentProof> {
        let index = usize::try_from(segment).ok()?;
        let commitment = *self.segments.get(index)?;
        let path = merkle::prove(&self.leaves(), index)?;
        Some(SegmentProof { length: self.length, commitment, path })
    }

    /// The id this header commits to.
    pub fn blob_id(&self) -> BlobId {
        BlobId::derive(self.encoding, self.length, &self.blob_root())
    }

    /// The BLAKE3 hash of the whole blob: what `b3sum` prints for the file.
    pub fn content_hash(&self, parameters: &Parameters) -> Digest {
        let content: Vec<_> = self.segments.iter().map(|segment| segment.content).collect();
        merge_content(parameters, self.length, &content)
    }

    /// Canonical bytes: encoding, length (little endian), then the commitments.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED_BYTES + COMMITMENT_BYTES * self.segments.len());
        bytes.push(self.encoding.number());
        bytes.extend_from_slice(&self.length.to_le_bytes());
        for segment in &self.segments {
            bytes.extend_from_slice(&segment.slivers_root);
            bytes.extend_from_slice(&segment.content);
        }
        bytes
    }

    /// Reads canonical bytes. The result is well formed but proves nothing until [`BlobHeader::verify`].
    pub fn from_bytes(bytes: &[u8], parameters: &Parameters) -> Result<Self, HeaderError> {
        let found = bytes.len() as u64;
        let Some((fixed, rest)) = bytes.split_at_checked(FIXED_BYTES) else {
            return Err(HeaderError::Length { expected: FIXED_BYTES as u64, found });
        };
        let encoding = Encoding::from_number(fixed[0]).ok_or(HeaderError::Encoding(fixed[0]))?;
        let length =
            u64::from_le_bytes(fixed[1..].try_into().expect("nine bytes less one are eight"));
        let right = parameters.encoding_of(length);
        if encoding != right {
            return Err(HeaderError::WrongEncoding { length, expected: right, found: encoding });
        }
        let expected = parameters.segment_count(length).saturating_mul(COMMITMENT_BYTES as u64);
        if rest.len() as u64 != expected {
            return Err(HeaderError::Length { expected: expected.saturating_add(9), found });
        }
        let digest = |bytes: &[u8]| -> Digest { bytes.try_into().expect("half of 64 bytes is 32") };
        let commitment = |bytes: &[u8]| SegmentCommitment {
            slivers_root: digest(&bytes[..32]),
            content: digest(&bytes[32..]),
        };
        let segments = rest.chunks_exact(COMMITMENT_BYTES).map(commitment).collect();
        Ok(BlobHeader { encoding, length, segments })
    }

    /// Whether this is the header of that blob.
    pub fn verify(&self, blob_id: &BlobId) -> Result<(), HeaderError> {
        let found = self.blob_id();
        if found == *blob_id {
            Ok(())
        } else {
            Err(HeaderError::WrongBlob { expected: *blob_id, found })
        }
    }

    /// Reads and verifies in one step.
    pub fn read_verified(
        bytes: &[u8],
        parameters: &Parameters,
        blob_id: &BlobId,
    ) -> Result<Self, HeaderError> {
        let header = Self::from_bytes(bytes, parameters)?;
        header.verify(blob_id)?;
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_header(length: u64, parameters: &Parameters) -> BlobHeader {
        let commitment =
            |seed: u8| SegmentCommitment { slivers_root: [seed; 32], content: [seed ^ 0xff; 32] };
        let count = u8::try_from(parameters.segment_count(length)).expect("a small sample");
        BlobHeader::new(parameters, length, (0..count).map(commitment).collect())
    }

    #[test]
    fn headers_read_what_they_write_and_nothing_else() {
        let parameters = Parameters::new(10, 1024).expect("valid parameters");
        for length in [0, 1, 1024, 1025, 5000] {
            let header = sample_header(length, &parameters);
            let bytes = header.to_bytes();
            let id = header.blob_id();
            assert_eq!(BlobHeader::read_verified(&bytes, &parameters, &id), Ok(header));
            assert!(BlobHeader::from_bytes(&bytes[1..], &parameters).is_err());
            assert!(BlobHeader::from_bytes(&[&bytes[..], &[0]].concat(), &parameters).is_err());
        }
    }

    #[test]
    fn the_length_alone_says_which_encoding_a_header_has() {
        let plain = Parameters::new(10, 1024).expect("valid parameters");
        let short = plain.with_short_blobs(1000).expect("less than a segment");
        for (length, encoding) in
            [(0, Encoding::Short), (1000, Encoding::Short), (1001, Encoding::Segments)]
        {
            let header = sample_header(length, &short);
            assert_eq!(header.encoding, encoding);
            let mut bytes = header.to_bytes();
            assert_eq!(BlobHeader::from_bytes(&bytes, &short).as_ref(), Ok(&header));
            bytes[0] ^= 1;
            let (expected, found) = (encoding, Encoding::from_number(bytes[0]).expect("2 or 3"));
            let wrong = HeaderError::WrongEncoding { length, expected, found };
            assert_eq!(BlobHeader::from_bytes(&bytes, &short), Err(wrong));
            bytes[0] = 1;
            assert_eq!(BlobHeader::from_bytes(&bytes, &short), Err(HeaderError::Encoding(1)));
            let other = BlobHeader { encoding: found, ..header.clone() };
            assert_ne!(other.blob_id(), header.blob_id(), "the id commits to the encoding");
            let proof = header.prove(0).expect("there is a segment");
            assert!(proof.is_of(&header.blob_id(), 0, &short));
            assert!(!proof.is_of(&other.blob_id(), 0, &short));
        }
        let bytes = sample_header(5, &short).to_bytes();
        assert!(BlobHeader::from_bytes(&bytes, &plain).is_err(), "a network without short blobs");
    }

    #[test]
    fn any_flipped_bit_of_a_header_changes_its_blob() {
        let parameters = Parameters::new(10, 1024).expect("valid parameters");
        let header = sample_header(3000, &parameters);
        let (bytes, id) = (header.to_bytes(), header.blob_id());
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(BlobHeader::read_verified(&bytes, &parameters, &id).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_commitment_is_proved_for_its_own_segment_of_its_own_blob() {
        let parameters = Parameters::new(10, 1024).expect("valid parameters");
        for length in [0, 1024, 5000] {
            let header = sample_header(length, &parameters);
            let id = header.blob_id();
            assert_eq!(BlobHeader::bytes_of(length, &parameters), header.to_bytes().len() as u64);
            for segment in 0..u32::try_from(header.segments.len()).expect("a small sample") {
                let proof = header.prove(segment).expect("there is such a segment");
                assert!(proof.is_of(&id, segment, &parameters));
                assert!(!proof.is_of(&id, segment + 1, &parameters));
                assert!(!proof.is_of(&BlobId::from_bytes([1; 32]), segment, &parameters));
                let mut other = proof.clone();
                other.commitment.content[0] ^= 1;
                assert!(!other.is_of(&id, segment, &parameters));
                let longer = SegmentProof { length: length + 1, ..proof };
                assert!(!longer.is_of(&id, segment, &parameters));
            }
            assert_eq!(header.prove(u32::MAX), None);
        }
    }

    #[test]
    fn a_length_that_would_need_petabytes_is_an_error_at_once() {
        let parameters = Parameters::new(4, 1024).expect("valid parameters");
        let mut bytes = vec![Encoding::Segments.number()];
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        assert!(BlobHeader::from_bytes(&bytes, &parameters).is_err());
    }

    #[test]
    fn blob_ids_read_what_they_print() {
        let id = BlobId::from_bytes([0xfb; 32]);
        assert_eq!(id.to_string().len(), 43);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("short".parse::<BlobId>(), Err(ParseBlobIdError));
    }
}
