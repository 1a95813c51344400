//! Whom a node turned away, and whether anybody but strangers feels it.
//!
//! Promises: what members feel is told apart from what strangers can bring about; a few streams that found no room are nothing to tell. Does not: turn anybody away.

use super::{Condition, Name};
use crate::machine::guests::Class;
use crate::machine::recent::WINDOW_SECONDS;

/// Streams, and sessions, that find no room in the last [`WINDOW_SECONDS`] before that is told: whoever was turned away comes
/// again by itself, so that a few at once say nothing of the node.
pub(super) const TURNED_AWAY_MIN: u64 = 6;

/// Whom we turned away in the last [`WINDOW_SECONDS`], and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnedAway {
    /// Connections of members.
    pub members: u64,
    /// Connections and handshakes of anybody else, and of whoever had not said yet who he is.
    pub strangers: u64,
    /// Streams that found no place, or lost theirs to another.
    pub streams: u64,
    /// Of these, members'.
    pub streams_of_members: u64,
    /// Sessions that found no room in memory.
    pub memory: u64,
    /// Of these, members'.
    pub memory_of_members: u64,
}

/// Where somebody was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entrance {
    /// At a handshake, or as a connection.
    Connection,
    /// As a stream, before or after it got its place.
    Stream,
    /// As a session that needed memory.
    Memory,
}

impl TurnedAway {
    /// Counts some more.
    pub fn add(&mut self, entrance: Entrance, class: Class, count: u64) {
        let is_member = class == Class::Member;
        match (entrance, is_member) {
            (Entrance::Connection, true) => self.members += count,
            (Entrance::Connection, false) => self.strangers += count,
            (Entrance::Stream, _) => {
                self.streams += count;
                self.streams_of_members += if is_member { count } else { 0 };
            }
            (Entrance::Memory, _) => {
                self.memory += count;
                self.memory_of_members += if is_member { count } else { 0 };
            }
        }
    }
}

pub(super) fn conditions(turned_away: &TurnedAway) -> Vec<Condition> {
    let TurnedAway { members, strangers, streams, streams_of_members, memory, memory_of_members } =
        *turned_away;
    let log = "the log names who came at level debug (RUST_LOG=debug)";
    let mut found = Vec::new();
    let mut add =
        |(count, least): (u64, u64), of_members: u64, name, cause: String, next_step: &str| {
            if count >= least {
                let cause = format!("in the last {WINDOW_SECONDS} s {cause}");
                let only_strangers = of_members == 0;
                found.push(Condition { only_strangers, ..Condition::new(name, cause, next_step) });
            }
        };
    add(
        (members, 1),
        members,
        Name::MembersRefused,
        format!("{members} connections of members of the committee were refused"),
        &format!(
            "give the node more memory or look for a member that connects again and again: {log}"
        ),
    );
    add(
        (strangers, TURNED_AWAY_MIN),
        0,
        Name::StrangersRefused,
        format!(
            "{strangers} connections or handshakes of strangers, or of peers that had not said who they are, were refused \
             or made room for others"
        ),
        &format!(
            "nothing, if it passes; if it lasts, {log}, and a firewall can keep their addresses out"
        ),
    );
    add(
        (streams, TURNED_AWAY_MIN),
        streams_of_members,
        Name::PlacesExhausted,
        format!(
            "{streams} streams found no place or lost theirs to others, {streams_of_members} of them members'"
        ),
        &format!("nothing, if it passes; if it lasts, the node has more to do than it can: {log}"),
    );
    add(
        (memory, TURNED_AWAY_MIN),
        memory_of_members,
        Name::MemoryExhausted,
        format!(
            "{memory} sessions found no room in memory and were told that the node is busy, {memory_of_members} of them \
             members'"
        ),
        &format!("nothing, if it passes; if it lasts, the node has more to do than it can: {log}"),
    );
    found
}
