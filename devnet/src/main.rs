//! The `devnet` command: see `devnet --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(haulout_devnet::cli::main_with(std::env::args_os().collect()))
}
