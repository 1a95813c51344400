//! The process that owns a running devnet: it starts the ledger and the nodes, checks that they
//! work, obeys the other verbs, and ends them when it ends.
//!
//! Promises: it holds the folder's lock while anything of the devnet runs; `ready` is said only
//! after a blob went in and came out, or could not because too few nodes started; when it was started from a terminal and that goes away
//! without `detach`, everything stops. Does not: print; `devnet up` does that.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use haulout_node::error::{Error, Kind, Result};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

use crate::control::{Connection, Reply, Request};
use crate::fleet::Fleet;
use crate::reporter::{Progress, Reporter, done};
use crate::settings::{self, Wish};
use crate::state::StateDirectory;

/// Verbs that wait for the one that is being done. More are refused by not being read.
const COMMANDS_WAITING_MAX: usize = 16;

/// How long the last answers may take to be read before the supervisor ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long the supervisor before this one may take to stop what it runs.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at its lock.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What `devnet up` tells the supervisor it starts.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) name: String,
    pub(crate) wish: Wish,
    pub(crate) fresh: bool,
    /// Nodes that start with an empty store.
    pub(crate) wipe: Vec<String>,
    /// Whether stdin is a pipe from a terminal's `devnet up`, and its end means stop.
    pub(crate) attached: bool,
    pub(crate) patience: Duration,
}

/// A verb and where its answer goes.
type Command = (Request, oneshot::Sender<Reply>);

/// Runs a devnet until it is told to stop.
pub(crate) async fn run(options: Options) -> Result<()> {
    let directory = StateDirectory::of(&options.name)?;
    directory.create()?;
    let socket = directory.control_socket();
    let _lock = lock(&directory, &socket).await?;
    // Only the lock's holder comes here, so a socket that exists is a leftover.
    let _ = std::fs::remove_file(&socket);
    let listener =
        UnixListener::bind(&socket).map_err(|error| Error::from_io("listen on", &socket, error))?;
    let (progress, followers) = watch::channel(Progress::default());
    let (commands_in, mut commands) = mpsc::channel(COMMANDS_WAITING_MAX);
    let (stop_in, mut stop) = watch::channel(false);
    let connections = TaskTracker::new();
    let accepting = tokio::spawn(accept(
        listener,
        Door {
            commands: commands_in,
            followers,
            stop: stop_in.clone(),
            tracker: connections.clone(),
        },
    ));
    let detach = watch_for_end(options.attached, stop_in);

    let mut reporter = Reporter::new(progress);
    let mut fleet = None;
    let started = tokio::select! {
        started = start(&directory, &options, &mut reporter, &mut fleet) => started,
        _ = stop.wait_for(|stop| *stop) => Err(Error::new(Kind::Interrupted, "stopped while starting")),
    };
    match &started {
        Ok(()) => {
            reporter.ended(Reply::Ready);
            let fleet = fleet.as_mut().expect("a start that succeeded leaves a fleet");
            serve(fleet, &mut commands, &mut stop, &detach).await;
        }
        Err(error) => {
            tracing::error!(%error, "the devnet did not start");
            reporter.ended(Reply::from(error));
        }
    }
    if let Some(fleet) = &mut fleet {
        fleet.stop().await;
    }
    accepting.abort();
    drop(commands);
    drop(reporter);
    connections.close();
    // A client that does not read its answer in time loses it; the devnet has stopped either way.
    let _ = tokio::time::timeout(FAREWELL, connections.wait()).await;
    let _ = std::fs::remove_file(&socket);
    started
}

/// Takes the folder. Who holds it and listens has it; one that listens no more is stopping, and is waited for.
async fn lock(directory: &StateDirectory, socket: &Path) -> Result<File> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match directory.lock() {
            Err(error) if error.kind() == Kind::Locked && Instant::now() < until => {
                if Connection::open(socket).await.is_some() {
                    return Err(error);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            taken => return taken,
        }
    }
}

async fn start(
    directory: &StateDirectory,
    options: &Options,
    reporter: &mut Reporter,
    fleet: &mut Option<Fleet>,
) -> Result<()> {
    if options.fresh {
        directory.wipe()?;
    }
    let settings = settings::settle(directory, &options.wish)?;
    settings::check_nodes(&settings.names(), &options.wipe)?;
    let fleet = fleet.insert(Fleet::prepare(directory.clone(), settings, options.patience)?);
    fleet.wipe(&options.wipe)?;
    fleet.start(reporter).await
}

/// Obeys verbs, one at a time, until one of them or a signal says stop.
async fn serve(
    fleet: &mut Fleet,
    commands: &mut mpsc::Receiver<Command>,
    stop: &mut watch::Receiver<bool>,
    detach: &watch::Sender<bool>,
) {
    let mut waiting = VecDeque::new();
    loop {
        let next = match waiting.pop_front() {
            Some(command) => Some(command),
            None => tokio::select! {
                command = commands.recv() => command,
                due = fleet.due() => {
                    let known = fleet.statuses_while(due.doing());
                    beside(fleet.act(due), &known, commands, &mut waiting).await;
                    continue;
                }
                _ = stop.wait_for(|stop| *stop) => return,
            },
        };
        let Some((request, answer)) = next else { return };
        tracing::info!(?request, "asked");
        let reply = match request {
            Request::Detach => {
                detach.send_replace(true);
                Ok(done("detached".to_owned()))
            }
            other => {
                let known = fleet.statuses_while(other.doing());
                beside(fleet.obey(other), &known, commands, &mut waiting).await
            }
        };
        // Whoever asked may have gone; what was asked is done all the same.
        let _ = answer.send(reply.unwrap_or_else(|error| Reply::from(&error)));
    }
}

/// Does something that may take a while. Whoever asks meanwhile what runs hears what was known before it began, and what is
/// being done; other verbs wait.
async fn beside<T>(
    work: impl Future<Output = T>,
    known: &Reply,
    commands: &mut mpsc::Receiver<Command>,
    waiting: &mut VecDeque<Command>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        let (request, answer) = tokio::select! {
            biased;
            done = &mut work => return done,
            Some(command) = commands.recv(), if waiting.len() < COMMANDS_WAITING_MAX => command,
        };
        match request {
            // Whoever asked may have gone.
            Request::Status => drop(answer.send(known.clone())),
            other => waiting.push_back((other, answer)),
        }
    }
}

/// Turns signals, and the end of an attached terminal, into `stop`. Returns the way to detach.
fn watch_for_end(attached: bool, stop: watch::Sender<bool>) -> watch::Sender<bool> {
    let (detach, detached) = watch::channel(false);
    let by_signal = stop.clone();
    tokio::spawn(async move {
        if let Ok(mut terminate) = signal(tokio::signal::unix::SignalKind::terminate())
            && let Ok(mut interrupt) = signal(tokio::signal::unix::SignalKind::interrupt())
        {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            by_signal.send_replace(true);
        }
    });
    if attached {
        std::thread::spawn(move || {
            // Ends when the terminal's process ends, however it ends.
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            if !*detached.borrow() {
                stop.send_replace(true);
            }
        });
    }
    detach
}

fn signal(kind: tokio::signal::unix::SignalKind) -> std::io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(kind)
}

/// What each connection needs.
#[derive(Clone, Debug)]
struct Door {
    commands: mpsc::Sender<Command>,
    followers: watch::Receiver<Progress>,
    stop: watch::Sender<bool>,
    tracker: TaskTracker,
}

async fn accept(listener: UnixListener, door: Door) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let door_of_one = door.clone();
                door.tracker.spawn(async move {
                    if let Err(error) = answer(Connection::new(stream), door_of_one).await {
                        tracing::debug!(%error, "a control connection ended early");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a control connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut connection: Connection, door: Door) -> Result<()> {
    let Some(request) = connection.read::<Request>().await? else { return Ok(()) };
    match request {
        Request::Follow => follow(&mut connection, door.followers.clone()).await,
        Request::Down => {
            door.stop.send_replace(true);
            // The answer comes when everything has stopped: then nobody sends progress any more.
            let mut followers = door.followers.clone();
            drop(door);
            while followers.changed().await.is_ok() {}
            connection.write(&done("stopped".to_owned())).await
        }
        other => {
            let (answer, reply) = oneshot::channel();
            let sent = door.commands.send((other, answer)).await;
            let reply = match sent {
                Ok(()) => reply.await.ok(),
                Err(_) => None,
            };
            let stopping = || {
                Error::new(Kind::NotFound, "the devnet is stopping")
                    .hint("`devnet wait stopped` says when it has")
            };
            connection.write(&reply.unwrap_or_else(|| Reply::from(&stopping()))).await
        }
    }
}

async fn follow(
    connection: &mut Connection,
    mut progress: watch::Receiver<Progress>,
) -> Result<()> {
    let mut told = 0;
    let is_ready = matches!(progress.borrow().end, Some(Reply::Ready));
    connection.write(&Reply::Listening { is_ready }).await?;
    loop {
        let now = progress.borrow_and_update().clone();
        for phase in now.phases.iter().skip(told) {
            connection.write(&Reply::Phase(phase.clone())).await?;
        }
        told = now.phases.len();
        if let Some(end) = now.end {
            return connection.write(&end).await;
        }
        if progress.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// The arguments with which `devnet up` starts a supervisor.
pub(crate) fn arguments(options: &Options) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        vec!["internal-supervisor".into(), "--name".into(), options.name.clone().into()];
    let wish = &options.wish;
    let numbers = [
        ("--seed", wish.seed.map(|value| value.to_string())),
        ("--nodes", wish.nodes.map(|value| value.to_string())),
        ("--shards", wish.shards.map(|value| value.to_string())),
        ("--port-base", wish.port_base.map(|value| value.to_string())),
        ("--epoch", wish.epoch.map(|length| format!("{}ms", length.as_millis()))),
        ("--timeout", Some(format!("{}ms", options.patience.as_millis()))),
    ];
    for (flag, value) in numbers {
        if let Some(value) = value {
            arguments.extend([OsString::from(flag), value.into()]);
        }
    }
    for node in &options.wipe {
        arguments.extend([OsString::from("--wipe"), node.into()]);
    }
    for (flag, wanted) in [("--fresh", options.fresh), ("--attached", options.attached)] {
        if wanted {
            arguments.push(flag.into());
        }
    }
    arguments
}

/// Where a supervisor that ends before it can be asked leaves its reasons.
pub(crate) fn log_file(directory: &StateDirectory) -> PathBuf {
    directory.log("supervisor")
}
