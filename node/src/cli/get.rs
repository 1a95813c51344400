//! `haulout get`: fetches a blob to a file or to stdout.
//!
//! Promises: a file appears under its name only when it is whole and verified. Does not: protect
//! stdout in the same way; there, a failure is told by the exit code only.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use haulout_actors::session::download::{Consistency, GetReport};
use haulout_protocol::blob::BlobId;
use serde_json::json;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tracing::Instrument;

use super::Cli;
use super::output::{Output, size};
use crate::error::{Error, Kind, Result};
use crate::light_client::LightClient;
use crate::progress::{self, Stages};

/// Bytes handed to a blocking thread at a time.
const WRITE_BYTES: usize = 4 << 20;

/// Fetch a blob by its id
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

impl Get {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let blob_id = super::parse_id(&self.id)?;
        let config = cli.reader()?;
        let file = self.output.as_deref().filter(|path| path.as_os_str() != "-");
        if output.is_json() && file.is_none() {
            return Err(Error::new(Kind::Usage, "stdout cannot carry both the blob and JSON")
                .hint("add -o FILE, or leave out --json"));
        }
        let mut target = match file {
            Some(path) => Target::file(path).await?,
            None => Target::Stdout,
        };
        let client = LightClient::connect(config).await?;
        let stages = Stages::new(output.bars(), &progress::GET, 0, client.shards());
        let span = tracing::info_span!("get", %blob_id);
        let fetched = self.fetch(&client, &blob_id, &mut target, &stages).instrument(span).await;
        stages.finish();
        client.close().await;
        let report = fetched?;
        target.keep()?;
        self.tell(output, file, &blob_id, &report);
        Ok(())
    }

    async fn fetch(
        &self,
        client: &LightClient,
        blob_id: &BlobId,
        target: &mut Target,
        stages: &Stages,
    ) -> Result<GetReport> {
        let consistency = self.consistency.into();
        let observer = stages.observer();
        match target {
            Target::Stdout => {
                let mut stdout = tokio::io::stdout();
                let report = client.get(blob_id, consistency, &mut stdout, &observer).await?;
                stdout.flush().await.map_err(|error| not_written(Path::new("stdout"), error))?;
                Ok(report)
            }
            Target::File { file, path, .. } => {
                let report = client.get(blob_id, consistency, file, &observer).await?;
                file.flush().await.map_err(|error| not_written(path, error))?;
                Ok(report)
            }
        }
    }

    fn tell(&self, output: &Output, file: Option<&Path>, blob_id: &BlobId, report: &GetReport) {
        let Some(file) = file else {
            output.aside(&format!("✓ {}  peer to peer, verified", size(report.length)));
            return;
        };
        let name = file.display().to_string();
        let json = json!({
            "blob_id": blob_id.to_string(),
            "size": report.length,
            "content_hash": hex::encode(report.content_hash),
            "file": name,
        });
        let people = format!("✓ {name}  {}  peer to peer, verified\n", size(report.length));
        output.result(&json, &name, &people);
    }
}

/// Where the bytes go.
#[derive(Debug)]
enum Target {
    Stdout,
    File {
        file: File,
        path: PathBuf,
        /// Renamed to `path` in the end; none when `path` is a device or a pipe.
        temporary: Option<Temporary>,
    },
}

/// A file that is deleted unless it was renamed.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Target {
    async fn file(path: &Path) -> Result<Self> {
        let special = match fs::metadata(path) {
            Ok(facts) if facts.is_dir() => {
                return Err(Error::new(Kind::File, format!("{} is a folder", path.display()))
                    .hint("name a file"));
            }
            Ok(facts) => !facts.is_file(),
            Err(_) => false,
        };
        let (place, temporary) = if special {
            (path.to_owned(), None)
        } else {
            // Through a link, so that the link stays and its target is replaced.
            let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            let name = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let place = real.with_file_name(format!(".{name}.{}.part", std::process::id()));
            (place.clone(), Some(Temporary(place)))
        };
        let options =
            fs::OpenOptions::new().write(true).create(!special).truncate(!special).clone();
        let mut file = tokio::fs::OpenOptions::from(options)
            .open(&place)
            .await
            .map_err(|error| not_written(path, error))?;
        file.set_max_buf_size(WRITE_BYTES);
        Ok(Self::File { file, path: path.to_owned(), temporary })
    }

    /// Puts a complete file in its place.
    fn keep(self) -> Result<()> {
        if let Self::File { path, temporary: Some(temporary), .. } = self {
            let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            fs::rename(&temporary.0, real).map_err(|error| not_written(&path, error))?;
        }
        Ok(())
    }
}

fn not_written(path: &Path, error: std::io::Error) -> Error {
    Error::from_io("write", path, error)
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

    #[tokio::test]
    async fn an_unfinished_file_never_appears_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        fs::write(&path, "old").unwrap();
        drop(Target::file(&path).await.unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[tokio::test]
    async fn a_finished_file_replaces_the_old_one_also_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("out.bin"), folder.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut target = Target::file(&link).await.unwrap();
        if let Target::File { file, .. } = &mut target {
            file.write_all(b"new").await.unwrap();
            file.flush().await.unwrap();
        }
        target.keep().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn a_device_is_written_to_and_not_replaced() {
        let target = Target::file(Path::new("/dev/null")).await.unwrap();
        target.keep().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
