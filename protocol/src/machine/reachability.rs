//! Whether strangers reach a node, as peers say that were asked to dial it back.
//!
//! Promises: a peer that did not try counts for nothing, and one alone never shuts a node out. Does not: dial, or know whether a
//! peer sits in our own network and sees what strangers do not.

use std::net::IpAddr;

use crate::crypto::PeerId;
use crate::wire::reach::{Door, Tried};

/// What peers found when they dialled us back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reachability {
    /// A line for each peer that was asked.
    pub asked: Vec<Asked>,
    /// What was asked about, with what became of it.
    pub doors: Vec<DoorSeen>,
}

/// One peer that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who.
    pub peer: PeerId,
    /// At which address it sees us, or why it did not say.
    pub answer: Result<IpAddr, String>,
    /// Whether it came in, by whichever door.
    pub has_come_in: bool,
}

/// A way in, as those who tried it say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorSeen {
    /// Which.
    pub door: Door,
    /// How many came in by it.
    pub reached: usize,
    /// How many tried.
    pub tried: usize,
    /// What the last one says that did not come in.
    pub failure: Option<Tried>,
}

impl Reachability {
    /// Nobody was asked about these doors yet.
    pub fn of(doors: &[Door]) -> Reachability {
        let seen = |door: &Door| DoorSeen { door: *door, reached: 0, tried: 0, failure: None };
        Reachability { asked: Vec::new(), doors: doors.iter().map(seen).collect() }
    }

    /// Whether somebody came in, by whichever door.
    pub fn is_reached(&self) -> bool {
        self.doors.iter().any(|door| door.reached > 0)
    }

    /// Whether nobody came in, though several tried.
    pub fn is_shut(&self) -> bool {
        !self.is_reached() && self.doors.iter().any(|door| door.tried > 1)
    }

    /// The addresses at which we are seen, each once.
    pub fn seen_at(&self) -> Vec<IpAddr> {
        let mut seen: Vec<IpAddr> =
            self.asked.iter().filter_map(|asked| asked.answer.clone().ok()).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    /// The addresses at which those see us that came in, each once.
    pub fn came_in_at(&self) -> Vec<IpAddr> {
        let came_in = self.asked.iter().filter(|asked| asked.has_come_in);
        let mut seen: Vec<IpAddr> = came_in.filter_map(|asked| asked.answer.clone().ok()).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    /// The address at which all see us that came in, if two of them at least say so: one alone may err, or lie.
    pub fn agreed_at(&self) -> Option<IpAddr> {
        let came_in = self.asked.iter().filter(|asked| asked.has_come_in);
        let seen: Vec<IpAddr> = came_in.filter_map(|asked| asked.answer.clone().ok()).collect();
        match seen.as_slice() {
            [first, others @ ..] if !others.is_empty() => {
                others.iter().all(|other| other == first).then_some(*first)
            }
            _ => None,
        }
    }

    /// One more was asked: at which address it sees us, with what became of each door, or why it did not say.
    pub fn note(&mut self, peer: PeerId, answer: Result<(IpAddr, Vec<Tried>), String>) {
        if let Ok((_, tried)) = &answer {
            for (door, tried) in self.doors.iter_mut().zip(tried) {
                match tried {
                    Tried::Reached => {
                        (door.reached, door.tried) = (door.reached + 1, door.tried + 1)
                    }
                    Tried::NotTried => door.failure = door.failure.or(Some(Tried::NotTried)),
                    failure => (door.tried, door.failure) = (door.tried + 1, Some(*failure)),
                }
            }
        }
        let has_come_in = matches!(&answer, Ok((_, tried)) if tried.contains(&Tried::Reached));
        self.asked.push(Asked { peer, answer: answer.map(|(seen_at, _)| seen_at), has_come_in });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_peers_found_is_counted_by_door_and_who_did_not_try_counts_for_nothing() {
        let peer = |byte| PeerId::from_key([byte; 32]);
        let mut found = Reachability::of(&[Door::Quic(1), Door::Tcp(2)]);
        let ip: IpAddr = "203.0.113.7".parse().unwrap();
        found.note(peer(1), Ok((ip, vec![Tried::NotTried, Tried::NotTried])));
        assert!(!found.is_reached() && !found.is_shut(), "nobody tried");
        found.note(peer(2), Ok((ip, vec![Tried::Silent, Tried::Refused])));
        assert!(!found.is_shut(), "one alone may be wrong");
        found.note(peer(3), Ok((ip, vec![Tried::Silent, Tried::Refused])));
        assert!(found.is_shut());
        found.note(peer(4), Err("busy".to_owned()));
        found.note(peer(5), Ok((ip, vec![Tried::Reached, Tried::Refused])));
        assert!(found.is_reached() && !found.is_shut());
        let [quic, tcp] = &found.doors[..] else { panic!("{found:?}") };
        assert_eq!((quic.reached, quic.tried, quic.failure), (1, 3, Some(Tried::Silent)));
        assert_eq!((tcp.reached, tcp.tried, tcp.failure), (0, 3, Some(Tried::Refused)));
        assert_eq!((found.seen_at(), found.asked.len()), (vec![ip], 5));
    }

    #[test]
    fn an_address_is_agreed_on_by_two_that_came_in_and_contradicted_by_none_of_them() {
        use Tried::{Reached, Silent};
        let agreed = |told: &[(&str, Tried)]| {
            let mut found = Reachability::of(&[Door::Tcp(2)]);
            for (at, (ip, tried)) in (1..).zip(told) {
                found.note(
                    PeerId::from_key([at; 32]),
                    Ok((ip.parse().expect("an address"), vec![*tried])),
                );
            }
            found.agreed_at().map(|ip| ip.to_string())
        };
        let (ours, other) = ("203.0.113.7", "203.0.113.9");
        assert_eq!(agreed(&[]), None);
        assert_eq!(agreed(&[(ours, Reached)]), None, "one alone");
        assert_eq!(agreed(&[(ours, Reached), (ours, Silent)]), None, "one did not come in");
        assert_eq!(agreed(&[(ours, Reached), (other, Reached)]), None, "they differ");
        assert_eq!(agreed(&[(ours, Reached), (ours, Reached), (other, Reached)]), None);
        let two = agreed(&[(other, Silent), (ours, Reached), (ours, Reached)]);
        assert_eq!(two.as_deref(), Some(ours));
    }
}
