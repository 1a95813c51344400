//! What to do after a process failed, said so that it can be done where it is said.
//!
//! Promises: a devnet that does not start is told the flags of `up` that make it start, one that runs
//! the verbs that need it running. Does not: do any of it, because data would go.

use haulout_node::error::{Error, Kind};

/// The failure of a start, after which nothing runs: of these processes, by name, at least one.
pub(super) fn of_start(mut failed: Vec<(String, Error)>) -> Error {
    // What a disk lost is what the next step is about, whatever else failed.
    failed.sort_by_key(|(_, error)| error.kind() != Kind::Damaged);
    let damaged = failed.iter().filter(|(_, error)| error.kind() == Kind::Damaged);
    let damaged: Vec<&str> = damaged.map(|(name, _)| name.as_str()).collect();
    let (kind, hint) = match failed.first() {
        Some((name, error)) if error.kind() == Kind::Damaged && name != "ledger" => {
            (Kind::Damaged, wiped(&format!("`devnet up --wipe {}`", damaged.join(","))))
        }
        Some((name, error)) => (error.kind(), elsewhere(name, error)),
        None => (Kind::Internal, "see `devnet logs`".to_owned()),
    };
    let messages: Vec<String> = failed.iter().map(|(_, error)| error.message()).collect();
    Error::new(kind, messages.join("\n")).hint(hint)
}

/// The failure of one process of a devnet that runs.
pub(super) fn of_restart(name: &str, error: Error) -> Error {
    let hint = step(name, &error);
    error.hint(hint)
}

/// What to do after one process of a devnet that runs failed so.
pub(super) fn step(name: &str, error: &Error) -> String {
    match error.kind() {
        Kind::Damaged if name != "ledger" => wiped(&format!("`devnet restart {name} --wipe`")),
        // Whoever stored nothing yet, or lost its disk, knows the network from the ledger only.
        Kind::LedgerUnreachable if name != "ledger" => format!(
            "`devnet restart ledger` first, then `devnet restart {name}`: a node with an empty store begins by reading the ledger"
        ),
        _ => elsewhere(name, error),
    }
}

fn wiped(command: &str) -> String {
    format!(
        "{command} deletes what it stored and starts it empty, so that its shards count as missing; the others serve \
         without it"
    )
}

/// The next step that is the same whether or not the devnet runs.
fn elsewhere(name: &str, error: &Error) -> String {
    match error.kind() {
        Kind::Damaged if name == "ledger" => {
            "`devnet up --fresh` deletes this devnet's data and starts everything over".to_owned()
        }
        // Its ports were settled when it was born, so no setting of the node's is the way out.
        Kind::PortInUse => {
            "stop the program that uses it, or start over with `devnet up --fresh --port-base 0`"
                .to_owned()
        }
        _ => error.next_step().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damaged(name: &str) -> (String, Error) {
        (name.to_owned(), Error::new(Kind::Damaged, format!("{name} did not start: bad page")))
    }

    #[test]
    fn a_damaged_disk_is_named_with_steps_that_are_possible_where_they_are_said() {
        let full = ("n1".to_owned(), Error::new(Kind::Full, "n1 did not start: no room"));
        let error = of_start(vec![full, damaged("n2"), damaged("n4")]);
        assert_eq!(error.kind(), Kind::Damaged);
        assert!(error.next_step().starts_with("`devnet up --wipe n2,n4` "), "{error:?}");
        for name in ["n1 did", "n2 did", "n4 did"] {
            assert!(error.message().contains(name), "{error}");
        }
        let error = of_restart("n2", damaged("n2").1);
        assert!(error.next_step().starts_with("`devnet restart n2 --wipe` "), "{error:?}");
    }

    #[test]
    fn a_damaged_ledger_and_a_taken_port_are_what_only_a_new_devnet_mends() {
        for error in [of_start(vec![damaged("ledger")]), of_restart("ledger", damaged("ledger").1)]
        {
            let hint = "`devnet up --fresh` deletes this devnet's data and starts everything over";
            assert_eq!(error.next_step(), hint);
        }
        let taken = || Error::new(Kind::PortInUse, "n1 did not start").hint("choose another");
        for error in [of_start(vec![("n1".into(), taken())]), of_restart("n1", taken())] {
            assert_eq!(error.kind(), Kind::PortInUse);
            assert!(error.next_step().contains("`devnet up --fresh --port-base 0`"), "{error:?}");
        }
    }

    #[test]
    fn a_node_that_needs_the_ledger_is_told_to_start_that_first_and_then_itself() {
        let unreachable = Error::new(Kind::LedgerUnreachable, "n1 did not start: no answer");
        let step = of_restart("n1", unreachable.hint("check chain.rpc")).next_step().to_owned();
        assert!(
            step.starts_with("`devnet restart ledger` first, then `devnet restart n1`"),
            "{step}"
        );
    }

    #[test]
    fn any_other_failure_keeps_its_kind_and_its_own_next_step() {
        let error = Error::new(Kind::Full, "n3 did not start").hint("free some space");
        let error = of_start(vec![("n3".into(), error)]);
        assert_eq!((error.kind(), error.next_step()), (Kind::Full, "free some space"));
    }
}
