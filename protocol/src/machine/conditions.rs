//! What is not well with a node: one table of conditions, each with a cause and a next step.
//!
//! A condition is *failing* if the node cannot do its duty until somebody mends something at it, else *degraded*: it goes
//! on with less than it owes. Promises: the same facts give the same conditions, worst first; every name is always the same;
//! every cause says what was found, with numbers; no next step destroys anything. Does not: measure; facts come in.

mod clock;
mod crowd;
mod duties;

use std::fmt;

use super::ledger_history::{Doubt, Verdict};
use super::ledger_servers::Standing;
use super::node_keys::KeyFault;

pub use clock::ClockDifference;
pub use crowd::{Entrance, TurnedAway};
pub use duties::Duty;

/// How bad a condition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The node serves, but less than it owes.
    Degraded,
    /// The node cannot do its duty until somebody mends something at it.
    Failing,
}

impl Severity {
    /// The word for health and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Degraded => "degraded",
            Severity::Failing => "failing",
        }
    }
}

macro_rules! names {
    ($($(#[$meaning:meta])* $name:ident $severity:ident $text:literal;)*) => {
        /// What can be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Name {
            $($(#[$meaning])* $name),*
        }

        impl Name {
            /// All of them, the worst first.
            pub const ALL: &[Name] = &[$(Name::$name),*];

            /// What it is called everywhere: health, metrics, logs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Name::$name => $text),*
                }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self {
                    $(Name::$name => Severity::$severity),*
                }
            }
        }
    };
}

names! {
    /// A part of the program does not run.
    PartsDown Failing "parts down";
    /// The disk failed: nothing more is written.
    DiskFailing Failing "disk failing";
    /// Our keys are not those that the ledger lists.
    KeysWrong Failing "keys wrong";
    /// The configuration vouches for a checkpoint from which nothing can be proven.
    TrustedUnusable Failing "chain.trusted unusable";
    /// The disk has no room beyond the reserve.
    DiskFull Degraded "disk full";
    /// Stored bytes are not those that were written.
    RotFound Degraded "rot found";
    /// Parts of certified blobs that should be here are not.
    BlobsIncomplete Degraded "blobs incomplete";
    /// Shards that are ours are not here.
    ShardsMissing Degraded "shards missing";
    /// The ledger shows a history that is not the one we verified.
    LedgerForked Degraded "ledger forked";
    /// The ledger shows another history than before.
    LedgerRolledBack Degraded "ledger rolled back";
    /// The ledger shows what nobody stands behind.
    LedgerForged Degraded "ledger forged";
    /// The ledger's servers show no signatures, and contradict each other.
    LedgerDisputed Degraded "ledger disputed";
    /// The ledger leaves checkpoints out.
    LedgerGap Degraded "ledger gap";
    /// The ledger shows old checkpoints.
    LedgerBehind Degraded "ledger behind";
    /// The ledger shows nothing.
    LedgerSilent Degraded "ledger silent";
    /// Some of the ledger's servers are not believed.
    LedgerServerDoubted Degraded "ledger server not believed";
    /// Some of the ledger's servers are late.
    LedgerServerBehind Degraded "ledger server behind";
    /// Some of the ledger's servers do not answer.
    LedgerServerSilent Degraded "ledger server silent";
    /// Our clock and the ledger's differ.
    ClockWrong Degraded "clock wrong";
    /// Connections of members were refused.
    MembersRefused Degraded "members refused";
    /// Shards that went to others are kept, because these never said that they have them.
    ShardsUnclaimed Degraded "shards unclaimed";
    /// Connections of strangers were refused.
    StrangersRefused Degraded "strangers refused";
    /// Streams were refused, or lost their places to others.
    PlacesExhausted Degraded "places exhausted";
    /// Sessions found no room in memory.
    MemoryExhausted Degraded "memory exhausted";
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Something that is not well, as operators read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What it is.
    pub name: Name,
    /// What was found.
    pub cause: String,
    /// What to do.
    pub next_step: String,
    /// Whether this node does all that it owes all the same: others can bring it about, and a restart mends nothing.
    pub only_strangers: bool,
}

impl Condition {
    fn new(name: Name, cause: String, next_step: impl Into<String>) -> Self {
        Condition { name, cause, next_step: next_step.into(), only_strangers: false }
    }
}

/// What is known of the ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Why it is not believed.
    pub doubt: Option<Doubt>,
    /// Why our keys are not those of the node we are.
    pub keys: Option<KeyFault>,
    /// What in the configuration keeps us from proving anything, and how to repair it.
    pub setting: Option<(String, &'static str)>,
    /// Which of several servers are not well.
    pub servers: Vec<IllServer>,
    /// How many seconds ago something proven came last, and why nothing came since; nothing while that is not long.
    pub silence: Option<(u64, Option<String>)>,
}

/// One of several servers of the ledger that is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IllServer {
    /// Its address.
    pub url: String,
    /// What is wrong with it.
    pub standing: Standing,
    /// What it or the network said last, if it does not answer.
    pub reason: String,
    /// How many servers are configured.
    pub of: usize,
}

/// What the store says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Bytes free on the disk; nothing if they are not known, or there is no disk.
    pub free_bytes: Option<u64>,
    /// Bytes that are never used.
    pub reserve_bytes: u64,
    /// Why it cannot be relied upon any more.
    pub failure: Option<String>,
    /// Values that are not what was written.
    pub rotten: u64,
    /// Certified blobs of which something is not here.
    pub incomplete: u64,
    /// Our shards that are not here.
    pub shards_missing: usize,
    /// Who has shards that were ours, and let a whole epoch pass without a word that it has them.
    pub unclaimed: Vec<Unclaimed>,
}

/// An owner that does not say that it has its shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclaimed {
    /// What people call it.
    pub owner: String,
    /// How many of its shards are kept here until it does.
    pub shards: usize,
}

/// Owners that a condition names; the others are counted.
const OWNERS_NAMED: usize = 5;

/// Everything that conditions follow from.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Parts of the program that do not run.
    pub down: Vec<String>,
    /// What is known of the ledger.
    pub ledger: Ledger,
    /// How our clock is, once the ledger told.
    pub clock: Option<ClockDifference>,
    /// Whom we turned away.
    pub turned_away: TurnedAway,
    /// How the store is.
    pub stored: Stored,
}

/// What is not well, the worst first.
pub fn conditions(facts: &Facts) -> Vec<Condition> {
    let mut found = Vec::new();
    found.extend(parts(&facts.down));
    found.extend(of_store(&facts.stored));
    found.extend(of_ledger(&facts.ledger));
    found.extend(facts.clock.and_then(clock::condition));
    found.extend(crowd::conditions(&facts.turned_away));
    found.sort_by_key(|condition| condition.name);
    found
}

/// Whether the node does all that it owes to the committee: watchers that restart what is not ready need not act.
pub fn is_ready(conditions: &[Condition]) -> bool {
    conditions.iter().all(|condition| condition.only_strangers)
}

/// How bad all of it is; nothing if all is well.
pub fn severity(conditions: &[Condition]) -> Option<Severity> {
    conditions.iter().map(|condition| condition.name.severity()).max()
}

fn parts(down: &[String]) -> Option<Condition> {
    let next_step = "wait a moment, it is started again by itself; if it lasts, read the node's log and restart the node";
    let cause = || format!("not running: {}", down.join(", "));
    (!down.is_empty()).then(|| Condition::new(Name::PartsDown, cause(), next_step))
}

fn of_store(stored: &Stored) -> Vec<Condition> {
    let mut found = Vec::new();
    if let Some(reason) = &stored.failure {
        found.push(Condition::new(
            Name::DiskFailing,
            format!("the store fails, so nothing more is written: {reason}"),
            "check the disk (`dmesg` names what failed), then restart the node; what can be read is served meanwhile",
        ));
    }
    if let Some(free) = stored.free_bytes.filter(|free| *free < stored.reserve_bytes) {
        found.push(Condition::new(
            Name::DiskFull,
            format!(
                "{free} bytes are free where the node stores, and {} are kept free (node.keep_free)",
                stored.reserve_bytes
            ),
            "make room on that disk (`df -h` shows all); what is stored is served meanwhile, and writes go on by \
             themselves once there is room",
        ));
    }
    if stored.rotten > 0 {
        found.push(Condition::new(
            Name::RotFound,
            format!(
                "the disk gives back other bytes than were written (rot); stored values of which that is so, none of them \
                 served: {}",
                stored.rotten
            ),
            "check the disk (`dmesg` names what failed) and leave the store as it is: all else in it is served, and whoever has \
             a file brings its parts back with `haulout put FILE --repair`",
        ));
    }
    if stored.incomplete > 0 {
        found.push(Condition::new(
            Name::BlobsIncomplete,
            format!(
                "certified blobs of which something that belongs in this node's shards is not here: {}",
                stored.incomplete
            ),
            "keep the node running: it repairs them from what other nodes hold. If the number does not fall, too few of these \
             answer: `haulout status ID` names them, and whoever has the file brings a blob back with `haulout put FILE \
             --repair`",
        ));
    }
    if stored.shards_missing > 0 {
        found.push(Condition::new(
            Name::ShardsMissing,
            format!(
                "{} of the node's shards are not whole here, so they are not reported to the ledger",
                stored.shards_missing
            ),
            "keep the node running: it repairs what is missing of them from what other nodes hold, and reports them when it has \
             everything; its log says how far it is. If it says so for long, too few nodes hold the rest: whoever has the files \
             brings them back with `haulout put FILE --repair`",
        ));
    }
    found.extend(unclaimed(&stored.unclaimed));
    found
}

fn unclaimed(owners: &[Unclaimed]) -> Option<Condition> {
    let shards: usize = owners.iter().map(|owner| owner.shards).sum();
    let named = owners.iter().take(OWNERS_NAMED);
    let mut named: Vec<_> =
        named.map(|Unclaimed { owner, shards }| format!("{owner} ({shards})")).collect();
    if let more @ 1.. = owners.len().saturating_sub(OWNERS_NAMED) {
        named.push(format!("{more} others"));
    }
    let condition = Condition::new(
        Name::ShardsUnclaimed,
        format!(
            "what was stored of {shards} shards that went to others is kept, and takes room, because a whole epoch passed in which \
             these did not tell the ledger that they have them: {}",
            named.join(", ")
        ),
        "ask their operators to see `haulout node status`: a node reports its shards once nothing is missing of them, and needs a \
         wallet with gas for it; then this node frees the room by itself",
    );
    (shards > 0).then_some(Condition { only_strangers: true, ..condition })
}

fn of_ledger(ledger: &Ledger) -> Vec<Condition> {
    let mut found = Vec::new();
    if let Some(fault) = &ledger.keys {
        found.push(Condition::new(Name::KeysWrong, fault.to_string(), fault.next_step()));
    }
    if let Some((doubt, name)) = ledger.doubt.and_then(|doubt| Some((doubt, name(doubt.verdict)?)))
    {
        found.push(Condition::new(name, doubt.to_string(), doubt.next_step()));
    }
    if let Some((cause, repair)) = &ledger.setting {
        found.push(Condition::new(Name::TrustedUnusable, cause.clone(), *repair));
    }
    // Whoever is not believed is not called silent as well.
    if let (Some((seconds, why)), true) = (&ledger.silence, found.is_empty()) {
        let why = why.as_deref().unwrap_or("it sends nothing");
        found.push(Condition::new(
            Name::LedgerSilent,
            format!("no proven checkpoint for {seconds} s: {why}"),
            "check that the server at chain.rpc runs; what is stored is served meanwhile, and nothing new is signed \
             for; on a devnet: `devnet restart ledger` starts it again",
        ));
    }
    found.extend(ledger.servers.iter().filter_map(of_server));
    found
}

/// A server beside which others are asked.
fn of_server(server: &IllServer) -> Option<Condition> {
    let IllServer { url, standing, reason, of } = server;
    let (name, cause) = match standing {
        Standing::Sound | Standing::Unknown => return None,
        Standing::Doubted(doubt) => (Name::LedgerServerDoubted, format!("{url}: {doubt}")),
        Standing::Behind { by_ms } => {
            let seconds = by_ms.div_ceil(1_000);
            (Name::LedgerServerBehind, format!("{url} is {seconds} s behind the other servers"))
        }
        Standing::Silent => {
            (Name::LedgerServerSilent, format!("{url} does not answer as it should: {reason}"))
        }
    };
    let next_step = format!(
        "nothing, if it passes: the others of the {of} servers in chain.rpc are asked meanwhile; if it lasts, put another \
         one in its place"
    );
    Some(Condition::new(name, cause, next_step))
}

/// What a verdict on the ledger is called, if it is not the best one.
fn name(verdict: Verdict) -> Option<Name> {
    match verdict {
        Verdict::Next => None,
        Verdict::Behind => Some(Name::LedgerBehind),
        Verdict::Gap => Some(Name::LedgerGap),
        Verdict::Fork => Some(Name::LedgerForked),
        Verdict::Rollback => Some(Name::LedgerRolledBack),
        Verdict::Forged => Some(Name::LedgerForged),
        Verdict::Disputed => Some(Name::LedgerDisputed),
    }
}

#[cfg(test)]
mod tests;
