//! `devnet up`: starts a supervisor or finds one, tells its progress, prints the card, and stays
//! as one live line when there is a terminal.
//!
//! Promises: exit code 0 only after the self-test passed, with all nodes; where some nodes did not start, the others run, and
//! exit code and text say so; a start that fails is told with the reason of whoever failed first; Ctrl-C, or the end of this process, stops the devnet unless it was detached.
//! Does not: own the devnet's processes.

use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use haulout_node::contexts;
use haulout_node::error::{Error, Kind, Result};
use haulout_node::terminal;

use super::down::stop;
use super::{Up, card_of, note, print_line, print_text, status};
use crate::banner;
use crate::control::{Connection, ProcessState, ProcessStatus, Reply, Request, Trouble};
use crate::processes::{log_tail, this_program};
use crate::settings;
use crate::state::{Card, StateDirectory};
use crate::supervisor;

/// How long a new supervisor may take to listen: it may wait for the one before it, which is stopping.
const LISTEN_PATIENCE: Duration = supervisor::LOCK_PATIENCE.saturating_add(Duration::from_secs(30));

/// How long a supervisor that has stopped everything may take to end.
const FAREWELL: Duration = Duration::from_secs(30);

/// Between two looks at a supervisor that starts or ends.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What is read of the reason of a supervisor that ended; one is a line.
const REASON_BYTES_MAX: u64 = 64 * 1024;

/// How often the live line is drawn anew.
const LIVE_EVERY: Duration = Duration::from_secs(1);

/// The terminal's hold on a supervisor: while this lives, so does an attached devnet.
struct Hold {
    _pipe: Option<ChildStdin>,
}

/// Returns the exit code.
pub(super) async fn run(directory: &StateDirectory, up: &Up, json: bool) -> Result<u8> {
    let terminal = std::io::stdout().is_terminal();
    let attached = terminal && !up.detach && !json;
    let started = Instant::now();
    // Before anything is stopped or started.
    let nodes = settings::check(directory, &up.wish(), up.fresh)?;
    settings::check_nodes(&nodes, &up.wipe)?;
    if up.fresh {
        stop(directory).await?;
    }
    let mut say = |text: &str| {
        if json {
            note(text);
            return Ok(());
        }
        print_text(&format!("{text}\n"))
    };
    let running = running(directory).await?;
    if running.is_some() && !up.wipe.is_empty() {
        return Err(runs_already(directory, &up.wipe));
    }
    let was_ready = matches!(running, Some((_, true)));
    let title = banner::title(directory.name(), directory.path());
    say(if was_ready { title.trim_end() } else { &title })?;
    let hold = match running {
        Some((_, true)) => None,
        Some((mut starting, false)) => follow(&mut starting, &mut say).await.map(|()| None)?,
        None => start(directory, &up.options(directory.name(), attached), &mut say).await?,
    };
    let card = card_of(directory)?;
    if restore_context(directory, &card.context)? {
        let context = &card.context;
        note(&format!("The context \"{context}\" was missing or changed, and is written again."));
    }
    let previous = contexts::activate(&card.context)?;
    let missing = not_started(directory).await?;
    let code = if missing.is_empty() { 0 } else { Kind::Degraded.exit_code() };
    if json {
        let text = serde_json::to_value(&card)
            .map_err(|error| Error::new(Kind::Internal, "cannot write JSON").because(error))?;
        if !missing.is_empty() {
            note(directory.spoken(&told(&missing)).trim_end());
        }
        return print_line(&text).map(|()| code);
    }
    print_text(&directory.spoken(&banner::card(&card)))?;
    print_text(&context_note(&card, previous.as_deref()))?;
    if was_ready {
        print_text("\n It runs already, so nothing was started. Now it is:\n")?;
        status::run(directory, json).await?;
        return Ok(code);
    }
    let how = if missing.is_empty() { "Ready" } else { "Ready as far as nodes started" };
    print_text(&format!(" {how} in {:.1} s.\n", started.elapsed().as_secs_f64()))?;
    print_text(&directory.spoken(&told(&missing)))?;
    match hold {
        Some(hold) if attached => live(directory, &card, hold).await?,
        _ => {
            let text = " It goes on running; `devnet status` shows it, `devnet down` stops it.\n";
            print_text(&directory.spoken(text))?;
        }
    }
    Ok(code)
}

/// The processes that should run and do not, with cause and next step.
async fn not_started(directory: &StateDirectory) -> Result<Vec<ProcessStatus>> {
    let mut processes = status::supervised_processes(directory).await?.unwrap_or_default();
    processes.retain(|process| process.state == ProcessState::Exited);
    Ok(processes)
}

/// What is told of them; nothing if there are none.
fn told(missing: &[ProcessStatus]) -> String {
    let told = missing.iter().map(|process| match &process.trouble {
        Some(Trouble { cause, next_step }) => {
            format!(" ✗ {}  {cause}\n   next: {next_step}\n", process.name)
        }
        None => format!(" ✗ {}  it does not run\n", process.name),
    });
    told.collect()
}

/// The refusal to empty stores under a devnet that runs.
fn runs_already(directory: &StateDirectory, nodes: &[String]) -> Error {
    let message = format!("devnet {:?} runs already, so no store was deleted", directory.name());
    let commands = nodes.iter().map(|node| format!("`devnet restart {node} --wipe`"));
    Error::new(Kind::Usage, message).hint(commands.collect::<Vec<_>>().join(", "))
}

/// Writes the devnet's context again if it was removed or changed since the devnet started; whether it did.
fn restore_context(directory: &StateDirectory, context: &str) -> Result<bool> {
    let original = directory.join("client.toml");
    let read = |file: &Path| match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::from_io("read", file, error)),
    };
    let Some(text) = read(&original)? else {
        return Ok(false);
    };
    if read(&contexts::path(context)?).ok().flatten().as_ref() == Some(&text) {
        return Ok(false);
    }
    contexts::save(context, &text).map(|_| true)
}

fn context_note(card: &Card, previous: Option<&str>) -> String {
    match previous.filter(|previous| *previous != card.context) {
        Some(previous) => format!(
            " Context \"{}\" is now active (was: {previous}); `haulout context use {previous}` goes back.\n",
            card.context
        ),
        None => format!(" Context \"{}\" is active: `haulout` uses this devnet.\n", card.context),
    }
}

/// Follows a supervisor that listens, and whether its start is over; nothing if there is none. One that is being
/// killed still accepts, and breaks the connection later, so only what answers counts.
async fn running(directory: &StateDirectory) -> Result<Option<(Connection, bool)>> {
    let Some(mut connection) = Connection::open(&directory.control_socket()).await else {
        return Ok(None);
    };
    let asked = async {
        connection.write(&Request::Follow).await?;
        connection.read::<Reply>().await
    };
    match tokio::time::timeout(super::PATIENCE, asked).await {
        Ok(Ok(Some(Reply::Listening { is_ready }))) => Ok(Some((connection, is_ready))),
        Ok(Ok(Some(_))) => {
            let message = "the supervisor is of another version";
            Err(Error::new(Kind::Version, message).hint("`devnet down`, then `devnet up`"))
        }
        Ok(Err(error)) if error.kind() != Kind::Internal => Err(error),
        Ok(Ok(None) | Err(_)) => Ok(None),
        Err(_) => Err(Error::new(Kind::Timeout, "the supervisor does not answer")
            .hint("see `devnet logs supervisor`")),
    }
}

/// Starts a supervisor, says each phase as it finishes, and returns when the devnet is ready.
async fn start(
    directory: &StateDirectory,
    options: &supervisor::Options,
    say: &mut impl FnMut(&str) -> Result<()>,
) -> Result<Option<Hold>> {
    directory.create()?;
    let log = supervisor::log_file(directory);
    let stderr =
        std::fs::File::create(&log).map_err(|error| Error::from_io("write", &log, error))?;
    let mut child = Command::new(this_program()?)
        .arg0("devnet")
        .args(supervisor::arguments(options))
        .stdin(if options.attached { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .map_err(|error| {
            Error::new(Kind::Internal, "cannot start the supervisor").because(error)
        })?;
    let hold = options.attached.then(|| Hold { _pipe: child.stdin.take() });
    let mut connection = listening(directory, &mut child).await?;
    match follow(&mut connection, say).await {
        Ok(()) => Ok(hold),
        // A connection that broke says nothing; the supervisor's last words do.
        Err(error) if error.kind() == Kind::Internal => {
            Err(reason(directory, &mut child, FAREWELL).await.unwrap_or(error))
        }
        Err(error) => Err(error),
    }
}

/// Waits until a new supervisor listens, or says why it does not.
async fn listening(directory: &StateDirectory, child: &mut Child) -> Result<Connection> {
    let until = Instant::now() + LISTEN_PATIENCE;
    loop {
        if let Some((connection, _)) = running(directory).await? {
            return Ok(connection);
        }
        if let Some(error) = reason(directory, child, Duration::ZERO).await {
            return Err(error);
        }
        if Instant::now() > until {
            return Err(Error::new(Kind::Timeout, "the supervisor does not listen")
                .hint("see `devnet logs supervisor`"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Why a supervisor ended: what it said, else what it logged. Nothing if it still runs after so long.
async fn reason(
    directory: &StateDirectory,
    child: &mut Child,
    patience: Duration,
) -> Option<Error> {
    let until = Instant::now() + patience;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => tokio::time::sleep(LOOK_EVERY).await,
            Ok(None) | Err(_) => return None,
        }
    };
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        // It has ended, and its children have pipes of their own; an error is as good as silence.
        let _ = stdout.take(REASON_BYTES_MAX).read_to_string(&mut said);
    }
    if let Some(error) = serde_json::from_str(&said).ok().as_ref().and_then(Error::from_json) {
        return Some(error);
    }
    let log = supervisor::log_file(directory);
    let tail = log_tail(&log).unwrap_or_default();
    let message = format!("the supervisor ended ({status}); its log ends with\n{tail}");
    Some(
        Error::new(Kind::Internal, message)
            .hint(format!("the whole log: {}", terminal::path(&log))),
    )
}

/// Says each phase as it finishes; returns when the devnet is ready.
async fn follow(
    connection: &mut Connection,
    say: &mut impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    loop {
        match connection.read::<Reply>().await?.map(Reply::into_result).transpose()? {
            Some(Reply::Phase(phase)) => say(&banner::phase(&phase))?,
            Some(_) => return Ok(()),
            None => {
                return Err(Error::new(Kind::Internal, "the supervisor ended while starting")
                    .hint("see `devnet logs supervisor`"));
            }
        }
    }
}

/// Draws the live line until Ctrl-C (stop), `q` (detach), or until the devnet stops by itself.
async fn live(directory: &StateDirectory, card: &Card, hold: Hold) -> Result<()> {
    let started = Instant::now();
    let mut keys = spawn_key_reader();
    let mut redraw = tokio::time::interval(LIVE_EVERY);
    loop {
        tokio::select! {
            _ = redraw.tick() => match pulse(directory, card, started).await {
                Some(pulse) => draw(&banner::live(&pulse)),
                None => {
                    draw("");
                    return Err(Error::new(Kind::Internal, "the devnet stopped")
                        .hint("see `devnet logs supervisor`, then `devnet up` again"));
                }
            },
            _ = tokio::signal::ctrl_c() => {
                draw("");
                let text = "stopping; data stays for the next `devnet up`\n";
                let said = print_text(&directory.spoken(text));
                stop(directory).await?;
                drop(hold);
                return said;
            }
            Some(()) = keys.recv() => {
                super::connect(directory).await?.ask(&Request::Detach, super::PATIENCE).await?;
                drop(hold);
                draw("");
                let text = "detached; `devnet status` shows it, `devnet down` stops it\n";
                return print_text(&directory.spoken(text));
            }
        }
    }
}

/// One message for each line that starts with `q`.
fn spawn_key_reader() -> tokio::sync::mpsc::Receiver<()> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(std::result::Result::ok) {
            if line.trim_start().starts_with('q') && sender.blocking_send(()).is_err() {
                return;
            }
        }
        // Without a stdin nobody can ask to detach; the sender stays so that `recv` waits.
        std::thread::park();
    });
    receiver
}

async fn pulse(directory: &StateDirectory, card: &Card, started: Instant) -> Option<banner::Pulse> {
    let connection = Connection::open(&directory.control_socket()).await?;
    let reply = connection.ask(&Request::Status, super::PATIENCE).await.ok()?;
    let Reply::Status { processes } = reply else { return None };
    let nodes = processes.iter().filter(|process| process.name != "ledger");
    let running = nodes.filter(|process| process.state == ProcessState::Running).count();
    let chain = status::ledger(card).await;
    Some(banner::Pulse {
        seconds: started.elapsed().as_secs(),
        epoch: chain.as_ref().map(|chain| chain.epoch),
        checkpoint: chain.as_ref().map(|chain| chain.checkpoint),
        running,
        nodes: card.nodes.len(),
    })
}

/// Replaces the line the cursor stands on.
fn draw(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = write!(stdout, "\r\x1b[2K{line}").and_then(|()| stdout.flush());
}
