#![doc = include_str!("../README.md")]

mod blobs;
mod bundles;
mod content;
mod cursor;
mod error;
mod lock;
mod reconcile;
mod schema;
mod segment;
mod slivers;
mod store;
mod tables;
mod writer;

#[cfg(test)]
mod testing;

pub use blobs::{BlobEffect, BlobObject, BlobRecord};
pub use error::StoreError;
pub use segment::SegmentWriter;
pub use store::{Options, Store, Usage};
