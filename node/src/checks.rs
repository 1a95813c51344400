//! What a node needs of its machine, its ledger and its peers: checked one by one, each with what was found and what to do.
//!
//! Promises: a check ends in bounded time, changes nothing and leaves nothing behind; whatever is not well has a next step.
//! Does not: decide what follows from it, or print.

mod address;
mod machine;
mod network;
mod reach;

use serde_json::{Value, json};

use crate::error::{Error, Kind};
use crate::words;

pub(crate) use address::ip_of;
pub(crate) use reach::{failure as door_failure, name as door_name, told as told_reach};

pub use address::{addresses, at, reached_at};
pub use machine::{Disk, disk, keys, open_files, ports};
pub use network::{clock, ledger, peers};
pub use reach::{Trial, reachability};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Good,
    /// The node works, but not as well as it could, or it could not be seen.
    Doubtful,
    /// The node would not work so.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was looked at, always in the same words.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found, in one line.
    pub found: String,
    /// What to do, unless all is well.
    pub next_step: Option<String>,
    /// The kind of failure if it is bad: for exit codes.
    pub kind: Kind,
}

impl Outcome {
    /// The sign before the line.
    pub fn sign(self) -> char {
        match self {
            Outcome::Good => '✓',
            Outcome::Doubtful => '!',
            Outcome::Bad => '✗',
        }
    }

    /// The word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Good => "good",
            Outcome::Doubtful => "doubtful",
            Outcome::Bad => "bad",
        }
    }
}

impl Check {
    /// All is well.
    pub(crate) fn good(name: &'static str, found: impl Into<String>) -> Check {
        Check {
            name,
            outcome: Outcome::Good,
            found: found.into(),
            next_step: None,
            kind: Kind::Internal,
        }
    }

    /// Something could be better.
    pub(crate) fn doubtful(
        name: &'static str,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Check {
        Check {
            outcome: Outcome::Doubtful,
            next_step: Some(next.into()),
            ..Check::good(name, found)
        }
    }

    /// It does not work so.
    pub(crate) fn bad(
        name: &'static str,
        kind: Kind,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Check {
        Check { outcome: Outcome::Bad, kind, ..Check::doubtful(name, found, next) }
    }

    /// It does not work so, as this failure says.
    pub(crate) fn failed(name: &'static str, error: &Error) -> Check {
        Check::bad(name, error.kind(), error.message(), error.next_step())
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "outcome": self.outcome.name(),
            "found": self.found,
            "next_step": self.next_step,
            "kind": (self.outcome == Outcome::Bad).then(|| self.kind.name()),
        })
    }
}

/// The checks as lines, each with its next step below.
pub fn to_text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let (sign, found) = (check.outcome.sign(), words::label(&check.found));
        text.push_str(&format!("{sign} {:<9} {found}\n", check.name));
        if let Some(next) = &check.next_step {
            text.push_str(&format!("            next: {}\n", words::label(next)));
        }
    }
    text
}

/// All checks for programs.
pub fn to_json(checks: &[Check]) -> Value {
    checks.iter().map(Check::to_json).collect()
}

/// The first check that is bad.
pub fn first_bad(checks: &[Check]) -> Option<&Check> {
    checks.iter().find(|check| check.outcome == Outcome::Bad)
}

/// How many ended well, and of how many: `7 of 9 checks are well`.
pub fn summary(checks: &[Check]) -> String {
    let good = checks.iter().filter(|check| check.outcome == Outcome::Good).count();
    format!("{good} of {} are well", words::count(checks.len(), "check"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_told_one_a_line_with_what_to_do() {
        let checks = [
            Check::good("disk", "3 TiB\u{1b} free"),
            Check::bad("ports", Kind::PortInUse, "taken", "stop it"),
            Check::doubtful("clock", "unknown", "look"),
        ];
        let text = "✓ disk      3 TiB\\u{1b} free\n✗ ports     taken\n            next: stop it\n\
                    ! clock     unknown\n            next: look\n";
        assert_eq!(to_text(&checks), text);
        assert_eq!(first_bad(&checks).unwrap().name, "ports");
        assert_eq!(summary(&checks), "1 of 3 checks are well");
        let json = to_json(&checks);
        assert_eq!((&json[1]["kind"], &json[2]["kind"]), (&json!("PORT_IN_USE"), &Value::Null));
    }
}
