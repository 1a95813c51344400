//! Events and objects of a ledger: a lying ledger can say anything and break nothing.
#![no_main]

use haulout_protocol::chain::event::{Event, StakeEvent};
use haulout_protocol::chain::object::{self, staking};
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};

const NAMES: [&str; 12] = [
    "StoragePurchased",
    "StorageDestroyed",
    "BlobRegistered",
    "BlobCertified",
    "BlobDeleted",
    "BlobBurned",
    "InvalidBlobID",
    "ProtocolVersionUpdated",
    "PricesUpdated",
    "Burned",
    "ParamChanged",
    "EpochChangeStart",
];

/// Bytes that are an object are the bytes of that object and of no other.
fn check<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    if let Ok(object) = bcs::from_bytes::<T>(bytes) {
        assert_eq!(bcs::to_bytes(&object).expect("it was read"), bytes);
    }
}

fuzz_target!(|bytes: &[u8]| {
    for name in NAMES.iter().chain(StakeEvent::NAMES).copied() {
        if let Ok(Some(event)) = Event::decode(name, bytes) {
            assert_eq!((event.name(), &*event.to_bytes()), (name, bytes));
        }
    }
    check::<object::Blob>(bytes);
    check::<object::Storage>(bytes);
    check::<object::System>(bytes);
    check::<object::Params>(bytes);
    check::<staking::Staking>(bytes);
    check::<staking::Staked>(bytes);
    check::<staking::NodeCap>(bytes);
});
