//! `devnet logs`: what the processes wrote, marked with who wrote it.
//!
//! Promises: works whether or not the devnet runs, as long as there is one. Does not: sort lines of different processes by
//! time; each file is printed in its own order.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use haulout_node::error::{Error, Result};

use super::{card_of, exists, print_text};
use crate::settings::no_process;
use crate::state::StateDirectory;

/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_millis(200);

struct Log {
    name: String,
    path: PathBuf,
    reader: Option<BufReader<File>>,
    /// The start of a line whose end was not written yet.
    partial: String,
}

pub(super) async fn run(
    directory: &StateDirectory,
    target: Option<&str>,
    follow: bool,
) -> Result<()> {
    exists(directory)?;
    let mut logs = logs(directory, target)?;
    loop {
        for log in &mut logs {
            log.print_new()?;
        }
        if !follow {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

fn logs(directory: &StateDirectory, target: Option<&str>) -> Result<Vec<Log>> {
    let nodes = card_of(directory).map(|card| card.nodes).unwrap_or_default();
    let all = ["supervisor", "ledger"].map(str::to_owned).into_iter();
    let mut names: Vec<String> = all.chain(nodes.into_iter().map(|node| node.name)).collect();
    if let Some(target) = target {
        if !names.iter().any(|name| name == target) {
            return Err(no_process(target, names.iter().map(String::as_str)));
        }
        names = vec![target.to_owned()];
    }
    let log = |name: String| Log {
        path: directory.log(&name),
        name,
        reader: None,
        partial: String::new(),
    };
    Ok(names.into_iter().map(log).collect())
}

impl Log {
    fn print_new(&mut self) -> Result<()> {
        let failed = |error| Error::from_io("read", &self.path, error);
        if self.reader.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.reader = Some(BufReader::new(file)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(failed(error)),
            }
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).map_err(failed)? > 0 {
            self.partial.push_str(&String::from_utf8_lossy(&bytes));
            bytes.clear();
            if self.partial.ends_with('\n') {
                print_text(&format!("{:<10} │ {}", self.name, self.partial))?;
                self.partial.clear();
            }
        }
        Ok(())
    }
}
