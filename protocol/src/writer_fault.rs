//! Evidence that the writer of a blob is at fault, whatever the blob's encoding, as nodes show it to each other.
//!
//! Promises: evidence that checks convinces whoever has the blob's id, and an honest blob has none; any bytes give a verdict.
//! Does not: find faults (`inconsistency` and `encoding` do), or say what follows.
//! Source: `protocol.md` sections 4 and 8.

use crate::blob::{BlobHeader, BlobId, Encoding, HeaderError};
use crate::encoding::{Parameters, SegmentPosition, ShortError, ShortInconsistency};
use crate::inconsistency::{InconsistencyError, InconsistencyProof};
use crate::wire::{self, DecodeError};

/// What shows that a blob was encoded wrongly.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum WriterFault {
    /// A segment of it was.
    Segment {
        /// Which.
        segment: u32,
        /// How one sees it.
        proof: InconsistencyProof,
    },
    /// It is short, and its symbols were.
    Short(ShortInconsistency),
}

/// Why evidence shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriterFaultError {
    /// The header is not the blob's.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// It cannot be read.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// It speaks of segments of a short blob, or of symbols of one that has none.
    #[error("the evidence is not about a blob with {0}")]
    OtherEncoding(Encoding),
    /// There is no such segment.
    #[error("the blob has no segment {0}")]
    NoSuchSegment(u32),
    /// The proof about a segment shows nothing.
    #[error(transparent)]
    Segment(#[from] InconsistencyError),
    /// The proof about a short blob shows nothing.
    #[error(transparent)]
    Short(#[from] ShortError),
}

impl WriterFault {
    /// Whether this shows that the writer of the blob with this header is at fault. Takes as long as to recover a sliver or
    /// decode a segment.
    ///
    /// # Errors
    /// It shows nothing, for the reason that the error gives.
    pub fn check(
        &self,
        parameters: &Parameters,
        header: &BlobHeader,
    ) -> Result<(), WriterFaultError> {
        match (self, header.encoding) {
            (WriterFault::Segment { segment, proof }, Encoding::Segments) => {
                let place = usize::try_from(*segment).ok();
                let commitment = place.and_then(|place| header.segments.get(place));
                let commitment = commitment.ok_or(WriterFaultError::NoSuchSegment(*segment))?;
                let position = SegmentPosition { segment: *segment, blob_bytes: header.length };
                Ok(proof.check(parameters, position, commitment)?)
            }
            (WriterFault::Short(proof), Encoding::Short) => Ok(proof.check(parameters, header)?),
            (_, encoding) => Err(WriterFaultError::OtherEncoding(encoding)),
        }
    }

    /// Whether these bytes, of a header and of evidence, show that the writer of the blob with this id is at fault.
    ///
    /// # Errors
    /// They show nothing, for the reason that the error gives: whoever sent them did not check them.
    pub fn examine(
        parameters: &Parameters,
        blob_id: &BlobId,
        header: &[u8],
        evidence: Vec<u8>,
    ) -> Result<(), WriterFaultError> {
        let header = BlobHeader::read_verified(header, parameters, blob_id)?;
        let fault: WriterFault = wire::decode(&evidence)?;
        drop(evidence); // it may be long, and the check needs memory, too
        fault.check(parameters, &header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::SegmentCommitment;
    use crate::crypto;
    use crate::encoding::{ShortRepair, encode_short, header_of, repair_short};
    use crate::merkle::Tree;
    use crate::sliver::Axis;

    const BLOB: [u8; 700] = [7; 700];

    fn network() -> Parameters {
        let parameters = Parameters::new(10, 1024).expect("valid parameters");
        parameters.with_short_blobs(1000).expect("not more than a segment")
    }

    /// The header of a short blob, one symbol of which is another's, with the evidence.
    fn lie() -> (BlobHeader, WriterFault) {
        let encoded = encode_short(&network(), &BLOB);
        let mut symbols: Vec<_> = (0..10).map(|place| encoded.symbol(place).to_vec()).collect();
        symbols[9][0] ^= 1;
        let tree = Tree::new(symbols.iter().map(|symbol| crypto::hash_symbol(symbol)).collect());
        let commitment = SegmentCommitment { slivers_root: tree.root(), ..encoded.commitment() };
        let header = BlobHeader::new(&network(), 700, vec![commitment]);
        let Ok(ShortRepair::Inconsistent(fault)) = repair_short(&network(), &header, &BLOB) else {
            panic!("the symbols are not those that were committed to");
        };
        (header, WriterFault::Short(fault))
    }

    fn examine(
        header: &BlobHeader,
        sent: &BlobHeader,
        fault: &WriterFault,
    ) -> Option<WriterFaultError> {
        let id = header.blob_id();
        WriterFault::examine(&network(), &id, &sent.to_bytes(), wire::encode(fault)).err()
    }

    #[test]
    fn evidence_convinces_whoever_has_the_blob_id_and_counts_for_no_other_blob() {
        let (header, fault) = lie();
        assert_eq!(examine(&header, &header, &fault), None);
        let honest = header_of(&network(), &BLOB);
        assert_eq!(
            examine(&honest, &honest, &fault),
            Some(WriterFaultError::Short(ShortError::Consistent))
        );
        let other = examine(&honest, &header, &fault);
        assert!(matches!(other, Some(WriterFaultError::Header(_))), "{other:?}");
    }

    #[test]
    fn evidence_about_segments_says_nothing_of_a_short_blob_and_the_other_way_round() {
        let (short, about_short) = lie();
        let long = header_of(&network(), &[7; 1500]);
        let proof = InconsistencyProof::Content {
            axis: Axis::Primary,
            slivers: Vec::new(),
            groups: Vec::new(),
        };
        let about_segment = |segment| WriterFault::Segment { segment, proof: proof.clone() };
        assert_eq!(
            examine(&short, &short, &about_segment(0)),
            Some(WriterFaultError::OtherEncoding(Encoding::Short))
        );
        assert_eq!(
            examine(&long, &long, &about_short),
            Some(WriterFaultError::OtherEncoding(Encoding::Segments))
        );
        assert_eq!(
            examine(&long, &long, &about_segment(2)),
            Some(WriterFaultError::NoSuchSegment(2))
        );
        let empty = examine(&long, &long, &about_segment(1));
        assert!(matches!(empty, Some(WriterFaultError::Segment(_))), "{empty:?}");
    }

    #[test]
    fn bytes_that_are_no_evidence_are_refused() {
        let (header, fault) = lie();
        let (id, bytes) = (header.blob_id(), wire::encode(&fault));
        for cut in [0, 1, bytes.len() - 1] {
            let cut = bytes[..cut].to_vec();
            let refused = WriterFault::examine(&network(), &id, &header.to_bytes(), cut);
            assert!(matches!(refused, Err(WriterFaultError::Malformed(_))), "{refused:?}");
        }
        let longer = [&bytes[..], &[0]].concat();
        let refused = WriterFault::examine(&network(), &id, &header.to_bytes(), longer);
        assert!(matches!(refused, Err(WriterFaultError::Malformed(_))), "{refused:?}");
    }
}
