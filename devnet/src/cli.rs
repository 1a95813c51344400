//! The command line of `devnet`.
//!
//! Promises: results go to stdout, everything else to stderr; with `--json` stdout carries exactly
//! one JSON object, also for errors; exit codes are those of `haulout help errors`.
//! Does not: own processes; the supervisor does, and the verbs ask it.

use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use haulout_node::error::{Error, Kind, Result};
use haulout_node::terminal::{self, note};

use crate::control::{Connection, Reply, Request};
use crate::ledger_process;
use crate::processes::die_with_parent;
use crate::settings::Wish;
use crate::state::{Card, StateDirectory};
use crate::supervisor;

mod epoch;
mod logs;
mod status;
mod up;
mod verify;
mod wait;

/// How long a verb waits for the supervisor: a node may take its time to stop or to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// A whole Haulout network on your desk: an embedded ledger and real node processes.
#[derive(Debug, Parser)]
#[command(name = "devnet", version, disable_help_subcommand = true)]
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
    /// Say how the ledger and the nodes are
    Status,
    /// Print the logs; all of them, or of one process
    Logs {
        /// Go on printing what is added
        #[arg(long, short)]
        follow: bool,
        /// n1, n2, ..., ledger or supervisor
        target: Option<String>,
    },
    /// End a process at once (SIGKILL); its data stays
    Kill {
        /// n1, n2, ... or ledger
        target: String,
    },
    /// Stop a process where it stands (SIGSTOP): it keeps its sockets and answers nothing
    Pause {
        /// n1, n2, ... or ledger
        target: String,
        /// Let it go on by itself after this long, as in 30s or 500ms
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
    },
    /// Let a paused process go on (SIGCONT)
    Resume {
        /// n1, n2, ... or ledger
        target: String,
    },
    /// Stop a process if it runs, then start it
    Restart {
        /// n1, n2, ... or ledger
        target: String,
        /// Delete the node's store in between: a lost disk
        #[arg(long)]
        wipe: bool,
    },
    /// Wait for a fact: `ready`, `stopped`, `epoch=N`, `checkpoint=N`, `n3=running`, `n3=killed`
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
    /// Stop everything in order
    Down {
        /// Delete the devnet's folder too
        #[arg(long)]
        purge: bool,
    },
    /// Execute the ledger's whole log again and compare; the devnet must be down
    VerifyLedger {
        /// The ledger's file, if it is not that of the devnet
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },
    #[command(hide = true)]
    InternalSupervisor {
        #[command(flatten)]
        up: Up,
        #[arg(long)]
        attached: bool,
    },
    #[command(hide = true)]
    InternalLedger {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        grpc_port: u16,
        #[arg(long)]
        faucet_port: u16,
    },
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
    #[arg(long)]
    fresh: bool,
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
            attached,
            patience: self.timeout,
        }
    }
}

/// Reads a time as people write it: `30s`, `500ms`, `2m`, or seconds without a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let refused = || format!("{text:?} is not a time; write 500ms, 30s, 2m or 24h");
    let number: u64 = number.parse().map_err(|_| refused())?;
    let millis = match unit {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    millis.map(Duration::from_millis).ok_or_else(refused)
}

/// Runs the command line (`arguments[0]` is the program's name) and returns the exit code.
pub fn main_with(arguments: Vec<OsString>) -> u8 {
    if arguments.get(1).is_some_and(|verb| verb == "haulout") {
        die_with_parent();
        return haulout_node::cli::main_with(arguments.into_iter().skip(1).collect());
    }
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(error, &arguments),
    };
    let json = cli.json;
    match cli.run() {
        Ok(()) => 0,
        Err(error) => {
            if json && error.kind() != Kind::Pipe {
                // Without a stdout the text on stderr has to do.
                let _ = print_line(&error.to_json());
            }
            if error.kind() != Kind::Pipe {
                note(&error.to_text());
            }
            error.kind().exit_code()
        }
    }
}

/// Help and version are results; everything else the parser says is a refusal.
fn refuse(error: clap::Error, arguments: &[OsString]) -> u8 {
    if error.exit_code() == 0 {
        return match print_text(&error.render().to_string()) {
            Ok(()) => 0,
            Err(lost) => lost.kind().exit_code(),
        };
    }
    let text = terminal::refusal(error);
    if arguments.iter().any(|argument| argument == "--json" || argument == "-j") {
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let _ = print_line(&Error::new(Kind::Usage, first).to_json());
    }
    note(text.trim_end());
    Kind::Usage.exit_code()
}

impl Cli {
    fn run(self) -> Result<()> {
        let Cli { name, json, command } = self;
        let directory = StateDirectory::of(&name)?;
        match command {
            Command::Up(up) => block_on(up::run(&directory, &up, json)),
            Command::Status => block_on(status::run(&directory, json)),
            Command::Logs { follow, target } => {
                block_on(logs::run(&directory, target.as_deref(), follow))
            }
            Command::Kill { target } => block_on(tell(&directory, Request::Kill { target }, json)),
            Command::Pause { target, time } => {
                let for_ms = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
                block_on(tell(&directory, Request::Pause { target, for_ms }, json))
            }
            Command::Resume { target } => {
                block_on(tell(&directory, Request::Resume { target }, json))
            }
            Command::Restart { target, wipe } => {
                block_on(tell(&directory, Request::Restart { target, wipe }, json))
            }
            Command::Wait { fact, timeout } => block_on(wait::run(&directory, fact, timeout)),
            Command::Epoch { verb } => block_on(epoch::run(&directory, &verb, json)),
            Command::Down { purge } => block_on(down(&directory, purge, json)),
            Command::VerifyLedger { file } => verify::run(&directory, file, json),
            Command::InternalSupervisor { up, attached } => {
                log_to_stderr();
                // A session of its own: a Ctrl-C in the terminal is for `devnet up`, which asks us.
                let _ = rustix::process::setsid();
                block_on(supervisor::run(up.options(&name, attached)))
            }
            Command::InternalLedger { folder, grpc_port, faucet_port } => {
                die_with_parent();
                log_to_stderr();
                let options = ledger_process::Options { folder, grpc_port, faucet_port };
                let served = block_on(ledger_process::run(options));
                if let Err(error) = &served {
                    let _ = print_line(&error.to_json());
                }
                served
            }
        }
    }
}

fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Internal, "cannot start the runtime").because(error))?;
    let outcome = runtime.block_on(work);
    // What is left are threads that read stdin or a log; nobody waits for them.
    runtime.shutdown_background();
    outcome
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(terminal::LogWriter)
        .with_ansi(false)
        .finish();
    // Fails only if there is one already, and then that one is as good.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Asks the supervisor for something and says what it did.
async fn tell(directory: &StateDirectory, request: Request, json: bool) -> Result<()> {
    let reply = connect(directory).await?.ask(&request, PATIENCE).await?;
    if let Reply::Done { message } = &reply {
        if json {
            return print_line(&serde_json::json!({ "done": message }));
        }
        return print_text(&format!("{message}\n"));
    }
    Ok(())
}

/// The supervisor of a devnet that runs.
async fn connect(directory: &StateDirectory) -> Result<Connection> {
    Connection::open(&directory.control_socket()).await.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("devnet {:?} does not run", directory.name()))
            .hint(format!("start it with `devnet up{}`", name_flag(directory.name())))
    })
}

/// What has to be typed after a verb for it to mean this devnet.
fn name_flag(name: &str) -> String {
    if name == "default" { String::new() } else { format!(" --name {name}") }
}

/// The identity card of a devnet that exists.
fn card_of(directory: &StateDirectory) -> Result<Card> {
    directory.card()?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no devnet {:?}", directory.name()))
            .hint(format!("start it with `devnet up{}`", name_flag(directory.name())))
    })
}

async fn down(directory: &StateDirectory, purge: bool, json: bool) -> Result<()> {
    let ran = stop(directory).await?;
    let existed = directory.path().exists();
    if purge && existed {
        let lock = directory.lock()?;
        std::fs::remove_dir_all(directory.path())
            .map_err(|error| Error::from_io("remove", directory.path(), error))?;
        drop(lock);
    }
    let message = match (ran, purge && existed) {
        (true, true) => "stopped, and its folder is deleted",
        (true, false) => "stopped; its data stays for the next `devnet up`",
        (false, true) => "it did not run; its folder is deleted",
        (false, false) => "it does not run",
    };
    if json {
        return print_line(&serde_json::json!({ "done": message }));
    }
    print_text(&format!("{message}\n"))
}

/// Stops a devnet and returns when its lock is free; false if it did not run.
async fn stop(directory: &StateDirectory) -> Result<bool> {
    let Some(connection) = Connection::open(&directory.control_socket()).await else {
        return Ok(false);
    };
    connection.ask(&Request::Down, PATIENCE).await?;
    let until = tokio::time::Instant::now() + PATIENCE;
    while directory.path().exists() && directory.lock().is_err() {
        if tokio::time::Instant::now() > until {
            return Err(Error::new(Kind::Timeout, "the supervisor answered but did not end")
                .hint("see `devnet logs supervisor`"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(true)
}

/// One JSON object on one line of stdout.
pub(crate) fn print_line(value: &serde_json::Value) -> Result<()> {
    terminal::json_line(value)
}

/// Text on stdout.
fn print_text(text: &str) -> Result<()> {
    terminal::answer(text, text)
}

#[cfg(test)]
mod tests;
