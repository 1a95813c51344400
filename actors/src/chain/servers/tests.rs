//! Several servers of one ledger, some of which are not what they should be.

use std::time::Duration;

use haulout_protocol::machine::ledger_history::TrustedCheckpoint;
use haulout_protocol::machine::ledger_servers::Standing;

use super::*;
use crate::chain::proof::tests::{Signers, next};
use crate::chain::sample_server::{SampleServer, chain};
use crate::chain::{Checkpoints, Start};

/// How long a fact may take to become true; it only decides how late a failure is told.
const FACT_PATIENCE: Duration = Duration::from_secs(60);

fn signers() -> Vec<Signers> {
    vec![Signers::new(0, 1)]
}

/// Checkpoints in which storage epochs from this one on began.
fn history(first: u32, count: u32) -> Vec<Unproven> {
    let by = Signers::new(0, 1);
    (first..first + count).fold(Vec::new(), |mut history: Vec<Unproven>, epoch| {
        history.push(next(history.last(), epoch, &by, None));
        history
    })
}

/// The same, as a server without signatures shows them.
fn unsigned(history: &[Unproven]) -> Vec<Unproven> {
    let strip = |one: &Unproven| Unproven::without_signature(one.clone());
    history.iter().map(strip).collect()
}

fn trust(history: &[Unproven]) -> Option<TrustedCheckpoint> {
    let validators = Some(Signers::new(0, 1).validators().digest());
    Some(TrustedCheckpoint { sequence: 0, digest: history[0].digest(), validators })
}

async fn serve<const COUNT: usize>(shown: [&[Unproven]; COUNT]) -> [SampleServer; COUNT] {
    let started = shown.map(|history| SampleServer::start(signers(), history));
    let started = futures::future::join_all(started).await;
    started.try_into().unwrap_or_else(|_| panic!("as many as asked for"))
}

/// Follows to the next batch as chain sync does: whoever fails is noted, and another one is asked.
async fn follow(chain: &Chain, checkpoints: &mut Checkpoints) -> Vec<u64> {
    let following = async {
        loop {
            match checkpoints.next_batch().await {
                Ok(batch) => return batch.iter().map(|one| one.sequence).collect(),
                Err(FollowError::Moved) => {}
                Err(FollowError::Doubt(doubt)) => {
                    chain.found(checkpoints.server(), Finding::Doubted(doubt));
                }
                Err(error) => {
                    assert!(matches!(error, FollowError::Call(_)), "{error:?}");
                    chain.found(checkpoints.server(), Finding::Silent);
                }
            }
        }
    };
    tokio::time::timeout(FACT_PATIENCE, following).await.expect("an honest server is found")
}

fn standing(chain: &Chain, server: usize) -> Standing {
    chain.standings().borrow().standing(server)
}

#[tokio::test]
async fn one_honest_server_of_three_is_enough_where_there_are_signatures() {
    let (truth, other) = (history(1, 4), history(5, 4));
    let stripped = unsigned(&truth);
    let [forked, no_proof, honest] = serve([&other, &stripped, &truth]).await;
    let chain = chain(&[&forked, &no_proof, &honest], trust(&truth));
    let mut checkpoints = chain.checkpoints(Start::default());
    // Whoever shows the checkpoint that a person named may: it needs no proof.
    assert_eq!(follow(&chain, &mut checkpoints).await, [0]);
    assert_eq!(follow(&chain, &mut checkpoints).await, [1, 2, 3]);
    assert_eq!((chain.server(), chain.url()), (2, honest.url.as_str()));
    let is = |server, verdict| matches!(standing(&chain, server), Standing::Doubted(doubt) if doubt.verdict == verdict);
    assert!(is(0, Verdict::Fork) && is(1, Verdict::Forged));
}

#[tokio::test]
async fn a_server_that_hangs_or_is_away_makes_way_for_the_next() {
    let truth = history(1, 4);
    let [hanging, honest] = serve([&truth, &truth]).await;
    hanging.hang(true);
    let gone = SampleServer::start(signers(), &truth).await;
    let url = gone.url.clone();
    drop(gone);
    let mut chain = chain(&[&hanging, &honest], trust(&truth));
    let mut options = chain.shared.options.clone();
    options.urls.insert(0, url);
    chain = Chain::resume(options, &NetworkObjects::default()).unwrap();
    assert_eq!(chain.latest_checkpoint().await.unwrap(), 3);
    assert_eq!(chain.server(), 2);
    assert_eq!([0, 1].map(|server| standing(&chain, server)), [Standing::Silent; 2]);
    let mut checkpoints = chain.checkpoints(Start::default());
    assert_eq!(follow(&chain, &mut checkpoints).await, [0, 1, 2, 3]);
}

#[tokio::test]
async fn whoever_follows_a_server_leaves_it_when_another_one_is_chosen() {
    let truth = history(1, 4);
    let [first, second] = serve([&truth[..2], &truth]).await;
    let chain = chain(&[&first, &second], trust(&truth));
    let mut checkpoints = chain.checkpoints(Start::default());
    assert_eq!(follow(&chain, &mut checkpoints).await, [0, 1]);
    // It says nothing new, and its connection is well.
    let (came, ()) = tokio::join!(follow(&chain, &mut checkpoints), async {
        chain.found(0, Finding::Silent);
    });
    assert_eq!(came, [2, 3]);
}

#[tokio::test]
async fn a_look_tells_who_shows_the_history_that_was_verified() {
    let (truth, other) = (history(1, 6), history(7, 6));
    let rewound: Vec<_> = truth[..2].iter().chain(&other[2..3]).cloned().collect();
    let mut tampered = unsigned(&truth);
    tampered.truncate(4);
    let shown = [&truth[..], &truth[..4], &truth[..2], &other, &rewound, &tampered];
    let servers = serve(shown).await;
    let [ahead, ..] = &servers;
    let all: Vec<&SampleServer> = servers.iter().collect();
    let chain = chain(&all, trust(&truth));
    let mut checkpoints = chain.checkpoints(Start::default());
    ahead.history().truncate(4);
    assert_eq!(follow(&chain, &mut checkpoints).await, [0, 1, 2, 3]);
    ahead.history().extend_from_slice(&truth[4..]);
    let witness = checkpoints.witness();
    let look = async |server: usize| chain.at(server).look(&witness).await;
    let sound = |time_ms, is_proven| Ok(Finding::Sound { time_ms, is_proven });
    let doubt = |verdict, checkpoint| Err(FollowError::Doubt(Doubt { verdict, checkpoint }));
    assert_eq!(look(0).await, sound(5_000, true));
    assert_eq!(look(1).await, sound(3_000, false));
    assert_eq!(look(2).await, sound(1_000, false));
    assert_eq!(look(3).await, doubt(Verdict::Rollback, 3));
    assert_eq!(look(4).await, doubt(Verdict::Rollback, 2));
    assert_eq!(look(5).await, doubt(Verdict::Forged, 3));
    servers[1].hang(true);
    assert!(matches!(look(1).await, Err(FollowError::Call(CallError::Unreachable { .. }))));
}

#[tokio::test]
async fn without_signatures_two_of_three_make_a_checkpoint_count_and_the_third_is_named() {
    let (truth, other) = (unsigned(&history(1, 4)), unsigned(&history(5, 4)));
    for liar in 0..3 {
        let shown = [0, 1, 2].map(|server| if server == liar { &other[..] } else { &truth[..] });
        let [first, second, third] = serve(shown).await;
        let chain = chain(&[&first, &second, &third], None);
        let mut checkpoints = chain.checkpoints(Start::default());
        assert_eq!(follow(&chain, &mut checkpoints).await, [0, 1, 2, 3]);
        assert_eq!(checkpoints.validators(), None, "nobody signed");
        let last = *checkpoints.history.last().unwrap();
        assert_eq!(last.digest, Some(truth[3].digest()), "the liar is {liar}");
        let named = standing(&chain, liar);
        let doubt = Doubt { verdict: Verdict::Disputed, checkpoint: 3 };
        assert_eq!(named, Standing::Doubted(doubt));
        assert_ne!(chain.server(), liar);
    }
}

#[tokio::test]
async fn without_signatures_nothing_is_believed_that_too_few_servers_show() {
    let truth = unsigned(&history(1, 4));
    let others = [5, 9].map(|first| unsigned(&history(first, 4)));
    let [first, second, third] = serve([&truth, &others[0], &others[1]]).await;
    let disputed = FollowError::from(Doubt { verdict: Verdict::Disputed, checkpoint: 3 });
    for few in [vec![&first, &second, &third], vec![&first, &second]] {
        let chain = chain(&few, None);
        let mut checkpoints = chain.checkpoints(Start::default());
        assert_eq!(checkpoints.next_batch().await.unwrap_err(), disputed);
    }
    // One alone proves nothing, and two that agree prove nothing to somebody who asked for signatures.
    let forged = FollowError::from(Doubt { verdict: Verdict::Forged, checkpoint: 0 });
    let alone = chain(&[&first], None).checkpoints(Start::default()).next_batch().await;
    assert_eq!(alone.unwrap_err(), forged);
    let [one, two] = serve([&truth, &truth]).await;
    let strict = chain(&[&one, &two], trust(&truth));
    let mut strict = strict.checkpoints(Start::default());
    assert_eq!(strict.next_batch().await.unwrap().len(), 1, "the one that a person named");
    let forged = FollowError::from(Doubt { verdict: Verdict::Forged, checkpoint: 1 });
    assert_eq!(strict.next_batch().await.unwrap_err(), forged);
}

#[tokio::test]
async fn signatures_that_were_there_cannot_be_taken_away_by_two_of_three() {
    let truth = history(1, 6);
    let [first, second, third] = serve([&truth[..4], &truth[..4], &truth[..4]]).await;
    let all = [&first, &second, &third];
    let chain = chain(&all, None);
    let mut checkpoints = chain.checkpoints(Start::default());
    assert_eq!(follow(&chain, &mut checkpoints).await, [0, 1, 2, 3]);
    assert!(checkpoints.validators().is_some(), "most named the same validators");
    for server in [&first, &second] {
        let mut shown = server.history();
        let last = shown.last().cloned();
        shown.push(Unproven::without_signature(next(last.as_ref(), 9, &Signers::new(0, 1), None)));
    }
    third.history().extend_from_slice(&truth[4..]);
    checkpoints.forget_unproven();
    assert_eq!(follow(&chain, &mut checkpoints).await, [4, 5]);
    assert_eq!(checkpoints.server(), 2);
}

#[tokio::test]
async fn the_first_validators_are_those_that_most_servers_name() {
    let truth = history(1, 4);
    let thief = Signers::new(0, 90);
    let stolen = vec![next(None, 9, &thief, None)];
    let liar = SampleServer::start(vec![Signers::new(0, 90)], &stolen).await;
    let [first, second] = serve([&truth, &truth]).await;
    let chain = chain(&[&liar, &first, &second], None);
    let mut checkpoints = chain.checkpoints(Start::default());
    assert_eq!(follow(&chain, &mut checkpoints).await, [0, 1, 2, 3]);
    assert!(matches!(standing(&chain, 0), Standing::Doubted(_)));
}

#[tokio::test]
async fn a_server_that_lacks_the_objects_of_the_network_makes_way_for_one_that_has_them() {
    let truth = history(1, 4);
    let [empty, other, full] = serve([&truth, &truth, &truth]).await;
    let chain = chain(&[&empty, &other, &full], trust(&truth));
    let nobody = chain.shared_since_of_any().await.unwrap_err();
    assert!(matches!(nobody, CallError::NotFound { .. }), "{nobody}");
    full.fill();
    for first in 0..3 {
        (0..3).for_each(|server| chain.found(server, Finding::Unknown));
        chain.found(first, Finding::Sound { time_ms: 1, is_proven: false });
        assert_eq!(chain.server(), first);
        assert_eq!(chain.shared_since_of_any().await.unwrap().system, 1);
        assert_eq!(chain.server(), 2);
    }
    // Those that do not even answer are in the way of nobody.
    empty.hang(true);
    chain.found(0, Finding::Sound { time_ms: 1, is_proven: false });
    assert_eq!(chain.shared_since_of_any().await.unwrap().system, 1);
}
