//! The command line: its grammar, and what is common to all verbs.
//!
//! Promises: results go to stdout, everything else to stderr; with `--json` stdout carries exactly
//! one JSON object, also for errors; the exit code is the one of the error's kind.
//! Does not: do the work of a verb; each has a file in `cli/`.

use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind as ClapKind;
use clap::parser::ValueSource;
use clap::{
    ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
};
use haulout_protocol::blob::{BlobId, ParseBlobIdError};
use haulout_protocol::chain::ObjectId;
use tokio::runtime::Runtime;

use crate::config::{ClientConfig, Config, Setting, Sources};
use crate::contexts;
use crate::error::{Error, Kind, Result};
use crate::telemetry::{LogFormat, Options, Telemetry};
use crate::terminal;
use crate::usage;
use output::{CommandFlags, Output};

mod bench;
mod blob_id;
pub mod completions;
mod config;
mod context;
mod estimate;
mod extend;
mod get;
mod help;
mod info;
mod ls;
mod name;
mod node;
mod output;
mod owner;
mod plan;
mod put;
mod rm;
mod signals;
mod stake;
mod status;
mod storage;
pub mod table;
mod wallet;

/// What a client tells if nobody asked for a log: warnings, and when what was waited for is there. That the ledger is
/// silent is told by whoever waits for it, so the follower of its history need not say it, too.
const NOTICES: &str = "warn,haulout_actors::chain_sync=error,haulout_actors::chain::patience=info";

/// Verbs that only look, each without those above it.
const LOOKS: [&str; 14] = [
    "status",
    "ls",
    "info",
    "wallet",
    "address",
    "nodes",
    "show",
    "invite",
    "check",
    "blob-id",
    "encode",
    "config",
    "completions",
    "help",
];

/// The same for those who want only the essential value: what goes wrong is the failure.
const QUIET: &str = "error";

/// How long the runtime may take to drop what a finished command left behind.
const WIND_DOWN: Duration = Duration::from_secs(2);

/// Store files on a network of independent nodes, and get them back peer to peer.
#[derive(Debug, Parser)]
#[command(
    name = "haulout",
    version,
    disable_help_subcommand = true,
    propagate_version = true,
    after_help = "New here? `devnet up` starts a network on this machine, and `haulout wallet new` makes a wallet.\n\
                  Words such as WAL, gas and epoch: `haulout help words`. Errors: `haulout help errors`.\n\
                  Completion of verbs and flags: `haulout help completions` says how to install it."
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
struct Common {
    /// Print one JSON object on stdout, also for errors
    #[arg(long, short = 'j', global = true)]
    json: bool,
    /// Print only the essential value
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Log more; repeat for even more
    #[arg(long, short, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Show progress bars
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    progress: When,
    /// Read this configuration file and no other
    #[arg(long, global = true, env = "HAULOUT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Use this context in place of the active one
    #[arg(long, global = true, env = "HAULOUT_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// Log filter, as in RUST_LOG
    #[arg(long, global = true, value_name = "FILTER")]
    log_level: Option<String>,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
    /// Start from this peer (repeat for more), in place of network.bootstrap
    #[arg(long, global = true, value_name = "MULTIADDR")]
    bootstrap: Vec<String>,
}

/// When to show progress.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum When {
    /// When stderr is a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

// Each verb's help is the text of its struct or enum: words here would cover it.
#[derive(Debug, Subcommand)]
enum Command {
    #[command(alias = "store")]
    Put(put::Put),
    #[command(alias = "read")]
    Get(get::Get),
    #[command(alias = "blob-status")]
    Status(status::Status),
    #[command(alias = "list-blobs")]
    Ls(ls::Ls),
    Extend(extend::Extend),
    Name(name::Name),
    #[command(alias = "delete")]
    Rm(rm::Rm),
    #[command(subcommand)]
    Storage(storage::FreeStorage),
    Info(info::Info),
    Wallet(wallet::Wallet),
    #[command(subcommand)]
    Stake(stake::Stake),
    BlobId(blob_id::BlobId),
    #[command(subcommand)]
    Bench(bench::Bench),
    #[command(subcommand)]
    Node(node::Node),
    /// Print a commented configuration with every key
    Config,
    #[command(subcommand)]
    Context(context::Context),
    #[command(after_help = completions::install("haulout"))]
    Completions(completions::Completions),
    Help(help::Help),
}

/// Runs the command line (`args[0]` is the program's name) and returns the exit code.
pub fn main_with(args: Vec<OsString>) -> u8 {
    let json = args.iter().any(|arg| arg == "--json" || arg == "-j");
    match parse(&args) {
        Ok((cli, flags)) => {
            let output = Output::new(&cli.common, flags);
            let code = cli.execute(&output).unwrap_or_else(|error| output.fail(&error));
            output.exit_code(code)
        }
        Err(error) if matches!(error.kind(), ClapKind::DisplayHelp | ClapKind::DisplayVersion) => {
            let output = Output::of_parser(false);
            output.text(&error.render().to_string());
            output.exit_code(0)
        }
        Err(error) => {
            let (error, help) = usage::error_of(error, &Cli::command(), &args);
            if let Some(help) = help.filter(|_| !json) {
                output::note(help.trim_end());
            }
            Output::of_parser(json).fail(&error)
        }
    }
}

/// Reads the command line, and which of its flags a command that we print must repeat.
fn parse(args: &[OsString]) -> Result<(Cli, CommandFlags), clap::Error> {
    let matches = Cli::command().try_get_matches_from(args)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut Cli::command()))?;
    let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let mut flags = Vec::new();
    if let Some(file) = cli.common.config.as_ref().filter(|_| typed("config")) {
        flags.push(format!("--config {}", terminal::shell(&file.to_string_lossy())));
    }
    if let Some(name) = cli.common.context.as_ref().filter(|_| typed("context")) {
        flags.push(format!("--context {}", terminal::shell(name)));
    }
    let devnet = match (cli.devnet(), cli.is_elsewhere()) {
        (None, true) => None,
        // Without a name `devnet` means the one of its variable.
        (Some(name), _) if name != default_devnet() => Some(format!("--name {name}")),
        _ => Some(String::new()),
    };
    let (only_looks, devnet_name) = (only_looks(&matches), cli.devnet());
    Ok((cli, CommandFlags { haulout: flags.join(" "), devnet, devnet_name, only_looks }))
}

/// Whether a command line changes nothing, at home or on the ledger.
fn only_looks(matches: &ArgMatches) -> bool {
    let mut last = (None, matches);
    while let Some((verb, below)) = last.1.subcommand() {
        last = (Some(verb), below);
    }
    let is_dry = matches!(last.1.try_get_one::<bool>("dry_run"), Ok(Some(true)));
    is_dry || last.0.is_some_and(|verb| LOOKS.contains(&verb))
}

/// The devnet that `devnet` means without `--name`.
fn default_devnet() -> String {
    let named = std::env::var("DEVNET_NAME").ok().filter(|name| !name.is_empty());
    named.unwrap_or_else(|| "default".to_owned())
}

impl Cli {
    fn execute(&self, output: &Output) -> Result<u8> {
        match &self.command {
            Command::Put(put) => {
                let left = put::LeftBehind::default();
                let explain = |error| left.explain(error);
                self.online_until(output, put.run(self, output, &left), explain)
            }
            Command::Get(get) => self.online(output, get.run(self, output)),
            Command::Status(status) => self.online(output, status.run(self, output)),
            Command::Ls(ls) => self.online(output, ls.run(self, output)),
            Command::Extend(extend) => self.online(output, extend.run(self, output)),
            Command::Name(name) => self.online(output, name.run(self, output)),
            Command::Rm(rm) => self.online(output, rm.run(self, output)),
            Command::Storage(storage) => self.online(output, storage.run(self, output)),
            Command::Info(info) => self.online(output, info.run(self, output)),
            Command::Wallet(wallet) => self.online(output, wallet.run(self, output)),
            Command::Stake(stake) => self.online(output, stake.run(self, output)),
            Command::Node(node) => node.run(self, output),
            Command::BlobId(blob_id) => blob_id.run(self, output),
            Command::Bench(bench) => bench.run(output),
            Command::Config => config::run(output),
            Command::Context(context) => context.run(output),
            Command::Completions(completions) => {
                output.text(&completions.script(Cli::command()));
                Ok(0)
            }
            Command::Help(help) => help.run(Cli::command(), output),
        }
    }

    /// The devnet that this command line is about, if it is about one.
    fn devnet(&self) -> Option<String> {
        if let Some(file) = &self.common.config {
            return contexts::devnet_of_file(file);
        }
        contexts::devnet_of(&self.context()?).map(str::to_owned)
    }

    /// Whether this command line is about a network that need not be a devnet.
    fn is_elsewhere(&self) -> bool {
        self.common.config.is_some() || self.context().is_some()
    }

    /// The context that was chosen, here or before.
    fn context(&self) -> Option<String> {
        // Without a readable active context there is none, and the verb itself says what is wrong.
        self.common.context.clone().or_else(|| contexts::active().ok()?)
    }

    /// The configuration, with `flags` above everything else.
    fn load(&self, flags: Vec<Setting>) -> Result<Config> {
        self.load_from(self.common.config.clone(), flags)
    }

    /// The same with this file in place of `--config`.
    fn load_from(&self, file: Option<PathBuf>, mut flags: Vec<Setting>) -> Result<Config> {
        if !self.common.bootstrap.is_empty() {
            flags.push(Setting {
                flag: "--bootstrap",
                section: "network",
                key: "bootstrap",
                value: self.common.bootstrap.join(","),
            });
        }
        Config::load(&Sources {
            file,
            context: self.common.context.clone(),
            env: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            flags,
        })
    }

    /// The configuration of a client that only reads: its wallet is not even looked at.
    fn reader(&self) -> Result<ClientConfig> {
        Ok(ClientConfig { wallet: None, ..self.load(Vec::new())?.client()? })
    }

    /// Where piped input may be kept.
    fn state_dir(&self) -> Result<PathBuf> {
        Ok(self.load(Vec::new())?.state_dir())
    }

    /// Runs a client's verb until it ends or a signal arrives.
    fn online(&self, output: &Output, verb: impl Future<Output = Result<()>>) -> Result<u8> {
        self.online_until(output, verb, |error| error)
    }

    /// The same; `explain` is what becomes of the error of a signal.
    fn online_until(
        &self,
        output: &Output,
        verb: impl Future<Output = Result<()>>,
        explain: impl FnOnce(Error) -> Error,
    ) -> Result<u8> {
        let runtime = runtime()?;
        let result = runtime.block_on(async {
            let telemetry = Telemetry::start(self.client_telemetry(output))?;
            let result = tokio::select! {
                result = verb => result,
                signal = signals::first() => Err(explain(signals::error(signal?))),
            };
            tokio::task::block_in_place(|| telemetry.shutdown());
            result
        });
        runtime.shutdown_timeout(WIND_DOWN);
        result.map(|()| 0)
    }

    /// What a client tells beside its answer.
    fn client_telemetry(&self, output: &Output) -> Options {
        let silent = if self.common.quiet { QUIET } else { NOTICES };
        let options = self.telemetry("haulout-client", silent, output);
        let notices = options.filter == silent && options.format == LogFormat::Text;
        Options { notices, ..options }
    }

    /// What to log; `level` is what a silent command line means.
    fn telemetry(&self, service: &'static str, level: &str, output: &Output) -> Options {
        let more = match self.common.verbose {
            0 => level.to_owned(),
            1 => "warn,haulout_node=info,haulout_actors=info,haulout_storage=info".to_owned(),
            2 => "info,haulout_node=debug,haulout_actors=debug,haulout_storage=debug".to_owned(),
            _ => "debug,haulout_node=trace,haulout_actors=trace,haulout_storage=trace".to_owned(),
        };
        let chosen = self.common.log_level.clone();
        let chosen = chosen.or_else(|| std::env::var("RUST_LOG").ok().filter(|f| !f.is_empty()));
        Options {
            filter: chosen.unwrap_or(more),
            format: self.common.log_format,
            notices: false,
            service,
            instance: None,
            network: None,
            bars: output.bars().clone(),
        }
    }
}

/// A runtime for one command.
fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Internal, "the runtime does not start").because(error))
}

/// The blob id in an argument; `command` is what was typed, in backticks and with `ID` in its place.
fn parse_id(text: &str, command: &str) -> Result<BlobId> {
    text.parse().map_err(|_: ParseBlobIdError| {
        Error::new(Kind::Usage, format!("`{}` is not a blob id", terminal::line(text)))
            .hint(instead_of_id(text, command))
    })
}

/// What to do with a text that should be a blob id and is something else.
fn instead_of_id(text: &str, command: &str) -> String {
    const IDS: &str = "`haulout ls` lists the ids of your blobs beside their names and objects";
    if text.parse::<ObjectId>().is_ok() {
        return format!("this is an object's id; {IDS}");
    }
    match Path::new(text).is_file() {
        true => {
            // What begins with a hyphen would be a flag.
            let folder = if text.starts_with('-') { "./" } else { "" };
            let file = terminal::shell(&format!("{folder}{text}"));
            let command = command.replace("ID", &format!("$(haulout -q blob-id {file})"));
            format!("this is a file; its blob is meant by {command}; {IDS}")
        }
        false => format!("a blob id has 43 characters, as `haulout put` prints it; {IDS}"),
    }
}

/// What to do about a folder that does not exist: nobody else's folders are made, since a slip is more likely.
fn no_such_folder(folder: &Path) -> String {
    let folder = terminal::shell(&folder.to_string_lossy());
    format!("there is no such folder: `mkdir -p {folder}` makes it")
}

/// Refuses a file whose folder does not exist.
fn must_have_folder(file: &Path) -> Result<()> {
    match file.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        Some(folder) => {
            let message = format!("cannot write {}", terminal::path(file));
            Err(Error::new(Kind::File, message).hint(no_such_folder(folder)))
        }
        None => Ok(()),
    }
}

/// Runs work that blocks, off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(Kind::Internal, "a worker ended early").because(error))?
}
