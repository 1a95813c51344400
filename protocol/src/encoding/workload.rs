//! What the code is measured by: each operation, prepared once and run again and again, and beside it the limit, which is
//! the raw arithmetic that the operation cannot do without.
//!
//! The limit is `reed-solomon-simd`, as it comes, over the same shards, and BLAKE3 over the same bytes, each called in the
//! way it is fastest; what moves, packs or allocates is not in it. Where the processor has instructions that we use and
//! the library does not, a ratio can be below one. Promises: an operation does all of its work every time.
//! Does not: know a clock; the caller times [`Workload::run`] against [`Workload::run_limit`].

mod limits;
mod segments;
mod short;
mod slivers;

use std::fmt;

use super::parameters::{Parameters, SHORT_BYTES_MAX};
use crate::sliver::Axis;
use segments::Blob;
use short::Short;

/// Something that can be done any number of times.
type Work = Box<dyn FnMut()>;

/// Something the code does with each segment of a blob. Each says what its limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// All slivers, their index and the commitment. Limit: both directions of the code and every hash.
    Encode,
    /// Only the commitment. Limit: that of [`Operation::Encode`].
    Identify,
    /// The segment from its own rows, content checked. Limit: hashing the content.
    DecodeSystematic,
    /// The segment from repair primaries, content checked. Limit: the library's decoder, and hashing the content.
    DecodeRepair,
    /// The segment from primaries of which a tenth are repair, as if one of ten nodes were silent, content checked. Limit: as above.
    DecodeFewRepair,
    /// The segment from secondaries, as many of them repair as there are, content checked. Limit: as above.
    DecodeSecondary,
    /// One primary sliver against its root. Limit: one call of that shape, and hashing its symbols once.
    VerifyPrimary,
    /// One secondary sliver against its root. Limit: as above.
    VerifySecondary,
    /// One repair symbol of a primary sliver, without proof. Limit: one call of that shape.
    ServeSymbol,
    /// One symbol with its proof, from a primary sliver that was expanded before. Limit: that of verifying the sliver,
    /// which is what serving it costs whoever does not keep the expanded sliver.
    ServeProvedSymbol,
    /// A primary sliver from repair symbols without proofs, checked against its root. Limit: one call each of the
    /// library's decoder and encoder, and hashing the sliver's symbols once.
    RecoverPrimary,
    /// A secondary sliver, likewise. Limit: as above.
    RecoverSecondary,
    /// The proof that a primary sliver was committed wrongly, from proved symbols. Limit: that of
    /// [`Operation::RecoverPrimary`], and hashing each symbol and its proof.
    ProveInconsistency,
    /// The check of that proof. Limit: the same.
    CheckInconsistency,
    /// All symbols of a short blob, their tree and the header. Limit: one call of that shape, and every hash.
    EncodeShort,
    /// A short blob from its own symbols, content checked. Limit: hashing the content.
    DecodeShortSystematic,
    /// A short blob from repair symbols, content checked. Limit: the library's decoder, and hashing the content.
    DecodeShortRepair,
    /// What one of a hundred nodes is given of a short blob, against the header. Limit: hashing symbols and nodes.
    VerifyShort,
    /// The tree over all pairs of a segment, and the proof of each. Limit: hashing each pair and each inner node once.
    ProvePairs,
    /// One pair's proof against the commitment. Limit: hashing its group and its path.
    VerifyPair,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 20] = [
        Operation::Encode,
        Operation::Identify,
        Operation::DecodeSystematic,
        Operation::DecodeRepair,
        Operation::DecodeFewRepair,
        Operation::DecodeSecondary,
        Operation::VerifyPrimary,
        Operation::VerifySecondary,
        Operation::ServeSymbol,
        Operation::ServeProvedSymbol,
        Operation::RecoverPrimary,
        Operation::RecoverSecondary,
        Operation::ProveInconsistency,
        Operation::CheckInconsistency,
        Operation::EncodeShort,
        Operation::DecodeShortSystematic,
        Operation::DecodeShortRepair,
        Operation::VerifyShort,
        Operation::ProvePairs,
        Operation::VerifyPair,
    ];

    /// Whether it is done with blobs of this many bytes: short operations with those that some network takes for short, the
    /// others with all.
    pub fn is_of(self, parameters: &Parameters, blob_bytes: u64) -> bool {
        let most = SHORT_BYTES_MAX.min(parameters.segment_bytes());
        match self {
            Operation::EncodeShort
            | Operation::DecodeShortSystematic
            | Operation::DecodeShortRepair
            | Operation::VerifyShort => blob_bytes <= u64::from(most),
            _ => true,
        }
    }

    /// The name on the command line and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Encode => "encode",
            Operation::Identify => "identify",
            Operation::DecodeSystematic => "decode-systematic",
            Operation::DecodeRepair => "decode-repair",
            Operation::DecodeFewRepair => "decode-few-repair",
            Operation::DecodeSecondary => "decode-secondary",
            Operation::VerifyPrimary => "verify-primary",
            Operation::VerifySecondary => "verify-secondary",
            Operation::ServeSymbol => "serve-symbol",
            Operation::ServeProvedSymbol => "serve-proved-symbol",
            Operation::RecoverPrimary => "recover-primary",
            Operation::RecoverSecondary => "recover-secondary",
            Operation::ProveInconsistency => "prove-inconsistency",
            Operation::CheckInconsistency => "check-inconsistency",
            Operation::EncodeShort => "encode-short",
            Operation::DecodeShortSystematic => "decode-short-systematic",
            Operation::DecodeShortRepair => "decode-short-repair",
            Operation::VerifyShort => "verify-short",
            Operation::ProvePairs => "prove-pairs",
            Operation::VerifyPair => "verify-pair",
        }
    }
}

/// An operation on a blob, and its limit, ready to run.
pub struct Workload {
    work: Work,
    limit: Work,
}

impl Workload {
    /// Prepares an operation on a blob of this many bytes, segment after segment.
    ///
    /// # Panics
    /// If the operation is not done with blobs of this length; see [`Operation::is_of`].
    pub fn new(operation: Operation, parameters: &Parameters, blob_bytes: u64) -> Self {
        let blob = || Blob::new(parameters, blob_bytes);
        let short = || Short::new(parameters, blob_bytes);
        match operation {
            Operation::Encode => blob().encode(),
            Operation::Identify => blob().identify(),
            Operation::DecodeSystematic => blob().decode_systematic(),
            Operation::DecodeRepair => blob().decode_repair(Axis::Primary, u16::MAX),
            Operation::DecodeFewRepair => {
                blob().decode_repair(Axis::Primary, parameters.primary_source().div_ceil(10))
            }
            Operation::DecodeSecondary => blob().decode_repair(Axis::Secondary, u16::MAX),
            Operation::VerifyPrimary => blob().verify(Axis::Primary),
            Operation::VerifySecondary => blob().verify(Axis::Secondary),
            Operation::ServeSymbol => blob().serve_symbol(),
            Operation::ServeProvedSymbol => blob().serve_proved_symbol(),
            Operation::RecoverPrimary => blob().recover(Axis::Primary),
            Operation::RecoverSecondary => blob().recover(Axis::Secondary),
            Operation::ProveInconsistency => blob().prove_inconsistency(),
            Operation::CheckInconsistency => blob().check_inconsistency(),
            Operation::EncodeShort => short().encode(),
            Operation::DecodeShortSystematic => short().decode_systematic(),
            Operation::DecodeShortRepair => short().decode_repair(),
            Operation::VerifyShort => short().verify(),
            Operation::ProvePairs => blob().prove_pairs(),
            Operation::VerifyPair => blob().verify_pair(),
        }
    }

    /// Does the operation once.
    pub fn run(&mut self) {
        (self.work)();
    }

    /// Does once what the operation cannot do without.
    pub fn run_limit(&mut self) {
        (self.limit)();
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Workload")
    }
}
