//! What a node works for: each kind of work has a share of what is scarce, so that none starves another.
//!
//! Promises: every protocol belongs to one of these. Does not: say how large a share is; whoever bounds something does.

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Duty {
    /// Readers and writers are served.
    Clients,
    /// Lost slivers are rebuilt.
    Repair,
    /// Shards move to their new owners.
    Handover,
    /// Nodes prove what they store.
    Challenges,
}

impl Duty {
    /// All of them.
    pub const ALL: [Duty; 4] = [Duty::Clients, Duty::Repair, Duty::Handover, Duty::Challenges];
}

/// Something of each duty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerDuty<T> {
    /// Of readers and writers.
    pub clients: T,
    /// Of repair.
    pub repair: T,
    /// Of handover.
    pub handover: T,
    /// Of challenges.
    pub challenges: T,
}

impl<T> PerDuty<T> {
    /// What one duty has.
    pub fn of(&self, duty: Duty) -> &T {
        match duty {
            Duty::Clients => &self.clients,
            Duty::Repair => &self.repair,
            Duty::Handover => &self.handover,
            Duty::Challenges => &self.challenges,
        }
    }

    /// What one duty has, to be changed.
    pub fn of_mut(&mut self, duty: Duty) -> &mut T {
        match duty {
            Duty::Clients => &mut self.clients,
            Duty::Repair => &mut self.repair,
            Duty::Handover => &mut self.handover,
            Duty::Challenges => &mut self.challenges,
        }
    }
}
