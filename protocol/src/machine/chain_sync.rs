//! Order, gaps and duplicates in the stream of checkpoints.
//!
//! Promises: checkpoints are applied one after the other, each exactly once, whatever the source repeats, skips or
//! reorders. Does not: fetch, or remember more than the next number; the store holds the cursor.

/// What to do with a checkpoint that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is the next: apply it.
    Apply,
    /// It was applied before: drop it.
    Skip,
    /// Others are missing before it: fetch them first.
    Fetch {
        /// First missing sequence number.
        from: u64,
        /// The one that came; fetch up to and without it.
        until: u64,
    },
}

/// Judges the checkpoint `sequence`, given the last one applied (none before genesis).
pub fn judge(applied: Option<u64>, sequence: u64) -> Step {
    let next = applied.map_or(0, |applied| applied + 1);
    match sequence.cmp(&next) {
        std::cmp::Ordering::Equal => Step::Apply,
        std::cmp::Ordering::Less => Step::Skip,
        std::cmp::Ordering::Greater => Step::Fetch { from: next, until: sequence },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn genesis_comes_first() {
        assert_eq!(judge(None, 0), Step::Apply);
        assert_eq!(judge(None, 2), Step::Fetch { from: 0, until: 2 });
        assert_eq!(judge(Some(0), 0), Step::Skip);
    }

    proptest! {
        #[test]
        fn any_stream_is_applied_in_order_exactly_once(stream in proptest::collection::vec(0_u64..40, 0..200)) {
            let mut applied: Option<u64> = None;
            let mut log = Vec::new();
            for sequence in stream {
                let fetched = match judge(applied, sequence) {
                    Step::Apply => sequence..sequence + 1,
                    Step::Skip => continue,
                    Step::Fetch { from, until } => from..until + 1,
                };
                for sequence in fetched {
                    prop_assert_eq!(judge(applied, sequence), Step::Apply);
                    applied = Some(sequence);
                    log.push(sequence);
                }
            }
            prop_assert!(log.iter().copied().eq(0..log.len() as u64));
        }
    }
}
