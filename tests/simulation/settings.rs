//! What a seed draws: the network, its limits, what its clients do, and what goes wrong.
//!
//! Promises: each seed switches kinds of faults on and off, so that some runs are calm in all but one way; faults are a
//! list, of which any part can be played alone. Does not: play anything.

use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::sliver::ShardIndex;

use crate::disk::Kept;
use crate::ledger::{EPOCHS_AHEAD, FIRST_EPOCH};
use crate::random::Random;

/// How long clients and faults are at it, in virtual milliseconds.
pub(crate) const SAFETY_MS: u64 = 60_000;

/// What a node does that lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Slivers with a wrong byte.
    WrongBytes,
    /// Proofs with a wrong byte.
    WrongProofs,
    /// Slivers that are cut short.
    CutShort,
    /// The sliver of another pair.
    OtherPair,
    /// Says that it has nothing.
    Withholds,
    /// Takes everything in and never answers.
    Silent,
    /// Confirms at once, and keeps nothing.
    KeepsNothing,
    /// Signs with bytes that are no signature of it.
    Forges,
    /// Signs for another epoch.
    OtherEpoch,
    /// Says that it holds every segment already, and confirms.
    HasItAll,
    /// Symbols with a wrong bit, as long as they need not be proved.
    WrongSymbols,
    /// The same, and proofs that do not fit.
    ForgedSymbols,
}

const LIES: [Lie; 12] = [
    Lie::WrongBytes,
    Lie::WrongProofs,
    Lie::CutShort,
    Lie::OtherPair,
    Lie::Withholds,
    Lie::Silent,
    Lie::KeepsNothing,
    Lie::Forges,
    Lie::OtherEpoch,
    Lie::HasItAll,
    Lie::WrongSymbols,
    Lie::ForgedSymbols,
];

/// Those that show in what is handed over.
const LIES_OF_PAGES: [Lie; 6] =
    [Lie::WrongBytes, Lie::WrongProofs, Lie::CutShort, Lie::OtherPair, Lie::Withholds, Lie::Silent];

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Stores a blob.
    Put { blob: usize, deletable: bool, epochs: u32, pays: bool },
    /// Reads one.
    Get { blob: usize },
    /// Deletes one of its objects.
    Delete { blob: usize },
    /// Prolongs one of them.
    Extend { blob: usize, epochs: u32 },
    /// The epoch ends.
    EndEpoch,
}

/// Which way messages are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToNode,
    FromNode,
    Both,
}

/// Something that goes wrong at a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its power goes, after so many more changes of its disk or so long, whatever is first.
    Crash { after_changes: u64, kept: Kept, down_ms: u64, rots: u64 },
    /// Its power goes and its disk with it.
    Wipe { down_ms: u64 },
    /// Nobody reaches it.
    Cut { way: Way, for_ms: u64 },
    /// Its disk takes no more.
    Full { for_ms: u64 },
    /// Its answers take longer.
    Slow { by_ms: u64, for_ms: u64 },
    /// It hears nothing of the ledger.
    Deaf { for_ms: u64 },
    /// It does not believe the ledger.
    Doubt { for_ms: u64 },
}

/// A fault, where, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) at_ms: u64,
    pub(crate) node: usize,
    pub(crate) fault: Fault,
}

/// Everything a run is made of.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) parameters: Parameters,
    /// The shards of each node in the first epoch.
    pub(crate) shards: Vec<Vec<ShardIndex>>,
    pub(crate) lies: Vec<Option<Lie>>,
    /// Whether more than f shards lie or lose: then nothing is promised but that nobody reads wrong bytes.
    pub(crate) is_beyond: bool,
    /// Who has which shards in the epochs after the first; the last of these stays.
    pub(crate) moves: Vec<Vec<Vec<ShardIndex>>>,
    /// Whether so many honest nodes lose their disks at the end that only a reader's share of the shards is left.
    pub(crate) is_severe: bool,
    /// Segments that a writer keeps in memory.
    pub(crate) window: usize,
    /// How long messages take.
    pub(crate) delay_ms: (u64, u64),
    /// How many messages of a thousand are lost, each with its stream.
    pub(crate) loss: u64,
    /// How long it takes to notice that a stream is lost.
    pub(crate) notice_ms: u64,
    /// Checkpoints that come together.
    pub(crate) batch: u64,
    /// How many batches of a thousand come with holes, twice, or in disorder.
    pub(crate) disorder: u64,
    /// Between two looks at the ledger.
    pub(crate) look_ms: u64,
    /// How long bytes that nobody paid for are kept.
    pub(crate) pending_ms: u64,
    /// Within what time a node reads again all that it stores.
    pub(crate) scrub_every_ms: u64,
    /// The bytes of each blob.
    pub(crate) blobs: Vec<Vec<u8>>,
    pub(crate) operations: Vec<(u64, Operation)>,
    pub(crate) faults: Vec<Planned>,
}

/// Deals shards to nodes; every node gets one at least.
fn deal(random: &mut Random, nodes: usize, shards: u16) -> Vec<Vec<ShardIndex>> {
    let mut dealt = vec![Vec::new(); nodes];
    let is_even = random.chance(600);
    for shard in 0..shards {
        let at = usize::from(shard);
        let owner = if at < nodes || is_even { at % nodes } else { random.index(nodes) };
        dealt[owner].push(ShardIndex(shard));
    }
    dealt
}

/// The nodes that lie or lose, together no heavier than allowed.
fn faulty(random: &mut Random, shards: &[Vec<ShardIndex>], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..shards.len()).collect();
    random.shuffle(&mut order);
    let mut weight = 0;
    order.retain(|node| {
        let fits = weight + shards[*node].len() <= most;
        weight += if fits { shards[*node].len() } else { 0 };
        fits
    });
    order
}

/// Moves shards from epoch to epoch, none of them to a node that lies or loses, and no more than may be on their way at once.
fn moves(
    (seed, must): (u64, bool),
    first: &[Vec<ShardIndex>],
    faulty: &[bool],
    f: usize,
) -> Vec<Vec<Vec<ShardIndex>>> {
    let random = &mut Random::of(seed, "moves");
    let weight = |shards: &[Vec<ShardIndex>]| -> usize {
        shards.iter().zip(faulty).filter(|(_, is_faulty)| **is_faulty).map(|it| it.0.len()).sum()
    };
    let most = f.saturating_sub(weight(first));
    if most == 0 || random.chance(400) && !must {
        return Vec::new();
    }
    let (mut committees, mut last) = (Vec::new(), first.to_vec());
    for step in 0..random.within(1..5) {
        if step == 1 && random.chance(400) {
            last = first.to_vec(); // back to whom they came from
            committees.push(last.clone());
            continue;
        }
        for _ in 0..1 + random.index(most) {
            let givers: Vec<_> = (0..last.len()).filter(|node| last[*node].len() > 1).collect();
            let takers: Vec<_> = (0..last.len()).filter(|node| !faulty[*node]).collect();
            if givers.is_empty() || takers.is_empty() {
                continue;
            }
            // Whom something is asked of lies or lost it in half of the cases where it can be so.
            let wrong: Vec<_> = givers.iter().copied().filter(|node| faulty[*node]).collect();
            let wrong = if random.chance(500) { wrong } else { Vec::new() };
            let from = random.choose(if wrong.is_empty() { &givers } else { &wrong });
            let (from, to) = (*from, *random.choose(&takers));
            if from != to {
                let at = random.index(last[from].len());
                let shard = last[from].remove(at);
                last[to].push(shard);
                last[to].sort_unstable();
            }
        }
        committees.push(last.clone());
    }
    committees
}

fn operations(random: &mut Random, blobs: usize) -> Vec<(u64, Operation)> {
    let mut operations = Vec::new();
    let some = |random: &mut Random| random.index(blobs);
    let epochs = |random: &mut Random| u32::try_from(random.within(1..5)).expect("small");
    for blob in 0..blobs {
        let (deletable, epochs, pays) = (random.chance(400), epochs(random), random.chance(900));
        let put = Operation::Put { blob, deletable, epochs, pays };
        operations.push((random.within(0..SAFETY_MS * 2 / 3), put));
    }
    for _ in 0..random.within(2..10) {
        let at = random.within(1_000..SAFETY_MS);
        let blob = some(random);
        let operation = match random.within(0..10) {
            0 => Operation::Put {
                blob,
                deletable: random.chance(500),
                epochs: epochs(random),
                pays: true,
            },
            1 => Operation::Extend { blob, epochs: epochs(random).min(EPOCHS_AHEAD / 2) },
            2 | 3 => Operation::Delete { blob },
            4 | 5 => Operation::EndEpoch,
            _ => Operation::Get { blob },
        };
        operations.push((at, operation));
    }
    operations.sort_by_key(|(at, _)| *at);
    operations
}

/// Epochs that end once something is stored, so that there is something to hand over.
fn more_epochs(random: &mut Random, least: u64) -> Vec<(u64, Operation)> {
    let epochs = random.within(least..5);
    (0..epochs).map(|_| (random.within(SAFETY_MS / 4..SAFETY_MS), Operation::EndEpoch)).collect()
}

fn fault(random: &mut Random, kinds: &[u64], may_lose: bool) -> Fault {
    let for_ms = random.within(100..20_000);
    match random.choose(kinds) {
        0 | 1 => Fault::Crash {
            after_changes: random.within(0..60),
            kept: *random.choose(&Kept::ALL),
            down_ms: random.within(10..10_000),
            rots: if may_lose && random.chance(500) { random.within(1..6) } else { 0 },
        },
        2 => Fault::Cut { way: *random.choose(&[Way::ToNode, Way::FromNode, Way::Both]), for_ms },
        3 => Fault::Full { for_ms },
        4 => Fault::Slow { by_ms: random.within(50..3_000), for_ms },
        5 => Fault::Deaf { for_ms },
        6 => Fault::Doubt { for_ms },
        _ if may_lose => Fault::Wipe { down_ms: random.within(10..10_000) },
        _ => Fault::Cut { way: Way::Both, for_ms },
    }
}

impl Settings {
    /// The shards of each node in an epoch.
    pub(crate) fn shards_in(&self, epoch: Epoch) -> &[Vec<ShardIndex>] {
        let later = usize::try_from(epoch.0.saturating_sub(FIRST_EPOCH.0)).expect("small");
        match later.checked_sub(1) {
            None => &self.shards,
            Some(later) => self.moves.get(later).or(self.moves.last()).unwrap_or(&self.shards),
        }
    }

    /// What this seed draws.
    pub(crate) fn of(seed: u64) -> Settings {
        let random = &mut Random::of(seed, "settings");
        let nodes = *random.choose(&[4_usize, 4, 4, 5, 6, 7, 7, 10]);
        let least = u64::try_from(nodes).expect("few");
        let shards = u16::try_from(random.within(least..least * 2 + 1)).expect("few");
        let segment_bytes = 1024;
        let parameters = Parameters::new(shards, segment_bytes).expect("sound parameters");
        let dealt = deal(random, nodes, shards);
        let is_beyond = random.chance(100);
        // Shards move only as far as those that lie or lose leave room for it, so half of the seeds leave some.
        let room = &mut Random::of(seed, "room");
        let faults = usize::from(parameters.faults());
        // In some, much is handed over by somebody who lies.
        let handing = &mut Random::of(seed, "handing");
        let is_handing = !is_beyond && faults > 2 && handing.chance(300);
        let left = if room.chance(500) { 1 + room.index(faults) } else { 0 };
        let left = if is_handing { 1 } else { left };
        let most = if is_beyond { usize::from(shards) } else { faults - left };
        let (mut lies, mut may_lose) = (vec![None; nodes], vec![false; nodes]);
        let wrong = faulty(random, &dealt, most);
        for node in wrong.iter().copied() {
            match random.within(0..3) {
                0 => lies[node] = Some(*random.choose(&LIES)),
                1 => may_lose[node] = true,
                _ => {}
            }
        }
        let giver = wrong.into_iter().filter(|node| dealt[*node].len() > 1);
        let giver = giver.max_by_key(|node| dealt[*node].len());
        let is_handing = is_handing && giver.is_some();
        if let Some(giver) = giver.filter(|_| is_handing) {
            (lies[giver], may_lose[giver]) = (Some(*handing.choose(&LIES_OF_PAGES)), false);
        }
        let is_faulty: Vec<_> =
            lies.iter().zip(&may_lose).map(|(lie, may_lose)| lie.is_some() || *may_lose).collect();
        let blobs = usize::try_from(random.within(1..5)).expect("few");
        let sizes = [0, 1, 7, 300, 1023, 1024, 1025, 2048, 3000, 4096];
        let blobs: Vec<_> = (0..blobs)
            .map(|_| {
                let size = *random.choose(&sizes);
                random.bytes(if is_handing { 4096 } else { size })
            })
            .collect();
        let mut kinds: Vec<u64> = (0..8).filter(|_| random.chance(400)).collect();
        kinds.push(random.within(0..8));
        let mut faults: Vec<_> = (0..random.within(0..10))
            .map(|_| {
                let node = random.index(nodes);
                let at_ms = random.within(0..SAFETY_MS);
                Planned { at_ms, node, fault: fault(random, &kinds, may_lose[node]) }
            })
            .collect();
        faults.sort_by_key(|planned| planned.at_ms);
        let fast = random.within(1..50);
        let moves = match is_beyond {
            true => Vec::new(),
            false => {
                moves((seed, is_handing), &dealt, &is_faulty, usize::from(parameters.faults()))
            }
        };
        let mut settings = Settings {
            seed,
            parameters,
            moves,
            is_severe: !is_beyond && Random::of(seed, "severe").chance(300),
            shards: dealt,
            lies,
            is_beyond,
            window: *random.choose(&[1, 2, 4]),
            delay_ms: (fast, fast + random.within(1..300)),
            loss: *random.choose(&[0, 0, 1, 10, 50]),
            notice_ms: random.within(100..5_000),
            batch: random.within(1..8),
            disorder: *random.choose(&[0, 0, 100, 500]),
            look_ms: random.within(50..1_000),
            pending_ms: random.within(5_000..40_000),
            scrub_every_ms: Random::of(seed, "scrub").within(2_000..40_000),
            operations: operations(random, blobs.len()),
            blobs,
            faults,
        };
        if !settings.moves.is_empty() {
            let epochs = more_epochs(&mut Random::of(seed, "handover"), u64::from(is_handing));
            settings.operations.extend(epochs);
            settings.operations.sort_by_key(|(at, _)| *at);
        }
        settings
    }
}
