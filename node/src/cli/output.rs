//! What a command prints, and where.
//!
//! Promises: an answer that cannot be written changes the exit code, and what is essential of it is
//! told on stderr, whichever verb it is of; a reader that goes away (`| head`) is told by the exit
//! code alone; JSON is one object on one line, or one for each of several things; bars never share a terminal with what stdout carries.
//! Does not: know what is printed.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde_json::Value;

use super::{Common, When};
use crate::error::{Error, Kind, Result};
use crate::{devnets, hints, terminal};

pub(super) use crate::terminal::{ask, note};

/// What to do where an answer was lost and nothing else.
const ASK_AGAIN: &str =
    "nothing was changed or paid; ask again, with a place where the answer can be written";

/// How this command speaks.
#[derive(Debug)]
pub(super) struct Output {
    json: bool,
    quiet: bool,
    progress: When,
    bars: MultiProgress,
    flags: CommandFlags,
    /// Why an answer could not be written, as the exit code.
    lost: OnceLock<u8>,
    /// The largest exit code of the parts that failed.
    failed: AtomicU8,
}

/// What commands in our texts need, so that they mean the same network and wallet when pasted.
#[derive(Clone, Debug, Default)]
pub(super) struct CommandFlags {
    /// For `haulout`: the configuration or context that was given.
    pub(super) haulout: String,
    /// For `devnet`: its name, if it needs one; none where no devnet is meant.
    pub(super) devnet: Option<String>,
    /// The devnet that the command is about, if it is about one.
    pub(super) devnet_name: Option<String>,
    /// Whether the command only looks: then whoever lost its answer may ask again.
    pub(super) only_looks: bool,
}

impl CommandFlags {
    fn put_into(&self, text: &str) -> String {
        let text = match &self.devnet_name {
            Some(name) => devnets::put_into(text, name),
            None => text.to_owned(),
        };
        let text = hints::with_flags(&text, "haulout", &self.haulout);
        match &self.devnet {
            Some(flags) => hints::with_flags(&text, "devnet", flags),
            None => hints::without_devnet(&text),
        }
    }
}

impl Output {
    pub(super) fn new(common: &Common, flags: CommandFlags) -> Self {
        let shown = match common.progress {
            When::Auto => io::stderr().is_terminal() && !common.json && !common.quiet,
            When::Always => true,
            When::Never => false,
        };
        let target =
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            json: common.json,
            quiet: common.quiet,
            progress: common.progress,
            bars: MultiProgress::with_draw_target(target),
            flags,
            lost: OnceLock::new(),
            failed: AtomicU8::new(0),
        }
    }

    /// For what the parser says by itself, before there are flags.
    pub(super) fn of_parser(json: bool) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let flags = CommandFlags { only_looks: true, ..CommandFlags::default() };
        let lost = OnceLock::new();
        let failed = AtomicU8::new(0);
        Self { json, quiet: false, progress: When::Never, bars, flags, lost, failed }
    }

    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Gives stdout to the bytes of a blob: bars would erase them on the terminal they may reach,
    /// also behind a pipe. There, one may insist.
    pub(super) fn give_up_stdout(&self) {
        let facts = rustix::fs::fstat(io::stdout());
        let is_file = facts.is_ok_and(|facts| {
            rustix::fs::FileType::from_raw_mode(facts.st_mode) == rustix::fs::FileType::RegularFile
        });
        let insists = matches!(self.progress, When::Always) && !io::stdout().is_terminal();
        if !is_file && !insists {
            self.bars.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    /// Takes the bars away: later they would take the lines that stand there by then.
    fn clear_bars(&self) {
        // Best effort: without a terminal there are none.
        let _ = self.bars.clear();
    }

    /// A text of ours whose commands work when pasted.
    pub(super) fn spoken(&self, text: &str) -> String {
        self.flags.put_into(text)
    }

    /// Prints a result in the form asked for: JSON, the essential value, or lines for people.
    pub(super) fn result(&self, json: &Value, essential: &str, people: &str) {
        self.clear_bars();
        self.keep(if self.json {
            terminal::json_line(json)
        } else if !self.quiet {
            let people = self.spoken(people);
            terminal::answer(&people, if essential.is_empty() { &people } else { essential })
        } else if !essential.is_empty() {
            terminal::exact(&format!("{essential}\n"))
        } else {
            Ok(())
        });
    }

    /// Prints text that is the whole result, as help is.
    pub(super) fn text(&self, text: &str) {
        self.clear_bars();
        self.keep(terminal::answer(text, ""));
    }

    /// Remembers, and tells, that an answer was not written.
    fn keep(&self, written: Result<()>) {
        if let Err(error) = written {
            let error = match self.flags.only_looks {
                true => error.hint(ASK_AGAIN).retryable(true),
                false => error,
            };
            let code = error.kind().exit_code();
            if self.lost.set(code).is_ok() {
                self.tell(&error);
            }
        }
    }

    /// Prints a part of a result that comes bit by bit: lines for people, or essential lines. Nothing of
    /// it is JSON, which is one object. After a failure nothing more is tried.
    pub(super) fn part(&self, essential: &str, people: &str) -> ControlFlow<()> {
        self.keep(match (self.json, self.quiet) {
            (true, _) => Ok(()),
            (false, true) => terminal::exact(essential),
            (false, false) => terminal::answer(people, ""),
        });
        match self.lost.get() {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    /// Prints the result for one of several things, beside bars that go on: a line of JSON, an essential
    /// line, or lines for people. Once an answer was lost, what is essential of the next ones goes to stderr.
    pub(super) fn item(&self, json: &Value, essential: &str, people: &str) -> ControlFlow<()> {
        if let Some(lost) = self.lost.get() {
            if *lost != Kind::Pipe.exit_code() {
                self.bars.suspend(|| note(essential));
            }
            return ControlFlow::Break(());
        }
        self.bars.suspend(|| {
            self.keep(match (self.json, self.quiet) {
                (true, _) => terminal::json_line(json),
                (false, true) => terminal::exact(&format!("{essential}\n")),
                (false, false) => terminal::answer(&self.flags.put_into(people), essential),
            });
        });
        match self.lost.get() {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    /// Prints the one word that a script asked for, where people and programs get an error that says more.
    pub(super) fn word(&self, word: &str) {
        if self.quiet && !self.json {
            self.keep(terminal::exact(&format!("{word}\n")));
        }
    }

    /// Reports that one of several things failed, by its name as it is, and remembers it for the exit code.
    pub(super) fn failed_item(&self, name: &str, error: &Error) {
        let spoken = |text: &str| self.flags.put_into(text);
        self.failed.fetch_max(error.kind().exit_code(), Ordering::Relaxed);
        self.bars.suspend(|| {
            let mut json = error.to_json_with(spoken);
            json["file"] = Value::from(name);
            if self.json {
                self.keep(terminal::json_line(&json));
                return;
            }
            let text = spoken(&error.to_text());
            let name = terminal::line(name);
            note(&format!("✗ {name}  {}", text.trim_start_matches("✗ ")));
        });
    }

    /// Remembers for the exit code that a part failed of what was told as done, and tells it on stderr; in JSON what was
    /// told has it already, as [`Self::error_json`].
    pub(super) fn failed_part(&self, name: Option<&str>, error: &Error) {
        self.failed.fetch_max(error.kind().exit_code(), Ordering::Relaxed);
        if self.json {
            return;
        }
        let text = self.spoken(&error.to_text());
        self.bars.suspend(|| match name {
            Some(name) => note(&format!("✗ {name}  {}", text.trim_start_matches("✗ "))),
            None => note(&text),
        });
    }

    /// Remembers for the exit code that the answer, though it was given, is one that no script may take for success.
    pub(super) fn answered(&self, kind: Kind) {
        self.failed.fetch_max(kind.exit_code(), Ordering::Relaxed);
    }

    /// A failure as a part of a larger answer in JSON.
    pub(super) fn error_json(&self, error: &Error) -> Value {
        error.to_json_with(|text| self.spoken(text))["error"].take()
    }

    /// Says on stderr, but for programs that want only the essential, how several things ended.
    pub(super) fn summary(&self, text: &str) {
        self.clear_bars();
        if !self.quiet {
            note(&self.flags.put_into(text));
        }
    }

    /// The exit code of a command that ended so: a lost answer is a failure, and so is a part that failed.
    pub(super) fn exit_code(&self, code: u8) -> u8 {
        match (code, self.lost.get()) {
            (0, Some(lost)) => *lost,
            (0, None) => self.failed.load(Ordering::Relaxed),
            (code, _) => code,
        }
    }

    /// Prints a result of which stdout already carries the bytes: to stderr, and only for people.
    pub(super) fn aside(&self, people: &str) {
        self.clear_bars();
        if self.is_for_people() {
            note(self.spoken(people).trim_end());
        }
    }

    /// Ends the line on which a blob left the cursor, so that what is said next has its own.
    pub(super) fn aside_after_text(&self) {
        if self.is_for_people() {
            note("");
        }
    }

    /// Whether stdout is reserved for JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether people read the output, rather than programs.
    pub(super) fn is_for_people(&self) -> bool {
        !self.json && !self.quiet
    }

    /// Reports a failure and returns its exit code.
    pub(super) fn fail(&self, error: &Error) -> u8 {
        self.clear_bars();
        let is_told = self.json
            && (error.kind() == Kind::Pipe
                || terminal::json_line(&error.to_json_with(|text| self.spoken(text))).is_ok());
        if !is_told {
            self.tell(error);
        }
        error.kind().exit_code()
    }

    /// Says on stderr what went wrong; nothing of a reader that went away.
    fn tell(&self, error: &Error) {
        match (error.kind(), self.json) {
            (Kind::Pipe, _) => {}
            (_, true) => note(&terminal::json(&error.to_json_with(|text| self.spoken(text)))),
            (_, false) => note(&self.spoken(&error.to_text())),
        }
    }
}

/// Bytes as people read them: `24.0 MiB`.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
