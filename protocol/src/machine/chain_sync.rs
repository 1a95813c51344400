//! Order, gaps and duplicates in the stream of checkpoints, and which events are news for everybody.
//!
//! Promises: checkpoints are applied one after the other, each exactly once, whatever the source repeats, skips or
//! reorders. Does not: fetch, or remember more than the next number; the store holds the cursor.

use crate::chain::event::{Event, StakeEvent};

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

/// The part of a batch to apply now, in its order: what follows `applied` without a hole. Before a hole it ends, and what
/// was applied before is left out; if nothing remains, the missing ones are to be fetched.
pub fn following<Checkpoint>(
    mut applied: Option<u64>,
    batch: Vec<Checkpoint>,
    sequence: impl Fn(&Checkpoint) -> u64,
) -> Vec<Checkpoint> {
    let mut due = Vec::with_capacity(batch.len());
    for checkpoint in batch {
        let number = sequence(&checkpoint);
        match judge(applied, number) {
            Step::Apply => {
                applied = Some(number);
                due.push(checkpoint);
            }
            Step::Skip => {}
            Step::Fetch { .. } => break,
        }
    }
    debug_assert!(
        due.windows(2)
            .all(|pair| matches!(pair, [one, next] if sequence(next) == sequence(one) + 1)),
        "checkpoints are applied one after the other"
    );
    due
}

/// Whether an event changes what everybody should know of the network: its epoch, its members, its prices.
pub fn changes_network(event: &Event) -> bool {
    match event {
        Event::EpochChangeStart(_) | Event::PricesUpdated(_) | Event::ParamChanged(_) => true,
        Event::Stake(said) => matches!(
            said,
            StakeEvent::EpochParametersSelected(_)
                | StakeEvent::EpochChangeDone(_)
                | StakeEvent::EpochSyncForced(_)
                | StakeEvent::NodeUpdated(_)
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chain::ObjectId;
    use crate::chain::event::{BlobBurned, EpochChangeStart};

    #[test]
    fn a_new_epoch_is_news_for_everybody_and_a_burned_blob_is_not() {
        assert!(changes_network(&Event::EpochChangeStart(EpochChangeStart { epoch: 3 })));
        let object_id = ObjectId::from_bytes([2; 32]);
        let burned = BlobBurned { epoch: 3, blob_id: [1; 32], object_id };
        assert!(!changes_network(&Event::BlobBurned(burned)));
    }

    #[test]
    fn genesis_comes_first() {
        assert_eq!(judge(None, 0), Step::Apply);
        assert_eq!(judge(None, 2), Step::Fetch { from: 0, until: 2 });
        assert_eq!(judge(Some(0), 0), Step::Skip);
    }

    #[test]
    fn a_batch_is_taken_up_to_its_first_hole() {
        for (applied, batch, due) in [
            (Some(4), vec![5, 6, 7], vec![5, 6, 7]),
            (Some(4), vec![5, 7, 8], vec![5]),
            (Some(4), vec![6, 7], vec![]),
            (Some(4), vec![3, 4, 5, 5, 6], vec![5, 6]),
            (Some(4), vec![3, 4], vec![]),
            (None, vec![0, 1], vec![0, 1]),
            (None, vec![1], vec![]),
        ] {
            assert_eq!(following(applied, batch.clone(), |number| *number), due, "{batch:?}");
        }
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
