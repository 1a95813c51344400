//! The first byte of a stream: how both sides agree that it is open.
//!
//! The first byte the acceptor sends on a stream is its answer: accepted or busy. It travels with
//! the end of the negotiation, so reading it before `open` returns costs no round trip, and nobody
//! ever writes into a stream that was dropped unseen (libp2p-stream's way).
//!
//! Promises: whoever opens gets a stream that somebody will serve, or a reason. Does not: bound the
//! wait (`handler` does), or count (`door` does).

use std::io;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use tracing::debug;

use super::door::{Admitted, Door, Named, Visitor};
use crate::network::frames::Stream;
use crate::network::life::{Life, Watched};

/// The acceptor's first byte: the stream is yours.
const ACCEPTED: u8 = 0;
/// The acceptor's first byte: no room; try later.
const BUSY: u8 = 1;

/// Negotiates an inbound stream and gives it its first byte.
#[derive(Clone, Debug)]
pub(in crate::network) struct Admission {
    pub(super) door: Arc<Door>,
    pub(super) visitor: Visitor,
    pub(super) life: Life,
}

impl UpgradeInfo for Admission {
    type Info = Named;
    type InfoIter = Vec<Named>;

    fn protocol_info(&self) -> Vec<Named> {
        self.door.offered()
    }
}

impl InboundUpgrade<libp2p::Stream> for Admission {
    type Output = ();
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<()>>;

    fn upgrade_inbound(self, mut stream: libp2p::Stream, name: Named) -> Self::Future {
        Box::pin(async move {
            let peer = self.visitor.peer;
            match self.door.admit(name.protocol, &self.visitor) {
                Some(Admitted { spot, permit, place }) => {
                    stream.write_all(&[ACCEPTED]).await?;
                    stream.flush().await?;
                    let stream = Watched::new(stream, self.life);
                    spot.send((peer, Stream::accepted(stream, permit, place)));
                }
                None => {
                    debug!(%peer, protocol = %name.wire, "no room for a stream");
                    stream.write_all(&[BUSY]).await?;
                    stream.close().await?;
                }
            }
            Ok(())
        })
    }
}

/// Negotiates an outbound stream and reads its first byte.
#[derive(Clone, Debug)]
pub(in crate::network) struct Opening {
    pub(super) name: Named,
    pub(super) life: Life,
}

/// Why the other side did not take the stream.
#[derive(Debug)]
pub(in crate::network) enum OpeningError {
    Busy,
    Io(io::Error),
}

impl From<io::Error> for OpeningError {
    fn from(error: io::Error) -> Self {
        OpeningError::Io(error)
    }
}

impl UpgradeInfo for Opening {
    type Info = Named;
    type InfoIter = std::iter::Once<Named>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(self.name.clone())
    }
}

impl OutboundUpgrade<libp2p::Stream> for Opening {
    type Output = Watched<libp2p::Stream>;
    type Error = OpeningError;
    type Future = BoxFuture<'static, Result<Self::Output, OpeningError>>;

    fn upgrade_outbound(self, mut stream: libp2p::Stream, _: Named) -> Self::Future {
        Box::pin(async move {
            let mut answer = [0];
            stream.read_exact(&mut answer).await?;
            match answer {
                [ACCEPTED] => Ok(Watched::new(stream, self.life)),
                [BUSY] => Err(OpeningError::Busy),
                _ => Err(io::Error::from(io::ErrorKind::InvalidData).into()),
            }
        })
    }
}
