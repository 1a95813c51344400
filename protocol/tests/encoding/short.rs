//! Short blobs: what must hold for any blob, any network and any symbols, honest or not.

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, Encoding, SegmentCommitment};
use haulout_protocol::crypto;
use haulout_protocol::encoding::{
    Buffers, EncodedShort, Parameters, Pipeline, ProvedSymbols, SHORT_BYTES_MAX, ShortDecoded,
    ShortEncoder, ShortError, ShortInconsistency, ShortRepair, check_short, content_digest,
    decode_short, encode_short, header_of, identify_short, repair_short,
};
use haulout_protocol::merkle::{MultiProof, Tree};
use proptest::prelude::*;
use reed_solomon_simd::ReedSolomonEncoder;

use crate::properties::any_network;
use crate::{only_segment, sample};

fn network(shards: u16) -> Parameters {
    crate::parameters(shards).with_short_blobs(SHORT_BYTES_MAX).unwrap()
}

fn symbols(encoded: &EncodedShort, indexes: &[u16]) -> Vec<(u16, Bytes)> {
    indexes.iter().map(|index| (*index, encoded.symbol(*index))).collect()
}

fn in_order(indexes: &[u16]) -> Vec<u16> {
    let mut indexes = indexes.to_vec();
    indexes.sort_unstable();
    indexes
}

/// Lengths around the smallest symbols and any others.
fn any_length() -> impl Strategy<Value = usize> {
    prop_oneof![0usize..400, 0usize..10_000, 0usize..=1 << 16]
}

fn needed(parameters: &Parameters, blob: &Bytes) -> usize {
    usize::from(parameters.short_data_symbols(u32::try_from(blob.len()).unwrap()))
}

/// Whether a symbol holds neither bytes of the blob nor what was computed from them.
fn is_padding(parameters: &Parameters, blob: &Bytes, index: u16) -> bool {
    (needed(parameters, blob)..usize::from(parameters.primary_source()))
        .contains(&usize::from(index))
}

/// One library call and one hash at a time.
fn reference(parameters: &Parameters, blob: &Bytes) -> (Vec<Vec<u8>>, [u8; 32]) {
    let (shards, source) =
        (usize::from(parameters.shards()), usize::from(parameters.primary_source()));
    let bytes = blob.len().div_ceil(source).next_multiple_of(64).max(128);
    let mut row = blob.to_vec();
    row.resize(source * bytes, 0);
    let mut symbols: Vec<_> = row.chunks(bytes).map(<[u8]>::to_vec).collect();
    let mut encoder = ReedSolomonEncoder::new(source, shards - source, bytes).unwrap();
    symbols.iter().for_each(|symbol| encoder.add_original_shard(symbol).unwrap());
    symbols.extend(encoder.encode().unwrap().recovery_iter().map(<[u8]>::to_vec));
    let mut nodes: Vec<_> = symbols.iter().map(|symbol| crypto::hash_symbol(symbol)).collect();
    while nodes.len() > 1 {
        let parent =
            |pair: &[[u8; 32]]| crypto::hash_node(&pair[0], pair.get(1).unwrap_or(&[0; 32]));
        nodes = nodes.chunks(2).map(parent).collect();
    }
    (symbols, nodes[0])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn symbols_and_root_are_those_of_the_definition(shards in 4u16..300, bytes in any_length(), seed: u64) {
        let parameters = network(shards);
        let blob = sample(seed, bytes);
        let (expected, root) = reference(&parameters, &blob);
        let encoded = encode_short(&parameters, &blob);
        for index in 0..shards {
            prop_assert_eq!(&encoded.symbol(index)[..], &expected[usize::from(index)][..]);
        }
        let content = content_digest(&parameters, only_segment(&blob), &blob);
        prop_assert_eq!(encoded.commitment(), SegmentCommitment { slivers_root: root, content });
        prop_assert_eq!(content, *blake3::hash(&blob).as_bytes());
    }

    #[test]
    fn as_many_symbols_as_hold_the_blob_decode_it_whichever_they_are(
        (shards, order) in any_network(),
        bytes in any_length(),
        seed: u64,
        surplus in 0usize..3,
    ) {
        let parameters = network(shards);
        let blob = sample(seed, bytes);
        let encoded = encode_short(&parameters, &blob);
        let header = encoded.header();
        let needed = needed(&parameters, &blob);
        let order: Vec<_> =
            order.into_iter().filter(|index| !is_padding(&parameters, &blob, *index)).collect();
        let given = symbols(&encoded, &order[..(needed + surplus).min(order.len())]);
        prop_assert_eq!(decode_short(&parameters, header, &given), Ok(blob.clone()));
        let few = decode_short(&parameters, header, &given[..needed - 1]);
        prop_assert_eq!(few, Err(ShortError::TooFew { found: needed - 1, needed }));
    }

    #[test]
    fn any_p_symbols_decode_whether_they_are_padding_or_not(
        (shards, order) in any_network(),
        bytes in any_length(),
        seed: u64,
    ) {
        let parameters = network(shards);
        let blob = sample(seed, bytes);
        let encoded = encode_short(&parameters, &blob);
        let any = &order[..usize::from(parameters.primary_source())];
        let given = symbols(&encoded, any);
        prop_assert_eq!(decode_short(&parameters, encoded.header(), &given), Ok(blob));
    }

    #[test]
    fn any_flipped_bit_is_noticed_with_a_proof_and_without(
        (shards, order) in any_network(),
        bytes in 1usize..20_000,
        seed: u64,
        liar: prop::sample::Index,
        place: prop::sample::Index,
        bit in 0u8..8,
    ) {
        let parameters = network(shards);
        let blob = sample(seed, bytes);
        let encoded = encode_short(&parameters, &blob);
        let header = encoded.header();
        let indexes = in_order(&order[..usize::from(parameters.primary_source())]);
        let mut given = symbols(&encoded, &indexes);
        let proof = encoded.prove(&indexes).unwrap();
        prop_assert!(check_short(&parameters, header, &given, &proof).is_ok());
        let liar = liar.index(given.len());
        let mut wrong = given[liar].1.to_vec();
        let place = place.index(wrong.len());
        wrong[place] ^= 1 << bit;
        given[liar].1 = wrong.into();
        prop_assert_eq!(check_short(&parameters, header, &given, &proof), Err(ShortError::Unproved));
        prop_assert_eq!(encoded.wrong_among(&given), vec![indexes[liar]]);
        // A flip beyond the blob's end, or in a symbol of padding, changes nothing that is read.
        let decoded = decode_short(&parameters, header, &given);
        prop_assert!(matches!(decoded, Err(ShortError::WrongContent)) || decoded == Ok(blob));
    }

    #[test]
    fn every_lying_symbol_is_named_and_the_others_are_not(
        (shards, order) in any_network(),
        bytes in any_length(),
        seed: u64,
        lies in 1usize..8,
    ) {
        let parameters = network(shards);
        let blob = sample(seed, bytes);
        let encoded = encode_short(&parameters, &blob);
        let mut given = symbols(&encoded, &order);
        let liars = in_order(&order[..lies.min(order.len())]);
        for (index, bytes) in &mut given {
            if liars.contains(index) {
                *bytes = bytes.iter().map(|byte| byte ^ 0xff).collect();
            }
        }
        prop_assert_eq!(in_order(&encoded.wrong_among(&given)), &liars[..]);
        let mut proved = ProvedSymbols::new(&parameters, encoded.header()).unwrap();
        for symbol in given {
            let proof = encoded.prove(&[symbol.0]).unwrap();
            let verdict = proved.add(std::slice::from_ref(&symbol), &proof);
            prop_assert_eq!(verdict.is_err(), liars.contains(&symbol.0), "symbol {}", symbol.0);
        }
        if proved.count() >= usize::from(parameters.primary_source()) {
            prop_assert_eq!(proved.decode(), Ok(ShortDecoded::Blob(blob)));
        }
    }

    #[test]
    fn an_honest_blob_has_no_proof_against_its_writer(
        (shards, order) in any_network(),
        bytes in any_length(),
        seed: u64,
        changed in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let parameters = network(shards);
        let blob = sample(seed, bytes);
        let encoded = encode_short(&parameters, &blob);
        let header = encoded.header();
        let indexes = in_order(&order[..usize::from(parameters.primary_source())]);
        let proof = encoded.prove(&indexes).unwrap();
        let own = |(index, bytes): (u16, Bytes)| (index, bytes.to_vec());
        let mut given: Vec<_> = symbols(&encoded, &indexes).into_iter().map(own).collect();
        let mut expected = ShortError::Consistent;
        if let Some(changed) = changed {
            let changed = changed.index(given.len());
            given[changed].1[0] ^= 1;
            expected = ShortError::Unproved;
        }
        let claim = ShortInconsistency::Symbols { symbols: given, proof };
        prop_assert_eq!(claim.check(&parameters, header), Err(expected));
        let claim = ShortInconsistency::Content { blob: blob.to_vec() };
        prop_assert_eq!(claim.check(&parameters, header), Err(ShortError::Consistent));
        let repaired = repair_short(&parameters, header, &blob).unwrap();
        let ShortRepair::Symbols(again) = repaired else { panic!("the writer is honest") };
        prop_assert_eq!(again.symbol(order[0]), encoded.symbol(order[0]));
    }

    #[test]
    fn symbols_that_were_committed_to_wrongly_are_proved_to_be_so(
        (shards, order) in any_network(),
        bytes in any_length(),
        seed: u64,
        spoiled: prop::sample::Index,
    ) {
        let parameters = network(shards);
        let blob = sample(seed, bytes);
        let spoiled = u16::try_from(spoiled.index(usize::from(shards))).unwrap();
        let lie = Lie::new(&parameters, &blob, spoiled);
        // The symbols of some holders, the spoiled one with them, each with its own proof.
        let mut indexes = order[..usize::from(parameters.primary_source())].to_vec();
        if !indexes.contains(&spoiled) {
            indexes[0] = spoiled;
        }
        let mut proved = ProvedSymbols::new(&parameters, &lie.header).unwrap();
        for index in &indexes {
            let proof = lie.tree.prove_many(&[usize::from(*index)]).unwrap();
            proved.add(&[(*index, lie.symbols[usize::from(*index)].clone())], &proof).unwrap();
        }
        // Padding is known, and what holds the blob's bytes may be right: then the blob is read in spite of the lie.
        match proved.decode().unwrap() {
            ShortDecoded::Blob(found) => prop_assert_eq!(found, blob.clone()),
            ShortDecoded::Inconsistent(proof) => {
                prop_assert_eq!(proof.check(&parameters, &lie.header), Ok(()));
                let honest = header_of(&parameters, &blob);
                prop_assert_eq!(proof.check(&parameters, &honest), Err(ShortError::Unproved));
            }
        }
        // Whoever knows the content can always show it.
        let repaired = repair_short(&parameters, &lie.header, &blob).unwrap();
        let ShortRepair::Inconsistent(proof) = repaired else { panic!("the root is wrong") };
        prop_assert_eq!(proof.check(&parameters, &lie.header), Ok(()));
    }

    #[test]
    fn a_header_of_other_content_is_proved_to_be_wrong(
        (shards, order) in any_network(),
        bytes in any_length(),
        seed: u64,
    ) {
        let parameters = network(shards);
        let encoded = encode_short(&parameters, &sample(seed, bytes));
        let commitment = SegmentCommitment { content: [7; 32], ..encoded.commitment() };
        let header = BlobHeader::new(&parameters, bytes as u64, vec![commitment]);
        let mut proved = ProvedSymbols::new(&parameters, &header).unwrap();
        let source = usize::from(parameters.primary_source());
        for (i, indexes) in order[..source].chunks(3).enumerate() {
            let indexes = in_order(indexes);
            let proof = encoded.prove(&indexes).unwrap();
            let too_few = ShortError::TooFew { found: (3 * i).min(source), needed: source };
            prop_assert_eq!(proved.decode(), Err(too_few));
            proved.add(&symbols(&encoded, &indexes), &proof).unwrap();
        }
        let Ok(ShortDecoded::Inconsistent(proof)) = proved.decode() else {
            panic!("no bytes have this content");
        };
        prop_assert_eq!(proof.check(&parameters, &header), Ok(()));
        prop_assert_eq!(proof.check(&parameters, encoded.header()), Err(ShortError::Consistent));
    }
}

/// A short blob of whose symbols one was committed to wrongly.
struct Lie {
    header: BlobHeader,
    symbols: Vec<Bytes>,
    tree: Tree,
}

impl Lie {
    fn new(parameters: &Parameters, blob: &Bytes, spoiled: u16) -> Lie {
        let encoded = encode_short(parameters, blob);
        let mut symbols: Vec<_> = (0..parameters.shards()).map(|i| encoded.symbol(i)).collect();
        let wrong = &mut symbols[usize::from(spoiled)];
        *wrong = wrong.iter().map(|byte| byte ^ 1).collect();
        let tree = Tree::new(symbols.iter().map(|symbol| crypto::hash_symbol(symbol)).collect());
        let commitment = SegmentCommitment { slivers_root: tree.root(), ..encoded.commitment() };
        let header = BlobHeader::new(parameters, blob.len() as u64, vec![commitment]);
        Lie { header, symbols, tree }
    }
}

#[test]
fn padding_that_was_committed_to_as_something_else_does_not_hinder_a_reader_and_is_proved() {
    let parameters = network(100);
    let blob = sample(3, 1000); // 8 of 34 symbols hold it
    let lie = Lie::new(&parameters, &blob, 20);
    let repair: Vec<_> =
        (60..68).map(|index| (index, lie.symbols[usize::from(index)].clone())).collect();
    assert_eq!(decode_short(&parameters, &lie.header, &repair), Ok(blob.clone()));
    // Repair symbols and the spoiled padding, as committed to, decode to something else.
    let indexes: Vec<u16> = (20..21).chain(60..93).collect();
    let places: Vec<_> = indexes.iter().copied().map(usize::from).collect();
    let symbols =
        places.iter().zip(&indexes).map(|(place, index)| (*index, lie.symbols[*place].to_vec()));
    let proof = lie.tree.prove_many(&places).unwrap();
    let claim = ShortInconsistency::Symbols { symbols: symbols.collect(), proof };
    assert_eq!(claim.check(&parameters, &lie.header), Ok(()));
}

#[test]
fn the_header_of_any_bytes_has_the_encoding_that_their_length_has() {
    let parameters = Parameters::new(10, 2048).unwrap().with_short_blobs(1500).unwrap();
    for (length, encoding) in [
        (0, Encoding::Short),
        (1500, Encoding::Short),
        (1501, Encoding::Segments),
        (2048, Encoding::Segments),
        (2049, Encoding::Segments),
        (10_000, Encoding::Segments),
    ] {
        let blob = sample(9, length);
        let header = header_of(&parameters, &blob);
        assert_eq!((header.encoding, header.length), (encoding, length as u64));
        let streamed = Pipeline::new(&parameters, 3).identify(&blob[..], |_| ()).unwrap();
        assert_eq!(streamed, header, "{length} bytes");
        assert_eq!(header.content_hash(&parameters), *blake3::hash(&blob).as_bytes());
        let read = BlobHeader::read_verified(&header.to_bytes(), &parameters, &header.blob_id());
        assert_eq!(read, Ok(header.clone()));
        if encoding == Encoding::Short {
            assert_eq!(identify_short(&parameters, &blob), header);
            let slivers =
                Pipeline::new(&parameters, 3).encode(&blob[..], |_, _| std::io::Result::Ok(()));
            assert!(slivers.is_err(), "a short blob has no slivers");
        }
    }
}

#[test]
fn one_encoder_gives_the_same_symbols_for_one_blob_after_another() {
    let (parameters, buffers) = (network(1000), Buffers::new(1 << 20));
    let mut encoder = ShortEncoder::new(&parameters, &buffers);
    for length in [1 << 16, 100, 10_240, 0, 1 << 16, 4096] {
        let blob = sample(length as u64, length);
        let (found, expected) = (encoder.encode(&blob), encode_short(&parameters, &blob));
        assert_eq!(found.header(), expected.header());
        assert_eq!(encoder.identify(&blob), *expected.header());
        assert!((0..1000).all(|index| found.symbol(index) == expected.symbol(index)));
    }
}

#[test]
fn what_is_not_a_symbol_of_the_blob_is_an_error() {
    let parameters = network(10);
    let blob = sample(1, 1000);
    let encoded = encode_short(&parameters, &blob);
    let (header, proof) = (encoded.header(), encoded.prove(&[1, 7]).unwrap());
    let decode = |symbols: &[(u16, Bytes)]| decode_short(&parameters, header, symbols);
    let check = |symbols: &[(u16, Bytes)]| check_short(&parameters, header, symbols, &proof);
    let past = (10, encoded.symbol(0));
    assert_eq!(decode(std::slice::from_ref(&past)), Err(ShortError::NoSuchSymbol(10)));
    assert_eq!(check(&[past]), Err(ShortError::NoSuchSymbol(10)));
    let cut = (1, encoded.symbol(1).slice(1..));
    let wrong_length = ShortError::WrongLength { index: 1, expected: 256, found: 255 };
    assert_eq!(decode(std::slice::from_ref(&cut)), Err(wrong_length));
    assert_eq!(check(&[cut]), Err(wrong_length));
    let twice = symbols(&encoded, &[1, 7, 1]);
    assert_eq!(decode(&twice), Err(ShortError::OutOfOrder(1)));
    assert_eq!(check(&twice), Err(ShortError::OutOfOrder(1)));
    assert_eq!(check(&[]), Err(ShortError::Unproved));
    assert!(encoded.wrong_among(&[(10, Bytes::new())]) == [10]);
    // Headers of segments and headers that no length has.
    let plain = crate::parameters(10);
    let segments = header_of(&plain, &blob);
    assert_eq!(decode_short(&plain, &segments, &[]), Err(ShortError::NotShort(1000)));
    assert_eq!(ProvedSymbols::new(&plain, header).unwrap_err(), ShortError::NotShort(1000));
    let none = BlobHeader { segments: Vec::new(), ..header.clone() };
    let claim = ShortInconsistency::Symbols { symbols: Vec::new(), proof: MultiProof::default() };
    assert_eq!(claim.check(&parameters, &none), Err(ShortError::NotShort(1000)));
    let needed = usize::from(parameters.primary_source());
    let too_few = ShortError::WrongCount { needed, found: 0 };
    assert_eq!(claim.check(&parameters, header), Err(too_few));
    let other = ShortInconsistency::Content { blob: vec![1; 1000] };
    assert_eq!(other.check(&parameters, header), Err(ShortError::WrongContent));
}
