//! `haulout put`: stores files or stdin.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use haulout_actors::chain::{Cost, Receipt};
use haulout_actors::limits;
use haulout_actors::session::Observer;
use haulout_actors::session::upload::{PutOptions, PutReport};
use haulout_protocol::chain::ObjectId;
use serde_json::Value;
use tracing::Instrument;

use super::Cli;
use super::estimate;
use super::output::Output;
use crate::calendar::Calendar;
use crate::config::ClientConfig;
use crate::error::{Error, Kind, Result};
use crate::input::Input;
use crate::light_client::LightClient;
use crate::names;
use crate::progress::{self, Stages};
use crate::terminal;
use crate::words::{self, label};

mod halt;
mod left;
mod many;
mod repair;
mod report;
mod tree;

pub(super) use left::LeftBehind;
use report::Named;
use tree::Tree;

/// Puts at once if nobody says how many: those of short blobs share the ledger's transactions, so the more the better.
const AT_ONCE: &str = "64";

/// Store files; `-` reads stdin
///
/// Each file becomes a blob of its own. Pays only for what is missing: an object of yours that ends too soon is
/// extended, storage that a deleted blob left you is used, and a blob that somebody else stored permanently for as long
/// needs nothing. Files with the same bytes are paid once.
///
/// Of several files each is told as it ends, and the exit code is the largest of theirs. One that fails does not stop
/// the others, unless the reason holds for them, too: no coins, no ledger, no network, too few nodes. With --json there is
/// one object on a line for each, with -q its blob id and its name.
///
/// The file's name is remembered on this machine for `haulout ls` and told to nobody, unless --public-name says so. If
/// only that fails, the blob is told as stored, with `name_error` in JSON, and the exit code is that of the failure.
///
/// With -r, folders stand for the files below them, in the order of their names, hidden ones included. Symbolic links inside
/// are not followed, nor is one that takes a file's place meanwhile. A folder that cannot be read is an error before anything is stored.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  haulout put FILE --epochs 10\n  haulout put *.jpg\n  \
                        haulout put -r photos --json > stored.jsonl\n  \
                        tar c . | haulout put - --name backup.tar\n  \
                        haulout put FILE --repair        # after nodes lost their disks\n  haulout put FILE --public-name   # `haulout ls` on your other machines shows the name, too")]
pub(super) struct Put {
    /// The files; `-` alone reads stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Store each file of folders, too, and of those in them
    #[arg(short, long)]
    recursive: bool,
    /// Keep it for so many epochs, the current one included
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = words::epochs)]
    epochs: u32,
    /// Give up the right to delete it before its time
    #[arg(long)]
    permanent: bool,
    /// Make a new object even if yours or a permanent one keeps it for long enough
    #[arg(long)]
    force: bool,
    /// Store it even if not a byte comes from stdin or a pipe
    #[arg(long)]
    allow_empty: bool,
    /// What `haulout ls` calls it, in place of the file's name; only this machine knows it
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,
    /// Write the name on the ledger, too: everybody can read it, and a transaction's gas is paid
    #[arg(long)]
    public_name: bool,
    /// Store so many files at the same time, at most 64; long ones fewer
    #[arg(long, value_name = "N", default_value = AT_ONCE, value_parser = at_once)]
    at_once: NonZeroUsize,
    /// Only show what it would do and cost; nothing is sent or paid
    #[arg(long)]
    dry_run: bool,
    /// Only send nodes what they lack of a blob that is stored already, whoever owns it; nothing is paid
    #[arg(long, conflicts_with_all = ["epochs", "permanent", "force", "name", "public_name", "dry_run"])]
    repair: bool,
    /// Of the files below folders, those that were named themselves; nothing if all were.
    #[arg(skip)]
    named: Option<Arc<BTreeSet<PathBuf>>>,
}

/// A blob that was stored, with what became of its name.
struct Stored {
    /// What to call it in messages.
    name: String,
    report: PutReport,
    named: Named,
}

impl Put {
    pub(super) async fn run(&self, cli: &Cli, output: &Output, left: &LeftBehind) -> Result<()> {
        self.check()?;
        if !self.recursive {
            return self.run_files(cli, output, left).await;
        }
        let paths = self.files.clone();
        let Tree { files, named, left_out } = super::blocking(move || Tree::of(&paths)).await?;
        if left_out > 0 {
            tracing::warn!(
                left_out,
                "links, sockets, pipes and devices are left out: only files are stored"
            );
        }
        Put { files, named: Some(named.into()), ..self.clone() }.run_files(cli, output, left).await
    }

    async fn run_files(&self, cli: &Cli, output: &Output, left: &LeftBehind) -> Result<()> {
        if self.repair {
            return repair::repair(self, cli.reader()?, output).await;
        }
        let config = cli.load(Vec::new())?.client()?;
        match (self.only_file(), self.dry_run) {
            (Some(file), false) => self.put_one(config, output, file, left).await,
            (None, false) => many::put(self, config, output, left).await,
            (Some(file), true) => {
                let input = self.open(file, &config.state_dir).await?;
                let public_name = self.own_name(file, &input)?.filter(|_| self.public_name);
                estimate::show(config, output, input, self.options(), public_name).await
            }
            (None, true) => many::estimate(self, config, output).await,
        }
    }

    /// The file, if no more than one can be meant.
    fn only_file(&self) -> Option<&Path> {
        match self.files.as_slice() {
            [file] if !self.recursive => Some(file),
            _ => None,
        }
    }

    /// Refuses what cannot be meant of several files.
    fn check(&self) -> Result<()> {
        if self.only_file().is_some() {
            return Ok(());
        }
        if self.files.iter().any(|file| file.as_os_str() == "-") {
            let message = "`-` is stdin, which is put alone";
            return Err(Error::new(Kind::Usage, message).hint("put it by a command of its own"));
        }
        if self.name.is_some() {
            let message = "--name is the name of one file, and several are put";
            return Err(Error::new(Kind::Usage, message)
                .hint("leave it out, and each is called by its own name; or put them one by one"));
        }
        Ok(())
    }

    fn options(&self) -> PutOptions {
        PutOptions { epochs: self.epochs, deletable: !self.permanent, force: self.force }
    }

    async fn open(&self, file: &Path, folder: &Path) -> Result<Input> {
        let (file, folder) = (file.to_owned(), folder.to_owned());
        let is_found = self.named.as_ref().is_some_and(|named| !named.contains(&file));
        let open = move || match is_found {
            true => Input::found(&file, || Ok(folder)),
            false => Input::named(&file, || Ok(folder)),
        };
        let input = super::blocking(open).await?;
        if self.allow_empty { Ok(input) } else { input.not_empty() }
    }

    async fn put_one(
        &self,
        config: ClientConfig,
        output: &Output,
        file: &Path,
        left: &LeftBehind,
    ) -> Result<()> {
        let folder = config.state_dir.clone();
        let input = self.open(file, &folder).await?;
        let own_name = self.own_name(file, &input)?;
        let client = LightClient::connect(config).await?;
        let length = Some(input.length());
        let stages = Stages::new(output.bars(), &progress::PUT, length, client.shards());
        let (name, calendar) = (self.called(&input), client.calendar());
        let watch = left.watch(self.finishing_command(file));
        let stored = self.send(&client, input, &watch.observer(&stages.observer())).await;
        let stored = watch.ended(stored);
        stages.finish();
        let named = match (&stored, own_name) {
            (Ok(report), Some(name)) => self.keep_name(&client, folder, file, report, name).await,
            _ => Named::default(),
        };
        client.close().await;
        let stored = Stored::new(name, stored?, named);
        let essential = stored.report.blob_id.to_string();
        output.result(&stored.json(&calendar, output), &essential, &stored.to_text(&calendar));
        if let Some(error) = &stored.named.failed {
            output.failed_part(None, error);
        }
        Ok(())
    }

    /// Stores the bytes.
    async fn send(
        &self,
        client: &LightClient,
        input: Input,
        observer: &Observer,
    ) -> Result<PutReport> {
        let span = tracing::info_span!("put", bytes = input.length());
        client.put(input.into_source(), self.options(), observer).instrument(span).await
    }

    /// What to call it in messages.
    fn called(&self, input: &Input) -> String {
        let given = self.name.as_deref().filter(|_| input.is_stream());
        given.map_or_else(|| input.name().to_owned(), label)
    }

    /// The name to remember: the one that was given, else the file's; a stream has none.
    fn own_name(&self, file: &Path, input: &Input) -> Result<Option<String>> {
        let of_file = || file.file_name().filter(|_| !input.is_stream());
        let name = self.name.clone();
        let name = name.or_else(|| of_file().map(|name| names::cut(&name.to_string_lossy())));
        if self.public_name && name.is_none() {
            return Err(Error::new(Kind::Usage, "a stream has no name that could be public")
                .hint("give it one with --name"));
        }
        Ok(name)
    }

    /// Remembers the name here, and writes it on the ledger if that was asked for. The blob is stored, whatever
    /// becomes of its name.
    async fn keep_name(
        &self,
        client: &LightClient,
        folder: PathBuf,
        file: &Path,
        report: &PutReport,
        name: String,
    ) -> Named {
        let (object, blob) = (report.object.map(|id| id.to_string()), report.blob_id.to_string());
        let (kept, own) = (name.clone(), object.clone());
        let kept = super::blocking(move || names::remember(&folder, own.as_deref(), &blob, &kept));
        let kept = kept.await.inspect_err(|error| {
            names::warn("the blob is stored, its name is not remembered", error);
        });
        let known = kept.is_ok().then(|| name.clone());
        if !self.public_name {
            return Named { name: known, ..Named::default() };
        }
        match self.publish(client, file, report, &name).await {
            Ok(written) => Named { name: Some(name), public: Some(written), failed: None },
            Err(error) => Named { name: known, public: None, failed: Some(error) },
        }
    }

    /// Writes the name on the ledger; a failure says that the blob itself is stored, and by which command only its
    /// name is written.
    async fn publish(
        &self,
        client: &LightClient,
        file: &Path,
        report: &PutReport,
        name: &str,
    ) -> Result<Option<Receipt>> {
        let id = report.blob_id;
        let Some(object) = &report.object else {
            let message = format!(
                "the blob {id} is stored, but somebody's permanent object keeps it, and only an object \
                 of yours can carry a public name"
            );
            let command = self.owning_command(file);
            return Err(Error::new(Kind::Usage, message)
                .hint(format!("{command} pays for an object of yours, which carries it"))
                .detail("blob_id", id.to_string()));
        };
        client.publish_name(object, name).await.map_err(|error| {
            let message = format!(
                "the blob {id} is stored, but its name is not on the ledger: {}",
                error.message()
            );
            let command = naming_command(object, name);
            let again = format!("{command} writes it, and pays for nothing else");
            Error::new(error.kind(), message)
                .hint(format!("{again}; first: {}", error.next_step()))
                .retryable(error.is_retryable())
                .detail("blob_id", id.to_string())
                .detail("object_id", object.to_string())
        })
    }

    /// The command that finishes a put which failed after it registered; none if it would make another object.
    fn finishing_command(&self, file: &Path) -> Option<String> {
        if self.force {
            return None;
        }
        let mut command = terminal::shell(&file.to_string_lossy());
        command.push_str(&format!(" --epochs {}", self.epochs));
        for (is_given, flag) in
            [(self.permanent, " --permanent"), (self.allow_empty, " --allow-empty")]
        {
            command.push_str(if is_given { flag } else { "" });
        }
        Some(format!("`haulout put {command}`"))
    }

    /// The command that puts the same again, into an object of the wallet's own that carries the name.
    fn owning_command(&self, file: &Path) -> String {
        let mut command = terminal::shell(&file.to_string_lossy());
        if let Some(name) = &self.name {
            command.push_str(&format!(" --name {}", terminal::shell(name)));
        }
        command.push_str(&format!(" --public-name --epochs {}", self.epochs));
        for (is_given, flag) in
            [(self.permanent, " --permanent"), (self.allow_empty, " --allow-empty")]
        {
            command.push_str(if is_given { flag } else { "" });
        }
        format!("`haulout put {command} --force`")
    }
}

/// The command that names the object that is there. To put again might buy another epoch, if one ended meanwhile.
fn naming_command(object: &ObjectId, name: &str) -> String {
    let end_of_flags = if name.starts_with('-') { "-- " } else { "" };
    format!("`haulout name {object} {end_of_flags}{}`", terminal::shell(name))
}

impl Stored {
    fn new(name: String, mut report: PutReport, named: Named) -> Self {
        report.cost = report.cost.plus(Cost { wal: 0, gas: named.gas() });
        Self { name, report, named }
    }

    /// For programs, with what went wrong with the name.
    fn json(&self, calendar: &Calendar, output: &Output) -> Value {
        let mut json = self.to_json(calendar);
        let failed = self.named.failed.as_ref();
        json["name_error"] = failed.map_or(Value::Null, |error| output.error_json(error));
        json
    }
}

/// A name in an argument.
pub(super) fn name(text: &str) -> Result<String, String> {
    match text.trim().is_empty() || names::cut(text) != text {
        true => Err(format!("a name has 1 to {} bytes and is not blank", names::NAME_BYTES_MAX)),
        false => Ok(text.to_owned()),
    }
}

/// How many files at once.
fn at_once(text: &str) -> Result<NonZeroUsize, String> {
    let number =
        text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= limits::PUTS_AT_ONCE_MAX);
    number.ok_or_else(|| format!("it is a number from 1 to {}", limits::PUTS_AT_ONCE_MAX))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        put: Put,
    }

    fn parse(line: &[&str]) -> Put {
        Line::try_parse_from([&["put"], line].concat()).unwrap().put
    }

    #[test]
    fn a_name_that_no_list_could_show_is_refused() {
        assert_eq!(name("père noël").as_deref(), Ok("père noël"));
        for wrong in ["", " \t", &"x".repeat(256)] {
            assert!(name(wrong).unwrap_err().contains("255 bytes"), "{wrong:?}");
        }
    }

    #[test]
    fn the_command_that_writes_only_the_name_buys_nothing_else() {
        let object = ObjectId::from_bytes([0xab; 32]);
        let id = "ab".repeat(32);
        assert_eq!(naming_command(&object, "a b"), format!("`haulout name 0x{id} 'a b'`"));
        assert_eq!(naming_command(&object, "-x"), format!("`haulout name 0x{id} -- -x`"));
    }

    #[test]
    fn the_command_that_pays_for_an_own_object_repeats_what_was_asked_for() {
        let of = |line: &[&str], file: &str| parse(line).owning_command(Path::new(file));
        let plain = "`haulout put 'a b' --public-name --epochs 5 --force`";
        assert_eq!(of(&["a b", "--force"], "a b"), plain);
        let line = ["-", "--name", "x y", "--epochs", "9", "--permanent", "--allow-empty"];
        assert_eq!(
            of(&line, "-"),
            "`haulout put - --name 'x y' --public-name --epochs 9 --permanent --allow-empty --force`"
        );
    }

    #[test]
    fn the_command_that_finishes_a_put_asks_for_the_same_and_never_for_a_new_object() {
        let of = |line: &[&str]| parse(line).finishing_command(Path::new(line[0]));
        assert_eq!(of(&["a b"]).as_deref(), Some("`haulout put 'a b' --epochs 5`"));
        let permanent = of(&["f", "--permanent", "--epochs", "7"]);
        assert_eq!(permanent.as_deref(), Some("`haulout put f --epochs 7 --permanent`"));
        assert_eq!(of(&["f", "--force"]), None);
    }

    #[test]
    fn stdin_and_one_name_go_with_one_file_only() {
        parse(&["-", "--name", "a"]).check().unwrap();
        parse(&["a", "b"]).check().unwrap();
        for line in [
            &["a", "-"][..],
            &["-", "-"],
            &["-r", "-"],
            &["a", "b", "--name", "c"],
            &["-r", "a", "--name", "c"],
        ] {
            assert_eq!(parse(line).check().unwrap_err().kind(), Kind::Usage, "{line:?}");
        }
    }

    #[test]
    fn more_at_once_than_a_node_takes_from_one_client_is_refused() {
        let most = limits::PUTS_AT_ONCE_MAX;
        assert_eq!(parse(&["a", "--at-once", &most.to_string()]).at_once.get(), most);
        assert!(parse(&["a"]).at_once.get() <= most);
        let of_short = limits::STREAMS_LENT_MAX + limits::STREAMS_CONFIRMING_MAX;
        let streams = limits::LONG_PUTS_AT_ONCE_MAX + of_short;
        assert!(streams + 2 <= limits::STREAMS_TO_PEER_MAX, "questions need some, too");
        for wrong in ["0", "x", &(most + 1).to_string()] {
            assert!(at_once(wrong).unwrap_err().contains("from 1 to"), "{wrong}");
        }
    }
}
