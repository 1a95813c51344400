//! Frames from peers: any bytes give a value or an error, and a value's own bytes give the value again.
#![no_main]

use haulout_protocol::wire::{self, announcement, blob, reach, shard, sliver, symbol, verdict};
use libfuzzer_sys::fuzz_target;

fn check<T: bincode::Encode + bincode::Decode<()> + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(value) = wire::decode::<T>(bytes) {
        assert_eq!(wire::decode::<T>(&wire::encode(&value)), Ok(value));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 13 {
        0 => check::<blob::Request>(bytes),
        1 => check::<blob::Answer>(bytes),
        2 => check::<sliver::Request>(bytes),
        3 => check::<sliver::Reply>(bytes),
        4 => check::<symbol::Request>(bytes),
        5 => check::<symbol::Reply>(bytes),
        6 => check::<verdict::Request>(bytes),
        7 => check::<verdict::Reply>(bytes),
        8 => check::<reach::Request>(bytes),
        9 => check::<reach::Reply>(bytes),
        10 => check::<shard::Request>(bytes),
        11 => check::<shard::Reply>(bytes),
        _ => check::<announcement::Announcement>(bytes),
    }
});
