//! Events of a ledger: a lying ledger can say anything and break nothing.
#![no_main]

use haulout_protocol::chain::event::Event;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["BlobRegistered", "BlobCertified", "StoragePurchased", "EpochChangeStart"] {
        let _ = Event::decode(name, bytes);
    }
});
