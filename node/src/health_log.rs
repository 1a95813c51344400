//! Says in the log what begins, and what stops, to be not well with a node.
//!
//! Promises: each condition is told once when it begins and once when it is over; metrics that nobody scrapes, but that are
//! exported, say the same. Does not: serve anything, or mend anything.

use std::time::Duration;

use haulout_protocol::machine::conditions::{Condition, Name};
use tokio_util::sync::CancellationToken;

use crate::endpoint::Subject;

/// Between two looks: as often as the store is measured, or less.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Looks until `stop` is cancelled.
pub(crate) async fn keep(subject: Subject, stop: CancellationToken) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut known = Vec::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => {}
        }
        let conditions = subject.conditions();
        let (begun, over) = news(&mut known, &conditions);
        for condition in begun {
            let Condition { name, cause, next_step, .. } = condition;
            tracing::warn!(%name, cause, next_step, "something is not well");
        }
        for name in over {
            tracing::info!(%name, "it is well again");
        }
    }
}

/// What was not known, and what is over; from now on the rest is known.
fn news<'a>(known: &mut Vec<Name>, conditions: &'a [Condition]) -> (Vec<&'a Condition>, Vec<Name>) {
    let now: Vec<Name> = conditions.iter().map(|condition| condition.name).collect();
    let begun = conditions.iter().filter(|condition| !known.contains(&condition.name)).collect();
    let over = known.iter().copied().filter(|name| !now.contains(name)).collect();
    *known = now;
    (begun, over)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_is_told_once_when_it_begins_and_once_when_it_is_over() {
        let condition = |name| Condition {
            name,
            cause: String::new(),
            next_step: String::new(),
            only_strangers: false,
        };
        let (full, rot) = (Name::DiskFull, Name::RotFound);
        let mut known = Vec::new();
        for (conditions, begins, ends) in [
            (vec![], vec![], vec![]),
            (vec![full], vec![full], vec![]),
            (vec![full, rot], vec![rot], vec![]),
            (vec![rot], vec![], vec![full]),
            (vec![rot], vec![], vec![]),
            (vec![], vec![], vec![rot]),
        ] {
            let conditions: Vec<_> = conditions.into_iter().map(condition).collect();
            let (begun, over) = news(&mut known, &conditions);
            let begun: Vec<_> = begun.into_iter().map(|condition| condition.name).collect();
            assert_eq!((begun, over), (begins, ends));
        }
    }
}
