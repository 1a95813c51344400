//! Whether a fact that is waited for is true, may come, or cannot come by itself.
//!
//! Promises: what only a person can bring about is said at once, with the command that does it. Does not: ask anybody.

use haulout_node::error::{Error, Kind, Result};

use crate::banner::Tolerance;
use crate::cli::status::{NodeView, Report, Verdict};
use crate::control::{ProcessState, ProcessStatus, Trouble};
use crate::settings::no_process;
use crate::state::Card;

/// How it stands with a fact.
#[derive(Debug)]
pub(super) enum Prospect {
    True,
    /// It may become true without anybody's help.
    MayCome,
    /// It does not become true before somebody does what this says.
    Never(Error),
}

/// Whether a process runs and answers.
pub(super) fn of_running(process: &ProcessStatus, answers: bool) -> Prospect {
    if process.doing.is_some() {
        return Prospect::MayCome; // it is being stopped or started at this moment
    }
    let is_left_alone = process.resumes_in_ms.is_none();
    match (process.state, &process.trouble) {
        (ProcessState::Running, _) if answers => Prospect::True,
        (ProcessState::New, _) => Prospect::MayCome,
        // One that runs and is in trouble was stopped by somebody else's signal.
        (state, Some(trouble)) if is_left_alone => {
            Prospect::Never(never(&process.name, state, trouble))
        }
        _ => Prospect::MayCome,
    }
}

/// Whether a node was removed.
pub(super) fn of_gone(card: &Card, name: &str) -> Result<Prospect> {
    if card.removed.iter().any(|gone| gone == name) {
        return Ok(Prospect::True);
    }
    match card.nodes.iter().find(|node| node.name == name) {
        Some(node) if node.is_leaving => Ok(Prospect::MayCome),
        Some(_) => {
            let message = format!("{name} does not leave, and nothing changes that by itself");
            Ok(Prospect::Never(Error::new(Kind::Degraded, message).hint(format!(
                "`devnet remove {name} --graceful` has it leave when others have its shards"
            ))))
        }
        None => Err(no_process(name, card.nodes.iter().map(|node| node.name.as_str()))),
    }
}

fn never(name: &str, state: ProcessState, trouble: &Trouble) -> Error {
    let word = match state {
        ProcessState::Paused => "is paused",
        ProcessState::Running => "stands still",
        _ => "does not run",
    };
    let message = format!("{name} {word}, and nothing changes that by itself: {}", trouble.cause);
    Error::new(Kind::Degraded, message).hint(trouble.next_step.clone())
}

/// Whether every node that should run answers, and reads and writes work, as far as anybody knows: whether what was stored
/// before disks were lost can be read is a question about each blob. Who was killed or paused by hand should not
/// run, as long as reads and writes work without it.
pub(super) fn of_ready(card: &Card, report: &Report<'_>) -> Prospect {
    let mut found = Prospect::True;
    let mut away: Vec<(&ProcessStatus, usize)> = Vec::new();
    if let Some(ledger) = &report.ledger {
        match of_running(ledger, report.has_ledger()) {
            Prospect::True => {}
            other => return other,
        }
    }
    for view in &report.views {
        let Some(process) = &view.process else { return Prospect::MayCome };
        if view.is_unfinished() {
            continue; // it is no part of the network yet
        }
        // Nobody asked for its absence: it ended, or somebody else's signal stopped it.
        let is_missed = matches!(process.state, ProcessState::Exited | ProcessState::Running);
        match of_running(process, view.is_in()) {
            Prospect::Never(error) if is_missed => return Prospect::Never(error),
            _ => {}
        }
    }
    for view in report.views.iter().filter(|view| !view.is_unfinished()) {
        let Some(process) = &view.process else { continue };
        match of_running(process, view.is_in()) {
            Prospect::True => {}
            Prospect::MayCome => found = Prospect::MayCome,
            Prospect::Never(_) => away.push((process, view.shards())),
        }
    }
    let there: usize = report.views.iter().map(NodeView::shards).sum::<usize>()
        + report.shards_of_others()
        - away.iter().map(|one| one.1).sum::<usize>();
    let (_, quorum) = Tolerance::needed(card);
    match (away.first(), report.works()) {
        (Some((first, _)), _) if there < quorum => {
            let names: Vec<&str> = away.iter().map(|(process, _)| process.name.as_str()).collect();
            let message = format!(
                "without {} there are {there} shards, and writes need {quorum}",
                names.join(", ")
            );
            let step = first.trouble.as_ref().map(|trouble| trouble.next_step.clone());
            Prospect::Never(Error::new(Kind::Degraded, message).hint(step.unwrap_or_default()))
        }
        (_, (Verdict::Works | Verdict::InDoubt, Verdict::Works)) => found,
        _ => Prospect::MayCome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::banner::tests::sample_card;
    use crate::cli::status::tests::{Sample, sample_report};

    fn process(state: ProcessState, resumes_in_ms: Option<u64>) -> ProcessStatus {
        let trouble = Trouble { cause: "it is so".into(), next_step: "`devnet help`".into() };
        let trouble = (state != ProcessState::Running).then_some(trouble);
        let (name, pid) = ("n2".to_owned(), Some(7));
        ProcessStatus { name, state, pid, seconds: 1, resumes_in_ms, trouble, doing: None }
    }

    /// `true`, `may come`, or the command that brings it.
    fn said(prospect: Prospect) -> String {
        match prospect {
            Prospect::True => "true".to_owned(),
            Prospect::MayCome => "may come".to_owned(),
            Prospect::Never(error) => {
                assert_eq!(error.kind(), Kind::Degraded);
                error.next_step().to_owned()
            }
        }
    }

    #[test]
    fn running_means_that_it_answers_and_what_cannot_come_is_said_at_once() {
        for (state, resumes, answers, expected) in [
            (ProcessState::Running, None, true, "true"),
            (ProcessState::Running, None, false, "may come"),
            (ProcessState::New, None, false, "may come"),
            (ProcessState::Paused, Some(9), false, "may come"),
            (ProcessState::Paused, None, false, "`devnet help`"),
            (ProcessState::Killed, None, false, "`devnet help`"),
            (ProcessState::Exited, None, false, "`devnet help`"),
        ] {
            let prospect = of_running(&process(state, resumes), answers);
            assert_eq!(said(prospect), expected, "{state:?} {resumes:?} {answers}");
        }
    }

    #[test]
    fn who_was_stopped_by_the_signal_of_somebody_else_does_not_come_back_by_itself() {
        let mut stopped = process(ProcessState::Running, None);
        stopped.trouble = Some(Trouble {
            cause: "it was stopped".into(),
            next_step: "`devnet resume n2`".into(),
        });
        assert_eq!(said(of_running(&stopped, false)), "`devnet resume n2`");
        assert_eq!(said(of_running(&stopped, true)), "true", "it went on meanwhile");

        // Reads and writes work without it, and it should run all the same.
        let card = sample_card(4, 8);
        let well = [ProcessState::Running; 4];
        let sample = Sample { states: well, silent: Some(1), ledger: ProcessState::Running };
        let mut report = sample_report(&card, &sample);
        report.views[1].process = Some(stopped);
        assert_eq!(said(of_ready(&card, &report)), "`devnet resume n2`");
    }

    #[test]
    fn a_node_is_gone_when_it_was_removed_and_one_that_stays_is_not_waited_for() {
        let mut card = sample_card(4, 8);
        card.nodes[1].is_leaving = true;
        card.removed = vec!["n7".into()];
        let of = |name| of_gone(&card, name).map(said);
        assert_eq!(of("n7").unwrap(), "true");
        assert_eq!(of("n2").unwrap(), "may come");
        assert!(of("n1").unwrap().starts_with("`devnet remove n1 --graceful` "));
        assert_eq!(of("n9").unwrap_err().kind(), Kind::Usage);
    }

    #[test]
    fn ready_means_that_whoever_should_run_answers_and_that_reads_and_writes_work() {
        use ProcessState::{Exited, Killed, Paused, Running};
        let card = sample_card(4, 8); // two shards each; writes need six
        let well = [Running; 4];
        for (states, silent, ledger, expected) in [
            (well, None, Running, "true"),
            (well, Some(2), Running, "may come"),
            // One may be away if that is what was asked for; two are too many for writes.
            ([Running, Running, Running, Killed], None, Running, "true"),
            ([Running, Running, Running, Paused], None, Running, "true"),
            ([Running, Running, Running, Killed], Some(0), Running, "may come"),
            ([Running, Running, Killed, Killed], None, Running, "mend n3"),
            // Who ended by itself should run, and does not come back by itself.
            ([Running, Running, Running, Exited], None, Running, "mend n4"),
            (well, None, Killed, "mend ledger"),
        ] {
            let sample = Sample { states, silent, ledger };
            let prospect = of_ready(&card, &sample_report(&card, &sample));
            assert_eq!(said(prospect), expected, "{states:?} {silent:?} {ledger:?}");
        }
    }
}
