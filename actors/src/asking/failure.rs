//! What a question to a peer can end in beside an answer, and what follows.
//!
//! Promises: whether to ask again and when, whom to blame, and what to tell people are said here for all who ask. Does not:
//! ask again, or blame.

use haulout_protocol::machine::Blame;
use haulout_protocol::machine::retry::End;
use haulout_protocol::wire::Refusal;

use crate::network::{OpenError, StreamError};

/// Why a node gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("{0}")]
    Refused(Refusal),
    #[error("the node {0}")]
    Wrong(Blame),
}

/// What keeps a member from helping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It cannot be reached, or says nothing.
    Away,
    /// It is there and has no time.
    Busy,
    /// It is there and does not have what it was asked for.
    Lacks,
    /// It is there and refuses, or is not believed.
    Refuses,
}

/// The error of an answer that makes no sense where it came.
pub(crate) fn nonsense() -> AskError {
    AskError::Wrong(Blame::Malformed)
}

impl AskError {
    /// Whether the member may be asked again, and when.
    pub(crate) fn end(&self) -> End {
        let again = End::Again { after_ms: 0 };
        match self {
            AskError::Open(OpenError::Refused) => End::Absent,
            AskError::Open(error) if error.is_transient() => again,
            AskError::Stream(error) if error.is_transient() => again,
            AskError::Refused(Refusal::Busy { retry_after_ms }) => {
                End::Again { after_ms: u64::from(*retry_after_ms) }
            }
            AskError::Refused(refusal) if refusal.is_transient() => again,
            AskError::Open(_) | AskError::Stream(_) | AskError::Refused(_) | AskError::Wrong(_) => {
                End::Never
            }
        }
    }

    /// What keeps the member from helping.
    pub(crate) fn obstacle(&self) -> Obstacle {
        match self {
            AskError::Open(OpenError::KeptWaiting | OpenError::Busy | OpenError::Overloaded)
            | AskError::Stream(StreamError::Evicted)
            | AskError::Refused(Refusal::Busy { .. }) => Obstacle::Busy,
            AskError::Refused(Refusal::NotFound) => Obstacle::Lacks,
            AskError::Open(OpenError::Unsupported | OpenError::Banned)
            | AskError::Refused(_)
            | AskError::Wrong(_) => Obstacle::Refuses,
            AskError::Stream(error) if !error.is_transient() => Obstacle::Refuses,
            AskError::Open(_) | AskError::Stream(_) => Obstacle::Away,
        }
    }

    /// What the member is to blame for, if it is the member.
    pub(crate) fn blame(&self) -> Option<Blame> {
        match self {
            AskError::Wrong(blame) => Some(*blame),
            AskError::Stream(error) => error.blame(),
            AskError::Open(_) | AskError::Refused(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_slow_the_busy_and_the_unreachable_are_asked_again() {
        let again = End::Again { after_ms: 0 };
        assert_eq!(AskError::Open(OpenError::TimedOut).end(), again);
        assert_eq!(AskError::Open(OpenError::Busy).end(), again);
        assert_eq!(AskError::Open(OpenError::Refused).end(), End::Absent);
        assert_eq!(AskError::Open(OpenError::Unreachable(String::new())).end(), again);
        assert_eq!(AskError::Stream(StreamError::TimedOut(Duration::ZERO)).end(), again);
        assert_eq!(AskError::Stream(StreamError::TooSlow).end(), again);
        assert_eq!(AskError::Stream(StreamError::Closed).end(), again);
        assert_eq!(AskError::Refused(Refusal::Internal).end(), again);
        let busy = AskError::Refused(Refusal::Busy { retry_after_ms: 500 });
        assert_eq!(busy.end(), End::Again { after_ms: 500 });
    }

    #[test]
    fn away_busy_lacking_and_refusing_are_told_apart() {
        let of = |error: AskError| error.obstacle();
        for away in [OpenError::TimedOut, OpenError::Refused, OpenError::ConnectionLost] {
            assert_eq!(of(AskError::Open(away)), Obstacle::Away);
        }
        assert_eq!(of(AskError::Stream(StreamError::Closed)), Obstacle::Away);
        for busy in [OpenError::Busy, OpenError::KeptWaiting] {
            assert_eq!(of(AskError::Open(busy)), Obstacle::Busy);
        }
        assert_eq!(of(AskError::Refused(Refusal::Busy { retry_after_ms: 1 })), Obstacle::Busy);
        assert_eq!(of(AskError::Stream(StreamError::Evicted)), Obstacle::Busy);
        assert_eq!(of(AskError::Refused(Refusal::NotFound)), Obstacle::Lacks);
        for refusing in [AskError::Open(OpenError::Banned), nonsense()] {
            assert_eq!(of(refusing), Obstacle::Refuses);
        }
        assert_eq!(of(AskError::Refused(Refusal::NotMember)), Obstacle::Refuses);
    }

    #[test]
    fn liars_and_those_who_refuse_for_good_are_not() {
        let oversized = StreamError::TooLarge { announced: 2, max: 1 };
        for error in [
            AskError::Open(OpenError::Banned),
            AskError::Open(OpenError::Unsupported),
            AskError::Stream(oversized),
            AskError::Refused(Refusal::NotFound),
            AskError::Refused(Refusal::NotMember),
            nonsense(),
        ] {
            assert_eq!(error.end(), End::Never, "{error}");
        }
    }
}
