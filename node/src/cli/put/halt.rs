//! A failure of one file that every other file of the same command would meet.
//!
//! Promises: after it no file is begun; people read it once, with how many files failed so and how many were not begun;
//! programs get one object for each file. Does not: stop files that are begun, which may be paid already.

use std::path::PathBuf;

use crate::cli::output::Output;
use crate::error::{Error, Kind};

/// Whether a failure holds for whatever else the command would put: there are no coins, no ledger or no network, or too
/// few nodes sign.
fn holds_for_all(kind: Kind) -> bool {
    matches!(kind, Kind::Funds | Kind::LedgerUnreachable | Kind::NoNetwork | Kind::Quorum)
}

/// Why no more files are begun, if so.
#[derive(Debug, Default)]
pub(super) struct Halt {
    /// The first failure that holds for all, and whose it was.
    first: Option<(String, Error)>,
    /// How many files failed so.
    failed: usize,
}

impl Halt {
    /// Tells a failure, or keeps it for the end if it holds for all.
    pub(super) fn failed(&mut self, file: &str, error: Error, output: &Output) {
        if !holds_for_all(error.kind()) || self.is_another(&error) {
            output.failed_item(file, &error);
            return;
        }
        self.failed += 1;
        if output.is_json() {
            output.failed_item(file, &error);
        }
        self.first.get_or_insert_with(|| (file.to_owned(), error));
    }

    /// Whether files may be begun.
    pub(super) fn goes_on(&self) -> bool {
        self.first.is_none()
    }

    /// Tells what was kept; `left` are the files that were not begun.
    pub(super) fn end(self, left: &[PathBuf], output: &Output) {
        let Some((file, error)) = self.first else { return };
        if !output.is_json() {
            let what = match (self.failed, left.len()) {
                (1, 0) => file,
                (1, left) => format!("{file}, and {left} more not begun"),
                (failed, 0) => format!("{failed} files"),
                (failed, left) => format!("{failed} files, and {left} more not begun"),
            };
            output.failed_item(&what, &error);
            return;
        }
        for file in left {
            let error = Error::new(error.kind(), format!("not begun: {}", error.message()))
                .hint(error.next_step())
                .retryable(error.is_retryable());
            output.failed_item(&file.to_string_lossy(), &error);
        }
    }

    fn is_another(&self, error: &Error) -> bool {
        self.first.as_ref().is_some_and(|(_, first)| first.kind() != error.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_for_all_ends_the_command_and_what_is_wrong_with_one_file_does_not() {
        let output = Output::of_parser(false);
        let fails = |halt: &mut Halt, kind| halt.failed("f", Error::new(kind, "so"), &output);
        let mut halt = Halt::default();
        for kind in [Kind::File, Kind::Usage, Kind::Full, Kind::Chain, Kind::Timeout, Kind::Config]
        {
            fails(&mut halt, kind);
            assert!(halt.goes_on(), "{kind:?}");
        }
        for kind in [Kind::Funds, Kind::LedgerUnreachable, Kind::NoNetwork, Kind::Quorum] {
            let mut halt = Halt::default();
            fails(&mut halt, kind);
            assert!(!halt.goes_on(), "{kind:?}");
        }
        for kind in [Kind::Funds, Kind::Funds, Kind::File, Kind::Quorum] {
            fails(&mut halt, kind);
        }
        assert_eq!(halt.failed, 2, "another failure is told by itself");
    }
}
