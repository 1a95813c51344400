//! How the verbs of `devnet` talk to its supervisor: one JSON line each way over a Unix socket.
//!
//! Promises: a reply ends every request except [`Request::Follow`], which gets one line at once, one
//! for each phase of the start and one for its end. Lines are bounded. Does not: authenticate; the socket
//! lies in a folder that only its owner can enter.

use std::path::Path;
use std::time::Duration;

use haulout_node::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// The longest line either side reads; the status of 1000 nodes fits.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What a verb asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Say at once whether the start is over, then tell each phase of it, past ones too, then how it ended.
    Follow,
    /// What runs.
    Status,
    /// SIGKILL.
    Kill { target: String },
    /// SIGSTOP, and SIGCONT after a while if a time is given.
    Pause { target: String, for_ms: Option<u64> },
    /// SIGCONT.
    Resume { target: String },
    /// Stop if it runs, then start; with `wipe` its store is deleted in between.
    Restart { target: String, wipe: bool },
    /// A place for one more node, or the one that was added last and is not registered yet.
    Add,
    /// The ledger calls the node so: start it.
    Join { target: String, node_id: String },
    /// Let the node go when others have its shards.
    Leave { target: String },
    /// End the node at once, and for good; with `force` also if files can be read no more then.
    Forget {
        target: String,
        #[serde(default)]
        force: bool,
    },
    /// Go on when the terminal that started the supervisor goes away.
    Detach,
    /// Stop everything in order and end.
    Down,
}

impl Request {
    /// With which process something is done that takes a while, and what, in a word.
    pub(crate) fn doing(&self) -> Option<(&str, &'static str)> {
        match self {
            Request::Kill { target } => Some((target, "stopping")),
            Request::Forget { target, .. } => Some((target, "removing")),
            Request::Restart { target, .. } => Some((target, "restarting")),
            Request::Join { target, .. } => Some((target, "starting")),
            Request::Follow
            | Request::Status
            | Request::Pause { .. }
            | Request::Resume { .. }
            | Request::Add
            | Request::Leave { .. }
            | Request::Detach
            | Request::Down => None,
        }
    }
}

/// What the supervisor answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub(crate) enum Reply {
    /// A supervisor listens, and this is how far it is.
    Listening { is_ready: bool },
    /// One finished phase of the start.
    Phase(Phase),
    /// The start is over and everything works.
    Ready,
    /// It was done, in one sentence.
    Done { message: String },
    /// The node is this one.
    Node { name: String },
    /// What runs.
    Status { processes: Vec<ProcessStatus> },
    /// It was not done.
    Failed { kind: String, message: String, hint: String },
}

/// One finished phase of the start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) detail: String,
    pub(crate) millis: u64,
    /// Whether a part of it did not work.
    #[serde(default)]
    pub(crate) is_partial: bool,
}

/// One process of the devnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProcessStatus {
    pub(crate) name: String,
    pub(crate) state: ProcessState,
    pub(crate) pid: Option<u32>,
    /// Seconds since it entered this state.
    pub(crate) seconds: u64,
    /// When it goes on by itself, if it is paused for a time.
    #[serde(default)]
    pub(crate) resumes_in_ms: Option<u64>,
    /// Why it does not do what it should, and what to do about it.
    #[serde(default)]
    pub(crate) trouble: Option<Trouble>,
    /// What the supervisor is doing with it at this moment, in a word as in "stopping"; nothing most of the time.
    #[serde(default)]
    pub(crate) doing: Option<String>,
}

/// Why a process does not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// What happened.
    pub(crate) cause: String,
    /// What to do, with a command that works when pasted.
    pub(crate) next_step: String,
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProcessState {
    /// Not started yet.
    New,
    /// It said that it is ready.
    Running,
    /// Stopped by `devnet pause`.
    Paused,
    /// Ended by `devnet kill`.
    Killed,
    /// Ended by itself or by somebody else, or it did not start.
    Exited,
}

impl ProcessState {
    /// The word in tables.
    pub(crate) fn word(self) -> &'static str {
        match self {
            ProcessState::New => "new",
            ProcessState::Running => "running",
            ProcessState::Paused => "PAUSED",
            ProcessState::Killed => "KILLED",
            ProcessState::Exited => "EXITED",
        }
    }
}

impl From<&Error> for Reply {
    fn from(error: &Error) -> Self {
        Reply::Failed {
            kind: error.kind().name().to_owned(),
            message: error.message(),
            hint: error.next_step().to_owned(),
        }
    }
}

impl Reply {
    /// The failure in it, as an error of this process.
    pub(crate) fn into_result(self) -> Result<Self> {
        match self {
            Reply::Failed { kind, message, hint } => {
                let kind = Kind::from_name(&kind).unwrap_or(Kind::Internal);
                Err(Error::new(kind, message).hint(hint))
            }
            done => Ok(done),
        }
    }
}

/// A connection with its lines; the same on both sides.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    /// Speaks over an accepted stream.
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Connects to a supervisor; nothing when none listens.
    pub(crate) async fn open(socket: &Path) -> Option<Self> {
        UnixStream::connect(socket).await.ok().map(Self::new)
    }

    /// The next line; nothing when the other side has closed.
    pub(crate) async fn read<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let mut line = String::new();
        let mut bounded = (&mut self.stream).take(LINE_BYTES_MAX);
        match bounded.read_line(&mut line).await {
            Ok(0) => Ok(None),
            Ok(_) => serde_json::from_str(&line).map(Some).map_err(|error| {
                Error::new(Kind::Version, "the other side speaks another version of devnet")
                    .because(error)
            }),
            Err(error) => Err(lost(error)),
        }
    }

    /// Sends one line.
    pub(crate) async fn write<T: Serialize>(&mut self, value: &T) -> Result<()> {
        let mut line = serde_json::to_string(value)
            .map_err(|error| Error::new(Kind::Internal, "cannot write JSON").because(error))?;
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes()).await.map_err(lost)
    }

    /// Asks once and waits so long for the answer; a refusal becomes this side's error.
    pub(crate) async fn ask(mut self, request: &Request, patience: Duration) -> Result<Reply> {
        self.write(request).await?;
        match tokio::time::timeout(patience, self.read::<Reply>()).await {
            Ok(Ok(Some(reply))) => reply.into_result(),
            Ok(Ok(None)) => {
                Err(Error::new(Kind::Internal, "the supervisor ended without an answer")
                    .hint("see `devnet logs supervisor`"))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::new(Kind::Timeout, "the supervisor does not answer")
                .hint("see `devnet logs supervisor`")),
        }
    }
}

fn lost(error: std::io::Error) -> Error {
    Error::new(Kind::Internal, "the connection to the supervisor broke")
        .because(error)
        .hint("see `devnet logs supervisor`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_arrives_with_its_kind_and_its_next_step() {
        let (here, there) = UnixStream::pair().unwrap();
        let server = tokio::spawn(async move {
            let mut connection = Connection::new(there);
            let request: Request = connection.read().await.unwrap().unwrap();
            assert!(matches!(request, Request::Kill { target } if target == "n9"));
            let error = Error::new(Kind::Usage, "there is no n9").hint("there are n1 to n5");
            connection.write(&Reply::from(&error)).await.unwrap();
        });
        let request = Request::Kill { target: "n9".into() };
        let refused =
            Connection::new(here).ask(&request, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Usage);
        assert_eq!(refused.next_step(), "there are n1 to n5");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_supervisor_that_vanishes_is_not_waited_for() {
        let (here, there) = UnixStream::pair().unwrap();
        drop(there);
        let asked = Connection::new(here).ask(&Request::Status, Duration::from_secs(5)).await;
        assert_eq!(asked.unwrap_err().kind(), Kind::Internal);
    }
}
