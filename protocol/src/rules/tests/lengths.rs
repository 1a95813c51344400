//! How many bytes blobs occupy, at the boundaries of what can be encoded.

use crate::blob::Encoding;
use crate::chain::abort::Abort;
use crate::chain::object::Params;

use super::sample_params;
use crate::rules::encoding::encoded_length;

fn length(size: u64) -> Result<u64, Abort> {
    encoded_length(&sample_params(), Encoding::Segments.number(), size)
}

#[test]
fn t27_an_empty_blob_occupies_what_one_byte_does_and_segments_add_up() {
    let segment = u64::from(sample_params().segment_bytes);
    assert_eq!(length(0), length(1));
    let (one, whole) = (length(1).unwrap(), length(segment).unwrap());
    assert_eq!(length(segment + 1), Ok(whole + one));
    assert_eq!(length(7 * segment), Ok(7 * whole));
    // A symbol has an even number of bytes, and ten shards have 4 times 7 source symbols.
    assert_eq!(length(2 * 28), Ok(one));
    assert!(length(2 * 28 + 1).unwrap() > one);
}

#[test]
fn t27_the_largest_blob_is_the_last_whose_length_fits_a_number() {
    let (mut fits, mut too_large) = (0, u64::MAX);
    assert_eq!(length(too_large), Err(Abort::BlobTooLarge));
    while too_large - fits > 1 {
        let middle = fits + (too_large - fits) / 2;
        match length(middle) {
            Ok(_) => fits = middle,
            Err(_) => too_large = middle,
        }
    }
    assert!(fits > u64::from(u32::MAX), "sizes are not held to 32 bits");
    let (last, segment) = (length(fits).unwrap(), u64::from(sample_params().segment_bytes));
    assert!(last > u64::MAX - length(segment).unwrap());
    assert_eq!(length(fits + 1), Err(Abort::BlobTooLarge));
}

#[test]
fn t27_symbols_of_a_full_segment_may_have_more_than_16_bits() {
    let mut params = sample_params();
    (params.n_shards, params.segment_bytes) = (4, 1 << 25);
    let symbol = (1_u64 << 25).div_ceil(6);
    assert!(symbol > u64::from(u16::MAX));
    let even = symbol + symbol % 2;
    let headers = 64 * u64::from(params.header_replicas);
    let expected = 4 * (2 + 3) * even + 4 * (64 + 32 * 3) + headers;
    assert_eq!(encoded_length(&params, Encoding::Segments.number(), 1 << 25), Ok(expected));
}

#[test]
fn t27_each_length_has_one_encoding_and_no_other_is_known() {
    let plain = sample_params();
    let with_short = Params { short_bytes_max: 4096, ..sample_params() };
    for encoding in 0..=u8::MAX {
        let is_known = |params: &Params, size| match encoded_length(params, encoding, size) {
            Ok(length) => length > 0,
            Err(abort) => {
                assert_eq!(abort, Abort::UnknownEncoding);
                false
            }
        };
        for size in [0, 1, 4096] {
            assert_eq!(is_known(&plain, size), encoding == Encoding::Segments.number());
            assert_eq!(is_known(&with_short, size), encoding == Encoding::Short.number());
        }
        assert_eq!(is_known(&with_short, 4097), encoding == Encoding::Segments.number());
    }
}

#[test]
fn t27_short_blobs_occupy_a_row_of_symbols_with_their_paths() {
    let params = Params { n_shards: 1000, short_bytes_max: 1 << 16, ..sample_params() };
    let headers = 64 * u64::from(params.header_replicas);
    for (size, symbol) in [(0, 128), (1, 128), (10_240, 128), (1 << 16, 256)] {
        let expected = 1000 * (symbol + 32 * 10) + headers;
        assert_eq!(encoded_length(&params, Encoding::Short.number(), size), Ok(expected));
    }
    let impossible = Params { short_bytes_max: (1 << 16) + 1, ..params };
    let refused = encoded_length(&impossible, Encoding::Short.number(), 1);
    assert_eq!(refused, Err(Abort::UnknownEncoding));
}
