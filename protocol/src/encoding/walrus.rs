//! Blob ids as Walrus computes them: encoding RS2 with Blake2b, one matrix for the whole blob.
//!
//! Promises: the id that Walrus gives the same bytes at the same shard count. Does not: stream; the whole blob and a table
//! of `n * n` digests are in memory.
//! Source: `walrus-reference.md` sections 1 and 2.

use super::codeword::{Extender, repair};
use super::matrix::{Padding, Shape};
use super::parameters::{Parameters, ParametersError, SEGMENT_BYTES};
use crate::crypto::{Digest, blake2b_256};

/// Number of the encoding RS2.
const RS2: u8 = 1;
/// Walrus keeps symbol sizes in 16 bits, and they are even.
const MAX_SYMBOL_BYTES: usize = 65534;
/// Comes before a leaf's bytes.
const LEAF: &[u8] = &[0];
/// Comes before two nodes.
const INNER: &[u8] = &[1];

/// Why a blob has no Walrus id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalrusError {
    /// Past what Walrus encodes with so many shards.
    #[error("walrus encodes at most {limit} bytes with {shards} shards, not {found}")]
    TooLarge {
        /// Shards asked for.
        shards: u16,
        /// The most that fits.
        limit: u64,
        /// Length of the blob.
        found: u64,
    },
    /// Not a number of shards.
    #[error("walrus ids need a valid number of shards")]
    Shards(#[from] ParametersError),
}

/// The id Walrus gives these bytes in a network of this many shards.
pub fn blob_id(shards: u16, bytes: &[u8]) -> Result<Digest, WalrusError> {
    let root = blob_root(shards, bytes)?;
    let length = bytes.len() as u64;
    Ok(blake2b_256(&[&[RS2], &length.to_le_bytes(), &root]))
}

/// Root over the pair leaves, as Walrus puts it into the blob's metadata.
fn blob_root(shards: u16, bytes: &[u8]) -> Result<Digest, WalrusError> {
    let shape = shape(shards, bytes.len())?;
    let padding = Padding::new(&shape, bytes);
    let table = hash_matrix(&shape, &padding.rows(&shape, bytes));
    let n = shape.shards;
    let row_root = |row: usize| root(table[row * n..][..n].to_vec());
    let column_root = |column: usize| root((0..n).map(|row| table[row * n + column]).collect());
    let pair = |pair: usize| blake2b_256(&[LEAF, &row_root(pair), &column_root(n - 1 - pair)]);
    Ok(root((0..n).map(pair).collect()))
}

fn shape(shards: u16, length: usize) -> Result<Shape, WalrusError> {
    let mut shape = Shape::new(&Parameters::new(shards, SEGMENT_BYTES)?, 0);
    let symbols = shape.rows * shape.columns;
    shape.symbol = length.max(1).div_ceil(symbols).next_multiple_of(2);
    if shape.symbol > MAX_SYMBOL_BYTES {
        let limit = (symbols * MAX_SYMBOL_BYTES) as u64;
        return Err(WalrusError::TooLarge { shards, limit, found: length as u64 });
    }
    Ok(shape)
}

/// Leaf digests of the expanded matrix, row by row.
fn hash_matrix(shape: &Shape, rows: &[&[u8]]) -> Vec<Digest> {
    let Shape { shards, rows: _, columns, symbol } = *shape;
    let repair_columns = repair_columns(shape, rows);
    let mut table = vec![[0; 32]; shards * shards];
    let mut extender = Extender::new(shape.rows, shards, symbol);
    for column in 0..shards {
        let given = |row: usize| match column.checked_sub(columns) {
            None => &rows[row][column * symbol..][..symbol],
            Some(repair) => &repair_columns[(repair * shape.rows + row) * symbol..][..symbol],
        };
        let result = extender.extend(symbol, given);
        for row in 0..shards {
            let bytes = match row.checked_sub(shape.rows) {
                None => given(row),
                Some(index) => repair(&result, index),
            };
            table[row * shards + column] = blake2b_256(&[LEAF, bytes]);
        }
    }
    table
}

/// Symbols of the columns past the source matrix, column by column, for the rows of the source matrix.
fn repair_columns(shape: &Shape, rows: &[&[u8]]) -> Vec<u8> {
    let Shape { shards, columns, symbol, .. } = *shape;
    let mut repaired = vec![0; (shards - columns) * shape.column_bytes()];
    let mut extender = Extender::new(columns, shards, symbol);
    for (row, bytes) in rows.iter().enumerate() {
        let result = extender.extend(symbol, |column| &bytes[column * symbol..][..symbol]);
        for (column, bytes) in result.recovery_iter().enumerate() {
            repaired[(column * shape.rows + row) * symbol..][..symbol].copy_from_slice(bytes);
        }
    }
    repaired
}

fn root(mut nodes: Vec<Digest>) -> Digest {
    while nodes.len() > 1 {
        let parent =
            |pair: &[Digest]| blake2b_256(&[INNER, &pair[0], pair.get(1).unwrap_or(&[0; 32])]);
        nodes = nodes.chunks(2).map(parent).collect();
    }
    nodes[0]
}
