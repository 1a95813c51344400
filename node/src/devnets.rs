//! What a client can tell of a devnet of this machine: whether it runs, and whether its ledger does.
//!
//! Promises: told from the file that the devnet keeps for programs (`devnet.json`, schema 1), without waiting for anybody; a
//! file that cannot be read tells nothing. Does not: ask the devnet, or know whether what runs answers.

use std::fs::File;
use std::io::Read;

use serde::Deserialize;

use crate::contexts;

/// The most that is read of the file; that of a thousand nodes fits.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The command that a text names for a ledger that is away, whatever it does.
const RESTART: &str = "`devnet restart ledger` starts it again";

/// When a text says to try again, for nodes that are away.
const NODES_BACK: &str = "when the named nodes are back";

/// How a devnet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There is nothing of it, or nothing that can be read.
    Unknown,
    /// It does not run.
    Stopped,
    /// It runs, and its ledger was paused.
    LedgerPaused,
    /// It runs, and its ledger ended.
    LedgerEnded,
    /// It runs, and so does its ledger.
    Runs,
}

#[derive(Deserialize)]
struct Card {
    state: String,
    supervisor_pid: i32,
    chain: ChainCard,
}

#[derive(Deserialize)]
struct ChainCard {
    /// Absent in devnets made before it was told.
    #[serde(default)]
    state: String,
}

/// A text in which the commands that bring this devnet's ledger back, or its nodes, are those that do it now.
pub fn put_into(text: &str, devnet: &str) -> String {
    if text.contains(RESTART) || text.contains(NODES_BACK) {
        return look(devnet).put_into(text);
    }
    text.to_owned()
}

/// How the devnet of this name is.
fn look(name: &str) -> State {
    let file = contexts::state_home().join("devnet").join(name).join("devnet.json");
    let mut text = String::new();
    let read =
        File::open(file).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => judge(&text, is_alive),
        Err(_) => State::Unknown,
    }
}

fn judge(text: &str, is_alive: impl Fn(i32) -> bool) -> State {
    let Ok(card) = serde_json::from_str::<Card>(text) else { return State::Unknown };
    // One that was killed could not write that it stopped.
    if card.state == "stopped" || !is_alive(card.supervisor_pid) {
        return State::Stopped;
    }
    match card.chain.state.as_str() {
        "paused" => State::LedgerPaused,
        "killed" | "exited" => State::LedgerEnded,
        _ => State::Runs,
    }
}

/// Whether there is a process of this number; another one may have got it, and then we think that the devnet runs.
fn is_alive(pid: i32) -> bool {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else { return false };
    match rustix::process::test_kill_process(pid) {
        Ok(()) => true,
        Err(error) => error == rustix::io::Errno::PERM,
    }
}

impl State {
    fn put_into(self, text: &str) -> String {
        let remedy = match self {
            State::Unknown | State::LedgerEnded => return text.to_owned(),
            State::Stopped => "`devnet up -d` starts it again",
            State::LedgerPaused => "`devnet resume ledger` lets it go on",
            State::Runs => "`devnet logs ledger` may say why it does not answer",
        };
        let text = text.replace(RESTART, remedy);
        match self {
            State::Stopped => {
                text.replace(NODES_BACK, "once the devnet runs: `devnet up -d` starts it")
            }
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use haulout_protocol::machine::conditions::{Facts, Ledger, conditions};

    use super::*;
    use crate::error::Kind;

    fn card(state: &str, ledger: &str) -> String {
        let chain = serde_json::json!({ "state": ledger, "kind": "embedded" });
        serde_json::json!({ "schema": 1, "state": state, "supervisor_pid": 7, "chain": chain })
            .to_string()
    }

    #[test]
    fn a_devnet_is_told_by_its_file_and_by_whether_its_supervisor_lives() {
        for (text, lives, expected) in [
            (card("ready", "running"), true, State::Runs),
            (card("degraded", "running"), true, State::Runs),
            (card("ready", "running"), false, State::Stopped), // it was killed
            (card("stopped", "exited"), true, State::Stopped), // another process has its number
            (card("ready", "paused"), true, State::LedgerPaused),
            (card("ready", "killed"), true, State::LedgerEnded),
            (card("degraded", "exited"), true, State::LedgerEnded),
            ("{}".to_owned(), true, State::Unknown),
            (String::new(), true, State::Unknown),
        ] {
            assert_eq!(judge(&text, |pid| lives && pid == 7), expected, "{text}");
        }
        let old = r#"{ "state": "ready", "supervisor_pid": 7, "chain": {} }"#;
        assert_eq!(judge(old, |_| true), State::Runs);
        let (ours, nobody) = (i32::try_from(std::process::id()).unwrap(), 0);
        assert_eq!((is_alive(ours), is_alive(nobody)), (true, false));
    }

    #[test]
    fn the_command_that_brings_it_back_is_the_one_for_how_it_is() {
        let ledger = Kind::LedgerUnreachable.page().advice;
        for (state, expected) in [
            (State::Stopped, "`devnet up -d`"),
            (State::LedgerPaused, "`devnet resume ledger`"),
            (State::LedgerEnded, "`devnet restart ledger`"),
            (State::Unknown, "`devnet restart ledger`"),
            (State::Runs, "`devnet logs ledger`"),
        ] {
            let text = state.put_into(ledger);
            assert!(text.contains(expected), "{text}");
            assert_eq!(text.matches("`devnet ").count(), 2, "{text}");
        }
        let ledger = Ledger { silence: Some((99, None)), ..Ledger::default() };
        let silent = conditions(&Facts { ledger, ..Facts::default() });
        let told = State::LedgerPaused.put_into(&silent[0].next_step);
        assert!(told.contains("`devnet resume ledger`") && !told.contains("restart"), "{told}");
        for kind in [Kind::Quorum, Kind::Unavailable] {
            let text = State::Stopped.put_into(kind.page().advice);
            assert!(text.contains("`devnet up -d`"), "{text}");
            assert_eq!(State::Runs.put_into(kind.page().advice), kind.page().advice);
        }
    }
}
