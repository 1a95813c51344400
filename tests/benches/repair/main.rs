//! What repair costs and how long it takes, on a devnet of real processes, with readers beside it.
//!
//! `cargo bench -p haulout-tests --bench repair` does all of it; `-- rounds`, `-- rebuild`, `-- missed`, `-- moving`, `-- silent` a part.
//! `--rounds 20`, `--blobs 200`, `--mib 1024`, `--changes 20` say how much. The devnet is this very program, started again
//! under its name. Figures are this machine's; ratios are of things measured in the same run. Ends with a failure if a
//! reader got other bytes, or none.

#![allow(clippy::print_stdout, reason = "a benchmark reports on the terminal")]

mod missed;
mod moving;
mod network;
mod readers;
mod rebuild;
mod rounds;
mod silent;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};

/// What is measured if nothing is named.
const PARTS: [&str; 5] = ["rounds", "rebuild", "missed", "moving", "silent"];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.first().is_some_and(|name| name == network::DEVNET) {
        return ExitCode::from(haulout_devnet::cli::main_with(arguments));
    }
    let measured = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(measure()));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<()> {
    let named: Vec<&str> = PARTS.into_iter().filter(|part| is_named(part)).collect();
    for part in if named.is_empty() { PARTS.to_vec() } else { named } {
        println!("{part}:");
        match part {
            "rounds" => rounds::measure(number("--rounds", 20)?, number("--blobs", 200)?).await?,
            "rebuild" => rebuild::measure(number("--mib", 1024)?).await?,
            "missed" => missed::measure(number("--puts", 100)?).await?,
            "silent" => silent::measure(number("--mib", 1024)?).await?,
            _ => moving::measure(number("--changes", 20)?).await?,
        }
    }
    Ok(())
}

fn is_named(part: &str) -> bool {
    std::env::args().any(|argument| argument == part)
}

/// A number behind a flag, or what is usual.
fn number(flag: &str, usual: usize) -> Result<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != flag).skip(1);
    let text = arguments.next();
    text.map_or(Ok(usual), |text| text.parse().with_context(|| format!("{flag} takes a number")))
}
