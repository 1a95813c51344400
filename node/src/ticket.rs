//! Join tickets: what a stranger's node needs to find a network, in one string that can be pasted.
//!
//! A ticket is trusted as far as whoever gave it is: it names the ledger and the objects that count, and a false one leads
//! into a false network. It holds no secret.
//! Promises: reading any text gives a ticket whose every part can be used, or an error that says what to do; a ticket has one
//! text, and the text is bounded. Does not: reach anybody; what a ticket says is checked where it is used.

mod invitation;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bincode::{Decode, Encode};
use haulout_actors::network;
use haulout_protocol::machine::ledger_history::{CheckpointDigest, TrustedCheckpoint};
use haulout_protocol::message::NetworkId;
use haulout_protocol::wire;

use crate::config::{ChainConfig, bootstrap, servers};
use crate::error::{Error, Kind, Result};
use crate::periods;

/// How every ticket begins.
pub const PREFIX: &str = "haulout1";
/// Most addresses of peers in a ticket: any one is enough to find the others.
pub const PEERS_MAX: usize = 3;
/// Most characters of a ticket: three addresses and as many servers as a configuration may name take less.
pub const CHARS_MAX: usize = 4096;
/// For how long a ticket may be valid at most: addresses change.
pub const VALID_FOR_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// The version this program writes, and the only one it reads.
const VERSION: u8 = 1;
/// Bytes of the checksum at the end: a slip in copying passes once in four billion times.
const CHECKSUM_BYTES: usize = 4;

/// What a stranger's node needs to find a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Which network.
    pub network: NetworkId,
    /// Multiaddrs of peers to start from, each with its peer id; one to [`PEERS_MAX`].
    pub bootstrap: Vec<String>,
    /// Where the ledger is, which objects on it count, and from which checkpoint on it must prove what it says.
    pub chain: ChainConfig,
    /// Until when it may be used, in seconds since 1970.
    pub expires_at: u64,
}

/// The bytes of a ticket, before its checksum.
#[derive(Encode, Decode)]
struct Body {
    version: u8,
    expires_at: u64,
    network: [u8; 32],
    /// Package, system, staking, params, treasury.
    objects: [[u8; 32]; 5],
    trusted: Option<(u64, [u8; 32], Option<[u8; 32]>)>,
    servers: Vec<String>,
    /// Multiaddrs in their binary form.
    peers: Vec<Vec<u8>>,
}

impl Ticket {
    /// The text of the ticket.
    ///
    /// # Errors
    /// If an address is none, or the text would be longer than [`CHARS_MAX`].
    pub fn to_text(&self) -> Result<String> {
        let chain = &self.chain;
        let objects = [chain.package, chain.system, chain.staking, chain.params, chain.treasury];
        let peers = self.bootstrap.iter().map(|address| network::address_to_bytes(address));
        let body = Body {
            version: VERSION,
            expires_at: self.expires_at,
            network: *self.network.as_bytes(),
            objects: objects.map(Into::into),
            trusted: chain.trusted.map(|it| (it.sequence, it.digest.0, it.validators)),
            servers: chain.rpc.clone(),
            peers: peers.collect::<Result<_, _>>()?,
        };
        let text = sealed(&wire::encode(&body));
        match text.len() {
            0..=CHARS_MAX => Ok(text),
            long => {
                let message =
                    format!("the ticket would have {long} characters, more than {CHARS_MAX}");
                Err(Error::new(Kind::Config, message)
                    .hint("name fewer or shorter servers in chain.rpc"))
            }
        }
    }

    /// Reads a ticket; white space in it is left out, because mail breaks lines.
    ///
    /// # Errors
    /// [`Kind::Usage`] if the text is no ticket or a damaged one, [`Kind::Version`] if a newer program wrote it,
    /// [`Kind::Expired`] if its time is over at `now`, in seconds since 1970.
    pub fn read(text: &str, now: u64) -> Result<Ticket> {
        if text.len() > 2 * CHARS_MAX {
            return Err(garbled("it is far too long"));
        }
        let text: String = text.split_whitespace().collect();
        let Some(rest) = text.strip_prefix(PREFIX) else {
            return Err(garbled(&format!("a ticket begins with {PREFIX}")));
        };
        let sealed = match text.len() {
            0..=CHARS_MAX => URL_SAFE_NO_PAD.decode(rest).ok(),
            _ => None,
        };
        let (bytes, sum) = sealed
            .as_deref()
            .and_then(|sealed| sealed.split_at_checked(sealed.len().checked_sub(CHECKSUM_BYTES)?))
            .filter(|(bytes, sum)| checksum(bytes) == *sum)
            .ok_or_else(|| garbled("characters of it are missing, too many or wrong"))?;
        debug_assert_eq!(sum.len(), CHECKSUM_BYTES);
        match bytes.first() {
            Some(&VERSION) => {}
            Some(version) => {
                let message = format!(
                    "the ticket is of version {version}; this program reads version {VERSION}"
                );
                return Err(Error::new(Kind::Version, message)
                    .hint("use the program of whoever gave the ticket, or a newer one"));
            }
            None => return Err(garbled("there is nothing in it")),
        }
        let ticket = wire::decode::<Body>(bytes)
            .ok()
            .and_then(Body::into_ticket)
            // One ticket, one text: no second way to write an address or a server.
            .filter(|ticket| ticket.to_text().is_ok_and(|written| written == text))
            .ok_or_else(|| garbled("its parts make no sense"))?;
        // Nobody writes such a ticket, and whoever reads one would send the name and password on, and into its own file.
        for (at, server) in ticket.chain.rpc.iter().enumerate() {
            invitation::may_be_told(at, server).map_err(|error| garbled(&format!("{error}")))?;
        }
        match ticket.expires_at < now {
            true => Err(expired(now - ticket.expires_at)),
            false => Ok(ticket),
        }
    }
}

impl Body {
    /// The ticket, if every part of it can be used.
    fn into_ticket(self) -> Option<Ticket> {
        let peers = self.peers.iter().map(|bytes| network::address_from_bytes(bytes));
        let peers = peers.map(|address| bootstrap(&address?).ok());
        let bootstrap: Vec<String> = peers.collect::<Option<_>>()?;
        if !(1..=PEERS_MAX).contains(&bootstrap.len()) {
            return None;
        }
        let [package, system, staking, params, treasury] = self.objects.map(Into::into);
        let trusted = self.trusted.map(|(sequence, digest, validators)| TrustedCheckpoint {
            sequence,
            digest: CheckpointDigest(digest),
            validators,
        });
        let rpc = servers(&self.servers).ok()?;
        Some(Ticket {
            network: NetworkId::from_bytes(self.network),
            bootstrap,
            chain: ChainConfig { rpc, package, system, staking, params, treasury, trusted },
            expires_at: self.expires_at,
        })
    }
}

/// The moment of this machine's clock, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// For how long a ticket shall be valid: `7d`, `12h`, `30m`; a minute at least.
pub(crate) fn valid_for(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "`{text}` is not a time a ticket can be valid for: write it as in 7d or 12h, from 1m to 366d"
        )
    };
    let period = match text.strip_suffix('d') {
        Some(days) => {
            let days: u64 = days.trim_end().parse().map_err(|_| wrong())?;
            Duration::from_secs(days.checked_mul(24 * 3600).ok_or_else(wrong)?)
        }
        None => periods::parse(text).ok_or_else(wrong)?,
    };
    let fits = (Duration::from_secs(60)..=VALID_FOR_MAX).contains(&period);
    fits.then_some(period).ok_or_else(wrong)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut sum = [0; CHECKSUM_BYTES];
    let mut hasher = blake3::Hasher::new_derive_key("haulout join ticket checksum");
    hasher.update(bytes).finalize_xof().fill(&mut sum);
    sum
}

fn garbled(why: &str) -> Error {
    Error::new(Kind::Usage, format!("this is no ticket that can be read: {why}")).hint(
        "copy all of it, from `haulout1` to its end; whoever runs a node or reads from the network makes another with \
         `haulout node invite`",
    )
}

fn expired(seconds_ago: u64) -> Error {
    // Whole minutes are enough, and easier to read.
    let ago = Duration::from_secs(seconds_ago / 60 * 60);
    let message =
        format!("the ticket was valid until {} ago, by this machine's clock", periods::spoken(ago));
    Error::new(Kind::Expired, message).hint(
        "ask for a new one, which `haulout node invite` prints; if the clock is wrong, `timedatectl set-ntp true` lets it be set",
    )
}

/// The text of these bytes under their checksum.
fn sealed(bytes: &[u8]) -> String {
    let bytes = [bytes, &checksum(bytes)].concat();
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests;
