//! The raw arithmetic: `reed-solomon-simd` and BLAKE3, called in the way they are fastest.

use std::hint::black_box;

use bytes::Bytes;
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

use super::Work;

/// Shard width at which the library encodes fast with any number of shards.
const WIDTH: usize = 1024;
/// Bytes the library's decoder may work on and stay in the cache.
const WORKING_SET: usize = 2 << 20;

/// One after the other.
pub(super) fn all(mut parts: Vec<Work>) -> Work {
    Box::new(move || parts.iter_mut().for_each(|part| part()))
}

/// How many calls, of how many bytes a shard, code shards of this many bytes.
fn calls(bytes: usize, width: usize) -> (usize, usize) {
    (bytes.div_ceil(width), bytes.min(width))
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    noise
}

/// The library's encoder over shards of this many bytes in all.
pub(super) fn raw_encode(source: usize, total: usize, bytes: usize) -> Work {
    let (calls, width) = calls(bytes, WIDTH);
    let mut encoder =
        ReedSolomonEncoder::new(source, total - source, width).expect("a supported split");
    let shard = noise(width);
    Box::new(move || {
        for _call in 0..calls {
            for _shard in 0..source {
                encoder.add_original_shard(&shard).expect("as long as announced");
            }
            black_box(encoder.encode().expect("all shards were added").recovery(0));
        }
    })
}

/// The library's decoder, as few of the source shards given as can be.
pub(super) fn raw_decode(source: usize, total: usize, bytes: usize) -> Work {
    // Every call begins with work that does not depend on the width: with few shards, wide ones are faster.
    let width = WIDTH.max(WORKING_SET / (2 * total.next_power_of_two()));
    let (calls, width) = calls(bytes, width);
    let repair = source.min(total - source);
    let mut decoder =
        ReedSolomonDecoder::new(source, total - source, width).expect("a supported split");
    let shard = noise(width);
    Box::new(move || {
        for _call in 0..calls {
            for i in repair..source {
                decoder.add_original_shard(i, &shard).expect("as long as announced");
            }
            for i in 0..repair {
                decoder.add_recovery_shard(i, &shard).expect("as long as announced");
            }
            black_box(decoder.decode().expect("as many as needed").restored_original(0));
        }
    })
}

/// BLAKE3 over these bytes.
pub(super) fn raw_hash_of(parts: Vec<Bytes>) -> Work {
    Box::new(move || {
        for part in &parts {
            black_box(blake3::hash(part));
        }
    })
}

/// BLAKE3 over this many bytes, from a buffer that stays in the cache.
pub(super) fn raw_hash(bytes: usize) -> Work {
    const BUFFER: usize = 1 << 20;
    let buffer = noise(bytes.min(BUFFER));
    Box::new(move || {
        for start in (0..bytes).step_by(BUFFER) {
            black_box(blake3::hash(&buffer[..buffer.len().min(bytes - start)]));
        }
    })
}
