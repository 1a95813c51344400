//! What must hold of proofs of several leaves, whichever they are and however many there are.

use std::collections::BTreeSet;

use proptest::collection::btree_set;
use proptest::prelude::*;

use super::super::MISSING;
use super::*;
use crate::merkle::Proof;

fn leaves(count: usize) -> Vec<Digest> {
    (0..count).map(|i| *blake3::hash(&i.to_le_bytes()).as_bytes()).collect()
}

fn named(leaves: &[Digest], indexes: &[usize]) -> Vec<(usize, Digest)> {
    indexes.iter().map(|index| (*index, leaves[*index])).collect()
}

/// A tree's size and some of its leaves.
fn any_leaves() -> impl Strategy<Value = (usize, Vec<usize>)> {
    (1usize..200).prop_flat_map(|count| {
        let some = btree_set(0..count, 1..=count.min(40));
        (Just(count), some.prop_map(|some| some.into_iter().collect()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn leaves_are_proved_together_and_their_proof_has_nothing_to_spare(
        (count, indexes) in any_leaves(),
        bit in 0usize..256,
    ) {
        let leaves = leaves(count);
        let tree = Tree::new(leaves.clone());
        let (root, given) = (tree.root(), named(&leaves, &indexes));
        let proof = tree.prove_many(&indexes).unwrap();
        prop_assert!(proof.verify(&given, count, &root));
        for i in 0..proof.siblings.len() {
            let mut less = proof.clone();
            less.siblings.remove(i);
            prop_assert_eq!(less.open(&given, count), None);
            let mut wrong = proof.clone();
            wrong.siblings[i][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!wrong.verify(&given, count, &root));
        }
        let mut more = proof.clone();
        more.siblings.push([0; 32]);
        prop_assert_eq!(more.open(&given, count), None);
        for i in 0..given.len() {
            let mut wrong = given.clone();
            wrong[i].1[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!proof.verify(&wrong, count, &root));
        }
    }

    #[test]
    fn a_proof_of_many_gives_the_proof_of_any_few_and_the_path_of_each(
        (count, indexes) in any_leaves(),
        mask: u64,
    ) {
        let leaves = leaves(count);
        let tree = Tree::new(leaves.clone());
        let opened = tree.prove_many(&indexes).unwrap().open(&named(&leaves, &indexes), count).unwrap();
        let few = indexes.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
        let few: Vec<_> = few.map(|(_, index)| *index).collect();
        let expected = (!few.is_empty()).then(|| tree.prove_many(&few).unwrap());
        prop_assert_eq!(opened.prove_many(&few), expected);
        for index in &indexes {
            prop_assert_eq!(opened.prove(*index), tree.prove(*index));
            prop_assert_eq!(opened.leaf(*index), Some(leaves[*index]));
        }
    }

    #[test]
    fn what_two_proofs_tell_is_what_one_proof_of_both_tells(
        (count, indexes) in any_leaves(),
        mask: u64,
    ) {
        let leaves = leaves(count);
        let tree = Tree::new(leaves.clone());
        let is_one = |i: usize| mask >> i & 1 == 1;
        let part = |wanted: bool| -> Vec<usize> {
            let places = (0..indexes.len()).filter(|i| is_one(*i) == wanted);
            places.map(|i| indexes[i]).collect()
        };
        let open = |part: &[usize]| {
            tree.prove_many(part)?.open(&named(&leaves, part), count)
        };
        if let (Some(mut one), Some(other)) = (open(&part(true)), open(&part(false))) {
            prop_assert!(one.merge(&other));
            prop_assert_eq!(one.prove_many(&indexes), tree.prove_many(&indexes));
        }
    }
}

#[test]
fn one_leaf_needs_its_path_without_the_missing_and_all_leaves_need_nothing() {
    for count in [1, 2, 3, 5, 8, 13, 100] {
        let leaves = leaves(count);
        let tree = Tree::new(leaves.clone());
        let all: Vec<_> = (0..count).collect();
        assert_eq!(tree.prove_many(&all), Some(MultiProof::default()));
        assert_eq!(MultiProof::default().root(&named(&leaves, &all), count), Some(tree.root()));
        for index in 0..count {
            let Proof { mut siblings } = tree.prove(index).unwrap();
            siblings.retain(|sibling| *sibling != MISSING);
            assert_eq!(tree.prove_many(&[index]), Some(MultiProof { siblings }));
        }
    }
}

#[test]
fn no_leaves_leaves_out_of_order_and_leaves_past_the_end_have_no_proof() {
    let leaves = leaves(5);
    let tree = Tree::new(leaves.clone());
    for wrong in [&[][..], &[3, 1], &[1, 1], &[1, 5], &[5]] {
        assert_eq!(tree.prove_many(wrong), None, "{wrong:?}");
        let given: Vec<_> = wrong.iter().map(|index| (*index, leaves[index % 5])).collect();
        // However many siblings come with them.
        for count in 0..8 {
            let proof = MultiProof { siblings: vec![[1; 32]; count] };
            assert_eq!(proof.open(&given, 5), None, "{wrong:?} with {count} siblings");
        }
    }
    assert_eq!(Tree::new(Vec::new()).prove_many(&[0]), None);
    assert_eq!(MultiProof::default().open(&[], 0), None);
}

#[test]
fn a_proof_holds_for_its_own_places_and_height_only() {
    let leaves = leaves(9);
    let tree = Tree::new(leaves.clone());
    let proof = tree.prove_many(&[2, 7]).unwrap();
    let pairs = (0..9).flat_map(|one| (one + 1..9).map(move |other| (one, other)));
    let holds: BTreeSet<_> = pairs
        .filter(|(one, other)| {
            proof.verify(&[(*one, leaves[2]), (*other, leaves[7])], 9, &tree.root())
        })
        .collect();
    assert_eq!(holds, BTreeSet::from([(2, 7)]));
    for count in [8, 17] {
        assert!(!proof.verify(&named(&leaves, &[2, 7]), count, &tree.root()), "{count} leaves");
    }
}

#[test]
fn parts_of_different_trees_do_not_mix_and_unknown_leaves_are_not_proved() {
    let leaves = leaves(9);
    let tree = Tree::new(leaves.clone());
    let open = |tree: &Tree, count: usize, index: usize| {
        let proof = tree.prove_many(&[index]).unwrap();
        proof.open(&[(index, leaves[index])], count).unwrap()
    };
    let mut part = open(&tree, 9, 4);
    let before = part.clone();
    assert!(!part.merge(&open(&Tree::new(leaves[..8].to_vec()), 8, 4)));
    assert_eq!(part, before);
    assert_eq!(part.prove_many(&[0]), None);
    assert_eq!(
        part.prove_many(&[0, 1, 2, 3]),
        None,
        "what they have in common is known, they are not"
    );
    assert_eq!(part.prove(0), None);
    // The sibling of a proved leaf is known, and its own sibling is.
    assert_eq!(part.prove(5), tree.prove(5));
}
