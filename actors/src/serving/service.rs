//! What a protocol needs to be served.
//!
//! Promises: all of it is said where its counter is opened. Does not: say how it is served.

use std::time::Duration;

use crate::network::Protocol;

/// What is served at a counter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// Its protocol, which has a name on the wire and places for each class of visitors.
    pub(crate) protocol: Protocol,
    /// No frame of a visitor is longer.
    pub(crate) frame_bytes_max: u32,
    /// How long a visitor may keep us waiting when it moves nothing.
    pub(crate) idle: Duration,
}
