//! Proofs that the writer of a blob encoded one of its segments inconsistently.
//!
//! Promises: a proof that checks shows the writer's fault, whoever made the proof; a segment that was encoded as the
//! protocol says has none. Does not: find out which node lied about an unproved symbol, or say what follows from a proof.
//! Source: `protocol.md` sections 4 and 8.
//!
//! Three things can be wrong. Symbols from their committed places may decode to a **sliver** with another root than its
//! pair's proof gives; or to a **pair** with another leaf than its neighbours' proofs give, which is all that is known of a
//! pair that was lost. Or slivers may match their proofs and decode to **content** with another digest than the commitment
//! gives. What the roots are, a proof shows itself: it brings the groups of the pairs that it speaks of.

use bytes::Bytes;

use crate::blob::SegmentCommitment;
use crate::crypto::Digest;
use crate::encoding::{
    DecodeError, ExpandedSliver, Parameters, RecoverError, RecoverySymbol, SegmentPosition,
    SliverError, SliverVerifier, SymbolError, content_digest, decode_segment, recover_sliver,
};
use crate::pairs::{GroupProof, KnownPairs, PairProofError, PairRoots};
use crate::sliver::{Axis, PairIndex, pair_of_sliver};

mod encoded;

/// Evidence that anyone can check who has the segment's commitment.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum InconsistencyProof {
    /// These symbols decode to another sliver than was committed to.
    Sliver {
        /// Which kind of sliver.
        axis: Axis,
        /// The sliver.
        sliver: u16,
        /// Just as many symbols as recover it.
        symbols: Vec<RecoverySymbol>,
        /// What proves its root and those of the symbols' sources.
        groups: Vec<GroupProof>,
    },
    /// These symbols decode to two slivers that are not the pair which was committed to.
    Pair {
        /// The pair.
        pair: PairIndex,
        /// Just as many symbols as recover its primary sliver.
        primary: Vec<RecoverySymbol>,
        /// Just as many symbols as recover its secondary sliver.
        secondary: Vec<RecoverySymbol>,
        /// What proves its leaf and the roots of the symbols' sources.
        groups: Vec<GroupProof>,
    },
    /// These slivers, which match their proofs, decode to other bytes than were committed to.
    Content {
        /// Which kind of slivers.
        axis: Axis,
        /// Just as many slivers as decode the segment, each with its index.
        slivers: Vec<(u16, Vec<u8>)>,
        /// What proves their roots.
        groups: Vec<GroupProof>,
    },
}

/// Why a proof shows nothing, or why there is none to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InconsistencyError {
    /// Past the end of the blob.
    #[error("the blob has no segment {0}")]
    NoSuchSegment(u32),
    /// What is known of pairs is of another segment.
    #[error("the pair proofs are not of the segment with this commitment")]
    WrongSegment,
    /// A group is not of this segment.
    #[error(transparent)]
    Pairs(#[from] PairProofError),
    /// Nothing proves what the pair should be.
    #[error("nothing proves what pair {0} should be")]
    UnknownPair(PairIndex),
    /// Groups of pairs that the proof does not speak of, or one twice.
    #[error("a proof brings the groups of the pairs it speaks of, once each, and no others")]
    WrongGroups,
    /// More symbols or slivers than needed, or fewer.
    #[error("a proof has exactly {needed} symbols or slivers, not {found}")]
    WrongCount {
        /// How many are needed.
        needed: usize,
        /// How many came.
        found: usize,
    },
    /// A symbol is not from its place in a committed sliver.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// The symbols recover nothing.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// A sliver is not the one committed to.
    #[error(transparent)]
    Sliver(#[from] SliverError),
    /// The slivers decode to nothing.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The symbols decode to the sliver that was committed to.
    #[error("the symbols give the {axis} sliver {sliver} that was committed to")]
    ConsistentSliver {
        /// Which kind.
        axis: Axis,
        /// The sliver.
        sliver: u16,
    },
    /// The symbols decode to the pair that was committed to.
    #[error("the symbols give the pair {0} that was committed to")]
    ConsistentPair(PairIndex),
    /// The slivers decode to the content that was committed to.
    #[error("the slivers give the content that was committed to")]
    ConsistentContent,
}

/// What proved symbols give: the sliver or the two slivers that were committed to, or the writer's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair<T> {
    /// What was committed to.
    Found(T),
    /// There is none: the writer is at fault.
    Inconsistent(InconsistencyProof),
}

/// One segment, and what is known of its pairs: all that proofs are made from and checked against.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The network's.
    pub parameters: &'a Parameters,
    /// Which segment of how long a blob.
    pub position: SegmentPosition,
    /// What the blob's header says of it.
    pub commitment: &'a SegmentCommitment,
    /// What pair proofs told.
    pub pairs: &'a KnownPairs,
}

impl<'a> Evidence<'a> {
    /// Recovers a sliver whose root is known from proved symbols, or proves that the writer left none to recover. Surplus
    /// symbols are ignored, those that the sliver itself holds coming first.
    ///
    /// # Errors
    /// The pair proofs do not suffice, the symbols are too few, or one is wrong: nothing is known about the writer. The
    /// error names the source of a wrong symbol.
    pub fn prove_sliver(
        &self,
        axis: Axis,
        sliver: u16,
        mut symbols: Vec<RecoverySymbol>,
    ) -> Result<Repair<Bytes>, InconsistencyError> {
        self.check_segment()?;
        self.trim(axis, &mut symbols);
        Ok(match self.recover_checked(axis, sliver, &symbols)? {
            Some(sliver) => Repair::Found(sliver),
            None => {
                let target = pair_of_sliver(axis, sliver, self.parameters);
                let sources = self.sources(axis, &symbols).chain([target]);
                let groups = self.groups_of(sources, None)?;
                Repair::Inconsistent(InconsistencyProof::Sliver { axis, sliver, symbols, groups })
            }
        })
    }

    /// Recovers both slivers of a pair of which no more than its leaf needs to be known, primary first; or proves that the
    /// writer left none to recover.
    ///
    /// # Errors
    /// As [`Evidence::prove_sliver`].
    pub fn prove_pair(
        &self,
        pair: PairIndex,
        [mut primary, mut secondary]: [Vec<RecoverySymbol>; 2],
    ) -> Result<Repair<[Bytes; 2]>, InconsistencyError> {
        self.check_segment()?;
        self.trim(Axis::Primary, &mut primary);
        self.trim(Axis::Secondary, &mut secondary);
        Ok(match self.recover_pair(pair, [&primary, &secondary])? {
            Some(slivers) => Repair::Found(slivers),
            None => {
                let sources = self.sources(Axis::Primary, &primary);
                let sources = sources.chain(self.sources(Axis::Secondary, &secondary));
                let groups = self.groups_of(sources, Some(pair))?;
                let proof = InconsistencyProof::Pair { pair, primary, secondary, groups };
                Repair::Inconsistent(proof)
            }
        })
    }

    /// Decodes a segment from slivers of one axis whose roots are known, or proves that the writer committed to other
    /// content. Surplus slivers are ignored, systematic ones coming first.
    ///
    /// # Errors
    /// The pair proofs do not suffice, the slivers are too few, or one is wrong: nothing is known about the writer. The
    /// error names a wrong sliver.
    pub fn prove_content(
        &self,
        axis: Axis,
        mut slivers: Vec<(u16, Bytes)>,
    ) -> Result<Repair<Bytes>, InconsistencyError> {
        self.check_segment()?;
        slivers.sort_by_key(|(sliver, _)| *sliver);
        slivers.truncate(usize::from(self.parameters.source(axis)));
        if let Some(segment) = self.decode(axis, &slivers)? {
            return Ok(Repair::Found(segment));
        }
        let pair = |(sliver, _): &(u16, Bytes)| pair_of_sliver(axis, *sliver, self.parameters);
        let groups = self.groups_of(slivers.iter().map(pair), None)?;
        let slivers = slivers.into_iter().map(|(sliver, bytes)| (sliver, bytes.into())).collect();
        Ok(Repair::Inconsistent(InconsistencyProof::Content { axis, slivers, groups }))
    }

    fn check_segment(&self) -> Result<(), InconsistencyError> {
        let SegmentPosition { segment, blob_bytes } = self.position;
        if u64::from(segment) >= self.parameters.segment_count(blob_bytes) {
            return Err(InconsistencyError::NoSuchSegment(segment));
        }
        match *self.pairs.slivers_root() == self.commitment.slivers_root {
            true => Ok(()),
            false => Err(InconsistencyError::WrongSegment),
        }
    }

    fn length(&self) -> u32 {
        self.position.length(self.parameters)
    }

    /// Keeps just as many symbols as recover a sliver of this axis.
    fn trim(&self, axis: Axis, symbols: &mut Vec<RecoverySymbol>) {
        symbols.sort_by_key(|symbol| symbol.source);
        symbols.truncate(usize::from(self.parameters.sliver_symbols(axis)));
    }

    /// The pairs that symbols for a sliver of this axis come from; they are below the shard count once verified.
    fn sources<'s>(
        &self,
        axis: Axis,
        symbols: &'s [RecoverySymbol],
    ) -> impl Iterator<Item = PairIndex> + use<'s> {
        let parameters = *self.parameters;
        symbols.iter().map(move |symbol| pair_of_sliver(axis.other(), symbol.source, &parameters))
    }

    fn groups_of(
        &self,
        roots: impl Iterator<Item = PairIndex>,
        leaf: Option<PairIndex>,
    ) -> Result<Vec<GroupProof>, InconsistencyError> {
        self.pairs.groups_of(roots, leaf).map_err(InconsistencyError::UnknownPair)
    }

    /// The root of a sliver that is below the shard count.
    fn root(&self, axis: Axis, sliver: u16) -> Result<&'a Digest, InconsistencyError> {
        let pair = pair_of_sliver(axis, sliver, self.parameters);
        let root = self.pairs.sliver_root(axis, sliver);
        root.ok_or(InconsistencyError::UnknownPair(pair))
    }

    /// The sliver that these symbols, each from its committed place, decode to.
    fn recover(
        &self,
        axis: Axis,
        sliver: u16,
        symbols: &[RecoverySymbol],
    ) -> Result<Bytes, InconsistencyError> {
        let (parameters, length) = (self.parameters, self.length());
        for symbol in symbols {
            symbol.check_place(parameters, axis, sliver)?;
            let root = self.root(axis.other(), symbol.source)?;
            symbol.verify(parameters, length, axis, sliver, root)?;
        }
        let symbols: Vec<_> = symbols.iter().map(|symbol| (symbol.source, &symbol.bytes)).collect();
        Ok(recover_sliver(parameters, length, axis, &symbols)?)
    }

    /// The sliver that was committed to; `None` if these symbols decode to another.
    fn recover_checked(
        &self,
        axis: Axis,
        sliver: u16,
        symbols: &[RecoverySymbol],
    ) -> Result<Option<Bytes>, InconsistencyError> {
        let bytes = self.recover(axis, sliver, symbols)?;
        let root = self.root(axis, sliver)?;
        let mut verifier = SliverVerifier::new(self.parameters, self.length());
        match verifier.verify(axis, sliver, &bytes, root) {
            Ok(()) => Ok(Some(bytes)),
            Err(SliverError::WrongRoot { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The pair that was committed to; `None` if these symbols decode to another.
    fn recover_pair(
        &self,
        pair: PairIndex,
        [primary, secondary]: [&[RecoverySymbol]; 2],
    ) -> Result<Option<[Bytes; 2]>, InconsistencyError> {
        if pair.0 >= self.parameters.shards() {
            return Err(PairProofError::NoSuchPair(pair.0).into());
        }
        let leaf = self.pairs.member(pair).ok_or(InconsistencyError::UnknownPair(pair))?.leaf();
        let recovered = |axis, symbols| {
            let bytes = self.recover(axis, pair.sliver_index(axis, self.parameters), symbols)?;
            let expanded = ExpandedSliver::new(self.parameters, self.length(), axis, bytes.clone());
            let root = expanded.expect("a recovered sliver has its length").root();
            Ok::<_, InconsistencyError>((bytes, root))
        };
        let (primary, primary_root) = recovered(Axis::Primary, primary)?;
        let (secondary, secondary_root) = recovered(Axis::Secondary, secondary)?;
        let roots = PairRoots { primary: primary_root, secondary: secondary_root };
        Ok((roots.leaf() == leaf).then_some([primary, secondary]))
    }

    /// The segment that was committed to; `None` if these slivers, each matching its root, decode to another.
    fn decode(
        &self,
        axis: Axis,
        slivers: &[(u16, Bytes)],
    ) -> Result<Option<Bytes>, InconsistencyError> {
        let (parameters, length) = (self.parameters, self.length());
        let mut verifier = SliverVerifier::new(parameters, length);
        for (sliver, bytes) in slivers {
            if *sliver >= parameters.shards() {
                return Err(SliverError::NoSuchSliver { axis, index: *sliver }.into());
            }
            verifier.verify(axis, *sliver, bytes, self.root(axis, *sliver)?)?;
        }
        let segment = decode_segment(parameters, length, axis, slivers)?;
        let content = content_digest(parameters, self.position, &segment);
        Ok((content == self.commitment.content).then_some(segment))
    }
}

impl InconsistencyProof {
    /// Whether this shows that the writer of the segment with this commitment is at fault.
    ///
    /// # Errors
    /// The proof shows nothing, for the reason that the error gives.
    pub fn check(
        &self,
        parameters: &Parameters,
        position: SegmentPosition,
        commitment: &SegmentCommitment,
    ) -> Result<(), InconsistencyError> {
        let mut pairs = KnownPairs::new(parameters, commitment.slivers_root);
        for group in self.groups() {
            pairs.learn_group(group)?;
        }
        let evidence = Evidence { parameters, position, commitment, pairs: &pairs };
        evidence.check_segment()?;
        let spoken_of = match self {
            InconsistencyProof::Sliver { axis, sliver, symbols, .. } => {
                let (axis, sliver) = (*axis, *sliver);
                check_count(symbols.len(), parameters.sliver_symbols(axis))?;
                if evidence.recover_checked(axis, sliver, symbols)?.is_some() {
                    return Err(InconsistencyError::ConsistentSliver { axis, sliver });
                }
                let target = pair_of_sliver(axis, sliver, parameters);
                let sources = evidence.sources(axis, symbols).chain([target]);
                evidence.groups_of(sources, None)?
            }
            InconsistencyProof::Pair { pair, primary, secondary, .. } => {
                check_count(primary.len(), parameters.sliver_symbols(Axis::Primary))?;
                check_count(secondary.len(), parameters.sliver_symbols(Axis::Secondary))?;
                if evidence.recover_pair(*pair, [primary, secondary])?.is_some() {
                    return Err(InconsistencyError::ConsistentPair(*pair));
                }
                let sources = evidence.sources(Axis::Primary, primary);
                let sources = sources.chain(evidence.sources(Axis::Secondary, secondary));
                evidence.groups_of(sources, Some(*pair))?
            }
            InconsistencyProof::Content { axis, slivers, .. } => {
                check_count(slivers.len(), parameters.source(*axis))?;
                let own = |(sliver, bytes): &(u16, Vec<u8>)| (*sliver, bytes.clone().into());
                let slivers: Vec<(u16, Bytes)> = slivers.iter().map(own).collect();
                if evidence.decode(*axis, &slivers)?.is_some() {
                    return Err(InconsistencyError::ConsistentContent);
                }
                let pairs =
                    slivers.iter().map(|(sliver, _)| pair_of_sliver(*axis, *sliver, parameters));
                evidence.groups_of(pairs, None)?
            }
        };
        match spoken_of == self.groups() {
            true => Ok(()),
            false => Err(InconsistencyError::WrongGroups),
        }
    }

    /// The groups of the pairs that the proof speaks of.
    fn groups(&self) -> &[GroupProof] {
        match self {
            InconsistencyProof::Sliver { groups, .. }
            | InconsistencyProof::Pair { groups, .. }
            | InconsistencyProof::Content { groups, .. } => groups,
        }
    }
}

/// Surplus is refused, so that a proof is no larger than needed and no part of it goes unused.
fn check_count(found: usize, needed: u16) -> Result<(), InconsistencyError> {
    match usize::from(needed) {
        needed if needed == found => Ok(()),
        needed => Err(InconsistencyError::WrongCount { needed, found }),
    }
}
