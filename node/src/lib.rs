#![doc = include_str!("../README.md")]

pub mod bench;
pub mod calendar;
pub mod checks;
pub mod cli;
pub mod config;
pub mod contexts;
pub mod devnets;
pub mod error;
pub mod hints;
pub mod holdings;
pub mod identify;
pub mod input;
pub mod keys;
pub mod ledger_client;
pub mod light_client;
pub mod periods;
pub mod probe;
pub mod stakes;
pub mod storage_node;
pub mod sui_wallet;
pub mod telemetry;
pub mod terminal;
pub mod ticket;
pub mod usage;
pub mod whole_file;

mod endpoint;
mod failures;
mod guarded;
mod health_log;
mod known_network;
mod memory;
mod names;
mod ports;
mod progress;
mod words;

pub use config::{ClientConfig, Config, NodeConfig};
pub use error::{Error, Kind, Result};
pub use ledger_client::LedgerClient;
pub use light_client::LightClient;
pub use storage_node::StorageNode;
