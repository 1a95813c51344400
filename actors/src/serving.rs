//! The one place from which peers are served: whoever answers what they ask opens a counter here.
//!
//! Promises: a visitor is served only while it has its place, given before its stream is accepted, so a full node says "busy"
//! instead of buffering, and whoever keeps it waiting makes room; no byte is read, from a peer or from the disk, before there
//! is room for it in memory; memory, cores and turns are shared by all counters, and by the
//! duties they serve by weight, each of which has a part that no other can take; whoever breaks off, and why, is told, blamed
//! and counted in one way. Does not: know what is asked, or what is answered.

mod background;
mod cores;
mod counter;
mod fault;
mod host;
mod memory;
mod readers;
mod service;
mod visit;

pub(crate) use self::counter::Counter;
pub(crate) use self::fault::{Fault, busy};
pub(crate) use self::host::{Limits, Serving};
pub(crate) use self::memory::Held;
pub(crate) use self::service::Service;
pub(crate) use self::visit::{Ended, Visit, blocking, charged};
