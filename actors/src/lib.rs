#![doc = include_str!("../README.md")]

pub mod chain;
pub mod chain_sync;
pub mod context;
pub mod gossip;
pub mod limits;
pub mod market;
pub mod metrics;
pub mod network;
pub mod position;
pub mod reach;
pub mod session;
pub mod supervisor;
pub mod tree;
pub mod trust;
pub mod vitals;

mod asking;
mod epoch;
mod pauses;
mod recovery;
mod scrub;
mod serving;
mod short_rows;
mod sliver_transfer;
mod tasks;
mod trace;

#[cfg(test)]
mod sample;
