//! The processes of a devnet as it starts them itself; nobody types these, and no help shows them.
//!
//! Promises: the last line on stdout of a process that failed is its reason, for its parent to read.
//! Does not: know what they do.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use haulout_node::error::{Kind, Result};
use haulout_node::terminal;

use super::{Up, block_on, fail, note};
use crate::ledger_process;
use crate::processes::die_with_parent;
use crate::state::StateDirectory;
use crate::supervisor;

/// What every name of an internal process begins with.
const PREFIX: &str = "internal-";

#[derive(Debug, Parser)]
pub(super) struct Internal {
    #[arg(long, global = true, default_value = "default")]
    pub(super) name: String,
    #[command(subcommand)]
    pub(super) process: Process,
}

#[derive(Debug, Subcommand)]
pub(super) enum Process {
    InternalSupervisor {
        #[command(flatten)]
        up: Up,
        #[arg(long)]
        attached: bool,
    },
    InternalLedger {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        grpc_port: u16,
        #[arg(long)]
        faucet_port: u16,
    },
}

/// Runs an internal process, if the arguments are those of one, and returns its exit code.
pub(super) fn run(arguments: &[OsString]) -> Option<u8> {
    arguments.get(1)?.to_str().filter(|verb| verb.starts_with(PREFIX))?;
    Some(match Internal::try_parse_from(arguments) {
        Ok(internal) => internal.run(),
        Err(error) => {
            note(&error.to_string());
            Kind::Usage.exit_code()
        }
    })
}

impl Internal {
    fn run(self) -> u8 {
        let outcome = self.process.run(&self.name);
        match outcome {
            Ok(()) => 0,
            // Its parent reads the reason, and a person its log.
            Err(error) => match StateDirectory::of(&self.name) {
                Ok(directory) => fail(&error, true, |text| directory.spoken(text)),
                Err(_) => fail(&error, true, str::to_owned),
            },
        }
    }
}

impl Process {
    fn run(self, name: &str) -> Result<()> {
        match self {
            Process::InternalSupervisor { up, attached } => {
                log_to_stderr();
                // A session of its own: a Ctrl-C in the terminal is for `devnet up`, which asks us.
                let _ = rustix::process::setsid();
                block_on(supervisor::run(up.options(name, attached)))
            }
            Process::InternalLedger { folder, grpc_port, faucet_port } => {
                die_with_parent();
                log_to_stderr();
                let options = ledger_process::Options { folder, grpc_port, faucet_port };
                block_on(ledger_process::run(options))
            }
        }
    }
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
