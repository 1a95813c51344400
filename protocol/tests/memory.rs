//! How much memory a stream takes: measured of this whole process, so one test and no other.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "a test may ask the system, the crate must not")]

use std::io::{self, Read};

use haulout_protocol::encoding::{MIN_IN_FLIGHT, Parameters, Pipeline, SEGMENT_BYTES};

const MIB: usize = 1 << 20;

/// The most memory this process ever had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the peak is told");
    let kib = line.split_whitespace().nth(1).expect("a number of KiB");
    kib.parse::<usize>().expect("a number") * 1024
}

#[test]
fn memory_is_that_of_the_segments_in_flight_for_any_blob_and_half_without_slivers() {
    let segment = usize::try_from(SEGMENT_BYTES).expect("a segment fits memory");
    // Of one byte over many segments, the last is a segment by itself.
    let blob = || io::repeat(0xa5).take(20 * u64::from(SEGMENT_BYTES) + 1);
    let parameters = Parameters::new(100, SEGMENT_BYTES).expect("valid parameters");
    let start = peak();
    let identified = Pipeline::new(&parameters, MIN_IN_FLIGHT).identify(blob(), |_| ());
    let identifying = peak() - start;
    let encoded =
        Pipeline::new(&parameters, MIN_IN_FLIGHT).encode(blob(), |_, _| io::Result::Ok(()));
    let encoding = peak() - start;
    assert_eq!(encoded.expect("nothing fails"), identified.expect("nothing fails"));
    println!("identify {} MiB, encode {} MiB", identifying / MIB, encoding / MIB);
    assert!(encoding <= 6 * MIN_IN_FLIGHT * segment + 64 * MIB, "{} MiB", encoding / MIB);
    assert!(2 * identifying <= encoding, "{} of {} MiB", identifying / MIB, encoding / MIB);
}
