//! Every number that bounds something in a running node, with its reason.
//!
//! Promises: nothing in this crate grows without one of these. Does not: hold the limits of frames
//! (`haulout_protocol::wire`), which both ends of a stream must agree on.

use std::time::Duration;

use haulout_protocol::machine::budgets::Budget;
use haulout_protocol::machine::duty::PerDuty;
use haulout_protocol::machine::places::Room;
use haulout_protocol::machine::{dials_back, flows, guests, pacing, rations};

// ---- network: streams ------------------------------------------------------------------------

/// Most streams we keep open towards one peer; more wait. Yamux ends a connection whose peer opens
/// one too many, so ours and theirs together, and Kademlia's, must stay below [`YAMUX_STREAMS_MAX`].
pub const STREAMS_TO_PEER_MAX: usize = 20;
/// Most of them that bring short blobs in turn, each for the time of a round trip: any number of puts goes over these.
pub const STREAMS_LENT_MAX: usize = 6;
/// Most of them that ask for confirmations in turn: for longer if the node is behind the ledger, so they are not those above.
pub const STREAMS_CONFIRMING_MAX: usize = 4;
/// How long a stream is kept for the next one to use it: less than a node waits for an idle one ([`STREAM_CREDIT`]).
pub const STREAM_KEPT_MAX: Duration = Duration::from_secs(2);
/// Most streams one peer may keep open towards us; a few more than an honest peer opens, because it
/// may see a stream end before we do.
pub const STREAMS_FROM_PEER_MAX: usize = 24;
/// Accepted streams of one protocol that wait for their actor; more are answered "busy".
pub const ACCEPT_QUEUE_LEN: usize = 64;
/// Most streams in one yamux connection; yamux cannot bound its memory, so we bound its streams.
pub const YAMUX_STREAMS_MAX: usize = 64;
/// Most streams a peer may open in one QUIC connection; more wait at its side. As many as with yamux. A connection keeps a
/// place in two tables for each from its beginning, so the 256 of the transport's default cost what 50 KiB hold, unused.
pub const QUIC_STREAMS_MAX: u32 = 64;
/// Most opens one peer's connection may have waiting; our own callers are held back earlier.
pub const OPENS_PENDING_MAX: usize = 256;
/// How long `open` may take, all of it: dialling, a walk through Kademlia, dialling again.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(8);
/// How long negotiating one stream on an open connection may take before it is asked whether anything else has arrived
/// on it since: if not, it is dead; if so, the negotiation is repeated, within [`OPEN_TIMEOUT`].
pub const NEGOTIATION_TIMEOUT: Duration = Duration::from_secs(4);
/// How long one dial may take, all addresses together; and a handshake that others began.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a QUIC dial may go on after the same port refused TCP: a handshake around the world takes less.
pub const REFUSAL_GRACE: Duration = Duration::from_secs(1);
/// How long a stream that we opened may make no progress at all.
pub const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a stream that a peer opened may make no progress at all; what it moves earns new time at the rate below, and
/// never more than this. Round trips take a tenth of a second, so it forgives a lost packet and a paused process.
pub const STREAM_CREDIT: Duration = Duration::from_secs(5);
/// The rate at which a peer earns time on a stream that it opened. A writer on a thin line sends to all nodes at once and
/// several files side by side: 160 streams of this rate are 2.6 Mbit/s. When places are short, the slow lose theirs first.
pub const STREAM_CREDIT_BYTES_PER_SECOND: u64 = 2 * 1024;
/// The slowest honest transfer on a stream that we opened, and what keeps a place while others wait for one.
pub const STREAM_BYTES_PER_SECOND_MIN: u64 = 32 * 1024;
/// Read and write buffer of a stream; larger transfers go past them.
pub const STREAM_BUFFER_BYTES: usize = 32 * 1024;
/// A frame's body grows by at most this before its bytes have arrived.
pub const FRAME_STEP_BYTES: usize = 64 * 1024;

// ---- network: connections --------------------------------------------------------------------

/// Connections strangers may have open towards us; members need no place. One address is an office or a city behind its
/// carrier's NAT, one subnet is seldom more than one party.
pub const STRANGERS_ROOM: Room = Room { total: 384, of_subnet: 256, of_address: 192 };
/// Handshakes others have under way with us, of QUIC and of TCP each. An honest one takes less than a second, and one that
/// says nothing costs a socket: systems allow a process a thousand.
pub const HANDSHAKES_ROOM: Room = Room { total: 256, of_subnet: 192, of_address: 128 };
/// Connections we may have open towards others: a whole committee and some.
pub const CONNECTIONS_OUT_MAX: u32 = 256;
/// Connections per peer: both sides may dial at once, and a restarted peer's old one dies slowly.
pub const CONNECTIONS_PER_PEER_MAX: u32 = 4;
/// Handshakes we have under way with others.
pub const CONNECTIONS_PENDING_MAX: u32 = 64;
/// Of those, dials to addresses that nobody we trust stated.
pub const HEARSAY_DIALS_MAX: usize = 16;
/// How long a connection may take to say goodbye before it is dropped.
pub const CONNECTION_CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// New connections are refused while the process is larger than this.
pub const NETWORK_MEMORY_BYTES_MAX: usize = 2 * 1024 * 1024 * 1024;
/// How long a connection without streams stays open; opening one costs two round trips.
pub const CONNECTION_IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a silent QUIC connection lives: how fast a killed peer is noticed.
pub const QUIC_IDLE_TIMEOUT_MS: u32 = 8_000;
/// How often QUIC says something when nobody else does; a third of the time above.
pub const QUIC_KEEP_ALIVE: Duration = Duration::from_millis(2_500);
/// QUIC's window for one stream of a client, which chose its peers: bandwidth times round trip, 160 MB/s at 100 ms.
pub const QUIC_STREAM_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// QUIC's window for one connection of a client.
pub const QUIC_CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;
/// QUIC's window for one stream of a node's connection. A writer sends to a node at 10 MB/s at 100 ms, and to all nodes at once.
pub const QUIC_NODE_STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// QUIC's window for one connection of a node: what a stranger can make it hold unread. Several of its streams, because one
/// that we do not read for a while, as its writer waits for the ledger, must not hold up the others.
pub const QUIC_NODE_CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// How often a connection is pinged, and how long the answer may take.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);

// ---- network: peers, gossip, the actor -------------------------------------------------------

/// Commands that wait for the swarm task.
pub const NETWORK_COMMANDS_LEN: usize = 256;
/// Peers we remember addresses and faults of; the quietest unconnected one makes room.
pub const PEERS_KNOWN_MAX: usize = 4096;
/// How long we remember a stranger that is gone and did nothing wrong: longer than it takes to dial it again, and short,
/// because a name costs nothing and an attack brings thousands.
pub const STRANGERS_REMEMBERED: Duration = Duration::from_secs(30);
/// Addresses we keep per peer of those that were stated.
pub const ADDRESSES_PER_PEER_MAX: usize = 16;
/// Addresses we keep per peer of those that were heard: QUIC and TCP, and as many that are out of date.
pub const ADDRESSES_HEARD_MAX: usize = 4;
/// How long a banned peer stays out.
pub const BAN_DURATION: Duration = Duration::from_secs(10 * 60);
/// How often the swarm task looks after bans, bootstrap peers and its routing table.
pub const NETWORK_TICK: Duration = Duration::from_secs(1);
/// How often Kademlia refreshes its table; small networks change as a whole.
pub const KAD_BOOTSTRAP_INTERVAL: Duration = Duration::from_secs(60);
/// First pause between attempts to reach the bootstrap peers while nobody answers.
pub const BOOTSTRAP_PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause between them; a network that comes back is found again this late at most.
pub const BOOTSTRAP_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often bootstrap peers are dialled that are missing among others; nothing depends on them then.
pub const BOOTSTRAP_INTERVAL: Duration = Duration::from_secs(30);
/// What one peer may ask of Kademlia, and tell by identify, each: a walk or a refresh of the table asks us a few times, and
/// a whole committee starts at once.
pub const QUESTIONS_OF_PEER: Budget = Budget { burst: 256, refill_ms: 50 };
/// Strangers of one subnet in Kademlia's table: an attacker's subnet does not fill it.
pub const KAD_STRANGERS_OF_SUBNET_MAX: usize = 8;
/// How long a Kademlia walk may take; `open` waits for it.
pub const KAD_QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of a gossip message with its envelope.
pub const GOSSIP_BYTES_MAX: usize = 16 * 1024;
/// Gossip messages that wait for one slow peer: 64 x 16 KiB = 1 MiB.
pub const GOSSIP_PEER_QUEUE_LEN: usize = 64;
/// Gossip messages that wait for their listener; more are ignored, others repeat them.
pub const GOSSIP_LISTENER_QUEUE_LEN: usize = 256;
/// How long a new swarm waits for the old one to let go of its sockets.
pub const SWARM_END_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the swarm task may take to say goodbye to its peers.
pub const SWARM_LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

// ---- supervision -----------------------------------------------------------------------------

/// First pause before a restart.
pub const RESTART_BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest pause before a restart.
pub const RESTART_BACKOFF_MAX: Duration = Duration::from_secs(10);
/// How long a child may take to stop in a restart before it is killed.
pub const RESTART_STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a child may take to stop at shutdown before it is killed.
pub const SHUTDOWN_STOP_TIMEOUT: Duration = Duration::from_secs(10);

// ---- ledger ----------------------------------------------------------------------------------

/// How long the first answer of a ledger may take for those who do not wait for one that is away.
pub const CHAIN_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long any later answer of the ledger may take; executing waits for consensus.
pub const CHAIN_ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the last attempt at a ledger that is waited for may take: it begins when the patience ends.
pub const CHAIN_LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an executed transaction may take to appear in a checkpoint.
pub const CHAIN_CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the same signed transaction is sent again at least before we say that its fate is
/// unknown, also by those who wait for nothing else.
pub const CHAIN_SUBMISSION_PATIENCE_MIN: Duration = Duration::from_secs(5);
/// How often a transaction is built anew that the ledger refuses though nothing in it moved: its
/// nodes may see our objects later than we do.
pub const CHAIN_REBUILDS_MAX: u32 = 8;
/// Transactions of one order that are kept in mind once they were refused: as many as fit in minutes of lost races.
pub const CHAIN_RIVALS_MAX: usize = 64;
/// Versions of an object that are gone back through to see who used up one of them: others who spend the same wallet rarely
/// do more between two attempts, and each costs two questions.
pub const CHAIN_PAST_MAX: usize = 64;
/// Between two looks at a wallet's turn: a transaction on a ledger nearby takes some milliseconds.
pub const CHAIN_TURN_LOOK_MIN: Duration = Duration::from_millis(2);
/// As it grows for those who are not the next: many processes may wait.
pub const CHAIN_TURN_LOOK_MAX: Duration = Duration::from_millis(20);
/// How long a transaction that was executed may be unknown to a server, by the time of its own checkpoints: it
/// is in one after seconds. Later, the server has forgotten it, or it never was.
pub const CHAIN_WORD_AGE_MAX: Duration = Duration::from_secs(60);
/// How often whoever has a wallet's turn shows that it is alive.
pub const CHAIN_TURN_BEAT: Duration = Duration::from_secs(10);
/// How long a wallet's turn may last without a sign of life: many beats. Whoever holds it is stopped
/// then, and we go on beside it.
pub const CHAIN_TURN_STUCK_MAX: Duration = Duration::from_secs(60);
/// Turns that a process takes in a row while others wait: enough to make one look at the wallet's
/// coins serve many transactions, and a fraction of a second on a ledger nearby.
pub const CHAIN_TURNS_IN_A_ROW_MAX: u32 = 16;
/// After so long others have their turn, however few we had: transactions on a distant ledger take a
/// second each.
pub const CHAIN_TURNS_IN_A_ROW_TIME_MAX: Duration = Duration::from_secs(1);
/// Registrations of ours that we remember, to see whether a plan is older than one of them: more than
/// are planned at once.
pub const CHAIN_REGISTRATIONS_KNOWN_MAX: usize = 1_000;
/// First pause between two attempts at the ledger.
pub const CHAIN_BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest pause between two attempts at the ledger; it ends an outage for us this late at most.
pub const CHAIN_BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Checkpoints fetched at once while catching up: enough to hide a round trip, small in memory.
pub const CHAIN_BACKFILL_BATCH: u64 = 16;
/// Validators of one Sui epoch that we look at; Sui has a hundred odd.
pub const CHAIN_VALIDATORS_MAX: usize = 1024;
/// Sui epochs walked from the trusted checkpoint to now: a day each, so ten years.
pub const CHAIN_EPOCHS_WALKED_MAX: usize = 4096;
/// How long a subscription may say nothing before it is opened anew; ledgers seal a checkpoint a second.
pub const CHAIN_SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long nothing proven may come before we say that the ledger is silent. It only decides what is said.
pub const CHAIN_QUIET_MAX: Duration = Duration::from_secs(8);
/// How long a client that remembers the network waits for the ledger before it goes on without.
pub const CHAIN_RECALL_AFTER: Duration = Duration::from_secs(2);
/// Servers of one ledger that may be configured: each of them is looked at all the time.
pub const CHAIN_SERVERS_MAX: usize = 16;
/// How long a server may owe an answer before another one is asked: much longer than an answer takes, and
/// short enough for a person who waits.
pub const CHAIN_OTHER_SERVER_AFTER: Duration = Duration::from_secs(5);
/// Between two looks at the servers that are configured beside each other: one that lies or lags is named
/// within ten seconds, with what the look itself takes.
pub const CHAIN_LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How long a look at a server may take.
pub const CHAIN_LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// How often servers that show no signatures are asked for the same checkpoint: some are a moment later
/// than others.
pub const CHAIN_AGREEMENT_ATTEMPTS_MAX: usize = 10;
/// The pause between those.
pub const CHAIN_AGREEMENT_PAUSE: Duration = Duration::from_millis(200);
/// Coins that one transaction pays with; if it takes more, they are merged first. Ledgers allow
/// 512 arguments of a command.
pub const CHAIN_COINS_PER_CALL_MAX: usize = 256;
/// Transactions that merge coins for one payment: enough for sixteen thousand coins.
pub const CHAIN_MERGES_PER_CALL_MAX: u32 = 64;
/// Objects looked at in one request; ledgers allow a thousand.
pub const CHAIN_BATCH_OBJECTS: usize = 500;
/// Objects asked for in one page of a wallet's list: the most a ledger gives.
pub const CHAIN_PAGE_OBJECTS: u32 = 1_000;
/// Blobs that one transaction registers, certifies, extends or deletes: each takes two commands and 500 bytes at most, and Sui takes
/// a thousand commands and 128 KiB.
pub const CHAIN_BLOBS_PER_CALL_MAX: usize = 100;
/// Storage objects that one transaction joins or destroys: each takes three calls at most, and a ledger takes a thousand.
pub const CHAIN_STORAGES_PER_CALL_MAX: usize = 100;
/// Receipts of stake that one transaction asks back or pays out.
pub const CHAIN_RECEIPTS_PER_CALL_MAX: usize = 100;
/// Entries of a table asked for in one page: the most a ledger gives.
pub const CHAIN_PAGE_FIELDS: u32 = 1_000;
/// Entries of one table read: as many epochs as a network has in decades, more nodes than it may have.
pub const CHAIN_TABLE_ENTRIES_MAX: usize = 20_000;
/// Tables read at once; a network has one of rates for each of its nodes.
pub const CHAIN_TABLES_AT_ONCE: usize = 16;
/// How often objects of one epoch are asked for again while an epoch change is under way.
pub const CHAIN_VIEW_ATTEMPTS_MAX: usize = 5;

// ---- epochs ----------------------------------------------------------------------------------

/// The longest sleep before we look at the ledger's time again: it may have been moved ahead.
pub const EPOCH_ALARM_MAX: Duration = Duration::from_secs(60);

// ---- slivers ---------------------------------------------------------------------------------

/// Streams of `sliver/1` served at once; each may hold a file and a thread of the pool, and has 64 KiB of buffers. Each
/// class has its own places: 24 streams of each of five members, 256 clients that read from us at once.
pub const SLIVER_PLACES: guests::Limits = guests::Limits {
    members: 128,
    payers: 128,
    strangers: 256,
    payers_per_blob: 2,
    first_grace_ms: 300,
    grace_ms: 2_000,
    bytes_per_second: STREAM_BYTES_PER_SECOND_MIN,
};
/// Whoever is turned out below this rate is blamed for it: a request alone, now and then.
pub const CRAWL_BYTES_PER_SECOND: u64 = 1024;
/// Streams of `blob/1` served at once; each is one read of the store. Nobody pays for questions.
pub const BLOB_PLACES: guests::Limits =
    guests::Limits { members: 128, payers: 0, payers_per_blob: 0, ..SLIVER_PLACES };
/// Streams of `symbol/1` served at once. Only members are served: strangers have one place, on which they are told so.
pub const SYMBOL_PLACES: guests::Limits =
    guests::Limits { members: 64, payers: 0, strangers: 1, payers_per_blob: 0, ..SLIVER_PLACES };
/// Streams of `shard/1` served at once: a page of each of many new owners. Only members are served.
pub const SHARD_PLACES: guests::Limits = SYMBOL_PLACES;
/// Streams of `verdict/1` served at once: each may hold tens of megabytes of evidence, and writers who encode wrongly gain
/// nothing by it. Only members are served.
pub const VERDICT_PLACES: guests::Limits =
    guests::Limits { members: 16, payers: 0, strangers: 1, payers_per_blob: 0, ..SLIVER_PLACES };
/// Streams of `reach/1` served at once: each makes us dial, a few seconds long.
pub const REACH_PLACES: guests::Limits =
    guests::Limits { members: 8, payers: 0, strangers: 8, payers_per_blob: 0, ..SLIVER_PLACES };
/// How often one address may have us dial it back. A node asks a few times an hour, and its operator by hand; a devnet is
/// many nodes at one address.
pub const REACH_OF_ADDRESS: Budget = Budget { burst: 24, refill_ms: 10_000 };
/// Hosts of strangers that asked lately, and members apart; while all of them are remembered no new one is served, and they
/// are forgotten in minutes.
pub const REACH_ADDRESSES_REMEMBERED: usize = 1024;
/// Dials back under way at once: for members, and for all strangers who ask.
pub const DIALS_BACK: dials_back::Places = dials_back::Places { members: 16, strangers: 16 };
/// How long one dial back may take, with its way through the swarm: somewhat longer than any dial.
pub const DIAL_BACK_TIMEOUT: Duration = Duration::from_secs(6);
/// Peers that a node asks at once to dial it back: one may be wrong, or near it.
pub const REACH_PEERS: usize = 3;
/// How often a node that is reached asks again: routers forget, and firewalls change.
pub const REACH_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// How soon a node that is not reached asks again: somebody may be mending it.
pub const REACH_PAUSE: Duration = Duration::from_secs(60);
/// The same while nobody was there to say.
pub const REACH_PAUSE_UNKNOWN: Duration = Duration::from_secs(10);
/// Blobs of which it is remembered how many of their slivers a repair found, so that some can be named that cannot be repaired.
pub const STUCK_REMEMBERED_MAX: usize = 64;
/// Of these, those that are named to whoever asks.
pub const STUCK_TOLD_MAX: usize = 5;
/// What each duty gets of something scarce when all of them want it: clients half, because people wait for them; repair and
/// handover a fifth each, for data is at stake while they are late; challenges a tenth, which are few and small.
pub const DUTY_WEIGHTS: PerDuty<u64> =
    PerDuty { clients: 5, repair: 2, handover: 2, challenges: 1 };
/// Bytes of all visits together for segments and answers on their way in and out. Clients may have all but what is reserved for
/// other duties, which is 160 MiB: strangers' part of it holds two segments of the smallest network as they are written, or
/// dozens of slivers as they are read; the rest, one segment of a writer who paid. What is reserved for repair and handover
/// holds a sliver of a megabyte each for as many peers as a large network has members in one rack.
pub const SESSION_MEMORY: rations::Limits = rations::Limits {
    all: 196 * 1024 * 1024,
    strangers: 96 * 1024 * 1024,
    reserved: PerDuty {
        clients: 96 * 1024 * 1024,
        repair: 16 * 1024 * 1024,
        handover: 16 * 1024 * 1024,
        challenges: 4 * 1024 * 1024,
    },
    weights: DUTY_WEIGHTS,
    users_max: PEERS_KNOWN_MAX,
};
/// The same for long headers of uploads, held until these end: of the longest, as they came and as they are read, strangers
/// may hold two, and others one. Only clients upload.
pub const HEADER_MEMORY: rations::Limits = rations::Limits {
    all: 96 * 1024 * 1024 + 1024,
    strangers: 64 * 1024 * 1024 + 512,
    reserved: PerDuty { clients: 0, repair: 0, handover: 0, challenges: 0 },
    weights: DUTY_WEIGHTS,
    users_max: PEERS_KNOWN_MAX,
};
/// What a duty other than clients may send though clients want something, too: 16 MiB/s rebuild a terabyte in a day, and are a
/// seventh of a gigabit. Beside busy clients it is their share by weight, if that is more; alone, they send as fast as they can.
const LEAST_FLOW: pacing::Rate =
    pacing::Rate { advance: 4 * 1024 * 1024, bytes_per_second: 16 * 1024 * 1024 };
/// How fast a node sends for each of its duties. Clients count as company for as long as they do among readers; who would wait
/// for longer than two seconds is told to come back, for others have what it wants, too.
pub const FLOWS: flows::Limits = flows::Limits {
    weights: DUTY_WEIGHTS,
    least: PerDuty {
        clients: LEAST_FLOW,
        repair: LEAST_FLOW,
        handover: LEAST_FLOW,
        challenges: LEAST_FLOW,
    },
    company_ms: 1_000,
    wait_max_ms: 2_000,
};
/// What a sliver or an answer counts at least: it keeps a thread busy, and transports buffer it, too. So many small
/// ones at once count as a load, under which those who used less come first.
pub const SESSION_MEMORY_MIN: u64 = 256 * 1024;
/// What strangers may read of slivers while others want something from us, too: a host a quarter of a gigabit per second,
/// which is more than one reader gets of each node of a large network, and of five nodes together more than a gigabit. Behind
/// one address there may be many, and names cost nothing: 192 connections of its peers have 24 MiB/s of their own.
pub const READERS: pacing::Limits = pacing::Limits {
    host: pacing::Rate { advance: 64 * 1024 * 1024, bytes_per_second: 32 * 1024 * 1024 },
    peer: pacing::Rate { advance: 2 * 1024 * 1024, bytes_per_second: 128 * 1024 },
    company_ms: 1_000,
    wait_max_ms: 6_000,
    readers_max: PEERS_KNOWN_MAX,
};
/// What a sliver counts at least when it is read: finding it, and its frames.
pub const READ_BYTES_MIN: u64 = 16 * 1024;
/// How long a session waits for memory before the slowest stranger that holds some is turned out, each time.
pub const MEMORY_PATIENCE: Duration = Duration::from_millis(500);
/// Who has held memory for so long while others wait may be turned out though it does not keep us waiting: the largest
/// segment takes that long at 3 MB/s.
pub const MEMORY_HOLD_MAX: Duration = Duration::from_secs(10);
/// How long a session waits for memory in all; then it says "busy", while the peer still waits ([`STREAM_IDLE_TIMEOUT`]).
pub const MEMORY_WAIT_MAX: Duration = Duration::from_secs(6);
/// Bytes one peer may have stored here without a registration: two segments of a small committee.
pub const PENDING_BYTES_PER_PEER_MAX: u64 = 512 * 1024 * 1024;
/// Bytes the peers of one address may have stored here without a registration: two peers' worth.
pub const PENDING_BYTES_PER_HOST_MAX: u64 = 1024 * 1024 * 1024;
/// Bytes all peers together may have stored here without a registration.
pub const PENDING_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Blobs all peers together may have here without a registration: each is gone through when another one comes. A client has
/// 64 under way at most.
pub const PENDING_BLOBS_MAX: usize = 8_192;
/// One peer may have this part of them,
pub const PENDING_SHARES_OF_PEERS: usize = 32;
/// and one address this part.
pub const PENDING_SHARES_OF_HOSTS: usize = 16;
/// How long bytes wait for their registration before they are forgotten.
pub const PENDING_TIME_MAX: Duration = Duration::from_secs(60);
/// How often we look for bytes that waited too long.
pub const PENDING_SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// How long a session waits for the registration to show up: many checkpoints.
pub const REGISTRATION_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a node that is asked to confirm a short blob waits for its registration; then the writer comes again, because
/// others wait for the stream.
pub const CONFIRM_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a writer may pause between two segments: it encodes, or other nodes hold it back. Others may take its place
/// meanwhile, unless its blob is paid for.
pub const UPLOAD_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Pause asked of a peer when a bound of ours is reached.
pub const BUSY_RETRY_AFTER_MS: u32 = 500;
/// How long sessions may take to finish when their actor is stopped.
pub const SESSIONS_GRACE: Duration = Duration::from_secs(3);
/// Cores kept busy at once by what is checked, proved or rebuilt, of all duties together. More than the cores only adds memory.
pub const CORES_BUSY_MAX: usize = 4;
/// Pairs one get may ask for; a segment of the largest network has 1000.
pub const PAIRS_PER_GET_MAX: usize = 4096;

// ---- recovery --------------------------------------------------------------------------------

/// Blobs repaired at once: a repair waits for peers most of its time, and one that lasts does not hold up small ones.
pub const REPAIRS_AT_ONCE: usize = 8;
/// Bytes that all repairs hold together: two full segments of a node that has a fifth of a network of a hundred shards, so that
/// one comes while the other is computed. A whole segment that is read because too few give symbols takes four times its bytes
/// while it is encoded: the largest fits.
pub const REPAIR_MEMORY: usize = 136 * 1024 * 1024;
/// A repair that gets nothing new for so long is given up, and tried again later.
pub const REPAIR_PATIENCE: Duration = Duration::from_secs(15);
/// Whoever wants to fetch so many bytes of a blob first asks others what they hold of it: a question costs a kilobyte, and what
/// cannot be enough is not fetched again and again. A blob that could not be repaired before is asked for in any case.
pub const REPAIR_SURVEYED_BYTES: usize = 1024 * 1024;
/// How long others may take to say it: many round trips. Whoever is later is asked for symbols all the same.
pub const REPAIR_SURVEY_MAX: Duration = Duration::from_secs(3);
/// Members that are asked for evidence of a writer's fault, or are shown it, at once: it may be long, more are asked while those
/// are slow, and a third of them is enough.
pub const EVIDENCE_REQUESTS: usize = 4;
/// How long nobody may answer who was shown evidence before the rest is left for later: longer than a member checks the
/// longest on a slow core.
pub const VERDICT_PATIENCE: Duration = Duration::from_secs(60);
/// How soon what may have been on its way is looked at again.
pub const ARRIVING_LOOK_EVERY: Duration = Duration::from_secs(5);
/// A former owner of shards from which nothing came for so long is not waited for: what it owes is rebuilt.
pub const HANDOVER_PATIENCE: Duration = Duration::from_secs(30);
/// A former owner that ended no page for so long is slower than repairs are: what it was not asked for yet is rebuilt while it
/// works at the pages that it has. Two pages in this time are a megabyte a second.
pub const HANDOVER_LATE: Duration = Duration::from_secs(10);
/// Pages that former owners are asked for at once, all together: four of them at their work, and a third of the memory of
/// repairs.
pub const HANDOVER_PAGES_MAX: usize = 8;
/// Segments of one page that are made durable at once: the store takes them together.
pub const HANDOVER_KEEPS_AT_ONCE: usize = 32;
/// How often a page on its way says that something came.
pub const HANDOVER_HEARD_EVERY: Duration = Duration::from_secs(1);
/// Verdicts examined at once: each may take a core for seconds, and nobody is in a hurry.
pub const VERDICTS_AT_ONCE: usize = 1;
/// How long header and evidence may be on their way while others wait for a verdict.
pub const EVIDENCE_TIME_MAX: Duration = Duration::from_secs(120);
/// How often the log says how far repairs are.
pub const REPAIR_TOLD_EVERY: Duration = Duration::from_secs(10);

/// Between two parts of a shard that is removed because it is another node's.
pub const RELEASE_PAUSE: Duration = Duration::from_millis(20);

// ---- scrubbing -------------------------------------------------------------------------------

/// Everything that is stored is read again within this time, if the operator says nothing else: disks lose a sector in years,
/// and a terabyte in two weeks is a megabyte a second.
pub const SCRUB_EVERY: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// Bytes a second that are read again at most: a quarter of what one hard disk gives. A node of a hundred terabytes that
/// wants it faster has more disks than one.
pub const SCRUB_BYTES_PER_SECOND: u64 = 64 * 1024 * 1024;

// ---- vitals ----------------------------------------------------------------------------------

/// How often we look how the disk is: soon enough for whoever waits for room, and a few system calls.
pub const VITALS_INTERVAL: Duration = Duration::from_secs(1);
/// How long an inventory is good enough if only checkpoints came since.
pub const INVENTORY_PAUSE: Duration = Duration::from_secs(10);
/// After an inventory we rest for so many times what it took: it costs two percent of a disk at most.
pub const INVENTORY_REST: u32 = 50;
/// A blob whose first bytes came within this time may still be on its way, and is not called incomplete; writers pause
/// no longer ([`UPLOAD_PAUSE_MAX`]).
pub const ARRIVAL_MAX: Duration = UPLOAD_PAUSE_MAX;

// ---- gossip ----------------------------------------------------------------------------------

/// Announcements being checked at once; a check is one pairing, about a millisecond.
pub const ANNOUNCEMENT_CHECKS_MAX: usize = 16;

// ---- sessions of clients ---------------------------------------------------------------------

/// The most that is paid for a unit of gas, in MIST. Sui's validators have asked for 500 to 1,000; ten times that leaves them
/// room, and a server that names more burns the wallet's coins.
pub const CHAIN_GAS_PRICE_MAX: u64 = 10_000;
/// The most gas that a transaction may take, in MIST, whatever it does: 1 SUI. A put takes some thousandths, the end of an
/// epoch, which walks over all nodes, some tenths.
pub const CHAIN_GAS_BUDGET_BASE_MAX: u64 = 1_000_000_000;
/// What each command and each input may add to that, in MIST: what a kilobyte of new objects costs on Sui, and as much again.
pub const CHAIN_GAS_BUDGET_EACH_MAX: u64 = 20_000_000;
/// Nodes are asked alone so long whether a blob is stored as a server of the ledger says; then the ledger's own proof may come
/// first. More than nodes take that are well, so that the ledger is spared the questions.
pub const PUT_WITNESSES_ALONE: Duration = Duration::from_secs(2);
/// Plans one put makes, each because the ledger refused the one before and its facts had moved: others who use the same
/// wallet are faster now and then, not always.
pub const PUT_PLANS_MAX: usize = 8;
/// Puts of one client at once; those of short blobs share streams ([`STREAMS_LENT_MAX`]), wait for the ledger most of their
/// time, and share its transactions, of a hundred each.
pub const PUTS_AT_ONCE_MAX: usize = 64;
/// Of those, puts of longer blobs: a node lets a peer open [`STREAMS_TO_PEER_MAX`] streams, and each of these puts needs one
/// to each node; whoever waits for one too long takes the node for dead. Two streams are left for questions.
pub const LONG_PUTS_AT_ONCE_MAX: usize = 8;
/// Bytes that the puts of one client encode at once, as they are before encoding: what one large blob takes
/// with its window of two segments. So large blobs go one after the other, and small ones side by side.
pub const PUT_BYTES_AT_ONCE_MAX: usize = 64 * 1024 * 1024;
/// What a put takes beside its bytes, counted in the same way: queues, streams, slivers of the smallest blobs.
pub const PUT_BYTES_EACH: usize = 1024 * 1024;
/// Segments a blob's id is computed from at a time: one of each that is read, coded and handed over.
pub const SEGMENTS_IDENTIFYING_MAX: usize = haulout_protocol::encoding::MIN_IN_FLIGHT;
/// Memory a put keeps between two segments, so that the next one needs no fresh pages: one segment's slivers.
pub const ENCODING_BYTES_KEPT_MAX: usize = 128 * 1024 * 1024;
/// First pause before a put goes back to a node that had no time for it.
pub const PUT_RETURN_PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause between two such attempts.
pub const PUT_RETURN_PAUSE_MAX: Duration = Duration::from_secs(2);
/// A node that is asked about a checkpoint it has not read yet waits so long for it: a few checkpoints of Sui, and less than
/// whoever asks waits for an answer. Nothing is held meanwhile but the place of the stream, as before its first frame.
pub const QUESTION_WAIT_MAX: Duration = Duration::from_secs(1);
/// Whoever asks for a blob's status waits so long for the slow, once those that answered have settled it: it only completes
/// the list of who answers.
pub const STATUS_STRAGGLERS_MAX: Duration = Duration::from_secs(2);
