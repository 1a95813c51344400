//! What an upload's helpers report to its task.
//!
//! Promises: whoever helps says how it ended. Does not: say what follows; the machine does.

use haulout_protocol::machine::upload::Input;

use super::deal::Settled;
use super::encoded::Encoded;
use super::outcome::{Evidence, PutError};

/// What the upload's helpers report.
pub(super) enum Event {
    Input(Input),
    Encoded(u32, Result<Encoded, PutError>),
    Registered(Result<Settled, PutError>),
    Certified(Result<(Settled, Evidence), PutError>),
    /// The bytes are not those that were sent: what was confirmed is not certified.
    Changed(PutError),
}
