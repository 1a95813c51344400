#![doc = include_str!("../README.md")]

pub mod blob;
pub mod certificate;
pub mod chain;
pub mod committee;
pub mod crypto;
pub mod encoding;
pub mod epoch;
pub mod inconsistency;
pub mod machine;
pub mod merkle;
pub mod message;
pub mod pairs;
pub mod rebuild;
pub mod rules;
pub mod sliver;
pub mod wire;

mod object_id;
mod text;
