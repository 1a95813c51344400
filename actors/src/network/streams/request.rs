//! A stream somebody waits for.
//!
//! Promises: whoever waits hears of it once. Does not: bound the wait; whoever waits does.

use tokio::sync::oneshot;

use crate::network::errors::OpenError;
use crate::network::life::Watched;
use crate::network::names::Protocol;

/// A stream somebody waits for.
#[derive(Debug)]
pub(in crate::network) struct Request {
    pub(in crate::network) protocol: Protocol,
    pub(in crate::network) reply: Reply,
}

/// Where the stream goes, or why there is none.
pub(super) type Reply = oneshot::Sender<Result<Watched<libp2p::Stream>, OpenError>>;
