//! The erasure code and its commitments, held against Walrus's own encoder, a slow reference and themselves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod golden;
mod inconsistency;
mod pipeline;
mod properties;
mod reference;
mod repair;
mod short;
#[cfg(feature = "parallel")]
mod threads;
mod vectors;

use bytes::Bytes;
use haulout_protocol::encoding::{
    EncodedSegment, Parameters, SEGMENT_BYTES, SegmentPosition, encode_segment,
};
use haulout_protocol::sliver::Axis;

/// Bytes that look random and are the same everywhere: SplitMix64, little endian.
fn sample(seed: u64, length: usize) -> Bytes {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

fn parameters(shards: u16) -> Parameters {
    Parameters::new(shards, SEGMENT_BYTES).expect("valid parameters")
}

/// The only segment of a small blob.
fn encode(parameters: &Parameters, blob: &Bytes) -> EncodedSegment {
    encode_segment(parameters, only_segment(blob), blob.clone())
}

fn only_segment(blob: &Bytes) -> SegmentPosition {
    SegmentPosition { segment: 0, blob_bytes: blob.len() as u64 }
}

fn length(blob: &Bytes) -> u32 {
    u32::try_from(blob.len()).expect("a small blob")
}

fn slivers(encoded: &EncodedSegment, axis: Axis, indexes: &[u16]) -> Vec<(u16, Bytes)> {
    indexes.iter().map(|index| (*index, encoded.sliver(axis, *index))).collect()
}
