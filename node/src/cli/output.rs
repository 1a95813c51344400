//! What a command prints, and where.
//!
//! Promises: a reader that goes away (`| head`) is no failure; JSON is one object on one line.
//! Does not: know what is printed.

use std::io::{self, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde_json::Value;

use super::{Common, When};
use crate::error::Error;

/// How this command speaks.
#[derive(Debug)]
pub(super) struct Output {
    json: bool,
    quiet: bool,
    bars: MultiProgress,
}

impl Output {
    pub(super) fn new(common: &Common) -> Self {
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
            bars: MultiProgress::with_draw_target(target),
        }
    }

    /// For errors of the parser, before there are flags.
    pub(super) fn json_only() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Self { json: true, quiet: true, bars }
    }

    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Prints a result in the form asked for: JSON, the essential value, or lines for people.
    pub(super) fn result(&self, json: &Value, essential: &str, people: &str) {
        if self.json {
            text(&format!("{json}\n"));
        } else if !self.quiet {
            text(people);
        } else if !essential.is_empty() {
            text(&format!("{essential}\n"));
        }
    }

    /// Prints a part of a result that comes bit by bit: lines for people, or essential lines. Nothing of
    /// it is JSON, which is one object.
    pub(super) fn part(&self, essential: &str, people: &str) {
        match (self.json, self.quiet) {
            (true, _) => {}
            (false, true) => text(essential),
            (false, false) => text(people),
        }
    }

    /// Prints a result of which stdout already carries the bytes: to stderr, and only for people.
    pub(super) fn aside(&self, people: &str) {
        if self.is_for_people() {
            note(people.trim_end());
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
        if self.json {
            text(&format!("{}\n", error.to_json()));
        } else {
            note(&error.to_text());
        }
        error.kind().exit_code()
    }
}

/// Writes to stdout; a closed stdout is no failure.
pub(super) fn text(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes a line to stderr.
pub(super) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes a question to stderr, on whose line the answer will be.
pub(super) fn ask(question: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
}

/// Bytes as people read them: `24.0 MiB`.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
