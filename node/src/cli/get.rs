//! `haulout get`: fetches a blob to a file, to stdout, or onto the terminal.
//!
//! Promises: a file appears under its name only when it is whole and verified; what reaches a terminal
//! is whole, and is text unless somebody agreed. Does not: protect a pipe in the same way as a file;
//! there, a failure is told by the exit code only.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use haulout_actors::session::download::{Consistency, GetReport};
use haulout_protocol::blob::BlobId;
use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tracing::Instrument;

use super::Cli;
use super::output::{Output, size};
use crate::error::{Error, Kind, Result};
use crate::light_client::LightClient;
use crate::progress::{self, Stages};
use crate::terminal;
use file::Target;
use screen::Shown;

mod destination;
mod file;
mod screen;

/// Bytes handed to a blocking thread at a time, or on their way to a terminal.
const WRITE_BYTES: usize = 4 << 20;

/// Fetch a blob by its id
///
/// Without -o the blob goes to stdout. If that is your terminal, only text is shown without asking;
/// `-o -` shows anything.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// The blob's id
    #[arg(allow_hyphen_values = true, value_name = "ID")]
    id: String,
    /// Write to this file, replaced when the blob is complete; `-` is stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How much to check
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    consistency: Level,
}

/// How much a reader checks.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Level {
    /// The bytes match the id: all readers get the same bytes or an error
    #[default]
    Default,
    /// Also that every subset of slivers gives these bytes
    Strict,
}

impl From<Level> for Consistency {
    fn from(level: Level) -> Self {
        match level {
            Level::Default => Consistency::Default,
            Level::Strict => Consistency::Strict,
        }
    }
}

/// Where the bytes go.
enum Place<'a> {
    /// A file, or a device or pipe with a name.
    File(&'a Path),
    /// Whatever stdout is.
    Stdout,
    /// A terminal that nobody asked to show anything but text.
    Screen,
}

/// One fetch, wherever its bytes go.
struct Fetch<'a> {
    client: &'a LightClient,
    blob_id: BlobId,
    consistency: Consistency,
    stages: &'a Stages,
}

impl Get {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let blob_id = super::parse_id(&self.id, "`haulout get ID`")?;
        let config = cli.reader()?;
        let place = self.place().await?;
        let target = match &place {
            Place::File(path) => Some(Target::open(path).await?),
            Place::Stdout | Place::Screen => {
                if output.is_json() {
                    let message = "stdout cannot carry both the blob and JSON";
                    return Err(
                        Error::new(Kind::Usage, message).hint("add -o FILE, or leave out --json")
                    );
                }
                output.give_up_stdout();
                None
            }
        };
        let client = LightClient::connect(config).await?;
        let stages = Stages::new(output.bars(), &progress::GET, None, client.shards());
        stages.ask();
        let consistency = self.consistency.into();
        let fetch = Fetch { client: &client, blob_id, consistency, stages: &stages };
        let span = tracing::info_span!("get", %blob_id);
        let fetched = fetch.run(&place, target, output).instrument(span).await;
        stages.finish();
        client.close().await;
        match (place, fetched?) {
            (_, None) => {
                output.aside(&format!("Not shown. To keep it: `haulout get {blob_id} -o FILE`"))
            }
            (Place::File(path), Some(report)) => tell(output, path, &blob_id, &report),
            (_, Some(report)) => output.aside(&verified(report.length)),
        }
        Ok(())
    }

    async fn place(&self) -> Result<Place<'_>> {
        Ok(match self.output.as_deref() {
            Some(path) if path.as_os_str() == "-" || file::is_stdout(path).await? => Place::Stdout,
            Some(path) => Place::File(path),
            None if io::stdout().is_terminal() => Place::Screen,
            None => Place::Stdout,
        })
    }
}

impl Fetch<'_> {
    /// Fetches the blob to its place; nothing if somebody did not want to see it.
    async fn run(
        &self,
        place: &Place<'_>,
        target: Option<Target>,
        output: &Output,
    ) -> Result<Option<GetReport>> {
        match (place, target) {
            (Place::Screen, _) => self.show(output).await,
            (_, Some(mut target)) => {
                let report = self.write(target.file()).await?;
                target.keep().await?;
                Ok(Some(report))
            }
            (_, None) => {
                let mut stdout = tokio::io::stdout();
                let report = self.write(&mut stdout).await?;
                stdout.flush().await.map_err(not_shown)?;
                Ok(Some(report))
            }
        }
    }

    async fn write(&self, sink: &mut (impl AsyncWrite + Unpin)) -> Result<GetReport> {
        let observer = self.stages.observer();
        self.client.get(&self.blob_id, self.consistency, sink, &observer).await
    }

    /// Fetches and shows side by side, so that a question can be asked in between.
    async fn show(&self, output: &Output) -> Result<Option<GetReport>> {
        let (mut writer, reader) = tokio::io::duplex(WRITE_BYTES);
        let can_ask = io::stdin().is_terminal() && output.is_for_people();
        let fetching = async move {
            let report = self.write(&mut writer).await;
            let _ = writer.shutdown().await;
            report
        };
        let (fetched, shown) = tokio::join!(
            fetching,
            screen::show(reader, tokio::io::stdout(), &self.blob_id, can_ask)
        );
        // Where showing ended early, fetching did because of it.
        match shown? {
            Shown::Declined => return Ok(None),
            Shown::WholeLines => {}
            Shown::PartOfLine => output.aside_after_text(),
        }
        fetched.map(Some)
    }
}

fn tell(output: &Output, file: &Path, blob_id: &BlobId, report: &GetReport) {
    let json = json!({
        "blob_id": blob_id.to_string(),
        "size": report.length,
        "content_hash": hex::encode(report.content_hash),
        "file": file.to_string_lossy(),
    });
    let people =
        format!("✓ {}  {}  peer to peer, verified\n", terminal::path(file), size(report.length));
    output.result(&json, &file.to_string_lossy(), &people);
}

fn verified(length: u64) -> String {
    let lost = if terminal::leads_nowhere() { "; stdout is closed, or /dev/null" } else { "" };
    format!("✓ {}  peer to peer, verified{lost}", size(length))
}

fn not_shown(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => terminal::gone(),
        _ => Error::from_io("write to", Path::new("stdout"), error),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        get: Get,
    }

    #[tokio::test]
    async fn stdout_by_its_path_is_stdout() {
        for path in ["-", "/dev/stdout", "/dev/fd/1"] {
            let get = Line::try_parse_from(["get", "ID", "-o", path]).unwrap().get;
            assert!(matches!(get.place().await.unwrap(), Place::Stdout), "{path}");
        }
        let get = Line::try_parse_from(["get", "ID", "-o", "stdout"]).unwrap().get;
        assert!(matches!(get.place().await.unwrap(), Place::File(_)));
    }

    #[test]
    fn the_level_that_was_asked_for_is_the_one_that_is_checked() {
        let asked = |arguments: &[&str]| {
            let line = ["get", "ID"].iter().chain(arguments);
            Consistency::from(Line::try_parse_from(line).unwrap().get.consistency)
        };
        assert_eq!(asked(&[]), Consistency::Default);
        assert_eq!(asked(&["--consistency", "default"]), Consistency::Default);
        assert_eq!(asked(&["--consistency", "strict"]), Consistency::Strict);
    }
}
