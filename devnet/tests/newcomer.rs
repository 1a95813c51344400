//! What somebody does who has never seen this before, with real processes: wrong settings, slips in names, a wallet of
//! one's own, a damaged disk, a start that fails, a ledger that is away, and cleaning up.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]

#[path = "newcomer/desk.rs"]
mod desk;
#[path = "newcomer/files.rs"]
mod files;
#[path = "newcomer/slips.rs"]
mod slips;
#[path = "newcomer/starting.rs"]
mod starting;
#[path = "newcomer/wallet.rs"]
mod wallet;
