//! Pages of `shard/1`: what they may ask for, that they are small, and that what was written is read again.

use super::*;
use crate::encoding::{SegmentPosition, encode_segment};
use crate::wire::{SMALL_FRAME_BYTES_MAX, decode, encode};

fn entry(blob: u8, segment: u32, shards: &[u16]) -> Entry {
    Entry { blob_id: [blob; 32], segment, with_header: false, shards: shards.to_vec() }
}

fn page(entries: Vec<Entry>) -> Request {
    Request { entries, trace: None }
}

#[test]
fn frames_read_what_they_write() {
    let request = page(vec![Entry { with_header: true, ..entry(5, 0x0102, &[3, 0x0201]) }]);
    let bytes = encode(&request);
    let fields = [
        "0100000000000000".into(),
        "05".repeat(32),
        "02010000".into(),
        "01".into(),
        "0200000000000000".into(),
        "03000102".into(),
        "00".into(),
    ];
    assert_eq!(hex::encode(&bytes), fields.concat());
    assert_eq!(decode(&bytes), Ok(request));
    for reply in [
        Reply::Header { bytes: 1 },
        Reply::Pair { bytes: 2 },
        Reply::Short { shards: vec![3], header_bytes: 4, proof_bytes: 5 },
        Reply::Missing,
        Reply::Absent,
        Reply::End,
        Reply::Refused(Refusal::NotMember),
    ] {
        assert_eq!(decode(&encode(&reply)), Ok(reply));
    }
}

#[test]
fn the_largest_page_is_a_small_frame() {
    let shards = u16::try_from(PAIRS_MAX / ENTRIES_MAX).expect("few");
    let shards: Vec<_> = (0..shards).collect();
    let entries = (0..ENTRIES_MAX).map(|at| entry(0, u32::try_from(at).expect("few"), &shards));
    let trace = TraceContext { trace_id: [1; 16], span_id: [2; 8], flags: 1 };
    let request = Request { entries: entries.collect(), trace: Some(trace) };
    assert!(request.is_sound(1000));
    assert!(encode(&request).len() <= usize::try_from(SMALL_FRAME_BYTES_MAX).expect("small"));
    let most: Vec<_> = (0..u16::try_from(PAIRS_MAX).expect("few")).collect();
    let reply = Reply::Short { shards: most, header_bytes: 1, proof_bytes: 1 };
    assert!(encode(&reply).len() <= usize::try_from(SMALL_FRAME_BYTES_MAX).expect("small"));
}

#[test]
fn a_page_names_each_segment_and_each_of_its_shards_once_and_no_more_than_there_may_be() {
    assert!(page(vec![entry(1, 0, &[0, 3]), entry(1, 1, &[0]), entry(2, 0, &[3])]).is_sound(4));
    assert!(!page(vec![]).is_sound(4), "nothing is asked for");
    assert!(!page(vec![entry(1, 0, &[])]).is_sound(4), "nothing of this segment");
    assert!(!page(vec![entry(1, 0, &[0]), entry(1, 0, &[1])]).is_sound(4), "a segment twice");
    assert!(!page(vec![entry(1, 0, &[1, 1])]).is_sound(4), "a shard twice");
    assert!(!page(vec![entry(1, 0, &[1, 0])]).is_sound(4), "in another order");
    assert!(!page(vec![entry(1, 0, &[4])]).is_sound(4), "there is no such shard");
    let many = |entries: usize| {
        page((0..entries).map(|at| entry(1, u32::try_from(at).expect("few"), &[0])).collect())
    };
    assert!(many(ENTRIES_MAX).is_sound(4) && !many(ENTRIES_MAX + 1).is_sound(4));
    let wide = |pairs: usize| {
        let shards: Vec<_> = (0..u16::try_from(pairs).expect("few")).collect();
        page(vec![entry(1, 0, &shards)])
    };
    assert!(wide(PAIRS_MAX).is_sound(4000) && !wide(PAIRS_MAX + 1).is_sound(4000));
}

#[test]
fn a_page_asks_for_so_many_bytes_at_most_unless_it_asks_for_one_pair() {
    let parameters = Parameters::new(4, 1 << 25).expect("valid parameters");
    let length = |_: &BlobId| Some(1 << 30);
    assert!(page(vec![entry(1, 0, &[0])]).fits(&parameters, length), "it could not be smaller");
    assert!(!page(vec![entry(1, 0, &[0, 1])]).fits(&parameters, length));
    assert!(page(vec![entry(1, 0, &[0, 1])]).fits(&parameters, |_| Some(1000)));
    assert!(page(vec![entry(1, 0, &[0, 1])]).fits(&parameters, |_| None), "nobody knows it");
}

#[test]
fn a_pair_is_read_as_it_was_written_and_costs_what_it_has() {
    let parameters = Parameters::new(10, 1024).expect("valid parameters");
    let bytes: Vec<u8> = (0..1000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    let encoded =
        encode_segment(&parameters, SegmentPosition { segment: 0, blob_bytes: 1000 }, bytes.into());
    let blob_id = BlobId::from_bytes([7; 32]);
    for shard in (0..10).map(ShardIndex) {
        let (pair, layout) = PairLayout::new(&parameters, (&blob_id, 1000), 0, shard);
        let proof = encoded.pairs().prove(pair).to_bytes();
        let slivers =
            Axis::BOTH.map(|axis| encoded.sliver(axis, pair.sliver_index(axis, &parameters)));
        let raw = Bytes::from([&proof[..], &slivers[0], &slivers[1]].concat());
        assert_eq!(layout.bytes(), raw.len());
        assert_eq!(layout.split(&raw), (proof.into(), slivers));
        let cost = Cost::of(&parameters, 1000, 0);
        assert!(u64::try_from(raw.len()).is_ok_and(|bytes| bytes <= cost.pair), "{cost:?}");
        assert_eq!(cost.of_pairs(2, true), 2 * cost.pair + cost.header);
    }
}
