//! Where text leaves the process: stdout, stderr and logs, whatever the command.
//!
//! Promises: nothing leaves by here that a terminal would obey or that reads otherwise than it is
//! written, whoever chose it: control characters, marks that turn the direction of writing, and
//! characters without width are shown as `\u{1b}`, in JSON as `\u001b`. An answer that cannot be
//! written is an error which carries the answer; a reader that went away is [`Kind::Pipe`].
//! Does not: know what is printed, or look at the bytes of blobs.

pub(crate) mod shown;

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use clap::builder::StyledStr;
use clap::error::ContextValue;
use console::Term;
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::error::{Error, Kind, Result};

pub use self::shown::{block, json, line, path, shell};

use self::shown::json_safe;

/// Lines of an answer that are repeated on stderr when stdout takes none: it may be a long list.
const LINES_REPEATED_MAX: usize = 20;

/// How many columns the terminal has that stdout is; nothing if it is none, or does not say.
pub(crate) fn columns() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let (_, columns) = Term::stdout().size_checked()?;
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}

/// Writes a command's answer to stdout. `essential` is what must not be lost with it.
///
/// # Errors
/// [`Kind::Pipe`] if nobody reads any more; else the reason, with what must not be lost.
pub fn answer(text: &str, essential: &str) -> Result<()> {
    written(io::stdout().lock(), &block(text), essential)
}

/// Writes bytes that programs read: to a terminal as text, to everything else as they are.
pub(crate) fn exact(text: &str) -> Result<()> {
    if io::stdout().is_terminal() {
        return answer(text, text);
    }
    written(io::stdout().lock(), text, text)
}

/// Writes one JSON value on one line of stdout.
///
/// # Errors
/// As for [`answer`]; what must not be lost is all of it.
pub fn json_line(value: &Value) -> Result<()> {
    let line = json(value);
    written(io::stdout().lock(), &format!("{line}\n"), &line)
}

/// Writes a line to stderr, best effort: there is no other place to say that it failed.
pub fn note(line: &str) {
    let line = format!("{}\n", block(line));
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Writes a question to stderr, on whose line the answer will be.
pub(crate) fn ask(question: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(block(question).as_bytes()).and_then(|()| stderr.flush());
}

/// Whether what is written to stdout is lost without an error. A stdout that was closed (`>&-`) is opened by std, before
/// any code of ours, as `/dev/null` to read and write; a shell's `>/dev/null` is open to write. Some programs hand down
/// the former on purpose, so this is told, and is no failure.
pub(crate) fn leads_nowhere() -> bool {
    let (Ok(stdout), Ok(null)) = (rustix::fs::fstat(io::stdout()), rustix::fs::stat("/dev/null"))
    else {
        return false;
    };
    let mode = rustix::fs::fcntl_getfl(io::stdout()).unwrap_or(rustix::fs::OFlags::empty());
    (stdout.st_ino, stdout.st_dev) == (null.st_ino, null.st_dev)
        && mode.contains(rustix::fs::OFlags::RDWR)
}

/// Says on stderr what went to a stdout that leads nowhere.
fn repeat(essential: &str) {
    let lines: String = kept(essential).iter().map(|line| format!("  {line}\n")).collect();
    if !lines.is_empty() {
        note(&format!(
            "stdout is closed, or /dev/null; what was written to it:\n{}",
            lines.trim_end()
        ));
    }
}

/// The lines of an answer that are repeated.
fn kept(essential: &str) -> Vec<&str> {
    let mut kept: Vec<&str> = essential.lines().take(LINES_REPEATED_MAX).collect();
    if essential.lines().count() > kept.len() {
        kept.push("…");
    }
    kept
}

fn written(mut out: impl Write, text: &str, essential: &str) -> Result<()> {
    let done = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if done.is_ok() && leads_nowhere() {
        repeat(essential);
    }
    done.map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return gone();
        }
        Error::from_io("write the answer to", Path::new("stdout"), error)
            .detail("answer", kept(essential).join("\n"))
            .hint("what was asked for is done; only its answer was not written where it should be")
            .retryable(false) // whoever tries again pays again
    })
}

/// The error of a reader that went away, of which nobody wants to hear.
pub(crate) fn gone() -> Error {
    Error::new(Kind::Pipe, "the reader of stdout went away")
}

/// A refusal of the command line's parser, with what was typed on one line each.
pub fn refusal(mut error: clap::Error) -> String {
    let typed = error.context().filter_map(|(kind, value)| {
        let safe = match value {
            ContextValue::String(text) => ContextValue::String(line(text).into_owned()),
            ContextValue::Strings(texts) => {
                ContextValue::Strings(texts.iter().map(|text| line(text).into_owned()).collect())
            }
            _ => return None,
        };
        Some((kind, safe))
    });
    for (kind, safe) in typed.collect::<Vec<_>>() {
        error.insert(kind, safe);
    }
    let text = error.render().to_string();
    // What a value's own parser says is not part of the context, and is printed without colours.
    match std::error::Error::source(&error).map(ToString::to_string) {
        Some(reason) if !reason.is_empty() => {
            text.replace(&StyledStr::from(reason.clone()).to_string(), &line(&reason))
        }
        _ => text,
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// Text.
    Plain,
    /// Text with colours of ours.
    Coloured,
    /// JSON.
    Json,
}

/// One line of a log, whatever the event in it says.
pub(crate) fn log_line(bytes: &[u8], form: LogForm) -> String {
    let text = String::from_utf8_lossy(bytes);
    let (body, end) = text.strip_suffix('\n').map_or((&*text, ""), |body| (body, "\n"));
    let safe = match form {
        LogForm::Plain => line(body).into_owned(),
        LogForm::Json => json_safe(body),
        LogForm::Coloured => coloured(body),
    };
    safe + end
}

/// Keeps colours: an escape, `[`, digits and semicolons, `m`.
fn coloured(body: &str) -> String {
    let mut parts = body.split('\u{1b}');
    let mut safe = line(parts.next().unwrap_or_default()).into_owned();
    for part in parts {
        let codes = part.strip_prefix('[').and_then(|rest| rest.split_once('m'));
        let is_colour = |codes: &str| codes.chars().all(|c| c.is_ascii_digit() || c == ';');
        match codes.filter(|(codes, _)| is_colour(codes)) {
            Some((codes, rest)) => {
                safe.push_str(&format!("\u{1b}[{codes}m"));
                safe.push_str(&line(rest));
            }
            None => {
                safe.push_str("\\u{1b}");
                safe.push_str(&line(part));
            }
        }
    }
    safe
}

/// Plain log lines on stderr.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(log_line(line, LogForm::Plain).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests;
