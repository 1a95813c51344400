//! What a failed exchange with a server means.
//!
//! Does not: repeat it (`patience` does), or tell a refused transaction's reason (`refusal` does).

use tonic::{Code, Status};

use super::error::CallError;
use super::handle::Chain;

impl Chain {
    /// The error for a server that is found out.
    pub(super) fn untrue(&self, what: String) -> CallError {
        CallError::Untrue { url: self.url().to_owned(), what }
    }

    /// What a failed exchange means; `what` names the thing asked for.
    pub(super) fn call_error(&self, status: &Status, what: &str) -> CallError {
        match status.code() {
            Code::NotFound => CallError::NotFound { what: what.to_owned() },
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::AlreadyExists
            | Code::Aborted
            | Code::OutOfRange
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented
            | Code::ResourceExhausted => {
                CallError::Rejected { reason: status.message().to_owned() }
            }
            Code::Ok | Code::Unknown | Code::Internal | Code::Unavailable | Code::DataLoss => {
                self.unreachable(root_cause(status).as_str())
            }
            // Both are what a time that is over is told as.
            Code::Cancelled | Code::DeadlineExceeded => self.late(root_cause(status).as_str()),
        }
    }
}

/// The innermost words of a transport error: "connection refused" rather than "transport error".
fn root_cause(status: &Status) -> String {
    let mut cause = std::error::Error::source(status);
    let mut words = status.message().to_owned();
    while let Some(error) = cause {
        words = error.to_string();
        cause = error.source();
    }
    words
}
