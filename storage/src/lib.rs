#![doc = include_str!("../README.md")]

mod blobs;
mod bundles;
mod census;
mod check;
mod content;
mod cursor;
mod due;
mod effects;
mod error;
mod expiry;
mod files;
mod holes;
mod leaving;
mod ledger;
mod lock;
mod missing;
mod order;
mod places;
mod reconcile;
mod rot;
mod schema;
mod scrub;
mod sealed;
mod segment;
mod segment_writer;
mod shards;
mod short;
mod slivers;
mod store;
mod tables;
mod wanting;
mod writer;

#[cfg(test)]
mod testing;

pub use blobs::{BlobObject, BlobRecord};
pub use census::Census;
pub use effects::BlobEffect;
pub use error::StoreError;
pub use expiry::KEPT_EPOCHS;
pub use ledger::{Kept, Proof};
pub use missing::{Lacking, PAGE_BLOBS_MAX, PAGE_SEGMENTS_MAX, Page, PageEnd, Scope};
pub use order::{Order, StoredByte};
pub use redb::StorageBackend;
pub use scrub::ScrubPlace;
pub use segment_writer::SegmentWriter;
pub use short::ShortBlob;
pub use store::{Dropped, Filling, Options, Scrubbed, Store, Usage};
