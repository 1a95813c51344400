//! The encoding written straight from its definition, one symbol and one hash at a time.

use blake3::keyed_hash;
use haulout_protocol::crypto::role;
use haulout_protocol::encoding::{Parameters, identify_segment};
use haulout_protocol::sliver::Axis;
use reed_solomon_simd::ReedSolomonEncoder;

use crate::{encode, length, only_segment, parameters, sample};

pub(crate) type Symbol = Vec<u8>;

pub(crate) fn extend(symbols: &[Symbol], total: usize) -> Vec<Symbol> {
    let mut encoder =
        ReedSolomonEncoder::new(symbols.len(), total - symbols.len(), symbols[0].len()).unwrap();
    for symbol in symbols {
        encoder.add_original_shard(symbol).unwrap();
    }
    let result = encoder.encode().unwrap();
    symbols.iter().cloned().chain(result.recovery_iter().map(<[u8]>::to_vec)).collect()
}

/// Rows of the expanded matrix.
pub(crate) fn expand(parameters: &Parameters, blob: &[u8]) -> Vec<Vec<Symbol>> {
    let shards = usize::from(parameters.shards());
    let (rows, columns) =
        (usize::from(parameters.primary_source()), usize::from(parameters.secondary_source()));
    let symbol =
        usize::try_from(parameters.symbol_bytes(u32::try_from(blob.len()).unwrap())).unwrap();
    let mut padded = blob.to_vec();
    padded.resize(rows * columns * symbol, 0);
    let source: Vec<Vec<Symbol>> = padded
        .chunks(columns * symbol)
        .map(|row| extend(&row.chunks(symbol).map(<[u8]>::to_vec).collect::<Vec<_>>(), shards))
        .collect();
    let column = |j: usize| source.iter().map(|row| row[j].clone()).collect::<Vec<_>>();
    let extended: Vec<_> = (0..shards).map(|j| extend(&column(j), shards)).collect();
    (0..shards).map(|i| extended.iter().map(|column| column[i].clone()).collect()).collect()
}

fn hash_two(key: &[u8; 32], left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    *keyed_hash(key, &[*left, *right].concat()).as_bytes()
}

fn root(leaves: Vec<[u8; 32]>) -> [u8; 32] {
    if leaves.len() == 1 {
        return leaves[0];
    }
    let parent =
        |pair: &[[u8; 32]]| hash_two(role::node_key(), &pair[0], pair.get(1).unwrap_or(&[0; 32]));
    root(leaves.chunks(2).map(parent).collect())
}

pub(crate) fn sliver_root<'a>(symbols: impl Iterator<Item = &'a Symbol>) -> [u8; 32] {
    root(symbols.map(leaf).collect())
}

pub(crate) fn leaf(symbol: &Symbol) -> [u8; 32] {
    let mut padded = symbol.clone();
    padded.resize(symbol.len().next_multiple_of(64), 0);
    *keyed_hash(role::symbol_key(), &padded).as_bytes()
}

fn compare(shards: u16, bytes: usize) {
    let context = format!("n={shards}, {bytes} bytes");
    let parameters = parameters(shards);
    let blob = sample(u64::from(shards) + bytes as u64, bytes);
    let encoded = encode(&parameters, &blob);
    let matrix = expand(&parameters, &blob);
    let n = usize::from(shards);
    let (rows, columns) =
        (usize::from(parameters.primary_source()), usize::from(parameters.secondary_source()));
    let mut pairs = Vec::new();
    for pair in 0..shards {
        let (i, j) = (usize::from(pair), n - 1 - usize::from(pair));
        let secondary = shards - 1 - pair;
        assert_eq!(encoded.sliver(Axis::Primary, pair), matrix[i][..columns].concat(), "{context}");
        let column = || matrix.iter().map(|row| &row[j]);
        let expected: Vec<u8> = column().take(rows).flatten().copied().collect();
        assert_eq!(encoded.sliver(Axis::Secondary, secondary), expected, "{context}");
        let (row_root, column_root) = (sliver_root(matrix[i].iter()), sliver_root(column()));
        assert_eq!(encoded.pairs().sliver_root(Axis::Primary, pair), &row_root, "{context}");
        assert_eq!(
            encoded.pairs().sliver_root(Axis::Secondary, secondary),
            &column_root,
            "{context}"
        );
        pairs.push(hash_two(role::pair_key(), &row_root, &column_root));
    }
    assert_eq!(encoded.pairs().root(), root(pairs), "{context}");
    assert_eq!(encoded.commitment().slivers_root, encoded.pairs().root());
    assert_eq!(encoded.commitment().content, *blake3::hash(&blob).as_bytes());
    assert_eq!(identify_segment(&parameters, only_segment(&blob), &blob), encoded.commitment());
    assert_eq!(parameters.segment_length(blob.len() as u64, 0), length(&blob));
}

#[test]
fn every_symbol_and_root_follows_the_definition_in_small_networks() {
    for shards in (4..=40).chain([47, 48, 49, 63, 64, 65, 96, 97]) {
        for bytes in [0, 1, 700, 5000] {
            compare(shards, bytes);
        }
    }
}

#[test]
fn every_symbol_and_root_follows_the_definition_at_every_kind_of_symbol_size() {
    // Symbols of two bytes up to several chunks, with tails on both sides of each block and chunk.
    let sizes = [2, 4, 30, 60, 62, 64, 66, 126, 128, 130, 1022, 1024, 1026, 1086, 1088, 2046, 2050];
    for size in sizes.into_iter().chain([16384, 16386, 40_000]) {
        for shards in [4, 10, 50] {
            let parameters = parameters(shards);
            let symbols = usize::from(parameters.primary_source())
                * usize::from(parameters.secondary_source());
            compare(shards, symbols * size - 1);
        }
    }
}

#[test]
fn every_symbol_and_root_follows_the_definition_in_large_networks() {
    compare(1000, 1000);
    compare(333, 300_000);
}
