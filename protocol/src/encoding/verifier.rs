//! Checks single slivers against their roots by extending and hashing them.
//!
//! Promises: accepts exactly the bytes that the root was made of. Does not: check the root itself, which a pair proof does.

use super::expanded::Expander;
use super::matrix::Shape;
use super::parameters::Parameters;
use crate::crypto::Digest;
use crate::merkle;
use crate::sliver::Axis;

/// Why bytes are not the sliver that was committed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SliverError {
    /// Past the last shard.
    #[error("there is no {axis} sliver {index}")]
    NoSuchSliver {
        /// Which kind.
        axis: Axis,
        /// The index that was claimed.
        index: u16,
    },
    /// Not of the size that the segment's length asks for.
    #[error("{axis} sliver {index} has {found} bytes instead of {expected}")]
    WrongLength {
        /// Which kind.
        axis: Axis,
        /// The sliver.
        index: u16,
        /// What the segment's length asks for.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// Other bytes than those committed to.
    #[error("{axis} sliver {index} does not match its root")]
    WrongRoot {
        /// Which kind.
        axis: Axis,
        /// The sliver.
        index: u16,
    },
}

/// Checks slivers of one segment, or of several equally long, with the same memory.
#[derive(Debug)]
pub struct SliverVerifier {
    parameters: Parameters,
    segment_length: u32,
    expander: Expander,
    digests: Vec<Digest>,
}

impl SliverVerifier {
    /// For the slivers of segments of this length.
    pub fn new(parameters: &Parameters, segment_length: u32) -> Self {
        let shape = Shape::new(parameters, segment_length);
        SliverVerifier {
            parameters: *parameters,
            segment_length,
            expander: Expander::new(shape),
            digests: vec![[0; 32]; shape.shards],
        }
    }

    /// Whether these bytes are the sliver with this root.
    pub fn verify(
        &mut self,
        axis: Axis,
        index: u16,
        bytes: &[u8],
        root: &Digest,
    ) -> Result<(), SliverError> {
        if index >= self.parameters.shards() {
            return Err(SliverError::NoSuchSliver { axis, index });
        }
        let expected = self.parameters.sliver_bytes(axis, self.segment_length);
        if bytes.len() != expected {
            return Err(SliverError::WrongLength { axis, index, expected, found: bytes.len() });
        }
        self.expander.hash(axis, bytes, |_, _, _| (), &mut self.digests);
        if merkle::root(&self.digests) == *root {
            Ok(())
        } else {
            Err(SliverError::WrongRoot { axis, index })
        }
    }
}

/// Whether these bytes are the sliver with this root. To check several, keep a [`SliverVerifier`].
pub fn verify_sliver(
    parameters: &Parameters,
    segment_length: u32,
    axis: Axis,
    index: u16,
    bytes: &[u8],
    root: &Digest,
) -> Result<(), SliverError> {
    SliverVerifier::new(parameters, segment_length).verify(axis, index, bytes, root)
}
