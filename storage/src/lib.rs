#![doc = include_str!("../README.md")]

pub mod blobs;
pub mod error;
pub mod segment;
pub mod store;

mod bundles;
mod content;
mod cursor;
mod lock;
mod reconcile;
mod schema;
mod slivers;
mod tables;
mod writer;

#[cfg(test)]
mod testing;

pub use blobs::{BlobEffect, BlobObject, BlobRecord};
pub use error::StoreError;
pub use segment::SegmentWriter;
pub use store::{Options, Store, Usage};
