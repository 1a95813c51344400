//! What strangers do to a network of real node processes, and that honest clients do not notice.
//!
//! Each attack runs for a few seconds beside honest puts and gets, all of which must succeed. `HAULOUT_ATTACK_SECONDS` and
//! `HAULOUT_ATTACK_SCALE` make it longer and stronger, `HAULOUT_ATTACK_STRICT=1` judges what only an idle machine can
//! show. The devnet is this very program, started again under its name, so that this target alone builds all it needs;
//! therefore it has a `main` of its own.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]
#![allow(clippy::print_stderr, reason = "an attack says what it measured")]

mod assault;
mod dials;
mod doors;
mod floods;
mod handshakes;
mod identities;
mod kademlia;
mod short;
mod siege;
mod stranger;
mod streams;

use std::ffi::OsString;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// The attacks, by the sentence that must hold.
fn trials() -> Vec<Trial> {
    vec![
        trial(
            "connections_that_say_nothing_keep_nobody_out",
            handshakes::connections_that_say_nothing,
        ),
        trial("many_identities_keep_nobody_out", identities::many_identities),
        trial("nodes_do_not_dial_what_strangers_name", dials::named_victims),
        trial(
            "strangers_who_are_dialled_back_learn_nothing_and_take_no_members_turn",
            doors::ports_of_others,
        ),
        trial("floods_of_questions_keep_nobody_out", kademlia::floods_of_questions),
        trial("noise_keeps_nobody_out", floods::noise),
        trial("announcements_that_are_none_keep_nobody_out", floods::announcements),
        trial("a_ledger_with_readers_that_do_not_read_serves_others", floods::subscriptions),
        trial("slow_streams_keep_nobody_out", streams::slow_streams),
        trial("headers_that_never_end_fill_no_memory", streams::headers_that_never_end),
        trial("headers_nobody_paid_for_are_not_served", streams::unpaid_headers),
        trial("claims_without_bytes_keep_no_room", streams::claims_without_bytes),
        trial("bytes_nobody_reads_fill_no_memory", streams::bytes_nobody_reads),
        trial("a_pair_named_twice_is_not_served", streams::pairs_named_again_and_again),
        trial("floods_of_short_blobs_leave_others_their_share", short::floods_of_short_blobs),
        trial("greedy_readers_leave_others_their_share", streams::greedy_readers),
    ]
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.first().is_some_and(|name| name == siege::DEVNET) {
        return ExitCode::from(haulout_devnet::cli::main_with(arguments));
    }
    let mut options = Arguments::from_args();
    options.test_threads = Some(1); // each has a whole network, and the machine to itself
    libtest_mimic::run(&options, trials()).exit_code()
}

fn trial<Attack>(sentence: &str, attack: impl FnOnce() -> Attack + Send + 'static) -> Trial
where
    Attack: Future<Output = ()>,
{
    Trial::test(sentence, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(attack());
        runtime.shutdown_background(); // attackers never end by themselves
        Ok(())
    })
}
