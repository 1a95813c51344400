//! What a new node believes because its ticket says so.
//!
//! Promises: it names all that a false ticket would lie about, and doubts one whose ledger nothing else vouches for. Does not: ask
//! anybody whether it is true.

use crate::checks::Check;
use crate::ticket::Ticket;

/// What to do about a ticket that has to be believed.
const NEXT: &str = "compare them with what the network says of itself elsewhere; name more servers in chain.rpc and a checkpoint in \
                    chain.trusted of the file, or ask for a ticket that has them";

/// Servers, package and checkpoint that the ticket names, and whether they vouch for each other.
pub(super) fn check(ticket: &Ticket) -> Check {
    let chain = &ticket.chain;
    let checkpoint = match chain.trusted {
        Some(trusted) => format!("checkpoint {trusted}"),
        None => "no checkpoint".to_owned(),
    };
    let named = format!(
        "the ticket names {}; package {}; {checkpoint}",
        chain.rpc.join(", "),
        chain.package
    );
    let doubts = ticket.doubts();
    match doubts.is_empty() {
        true => Check::good("trust", named),
        false => Check::doubtful("trust", format!("{named}: {}", doubts.join("; ")), NEXT),
    }
}

#[cfg(test)]
mod tests {
    use haulout_protocol::chain::ObjectId;
    use haulout_protocol::message::NetworkId;

    use super::*;
    use crate::checks::Outcome;
    use crate::config::ChainConfig;

    fn ticket(servers: &[&str], trusted: bool) -> Ticket {
        let id = |byte| ObjectId::from_bytes([byte; 32]);
        let checkpoint = "3:4btiuiMPvEENsttpZC7CZ53DruC3MAgfznDbASZ7DR6S";
        Ticket {
            network: NetworkId::from_bytes([7; 32]),
            bootstrap: Vec::new(),
            chain: ChainConfig {
                rpc: servers.iter().map(|it| (*it).to_owned()).collect(),
                package: id(1),
                system: id(2),
                staking: id(3),
                params: id(4),
                treasury: id(5),
                trusted: trusted.then(|| checkpoint.parse().unwrap()),
            },
            expires_at: 1_000,
        }
    }

    #[test]
    fn a_ticket_with_one_server_or_no_checkpoint_is_doubted_and_what_it_names_is_told() {
        let two = ["https://one.example", "https://two.example"];
        for (servers, trusted, outcome) in [
            (&two[..], true, Outcome::Good),
            (&two[..], false, Outcome::Doubtful),
            (&two[..1], true, Outcome::Doubtful),
            (&two[..1], false, Outcome::Doubtful),
        ] {
            let ticket = ticket(servers, trusted);
            let told = check(&ticket);
            assert_eq!((told.name, told.outcome), ("trust", outcome), "{told:?}");
            assert_eq!(told.next_step.is_some(), outcome == Outcome::Doubtful, "{told:?}");
            let package = ticket.chain.package.to_string();
            let checkpoint = if trusted { "checkpoint 3:4bt" } else { "no checkpoint" };
            for part in servers.iter().copied().chain([package.as_str(), checkpoint]) {
                assert!(told.found.contains(part), "{part}: {told:?}");
            }
        }
    }
}
