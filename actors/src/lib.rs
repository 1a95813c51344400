#![doc = include_str!("../README.md")]

pub mod limits;
pub mod metrics;
pub mod network;
pub mod supervisor;
