#![doc = include_str!("../README.md")]

mod blobs;
mod bundles;
mod census;
mod content;
mod cursor;
mod error;
mod expiry;
mod files;
mod ledger;
mod lock;
mod missing;
mod reconcile;
mod rot;
mod schema;
mod segment;
mod shards;
mod short;
mod slivers;
mod store;
mod tables;
mod writer;

#[cfg(test)]
mod testing;

pub use blobs::{BlobEffect, BlobObject, BlobRecord};
pub use census::Census;
pub use error::StoreError;
pub use expiry::KEPT_EPOCHS;
pub use ledger::{Kept, Proof};
pub use missing::{Lacking, PAGE_BLOBS_MAX, PAGE_SEGMENTS_MAX, Page, PageEnd, Scope};
pub use redb::StorageBackend;
pub use segment::SegmentWriter;
pub use short::ShortBlob;
pub use store::{Options, Store, Usage};
