#![doc = include_str!("../README.md")]

pub mod cli;
pub mod ledger;

mod banner;
mod control;
mod files;
mod fleet;
mod genesis;
mod in_process;
mod ledger_process;
mod ports;
mod probe;
mod processes;
mod reporter;
mod schema;
mod selftest;
mod settings;
mod state;
mod supervisor;
mod typed;

pub use in_process::{Builder, Devnet, MemberKeys};
