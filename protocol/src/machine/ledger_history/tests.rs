//! Every verdict, on both sides of its boundary.

use proptest::prelude::*;

use super::*;

fn digest(branch: u8, sequence: u64) -> CheckpointDigest {
    let mut bytes = [branch; 32];
    bytes[..8].copy_from_slice(&sequence.to_be_bytes());
    CheckpointDigest(bytes)
}

/// A proven checkpoint of a history that has this name.
fn shown(branch: u8, sequence: u64) -> Shown {
    Shown {
        sequence,
        digest: digest(branch, sequence),
        previous: sequence.checked_sub(1).map(|before| digest(branch, before)),
        time_ms: 1000 * sequence,
        is_proven: true,
    }
}

/// The history of branch 1 up to this number.
fn up_to(last: u64) -> History {
    let mut history = History::default();
    for sequence in 0..=last {
        history.push(&shown(1, sequence));
    }
    history
}

#[test]
fn only_what_follows_by_number_digest_time_and_proof_is_next() {
    let history = up_to(4);
    assert_eq!(history.next(), 5);
    let next = shown(1, 5);
    let cases = [
        (next, Verdict::Next),
        (Shown { is_proven: false, ..next }, Verdict::Forged),
        (Shown { previous: Some(digest(2, 4)), ..next }, Verdict::Fork),
        (Shown { previous: None, ..next }, Verdict::Fork),
        (Shown { time_ms: 4000, ..next }, Verdict::Next),
        (Shown { time_ms: 3999, ..next }, Verdict::Fork),
        (shown(1, 6), Verdict::Gap),
        (shown(1, 4), Verdict::Behind),
        (shown(1, 0), Verdict::Behind),
        (shown(2, 4), Verdict::Rollback),
        (shown(2, 0), Verdict::Rollback),
        (Shown { is_proven: false, ..shown(2, 4) }, Verdict::Forged),
    ];
    for (shown, verdict) in cases {
        assert_eq!(history.judge(&shown), verdict, "{shown:?}");
    }
}

#[test]
fn a_history_begins_with_the_trusted_checkpoint_and_no_other() {
    let trusted = TrustedCheckpoint { sequence: 7, digest: digest(1, 7), validators: None };
    let history = History::from_trusted(Some(&trusted));
    assert_eq!(history.judge(&shown(1, 7)), Verdict::Next);
    assert_eq!(history.judge(&shown(2, 7)), Verdict::Fork);
    assert_eq!(history.judge(&shown(1, 8)), Verdict::Gap);
    assert_eq!(history.judge(&shown(1, 6)), Verdict::Behind);
    let history = History::from_trusted(None);
    assert_eq!(history.judge(&shown(2, 0)), Verdict::Next);
    assert_eq!(history.judge(&shown(2, 1)), Verdict::Gap);
}

#[test]
fn only_what_was_verified_or_named_by_a_person_is_vouched_for() {
    let trusted = TrustedCheckpoint { sequence: 7, digest: digest(1, 7), validators: None };
    let mut history = History::from_trusted(Some(&trusted));
    assert!(history.vouches_for(7, &digest(1, 7)));
    assert!(!history.vouches_for(7, &digest(2, 7)) && !history.vouches_for(8, &digest(1, 7)));
    history.push(&shown(1, 7));
    history.push(&shown(1, 8));
    assert!(history.vouches_for(7, &digest(1, 7)) && history.vouches_for(8, &digest(1, 8)));
    assert!(!history.vouches_for(8, &digest(2, 8)) && !history.vouches_for(9, &digest(1, 9)));
    let unseen = History::after(Verified { sequence: 4, digest: None, time_ms: 4000 });
    assert!(!unseen.vouches_for(4, &digest(1, 4)));
    assert!(!History::from_trusted(None).vouches_for(0, &digest(1, 0)));
}

#[test]
fn where_an_earlier_version_did_not_look_the_next_number_and_time_suffice() {
    let history = History::after(Verified { sequence: 4, digest: None, time_ms: 4000 });
    assert_eq!(history.judge(&shown(2, 5)), Verdict::Next);
    assert_eq!(history.judge(&Shown { time_ms: 3999, ..shown(2, 5) }), Verdict::Fork);
    assert_eq!(history.judge(&shown(2, 4)), Verdict::Behind);
}

#[test]
fn as_many_checkpoints_are_remembered_as_promised() {
    let last = u64::try_from(REMEMBERED).unwrap() + 9;
    let history = up_to(last);
    assert_eq!(history.judge(&shown(2, 10)), Verdict::Rollback);
    assert_eq!(history.judge(&shown(2, 9)), Verdict::Behind, "it is forgotten");
}

#[test]
fn trusted_checkpoints_are_read_as_they_are_written() {
    for validators in [None, Some([7; 32])] {
        let trusted = TrustedCheckpoint { sequence: 12, digest: digest(1, 12), validators };
        assert_eq!(trusted.to_string().parse(), Ok(trusted));
    }
    let digest = digest(1, 1);
    for wrong in ["", "1", "x:y", &format!("x:{digest}"), "1:abc", &format!("1:{digest}:abc")] {
        assert_eq!(wrong.parse::<TrustedCheckpoint>(), Err(ParseTrustedError), "{wrong}");
    }
    let four = format!("1:{digest}:{digest}:{digest}");
    assert_eq!(four.parse::<TrustedCheckpoint>(), Err(ParseTrustedError));
}

#[test]
fn only_a_ledger_that_continues_or_lags_does_not_stop_us() {
    use Verdict::*;
    let stops = |verdict: &Verdict| verdict.stops_us();
    assert!(![Next, Behind].iter().any(stops));
    assert!([Gap, Fork, Rollback, Forged, Disputed].iter().all(stops));
}

proptest! {
    /// Whatever is shown, from two histories that part somewhere: what was taken over is one history.
    #[test]
    fn nothing_of_another_history_is_ever_taken_over(
        parting in 0_u64..20,
        stream in proptest::collection::vec((1_u8..3, 0_u64..40, any::<bool>()), 0..300),
    ) {
        // Branch 2 is branch 1 up to `parting`.
        let branch_of = |branch: u8, sequence: u64| if sequence < parting { 1 } else { branch };
        let mut history = History::default();
        let mut taken = Vec::new();
        for (branch, sequence, is_proven) in stream {
            let before = sequence.checked_sub(1);
            let shown = Shown {
                digest: digest(branch_of(branch, sequence), sequence),
                previous: before.map(|before| digest(branch_of(branch, before), before)),
                is_proven,
                ..shown(branch, sequence)
            };
            if history.judge(&shown) == Verdict::Next {
                history.push(&shown);
                taken.push((sequence, branch_of(branch, sequence)));
            }
        }
        prop_assert!(taken.iter().map(|(sequence, _)| *sequence).eq(0..taken.len() as u64));
        let late: Vec<_> = taken.iter().filter(|(sequence, _)| *sequence >= parting).collect();
        prop_assert!(late.windows(2).all(|pair| pair[0].1 == pair[1].1), "{taken:?}");
    }
}
