//! Why somebody does not answer, or not yet.
//!
//! Promises: each has a cause and a next step. Does not: ask anybody.

use super::supervised::ANSWER_WITHIN_IF_IT_RUNS;
use crate::control::Trouble;
use crate::probe::Health;

/// Why a process that runs, as far as anybody knows, does not answer; stopped are those with a pid.
pub(super) fn silent(name: &str, is_supervised: bool, stopped: Option<u32>) -> Trouble {
    let within = ANSWER_WITHIN_IF_IT_RUNS.as_secs();
    let (cause, next_step) = match (stopped, is_supervised) {
        (Some(pid), _) => (
            "its process is stopped (SIGSTOP)".to_owned(),
            format!("`kill -CONT {pid}` lets it go on"),
        ),
        (None, true) => (
            format!(
                "its process runs, and did not answer within {within} s: it is busy, or it hangs"
            ),
            format!(
                "ask again; if it lasts, `devnet logs {name}` may say why, and `devnet restart {name}` starts it anew"
            ),
        ),
        (None, false) => (
            format!(
                "it did not answer within {within} s, and the supervisor, which knows whether it runs, did not either"
            ),
            "mend the supervisor first".to_owned(),
        ),
    };
    Trouble { cause, next_step }
}

/// Why a node that answers does not say yet what it has of its shards; nothing if it does, or says itself why it fails.
pub(super) fn behind(health: &Health, is_behind: bool, has_ledger: bool) -> Option<Trouble> {
    if !health.serves() || health.number("shards_missing").is_some() && !is_behind {
        return None;
    }
    let why = if has_ledger { "" } else { ", which does not answer" };
    let next_step = match has_ledger {
        true => {
            "nothing, it does so by itself in a moment: `devnet wait ready` returns when it has"
        }
        false => "mend the ledger first; the node then goes on by itself",
    };
    let cause = format!(
        "it has not read the ledger to its end yet{why}, so it cannot tell what it has of its shards"
    );
    Some(Trouble { cause, next_step: next_step.to_owned() })
}

/// Why the supervisor does not answer.
pub(super) fn unsupervised(stopped: Option<u32>) -> Trouble {
    let (cause, next_step) = match stopped {
        Some(pid) => (
            "its process is stopped (SIGSTOP)".to_owned(),
            format!("`kill -CONT {pid}` lets it go on"),
        ),
        None => (
            "it starts another process, or it is busy; the others are told as they are".to_owned(),
            "ask again; if it lasts, see `devnet logs supervisor`".to_owned(),
        ),
    };
    Trouble { cause, next_step }
}

/// Why a process does not answer that the supervisor is doing something with.
pub(super) fn handled(doing: &str, is_leaving: bool) -> Trouble {
    let why = match is_leaving {
        true => "it has left, and others have its shards",
        false => "somebody asked for it",
    };
    Trouble {
        cause: format!("the supervisor is {doing} it: {why}"),
        next_step: "nothing, it takes a moment; ask again".to_owned(),
    }
}
