//! Every way this program can fail: one table of kinds for the command line, for JSON and for
//! people.
//!
//! Promises: a kind has exactly one name and one exit code, both stable; every kind has a page
//! (`haulout help errors KIND`) that says what it means and what to do next.
//! Does not: decide what failed. Whoever notices chooses the kind and adds its own hint.

use std::fmt;

use serde_json::Value;

use crate::terminal::shown;

mod table;

pub use table::{Kind, Page, TABLE};

/// What went wrong, said so that the reader knows what to do next.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    retryable: Option<bool>,
    details: serde_json::Map<String, Value>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything that can fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind; the message is lower case and has no full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            retryable: None,
            details: serde_json::Map::new(),
            source: None,
        }
    }

    /// Says what to do next, in place of the general advice of the kind's page.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a machine-readable fact; it appears under `details` in JSON.
    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// Says something more, after the message and its causes.
    pub fn also(mut self, more: &str) -> Self {
        self.message = format!("{}; {more}", self.message());
        self
    }

    /// A machine-readable fact that was added.
    pub fn details_of(&self, key: &str) -> Option<&Value> {
        self.details.get(key)
    }

    /// Keeps the cause; it is printed after the message.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Overrides whether trying again, unchanged, can help.
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = Some(retryable);
        self
    }

    /// The kind: name, exit code and page.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What to do next: what the place of failure said, else the advice of the kind's page.
    pub fn next_step(&self) -> &str {
        self.hint.as_deref().unwrap_or(self.kind.page().advice)
    }

    /// Whether trying again, unchanged, can help.
    pub fn is_retryable(&self) -> bool {
        self.retryable.unwrap_or(self.kind.page().retryable)
    }

    /// The message with its causes, on one line.
    pub fn message(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source.as_deref().map(|cause| cause as &dyn std::error::Error);
        while let Some(error) = cause {
            let line = error.to_string();
            if !text.contains(&line) {
                text.push_str(": ");
                text.push_str(&line);
            }
            cause = error.source();
        }
        text
    }

    /// The object that `--json` prints on stdout.
    pub fn to_json(&self) -> Value {
        self.to_json_with(str::to_owned)
    }

    /// The same; `spoken` is what becomes of the message and of the next step, as in [`crate::hints`].
    pub fn to_json_with(&self, spoken: impl Fn(&str) -> String) -> Value {
        let mut error = serde_json::json!({
            "kind": self.kind.name(),
            "code": self.kind.exit_code(),
            "message": spoken(&self.message()),
            "hint": spoken(self.next_step()),
            "retryable": self.is_retryable(),
        });
        if !self.details.is_empty() {
            error["details"] = Value::Object(self.details.clone());
        }
        serde_json::json!({ "error": error })
    }

    /// The failure in what [`Self::to_json`] printed, in whatever process; details apart.
    pub fn from_json(value: &Value) -> Option<Self> {
        let error = value.get("error")?;
        let text = |name: &str| error.get(name)?.as_str();
        let kind = Kind::from_name(text("kind")?)?;
        let mut told = Self::new(kind, text("message")?);
        told.hint = text("hint").map(str::to_owned);
        told.retryable = error.get("retryable").and_then(Value::as_bool);
        Some(told)
    }

    /// The lines that people see on stderr. A message of several lines is set apart, so that no
    /// name in it can pass for a line of ours.
    pub fn to_text(&self) -> String {
        let message = self.message().trim_end().replace('\n', "\n  │ ");
        let mut text = format!("✗ {}  {message}\n", self.kind.name());
        for member in self.details.get("missing").and_then(Value::as_array).into_iter().flatten() {
            let field = |name: &str| member.get(name).and_then(Value::as_str).unwrap_or_default();
            let (node, reason) = (shown::line(field("node")), shown::line(field("reason")));
            text.push_str(&format!("  {node}: {reason}\n"));
        }
        let answer = self.details.get("answer").and_then(Value::as_str);
        for line in answer.into_iter().flat_map(str::lines) {
            text.push_str(&format!("  the answer: {line}\n"));
        }
        text + "  " + &shown::line(self.next_step())
    }

    /// A failure of the operating system on a path: a full disk and a refused permission get
    /// their own kinds, everything else is [`Kind::File`].
    pub fn from_io(action: &str, path: &std::path::Path, error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Kind::Full,
            ErrorKind::PermissionDenied => Kind::Permission,
            _ => Kind::File,
        };
        Self::new(kind, format!("cannot {action} {}", shown::path(path))).because(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.message())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests;
