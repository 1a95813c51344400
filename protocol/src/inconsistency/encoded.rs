//! The writer's fault in a segment that was read as a whole and encoded again.
//!
//! Promises: if it is known of a pair that what was committed to is not what the content gives, and of enough slivers across it
//! that they are, there is a proof. Does not: know more than pair proofs told; somebody who holds more may prove more.

use super::{Evidence, InconsistencyProof, Repair};
use crate::encoding::{EncodedSegment, ExpandedSliver, RecoverySymbol};
use crate::pairs::Member;
use crate::sliver::{Axis, PairIndex};

impl Evidence<'_> {
    /// Proves that the writer committed to something else than the encoding of its own content.
    pub fn prove_encoded(&self, encoded: &EncodedSegment) -> Option<InconsistencyProof> {
        let pairs = (0..self.parameters.shards()).map(PairIndex);
        pairs.filter_map(|pair| Some((pair, self.pairs.member(pair)?))).find_map(
            |(pair, member)| {
                let right = encoded.pairs().roots(pair);
                match member {
                    Member::Roots(roots) => Axis::BOTH.into_iter().find_map(|axis| {
                        let is_wrong = roots.of(axis) != right.of(axis);
                        is_wrong.then(|| self.prove_wrong_sliver(encoded, axis, pair)).flatten()
                    }),
                    Member::Leaf(leaf) => {
                        let is_wrong = *leaf != right.leaf();
                        is_wrong.then(|| self.prove_wrong_pair(encoded, pair)).flatten()
                    }
                }
            },
        )
    }

    fn prove_wrong_sliver(
        &self,
        encoded: &EncodedSegment,
        axis: Axis,
        pair: PairIndex,
    ) -> Option<InconsistencyProof> {
        let sliver = pair.sliver_index(axis, self.parameters);
        let symbols = self.symbols_of(encoded, axis, sliver)?;
        match self.prove_sliver(axis, sliver, symbols) {
            Ok(Repair::Inconsistent(proof)) => Some(proof),
            Ok(Repair::Found(_)) | Err(_) => None,
        }
    }

    fn prove_wrong_pair(
        &self,
        encoded: &EncodedSegment,
        pair: PairIndex,
    ) -> Option<InconsistencyProof> {
        let symbols =
            |axis| self.symbols_of(encoded, axis, pair.sliver_index(axis, self.parameters));
        let symbols = [symbols(Axis::Primary)?, symbols(Axis::Secondary)?];
        match self.prove_pair(pair, symbols) {
            Ok(Repair::Inconsistent(proof)) => Some(proof),
            Ok(Repair::Found(_)) | Err(_) => None,
        }
    }

    /// Just as many proved symbols as recover a sliver, from slivers across it that are the ones committed to.
    fn symbols_of(
        &self,
        encoded: &EncodedSegment,
        axis: Axis,
        sliver: u16,
    ) -> Option<Vec<RecoverySymbol>> {
        let (across, needed) = (axis.other(), usize::from(self.parameters.sliver_symbols(axis)));
        let is_right = |source: &u16| {
            let known = self.pairs.sliver_root(across, *source);
            known == Some(encoded.pairs().sliver_root(across, *source))
        };
        let sources: Vec<_> = (0..self.parameters.shards()).filter(is_right).take(needed).collect();
        if sources.len() < needed {
            return None;
        }
        let symbol = |source: &u16| {
            let bytes = encoded.sliver(across, *source);
            let expanded = ExpandedSliver::new(self.parameters, self.length(), across, bytes);
            expanded.ok().map(|expanded| expanded.recovery_symbol(*source, sliver))
        };
        sources.iter().map(symbol).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::SegmentCommitment;
    use crate::encoding::{Parameters, SegmentPosition, encode_segment};
    use crate::pairs::{KnownPairs, PairRoots, PairTree};

    const LENGTH: u16 = 900;

    /// Fourteen shards: six rows, ten columns; of a writer who committed to another sliver in one pair.
    struct World {
        parameters: Parameters,
        encoded: EncodedSegment,
        commitment: SegmentCommitment,
        tree: PairTree,
    }

    fn world(wrong: PairIndex, axis: Axis) -> World {
        let parameters = Parameters::new(14, 1024).expect("valid parameters");
        let position = SegmentPosition { segment: 0, blob_bytes: u64::from(LENGTH) };
        let bytes: Vec<u8> = (0..LENGTH).map(|at| (at * 13 % 241).to_le_bytes()[0]).collect();
        let encoded = encode_segment(&parameters, position, bytes.into());
        let roots = (0..14).map(PairIndex).map(|pair| {
            let PairRoots { mut primary, mut secondary } = encoded.pairs().roots(pair);
            if pair == wrong {
                match axis {
                    Axis::Primary => primary[0] ^= 1,
                    Axis::Secondary => secondary[0] ^= 1,
                }
            }
            PairRoots { primary, secondary }
        });
        let tree = PairTree::new(roots.collect());
        let commitment = SegmentCommitment { slivers_root: tree.root(), ..encoded.commitment() };
        World { parameters, encoded, commitment, tree }
    }

    impl World {
        /// What whoever knows the proofs of these pairs proves, checked as others check it.
        fn proof(&self, known: impl IntoIterator<Item = u16>) -> Option<InconsistencyProof> {
            let mut pairs = KnownPairs::new(&self.parameters, self.commitment.slivers_root);
            for pair in known.into_iter().map(PairIndex) {
                pairs.learn(pair, &self.tree.prove(pair)).expect("a proof of this tree");
            }
            let position = SegmentPosition { segment: 0, blob_bytes: u64::from(LENGTH) };
            let evidence = Evidence {
                parameters: &self.parameters,
                position,
                commitment: &self.commitment,
                pairs: &pairs,
            };
            let proof = evidence.prove_encoded(&self.encoded)?;
            proof.check(&self.parameters, position, &self.commitment).expect("it proves the fault");
            Some(proof)
        }
    }

    #[test]
    fn a_secondary_sliver_that_the_content_does_not_give_is_shown_by_as_many_rows_as_readers_need()
    {
        let world = world(PairIndex(3), Axis::Secondary);
        assert!(world.proof(0..6).is_some(), "six rows give every column");
        assert!(world.proof(1..6).is_none(), "five do not");
    }

    #[test]
    fn a_primary_sliver_takes_as_many_columns_and_a_pair_of_which_only_the_leaf_is_known_both() {
        let world = world(PairIndex(13), Axis::Primary);
        assert!(world.proof(4..14).is_some());
        // The proofs of its neighbours show its leaf.
        assert!(world.proof(3..13).is_some());
        assert!(world.proof(0..6).is_none(), "too few columns are known");
    }

    #[test]
    fn what_was_encoded_as_it_should_be_has_no_proof() {
        let mut world = world(PairIndex(0), Axis::Primary);
        world.tree = world.encoded.pairs().clone();
        world.commitment = world.encoded.commitment();
        assert!(world.proof(0..14).is_none());
    }
}
