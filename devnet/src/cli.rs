//! The command line of `devnet`.
//!
//! Promises: results go to stdout, everything else to stderr; with `--json` stdout carries exactly
//! one JSON object, also for errors; exit codes are those of `haulout help errors`, also those of answers that are no
//! failures.
//! Does not: own processes; the supervisor does, and the verbs ask it.

use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};
use haulout_node::cli::completions::{self, Completions};
use haulout_node::contexts;
use haulout_node::error::{Error, Kind, Result};
use haulout_node::periods;
use haulout_node::terminal::{self, note};
use haulout_node::usage;

use crate::control::{Connection, Reply, Request};
use crate::processes::die_with_parent;
use crate::settings::{self, Wish};
use crate::state::{Card, StateDirectory};
use crate::supervisor;

mod add;
mod down;
mod epoch;
mod faucet;
mod help;
mod internal;
mod logs;
mod operator;
mod patience;
mod remove;
mod status;
mod up;
mod verify;
mod wait;

/// How long a verb waits for the supervisor: a node may take its time to stop or to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest time that can be asked for: nobody waits so long, and no clock overflows.
const TIME_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A whole Haulout network on your desk: an embedded ledger and real node processes.
#[derive(Debug, Parser)]
#[command(
    name = "devnet",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: `devnet help errors`. Words such as WAL and epoch: `devnet help words`.\n\
                  Completion of verbs and flags: `devnet help completions` says how to install it."
)]
struct Cli {
    /// Which devnet; several can run side by side
    #[arg(long, global = true, default_value = "default", env = "DEVNET_NAME")]
    name: String,
    /// Print one JSON object on stdout, also for errors
    #[arg(long, short = 'j', global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the devnet, or continue one, and say when it is ready
    Up(Up),
    /// Say how the ledger and the nodes are, and what to do about what is not well
    #[command(
        after_help = "Exit codes: 0 all is well; 17 DEGRADED or FAILING: something is not well, and the answer says \
                            what, why and what to do; 4 it does not run.\n\
                            DEGRADED: reads and writes work all the same, or nobody can tell. FAILING: reads or writes do not.\n\
                            IN DOUBT: a process that runs does not answer, or disks were lost; `haulout status ID` tells of one blob.\n\
                            Reads count shards whose nodes have what was stored in them, writes those whose nodes take more."
    )]
    Status,
    /// Print the logs; all of them, or of one process
    Logs {
        /// Go on printing what is added
        #[arg(long, short)]
        follow: bool,
        /// n1, n2, ..., ledger or supervisor
        target: Option<String>,
    },
    /// End processes at once (SIGKILL); their data stays
    Kill {
        /// n1, n2, ... or ledger
        #[arg(required = true, value_name = "TARGET")]
        targets: Vec<String>,
    },
    /// Stop processes where they stand (SIGSTOP): they keep their sockets and answer nothing
    Pause {
        /// n1, n2, ... or ledger
        #[arg(required = true, value_name = "TARGET")]
        targets: Vec<String>,
        /// Let them go on by themselves after this long, as in 30s or 500ms
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
    },
    /// Let paused processes go on (SIGCONT)
    Resume {
        /// n1, n2, ... or ledger
        #[arg(required = true, value_name = "TARGET")]
        targets: Vec<String>,
    },
    /// Stop processes if they run, then start them, one after the other
    Restart {
        /// n1, n2, ... or ledger
        #[arg(required = true, value_name = "TARGET")]
        targets: Vec<String>,
        /// Delete the nodes' stores in between: lost disks
        #[arg(long)]
        wipe: bool,
    },
    Add(add::Add),
    Remove(remove::Remove),
    /// Wait for a fact: `ready`, `repaired`, `stopped`, `epoch=N`, `checkpoint=N`, `n3=running`, `n3=killed`, `n3=gone`
    #[command(
        after_help = "ready        every node that should run answers, and reads and writes work (who was killed or paused \
                            by hand should not run)\n\
                            repaired     ready, and no node lacks anything of what was stored until this wait began (the same \
                            holds of the killed and the paused)\n\
                            n3=running   its process runs and answers; also ledger=running, n3=paused, n3=exited\n\
                            n3=gone      it was removed, and nothing needs it any more\n\
                            epoch=3      the network is in epoch 3 or a later one; checkpoint=12 likewise\n\
                            Exit codes: 0 it is true; 6 it was not in time; 17 it cannot come by itself, and the \
                            answer says what brings it; 4 the devnet does not run."
    )]
    Wait {
        /// The fact
        fact: wait::Fact,
        /// How long to wait
        #[arg(long, default_value = "60s", value_parser = duration)]
        timeout: Duration,
    },
    /// End epochs by hand
    Epoch {
        #[command(subcommand)]
        verb: epoch::Verb,
    },
    Faucet(faucet::Faucet),
    /// Stop everything in order
    Down {
        /// Delete the devnet's folder and its context, too
        #[arg(long)]
        purge: bool,
    },
    /// Execute the ledger's whole log again and compare; the devnet must be down
    VerifyLedger {
        /// The ledger's file, if it is not that of the devnet
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },
    /// Run the `haulout` command of this very program, in this devnet's context
    #[command(disable_help_flag = true)]
    Haulout {
        /// What comes after `haulout`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    #[command(after_help = completions::install("devnet"))]
    Completions(Completions),
    Help(help::Help),
}

/// What a devnet shall be.
#[derive(Clone, Debug, Args)]
struct Up {
    /// How many storage nodes [default: 5]
    #[arg(long, short, env = "DEVNET_NODES")]
    nodes: Option<u16>,
    /// How many shards they share [default: 100]
    #[arg(long, env = "DEVNET_SHARDS")]
    shards: Option<u16>,
    /// Every key and id is derived from it [default: 1]
    #[arg(long, env = "DEVNET_SEED")]
    seed: Option<u64>,
    /// The ledger's port; node i takes the tenth port after it. 0 takes any free ones [default: 32000]
    #[arg(long, env = "DEVNET_PORT_BASE")]
    port_base: Option<u16>,
    /// How long an epoch lasts, as in 60s or 5m; 10s at least [default: 24h]
    #[arg(long, env = "DEVNET_EPOCH", value_name = "TIME", value_parser = duration)]
    epoch: Option<Duration>,
    /// How long each step of the start may take
    #[arg(long, env = "DEVNET_TIMEOUT", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    /// Delete what an earlier devnet of this name left, and start over
    #[arg(long, conflicts_with = "wipe")]
    fresh: bool,
    /// Delete the stores of these nodes first, as in n2,n4: lost disks
    #[arg(long, value_name = "NODES", value_delimiter = ',')]
    wipe: Vec<String>,
    /// Return when it is ready, and leave it running
    #[arg(long, short)]
    detach: bool,
}

impl Up {
    fn wish(&self) -> Wish {
        Wish {
            seed: self.seed,
            nodes: self.nodes,
            shards: self.shards,
            port_base: self.port_base,
            epoch: self.epoch,
        }
    }

    fn options(&self, name: &str, attached: bool) -> supervisor::Options {
        supervisor::Options {
            name: name.to_owned(),
            wish: self.wish(),
            fresh: self.fresh,
            wipe: self.wipe.clone(),
            attached,
            patience: self.timeout,
        }
    }
}

/// Reads a time as people write it: `30s`, `500ms`, `2m`, or seconds without a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
    let read = if is_number { periods::parse(&format!("{text}s")) } else { periods::parse(text) };
    match read {
        Some(time) if time <= TIME_MAX => Ok(time),
        Some(_) => Err(format!("{text:?} is longer than a year; write 500ms, 30s, 2m or 24h")),
        None => Err(format!("{text:?} is not a time; write 500ms, 30s, 2m or 24h")),
    }
}

/// Runs the command line (`arguments[0]` is the program's name) and returns the exit code.
pub fn main_with(arguments: Vec<OsString>) -> u8 {
    if arguments.get(1).is_some_and(|verb| verb == "haulout") {
        die_with_parent();
        return haulout_node::cli::main_with(arguments.into_iter().skip(1).collect());
    }
    if let Some(code) = internal::run(&arguments) {
        return code;
    }
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(error, &arguments),
    };
    let json = cli.json;
    match cli.command {
        Command::Help(help) => {
            let told = help.run(Cli::command(), json);
            return told.unwrap_or_else(|error| fail(&error, json, str::to_owned));
        }
        Command::Haulout { arguments } => return haulout(&cli.name, json, arguments),
        _ => {}
    }
    let directory = match StateDirectory::of(&cli.name) {
        Ok(directory) => directory,
        Err(error) => return fail(&error, json, str::to_owned),
    };
    match cli.run(&directory) {
        Ok(code) => code,
        Err(error) => fail(&error, json, |text| directory.spoken(text)),
    }
}

/// The `haulout` command in the context of this devnet.
fn haulout(name: &str, json: bool, arguments: Vec<OsString>) -> u8 {
    let context = contexts::of_devnet(name);
    let mut line: Vec<OsString> = vec!["haulout".into(), "--context".into(), context.into()];
    line.extend(json.then(|| "--json".into()));
    line.extend(arguments);
    haulout_node::cli::main_with(line)
}

/// Tells a failure, its commands spoken so that they work when pasted, and returns its exit code.
fn fail(error: &Error, json: bool, spoken: impl Fn(&str) -> String) -> u8 {
    if error.kind() != Kind::Pipe {
        // Without a stdout the text on stderr has to do.
        let _ = json.then(|| print_line(&error.to_json_with(&spoken)));
        note(&spoken(&error.to_text()));
    }
    error.kind().exit_code()
}

/// Help and version are results; everything else the parser says is a refusal.
fn refuse(error: clap::Error, arguments: &[OsString]) -> u8 {
    if error.exit_code() == 0 {
        return match print_help(&error.render().to_string()) {
            Ok(()) => 0,
            Err(lost) => fail(&lost, false, str::to_owned),
        };
    }
    let json = arguments.iter().any(|argument| argument == "--json" || argument == "-j");
    let (error, help) = usage::error_of(error, &Cli::command(), arguments);
    let is_wipe = arguments.iter().skip(1).find(|word| !word.to_string_lossy().starts_with('-'));
    let error = match is_wipe {
        Some(word) if word == "wipe" => error.hint(
            "a lost disk is `devnet restart n1 --wipe`, which deletes what the node stored and starts it empty; before a start it is \
             `devnet up --wipe n1`",
        ),
        _ => error,
    };
    if let Some(help) = help.filter(|_| !json) {
        note(help.trim_end());
    }
    fail(&error, json, str::to_owned)
}

impl Cli {
    /// Returns the exit code.
    fn run(self, directory: &StateDirectory) -> Result<u8> {
        let Cli { json, command, .. } = self;
        match command {
            Command::Up(up) => block_on(up::run(directory, &up, json)),
            Command::Status => block_on(status::run(directory, json)),
            other => other.run(directory, json).map(|()| 0),
        }
    }
}

impl Command {
    /// Does what either succeeds or fails.
    fn run(self, directory: &StateDirectory, json: bool) -> Result<()> {
        match self {
            Command::Logs { follow, target } => {
                block_on(logs::run(directory, target.as_deref(), follow))
            }
            Command::Kill { targets } => {
                block_on(tell_each(directory, targets, |target| Request::Kill { target }, json))
            }
            Command::Pause { targets, time } => {
                let for_ms = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
                let pause = |target| Request::Pause { target, for_ms };
                block_on(tell_each(directory, targets, pause, json))
            }
            Command::Resume { targets } => {
                block_on(tell_each(directory, targets, |target| Request::Resume { target }, json))
            }
            Command::Restart { targets, wipe } => {
                let restart = |target| Request::Restart { target, wipe };
                block_on(tell_each(directory, targets, restart, json))
            }
            Command::Add(add) => block_on(add.run(directory, json)),
            Command::Remove(remove) => block_on(remove.run(directory, json)),
            Command::Wait { fact, timeout } => block_on(wait::run(directory, fact, timeout, json)),
            Command::Epoch { verb } => block_on(epoch::run(directory, &verb, json)),
            Command::Faucet(faucet) => block_on(faucet.run(directory, json)),
            Command::Down { purge } => block_on(down::run(directory, purge, json)),
            Command::VerifyLedger { file } => verify::run(directory, file, json),
            Command::Completions(completions) => print_help(&completions.script(Cli::command())),
            // They need no devnet, so they have been dealt with.
            Command::Help(_) | Command::Haulout { .. } => Ok(()),
            // They have exit codes of their own.
            Command::Up(_) | Command::Status => Ok(()),
        }
    }
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Internal, "cannot start the runtime").because(error))?;
    let outcome = runtime.block_on(work);
    // What is left are threads that read stdin or a log; nobody waits for them.
    runtime.shutdown_background();
    outcome
}

/// Asks the supervisor for the same of each of these processes and says what it did. Nothing is done if one of them does not
/// exist; a failure ends it, after what was done before is told.
async fn tell_each(
    directory: &StateDirectory,
    targets: Vec<String>,
    request: impl Fn(String) -> Request,
    json: bool,
) -> Result<()> {
    drop(connect(directory).await?);
    if targets.len() > 1 {
        let processes = status::supervised_processes(directory).await?.unwrap_or_default();
        let known = || processes.iter().map(|process| process.name.as_str());
        if let Some(slip) = targets.iter().find(|target| known().all(|name| name != *target)) {
            return Err(settings::no_process(slip, known()));
        }
    }
    let mut done: Vec<String> = Vec::new();
    for target in targets {
        let asked = connect(directory).await?.ask(&request(target), PATIENCE).await;
        match asked {
            Ok(Reply::Done { message }) => done.push(directory.spoken(&message)),
            Ok(_) => {}
            Err(error) if done.is_empty() => return Err(error),
            Err(error) => return Err(error.also(&format!("done before: {}", done.join("; ")))),
        }
    }
    say_done(&done.join(if json { "; " } else { "\n" }), json)
}

/// Says what was done, in a sentence for each.
fn say_done(message: &str, json: bool) -> Result<()> {
    match json {
        true => print_line(&serde_json::json!({ "done": message })),
        false => print_text(&format!("{message}\n")),
    }
}

/// The supervisor of a devnet that runs.
async fn connect(directory: &StateDirectory) -> Result<Connection> {
    exists(directory)?;
    Connection::open(&directory.control_socket()).await.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("devnet {:?} does not run", directory.name()))
            .hint("start it with `devnet up`")
    })
}

/// Refuses a devnet that was never started here: most likely its name is a slip.
fn exists(directory: &StateDirectory) -> Result<()> {
    if directory.path().exists() { Ok(()) } else { Err(directory.unknown()) }
}

/// The identity card of a devnet that exists.
fn card_of(directory: &StateDirectory) -> Result<Card> {
    exists(directory)?;
    directory.card()?.ok_or_else(|| {
        let message = format!("devnet {:?} was not started to the end yet", directory.name());
        Error::new(Kind::NotFound, message).hint("start it with `devnet up`")
    })
}

/// One JSON object on one line of stdout.
pub(crate) fn print_line(value: &serde_json::Value) -> Result<()> {
    terminal::json_line(value)
}

/// Text on stdout.
fn print_text(text: &str) -> Result<()> {
    terminal::answer(text, text)
}

/// Text on stdout that can be asked for again, so that nothing is lost if it cannot be written.
fn print_help(text: &str) -> Result<()> {
    terminal::answer(text, "")
}

#[cfg(test)]
mod tests;
