//! What a network of real nodes promises, on devnets that run inside this process.
//!
//! Each test has its own network, seed and ports, so that they run side by side.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]

mod changing;
mod charges;
mod crossing;
mod discovery;
mod epochs;
mod faults;
mod fifty;
mod handing_over;
mod health;
mod invalid;
mod ledger_lies;
mod liars;
mod losing;
mod mistaken;
mod moving;
mod one_word;
mod operator;
mod operator_changes;
mod owner;
mod payment;
mod put_get;
mod reading;
mod recovery;
mod refusals;
mod restart;
mod returning;
mod scrubbing;
mod several_ledgers;
mod short;
mod sizes;
mod space;
mod staker;
mod traces;
