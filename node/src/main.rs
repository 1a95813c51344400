//! The `haulout` command: parse, run, exit code. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(haulout_node::cli::main_with(std::env::args_os().collect()))
}
