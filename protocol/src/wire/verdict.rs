//! `verdict/1`: a member shows others that a blob was encoded wrongly, and asks for their signatures.
//!
//! One [`Request`] frame, then [`Reply::Send`]; then the blob's header and the evidence as raw bytes; then [`Reply::Signed`].
//! Any time the node may say [`Reply::Refused`] and end the stream: whoever would not sign anyway has nothing sent.
//! The evidence is a fault of `writer_fault` in the encoding of frames.
//!
//! Promises: how many raw bytes follow is known before they come. Does not: judge them.

use bincode::{Decode, Encode};

use super::Refusal;

/// What a member asks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// The bytes of the blob's id.
    pub blob_id: [u8; 32],
    /// How many raw bytes the header has; at most [`HEADER_BYTES_MAX`](super::HEADER_BYTES_MAX).
    pub header_bytes: u32,
    /// How many the evidence has; at most [`PROOF_FRAME_BYTES_MAX`](super::PROOF_FRAME_BYTES_MAX).
    pub evidence_bytes: u32,
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// Header and evidence may come.
    Send,
    /// The evidence holds.
    Signed {
        /// The epoch whose committee the node signs for.
        epoch: u32,
        /// BLS signature over the message that declares the blob invalid, 96 bytes.
        signature: [u8; 96],
    },
    /// Not this time; the stream ends.
    Refused(Refusal),
}

super::refusable!(Reply);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{SMALL_FRAME_BYTES_MAX, decode, encode};

    #[test]
    fn frames_read_what_they_write_and_are_small() {
        let request =
            Request { blob_id: [5; 32], header_bytes: 0x0102, evidence_bytes: 0x0304_0506 };
        let bytes = encode(&request);
        let fields = ["05".repeat(32), "02010000".into(), "06050403".into()];
        assert_eq!(hex::encode(&bytes), fields.concat());
        assert_eq!(decode(&bytes), Ok(request));
        for reply in [
            Reply::Send,
            Reply::Signed { epoch: 7, signature: [9; 96] },
            Reply::Refused(Refusal::NotMember),
        ] {
            let bytes = encode(&reply);
            assert!(u32::try_from(bytes.len()).is_ok_and(|it| it < SMALL_FRAME_BYTES_MAX));
            assert_eq!(decode(&bytes), Ok(reply));
        }
    }
}
