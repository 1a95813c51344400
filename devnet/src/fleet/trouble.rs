//! Why a process does not do what it should, and the command that mends it.
//!
//! Promises: everything that does not run, or stands still, has a cause and a next step, and each command in it works
//! while the devnet runs. Does not: know whether a process that runs answers; whoever asked it does.

use std::time::Duration;

use haulout_node::terminal;

use super::recovery;
use crate::control::{ProcessState, Trouble};
use crate::processes::Seen;
use crate::typed::typed;

/// What is wrong with a process that goes on by itself after so many milliseconds, if it does.
pub(super) fn of(seen: &Seen<'_>, resumes_in_ms: Option<u64>) -> Option<Trouble> {
    let name = seen.name;
    let trouble = |cause: String, next_step: String| Some(Trouble { cause, next_step });
    match (seen.state, seen.failure) {
        (ProcessState::Running, _) if seen.is_stopped => trouble(
            "it was stopped (SIGSTOP), and not by `devnet pause`".to_owned(),
            format!("`devnet resume {name}` lets it go on"),
        ),
        (ProcessState::Running, _) => None,
        (ProcessState::New, _) => trouble(
            "it was not started yet".to_owned(),
            format!("`devnet restart {name}` starts it"),
        ),
        (ProcessState::Paused, _) => trouble(
            match resumes_in_ms.map(whole_seconds) {
                Some(left) => format!("`devnet pause` stopped it; it goes on by itself in {left}"),
                None => "`devnet pause` stopped it".to_owned(),
            },
            format!("`devnet resume {name}` lets it go on"),
        ),
        (ProcessState::Killed, _) => trouble(
            "`devnet kill` ended it; its data stays".to_owned(),
            format!("`devnet restart {name}` starts it again"),
        ),
        (ProcessState::Exited, Some(failure)) => {
            trouble(terminal::line(&failure.message()).into_owned(), recovery::step(name, failure))
        }
        (ProcessState::Exited, None) => trouble(
            "it was stopped and not started again".to_owned(),
            format!("`devnet restart {name}` starts it"),
        ),
    }
}

/// A time that is left, in seconds, so that it never reads as none.
fn whole_seconds(milliseconds: u64) -> String {
    typed(Duration::from_secs(milliseconds.div_ceil(1000).max(1)))
}

#[cfg(test)]
mod tests {
    use haulout_node::error::{Error, Kind};

    use super::*;

    fn seen(state: ProcessState, failure: Option<&Error>, is_stopped: bool) -> Seen<'_> {
        Seen { name: "n2", state, pid: None, seconds: 0, failure, is_stopped }
    }

    #[test]
    fn whatever_does_not_run_has_a_cause_and_a_command_and_what_runs_has_none() {
        let damaged = Error::new(Kind::Damaged, "n2 did not start: bad page\nof its index");
        let full = Error::new(Kind::Full, "n2 ended: no room").hint("make some");
        let of = |state, failure, is_stopped| of(&seen(state, failure, is_stopped), None);
        for (state, failure, is_stopped, cause, step) in [
            (ProcessState::Killed, None, false, "`devnet kill`", "`devnet restart n2` "),
            (ProcessState::Paused, None, false, "`devnet pause`", "`devnet resume n2` "),
            (ProcessState::Running, None, true, "SIGSTOP", "`devnet resume n2` "),
            (ProcessState::Exited, None, false, "stopped", "`devnet restart n2` "),
            (ProcessState::New, None, false, "not started", "`devnet restart n2` "),
            (
                ProcessState::Exited,
                Some(&damaged),
                false,
                "bad page",
                "`devnet restart n2 --wipe` ",
            ),
            (ProcessState::Exited, Some(&full), false, "no room", "make some"),
        ] {
            let told = of(state, failure, is_stopped).unwrap();
            assert!(told.cause.contains(cause) && !told.cause.contains('\n'), "{told:?}");
            assert!(told.next_step.starts_with(step), "{told:?}");
        }
        assert_eq!(of(ProcessState::Running, None, false), None);
    }

    #[test]
    fn who_is_paused_for_a_time_is_said_to_go_on_by_itself() {
        let paused = seen(ProcessState::Paused, None, false);
        for (left, text) in [(9_001, "in 10s"), (1, "in 1s"), (0, "in 1s"), (120_000, "in 2m")] {
            assert!(of(&paused, Some(left)).unwrap().cause.ends_with(text), "{left}");
        }
    }
}
