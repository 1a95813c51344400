//! Trees and proofs of networks of any size: what is proved holds, what was lost is recognised again, and nothing else is.

use proptest::prelude::*;

use super::*;
use crate::encoding::Parameters;

fn parameters(shards: u16) -> Parameters {
    Parameters::new(shards, 1024).expect("valid parameters")
}

fn root(axis: u8, pair: u16) -> Digest {
    let [high, low] = pair.to_be_bytes();
    *blake3::hash(&[axis, high, low]).as_bytes()
}

fn tree(shards: u16) -> PairTree {
    let roots = |pair| PairRoots { primary: root(0, pair), secondary: root(1, pair) };
    PairTree::new((0..shards).map(roots).collect())
}

/// Networks at the edges of groups and of powers of two, and any other.
fn any_shards() -> impl Strategy<Value = u16> {
    prop_oneof![Just(4), Just(15), Just(16), Just(17), Just(32), Just(33), Just(1000), 4..300u16]
}

#[test]
fn a_tree_knows_each_sliver_from_either_end() {
    let primary: Vec<_> = (0..5).map(|sliver| root(0, sliver)).collect();
    let secondary: Vec<_> = (0..5).map(|sliver| root(1, sliver)).collect();
    let tree = PairTree::from_slivers(&primary, &secondary);
    for sliver in 0..5 {
        let place = usize::from(sliver);
        assert_eq!(tree.sliver_root(Axis::Primary, sliver), &primary[place]);
        assert_eq!(tree.sliver_root(Axis::Secondary, sliver), &secondary[place]);
    }
    assert_eq!(
        tree.roots(PairIndex(1)),
        PairRoots { primary: primary[1], secondary: secondary[3] }
    );
}

#[test]
fn a_proof_is_as_long_as_the_accounting_charges_or_shorter_in_the_last_group() {
    for (shards, bytes) in [(4, 64 + 96), (16, 64 + 480), (17, 64 + 512), (100, 640), (1000, 736)] {
        let parameters = parameters(shards);
        assert_eq!(parameters.pair_proof_bytes(), bytes, "{shards} shards");
        let longest = (0..shards).map(|pair| PairProof::bytes_of(PairIndex(pair), &parameters));
        assert_eq!(longest.max().and_then(|bytes| u64::try_from(bytes).ok()), Some(bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_pair_is_proved_at_its_own_place_of_its_own_segment_only(
        shards in any_shards(),
        place: prop::sample::Index,
        bit: prop::sample::Index,
    ) {
        let (parameters, tree) = (parameters(shards), tree(shards));
        let pair = PairIndex(u16::try_from(place.index(usize::from(shards))).expect("below the shards"));
        let proof = tree.prove(pair);
        prop_assert_eq!(proof.roots, tree.roots(pair));
        let bytes = proof.to_bytes();
        let read = |bytes: &[u8], pair| PairProof::read_verified(bytes, pair, &parameters, &tree.root());
        prop_assert_eq!(read(&bytes, pair), Ok(proof));
        for other in (0..shards).map(PairIndex).filter(|other| *other != pair) {
            prop_assert!(read(&bytes, other).is_err(), "pair {} as {}", pair, other);
        }
        let mut flipped = bytes.clone();
        let bit = bit.index(8 * bytes.len());
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(read(&flipped, pair), Err(PairProofError::WrongRoot(pair.0)));
        let (expected, found) = (bytes.len(), bytes.len() - 1);
        let short = Err(PairProofError::Length { pair: pair.0, expected, found });
        prop_assert_eq!(read(&bytes[1..], pair), short);
        let past = PairIndex(shards);
        prop_assert_eq!(read(&bytes, past), Err(PairProofError::NoSuchPair(shards)));
    }

    #[test]
    fn whatever_was_lost_is_recognised_and_proved_again(
        shards in any_shards(),
        learnt in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        lost: prop::sample::Index,
    ) {
        let (parameters, tree) = (parameters(shards), tree(shards));
        let pair = |place: &prop::sample::Index| {
            PairIndex(u16::try_from(place.index(usize::from(shards))).expect("below the shards"))
        };
        let mut known = KnownPairs::new(&parameters, tree.root());
        for pair in learnt.iter().map(pair) {
            prop_assert_eq!(known.learn(pair, &tree.prove(pair)), Ok(()));
        }
        let lost = pair(&lost);
        let together = known.recognised_with(lost);
        prop_assert!(together.contains(&lost.0));
        let is_in_known_group =
            learnt.iter().map(pair).any(|pair| pair.0 / GROUP_PAIRS == lost.0 / GROUP_PAIRS);
        // By itself if its group is known; else with the whole of its group at least, which may be small.
        prop_assert!(together.len() == 1 || !is_in_known_group);
        prop_assert!(together.start.is_multiple_of(GROUP_PAIRS) || is_in_known_group);
        // Nobody's proof lies below the node they are recognised by, but for the pair's own group.
        prop_assert!(is_in_known_group || learnt.iter().all(|place| !together.contains(&pair(place).0)));
        let recovered: Vec<_> = together.clone().map(|pair| tree.roots(PairIndex(pair))).collect();
        let first = PairIndex(together.start);
        for (place, _) in recovered.iter().enumerate().step_by(7) {
            let mut wrong = recovered.clone();
            wrong[place].secondary[5] ^= 1;
            prop_assert!(!known.recognise(first, &wrong), "one of them is another");
        }
        prop_assert!(known.recognise(first, &recovered));
        for pair in together.map(PairIndex) {
            prop_assert_eq!(known.prove(pair), Some(tree.prove(pair)));
        }
    }

    #[test]
    fn many_proofs_make_group_proofs_that_convince_others(
        shards in any_shards(),
        learnt in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
    ) {
        let (parameters, tree) = (parameters(shards), tree(shards));
        let pair = |place: &prop::sample::Index| {
            PairIndex(u16::try_from(place.index(usize::from(shards))).expect("below the shards"))
        };
        let mut known = KnownPairs::new(&parameters, tree.root());
        for pair in learnt.iter().map(pair) {
            known.learn(pair, &tree.prove(pair)).expect("a proof of this tree");
        }
        let first = pair(&learnt[0]);
        let groups = known.groups_of(learnt[1..].iter().map(pair), Some(first));
        let groups = groups.expect("all of them are known");
        let mut told = KnownPairs::new(&parameters, tree.root());
        for group in &groups {
            prop_assert_eq!(told.learn_group(group), Ok(()));
            let mut other = group.clone();
            other.members[0] = Member::Leaf([7; 32]);
            prop_assert!(told.learn_group(&other).is_err());
            let moved = GroupProof { group: group.group + 1, ..group.clone() };
            prop_assert!(told.learn_group(&moved).is_err());
        }
        for pair in learnt[1..].iter().map(pair) {
            prop_assert_eq!(told.prove(pair), Some(tree.prove(pair)));
        }
        let leaf = tree.roots(first).leaf();
        prop_assert_eq!(told.member(first).map(Member::leaf), Some(leaf));
        let is_told = learnt[1..].iter().any(|place| pair(place) == first);
        prop_assert_eq!(told.prove(first).is_some(), is_told, "no more is told than was asked for");
    }
}

#[test]
fn what_nobody_proved_is_not_told_to_others() {
    let (parameters, tree) = (parameters(100), tree(100));
    let mut known = KnownPairs::new(&parameters, tree.root());
    known.learn(PairIndex(3), &tree.prove(PairIndex(3))).expect("a proof of this tree");
    for unknown in [PairIndex(4), PairIndex(40), PairIndex(100)] {
        assert_eq!(known.groups_of([PairIndex(3), unknown].into_iter(), None), Err(unknown));
    }
    assert_eq!(known.groups_of([].into_iter(), Some(PairIndex(40))), Err(PairIndex(40)));
    assert!(known.learn(PairIndex(4), &tree.prove(PairIndex(3))).is_err());
    assert_eq!(known.prove(PairIndex(4)), None);
}
