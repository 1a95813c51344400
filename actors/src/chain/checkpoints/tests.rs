//! Following a ledger across Sui epochs, from each place where somebody may begin.

use haulout_protocol::machine::ledger_history::TrustedCheckpoint;

use super::*;
use crate::chain::proof::tests::{Signers, next};
use crate::chain::sample_server::{SampleServer, chain};

/// Two checkpoints in each of four Sui epochs.
fn eight() -> (Vec<Signers>, Vec<Unproven>) {
    let signers = || (0..4).map(|epoch: u8| Signers::new(epoch.into(), 1 + 20 * epoch)).collect();
    let by: Vec<Signers> = signers();
    let mut history: Vec<Unproven> = Vec::new();
    for (epoch, own) in by.iter().enumerate() {
        for successors in [None, by.get(epoch + 1)] {
            history.push(next(history.last(), 1, own, successors));
        }
    }
    (signers(), history)
}

fn trust(checkpoint: &Unproven, validators: Option<&Signers>) -> Option<TrustedCheckpoint> {
    let validators = validators.map(|signers| signers.validators().digest());
    let (sequence, digest) = (checkpoint.sequence(), checkpoint.digest());
    Some(TrustedCheckpoint { sequence, digest, validators })
}

/// The numbers of what comes from a start.
async fn follow(chain: &Chain, start: Start) -> Result<Vec<u64>, FollowError> {
    let batch = chain.checkpoints(start).next_batch().await?;
    Ok(batch.iter().map(|checkpoint| checkpoint.sequence).collect())
}

/// A position that a version kept which did not look at digests.
fn unseen(sequence: u64) -> Option<Verified> {
    Some(Verified { sequence, digest: None, time_ms: 0 })
}

#[tokio::test]
async fn a_new_node_reads_all_from_the_first_checkpoint_whichever_one_a_person_names() {
    let (signers, history) = eight();
    let begin = async |named: usize, validators: Option<usize>| {
        let trusted = trust(&history[named], validators.map(|epoch: usize| &signers[epoch]));
        let server = SampleServer::start(eight().0, &history).await;
        follow(&chain(&[&server], trusted), Start::default()).await
    };
    for named in [0, 1] {
        assert_eq!(begin(named, Some(0)).await.unwrap(), (0..8).collect::<Vec<_>>(), "{named}");
    }
    // Of later Sui epochs they do not say who signed the first.
    for (named, validators) in [(1, None), (2, Some(1)), (3, None), (5, None)] {
        let refused = begin(named, validators).await.unwrap_err();
        let trusted = u64::try_from(named).unwrap();
        assert_eq!(refused, FollowError::TrustedLater { trusted, next: 0 });
        assert!(refused.repair().unwrap().contains("first is always right"));
    }
}

#[tokio::test]
async fn a_ledger_that_is_at_the_end_of_a_sui_epoch_is_not_called_forged() {
    let (_, history) = eight();
    let server = SampleServer::start(eight().0, &history[..4]).await;
    let chain = chain(&[&server], trust(&history[0], Some(&eight().0[0])));
    let mut checkpoints = chain.checkpoints(Start::default());
    assert_eq!(checkpoints.next_batch().await.unwrap().len(), 4);
    // The subscription broke: how far the ledger is, is asked anew.
    checkpoints.subscription = None;
    checkpoints.subscribe().await.unwrap();
    // And one that is not even as far lags.
    server.history().truncate(3);
    checkpoints.subscription = None;
    let behind = Doubt { verdict: Verdict::Behind, checkpoint: 2 };
    assert_eq!(checkpoints.subscribe().await.unwrap_err(), behind.into());
}

#[tokio::test]
async fn after_a_version_that_did_not_look_the_validators_are_found_from_those_that_are_kept() {
    let (signers, history) = eight();
    let server = SampleServer::start(eight().0, &history).await;
    let trusted = trust(&history[0], Some(&signers[0]));
    // It went on from the first Sui epoch to the third.
    let kept = |epoch: usize| Some(signers[epoch].validators().to_bytes());
    for (position, validators) in [(4, kept(0)), (4, kept(2)), (5, kept(0)), (4, None), (0, None)] {
        let start = Start { last: unseen(position), validators };
        let came = follow(&chain(&[&server], trusted), start).await;
        assert_eq!(came.unwrap(), (position + 1..8).collect::<Vec<_>>(), "position: {position}");
    }
    // Whoever shows other validators is not believed for it.
    let thieves: Vec<Signers> = (0..4).map(|epoch| Signers::new(epoch, 90)).collect();
    let mut other: Vec<Unproven> = history[..4].to_vec();
    other.push(next(other.last(), 1, &thieves[2], None));
    other.push(next(other.last(), 1, &thieves[2], Some(&thieves[3])));
    let liar = SampleServer::start(thieves, &other).await;
    let start = Start { last: unseen(4), validators: kept(0) };
    let doubt = follow(&chain(&[&liar], trusted), start).await.unwrap_err();
    assert_eq!(doubt, Doubt { verdict: Verdict::Forged, checkpoint: 5 }.into());
}

#[tokio::test]
async fn a_trusted_checkpoint_that_says_nothing_of_what_comes_next_is_refused_with_what_to_do() {
    let (signers, history) = eight();
    let server = SampleServer::start(eight().0, &history).await;
    let later = chain(&[&server], trust(&history[6], Some(&signers[3])));
    let refused = follow(&later, Start { last: unseen(1), validators: None }).await.unwrap_err();
    assert_eq!(refused, FollowError::TrustedLater { trusted: 6, next: 2 });
    assert!(refused.repair().unwrap().contains("chain.trusted"));
    // Later, and of the same Sui epoch: it names who signed.
    let came = follow(&later, Start { last: unseen(5), validators: None }).await.unwrap();
    assert_eq!(came, [6, 7]);
    let no_end = chain(&[&server], trust(&history[2], None));
    let refused = follow(&no_end, Start::default()).await.unwrap_err();
    assert_eq!(refused, FollowError::NoEnd { sequence: 2 });
    assert!(refused.repair().unwrap().contains("chain.trusted"));
    // A server that dropped what the walk needs is told so.
    let short = SampleServer::start(eight().0, &history[5..]).await;
    let start = Start { last: unseen(4), validators: None };
    let trusted = trust(&history[0], Some(&signers[0]));
    let gap = follow(&chain(&[&short], trusted), start).await.unwrap_err();
    assert_eq!(gap, Doubt { verdict: Verdict::Gap, checkpoint: 0 }.into());
}
