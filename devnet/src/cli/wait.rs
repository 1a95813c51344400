//! `devnet wait`: returns when a fact is true, so that no script ever sleeps.
//!
//! Promises: the fact was true when it returns with 0; a deadline is exit code 6; what cannot become true by itself,
//! because the devnet does not run, no process has that name, or it was killed, is said at once. Does not: change
//! anything.

mod prospect;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use haulout_node::error::{Error, Kind, Result};
use serde_json::json;

use self::prospect::Prospect;
use super::{card_of, connect, print_line, status};
use crate::control::{Connection, ProcessState, Reply, Request};
use crate::probe;
use crate::processes;
use crate::settings::no_process;
use crate::state::StateDirectory;
use crate::typed::typed;

/// The process that is no node.
const LEDGER: &str = "ledger";

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What can be waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// The start is over, every node that should run answers, and reads and writes work.
    Ready,
    /// Every node that should run answers, and has everything that belongs in its shards of what was stored until the wait began.
    Repaired,
    /// Nothing runs.
    Stopped,
    /// The ledger has reached this checkpoint.
    Checkpoint(u64),
    /// The network has reached this epoch.
    Epoch(u32),
    /// A node was removed, and is needed by nobody any more.
    Gone(String),
    /// A process is in this state; one that runs answers, too.
    Process { name: String, state: ProcessState },
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Ready => f.write_str("ready"),
            Fact::Repaired => f.write_str("repaired"),
            Fact::Stopped => f.write_str("stopped"),
            Fact::Checkpoint(number) => write!(f, "checkpoint={number}"),
            Fact::Epoch(number) => write!(f, "epoch={number}"),
            Fact::Gone(name) => write!(f, "{name}=gone"),
            Fact::Process { name, state } => write!(f, "{name}={}", state.word().to_lowercase()),
        }
    }
}

impl FromStr for Fact {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let refused = || {
            format!(
                "{text:?} is no fact; write ready, repaired, stopped, epoch=N, checkpoint=N, n3=running, n3=killed \
                 or n3=gone"
            )
        };
        match text.split_once('=') {
            None if text == "ready" => Ok(Fact::Ready),
            None if text == "repaired" => Ok(Fact::Repaired),
            None if text == "stopped" => Ok(Fact::Stopped),
            None => Err(refused()),
            Some(("checkpoint", number)) => {
                number.parse().map(Fact::Checkpoint).map_err(|_| refused())
            }
            Some(("epoch", number)) => number.parse().map(Fact::Epoch).map_err(|_| refused()),
            Some((name, word)) => {
                let states = [
                    ProcessState::Running,
                    ProcessState::Paused,
                    ProcessState::Killed,
                    ProcessState::Exited,
                ];
                let state =
                    states.into_iter().find(|state| state.word().eq_ignore_ascii_case(word));
                let number = name.strip_prefix('n').map(str::parse::<u16>);
                let is_node = matches!(number, Some(Ok(_)));
                if is_node && word.eq_ignore_ascii_case("gone") {
                    return Ok(Fact::Gone(name.to_owned()));
                }
                let is_name = name == LEDGER || is_node;
                state
                    .filter(|_| is_name)
                    .map(|state| Fact::Process { name: name.to_owned(), state })
                    .ok_or_else(refused)
            }
        }
    }
}

pub(super) async fn run(
    directory: &StateDirectory,
    fact: Fact,
    patience: Duration,
    json: bool,
) -> Result<()> {
    until_true(directory, &fact, patience).await?;
    match json {
        true => print_line(&json!({ "fact": fact.to_string(), "is_true": true })),
        // A person, and a script without `--json`, have the exit code.
        false => Ok(()),
    }
}

async fn until_true(directory: &StateDirectory, fact: &Fact, patience: Duration) -> Result<()> {
    let until = Instant::now() + patience;
    let mut began_at = None;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, look(directory, fact, &mut began_at)).await {
            Ok(Ok(Prospect::True)) => return Ok(()),
            Ok(Ok(Prospect::MayCome)) => tokio::time::sleep(LOOK_EVERY.min(left)).await,
            Ok(Ok(Prospect::Never(error))) => return Err(error),
            Ok(Err(error)) => return Err(error),
            Err(_) => {}
        }
        if Instant::now() >= until {
            let message = format!("{fact} did not become true in {}", typed(patience));
            return Err(Error::new(Kind::Timeout, message).hint(format!(
                "see `devnet status`; `devnet wait {fact} --timeout 10m` waits longer"
            )));
        }
    }
}

/// Looks once; `began_at` is the ledger's checkpoint at the first look that needed it.
async fn look(
    directory: &StateDirectory,
    fact: &Fact,
    began_at: &mut Option<u64>,
) -> Result<Prospect> {
    if *fact != Fact::Stopped {
        // Nothing of a devnet that does not run becomes true before somebody starts it.
        drop(connect(directory).await?);
    }
    match fact {
        Fact::Ready => ready(directory).await,
        Fact::Repaired => repaired(directory, began_at).await,
        Fact::Stopped => {
            let listens = Connection::open(&directory.control_socket()).await.is_some();
            Ok(once(!listens))
        }
        Fact::Checkpoint(wanted) => {
            let Ok(card) = card_of(directory) else { return Ok(Prospect::MayCome) };
            let chain = status::ledger(&card).await;
            Ok(once(chain.is_some_and(|chain| chain.checkpoint >= *wanted)))
        }
        Fact::Epoch(wanted) => {
            let Ok(card) = card_of(directory) else { return Ok(Prospect::MayCome) };
            let chain = status::ledger(&card).await;
            Ok(once(chain.is_some_and(|chain| chain.epoch >= *wanted)))
        }
        Fact::Gone(name) => prospect::of_gone(&card_of(directory)?, name),
        Fact::Process { name, state } => {
            let Some(processes) = status::supervised_processes(directory).await? else {
                return Ok(Prospect::MayCome);
            };
            match processes.iter().find(|process| process.name == *name) {
                Some(process) if *state == ProcessState::Running => {
                    // Who is in trouble is not asked: one that stands still would only keep us waiting.
                    let answers = process.trouble.is_none() && answers(directory, name).await?;
                    Ok(prospect::of_running(process, answers))
                }
                Some(process) => Ok(once(process.state == *state)),
                None => Err(no_process(name, processes.iter().map(|one| one.name.as_str()))),
            }
        }
    }
}

/// A fact that may always come.
fn once(is_true: bool) -> Prospect {
    if is_true { Prospect::True } else { Prospect::MayCome }
}

/// Whether the process of this name answers.
async fn answers(directory: &StateDirectory, name: &str) -> Result<bool> {
    let card = card_of(directory)?;
    if name == LEDGER {
        return Ok(status::ledger(&card).await.is_some());
    }
    match card.nodes.iter().find(|node| node.name == name) {
        Some(node) => Ok(status::health(node).await.is_some()),
        None => Ok(false),
    }
}

async fn ready(directory: &StateDirectory) -> Result<Prospect> {
    if !start_is_over(directory).await? {
        return Ok(Prospect::MayCome);
    }
    let card = card_of(directory)?;
    let report = status::look(directory, &card).await?;
    Ok(prospect::of_ready(&card, &report))
}

/// Whether nothing is missing on any node of what the ledger had when the wait began, as far as each of them says.
async fn repaired(directory: &StateDirectory, began_at: &mut Option<u64>) -> Result<Prospect> {
    let card = card_of(directory)?;
    if began_at.is_none() {
        *began_at = status::ledger(&card).await.map(|chain| chain.checkpoint);
    }
    match ready(directory).await? {
        Prospect::True => (),
        other => return Ok(other),
    }
    for node in &card.nodes {
        let Some(health) = status::health(node).await else {
            if processes::is_stopped(node.pid) == Some(false) {
                return Ok(Prospect::MayCome);
            }
            continue; // killed or paused by hand: it is not waited for
        };
        // A ledger that said nothing is waited for.
        if !began_at.is_some_and(|began_at| probe::has_everything(&health, began_at)) {
            return Ok(Prospect::MayCome);
        }
    }
    Ok(Prospect::True)
}

/// Whether a supervisor has started everything; waits for one that does.
async fn start_is_over(directory: &StateDirectory) -> Result<bool> {
    let Some(mut connection) = Connection::open(&directory.control_socket()).await else {
        return Ok(false);
    };
    connection.write(&Request::Follow).await?;
    loop {
        match connection.read::<Reply>().await?.map(Reply::into_result).transpose()? {
            Some(Reply::Listening { .. } | Reply::Phase(_)) => {}
            Some(_) => return Ok(true),
            None => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_said_as_it_is_typed() {
        for text in [
            "ready",
            "repaired",
            "stopped",
            "checkpoint=12",
            "epoch=3",
            "n3=running",
            "ledger=killed",
            "n1=paused",
            "n1=gone",
        ] {
            assert_eq!(text.parse::<Fact>().unwrap().to_string(), text);
        }
    }
}
