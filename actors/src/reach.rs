//! Whether strangers reach a node: it asks others to dial it back, and does the same for whoever asks.
//!
//! Promises: nobody is dialled but at the address that its own question came from, and seldom; what peers found is told as it
//! was found, with how many were asked. Does not: believe one peer alone, or open a port.
//! A peer that shares our network sees what strangers do not: only its word is passed on.

mod asking;
mod looking;
mod serve;

pub use asking::ask;
pub(crate) use looking::{Arguments, ReachActor};
