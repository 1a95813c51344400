//! Streams that are used in turn, between two peers over QUIC.

use super::*;

/// Accepts streams, and holds each until its peer ends it.
fn hold(node: &Node) {
    let mut incoming = node.network.accept(Protocol::Sliver);
    tokio::spawn(async move {
        while let Some((_, mut stream)) = incoming.next().await {
            tokio::spawn(async move { stream.read_frame::<u64>(64).await });
        }
    });
}

#[tokio::test]
async fn a_stream_on_loan_goes_to_the_next_in_line_and_no_more_are_opened() {
    let (first, second) = pair(QUIC).await;
    hold(&second);
    let borrow = || first.network.borrow(second.peer(), Errand::Bring);
    let mut lent = Vec::new();
    for _ in 0..limits::STREAMS_LENT_MAX {
        let borrowed = borrow().await.unwrap();
        assert!(!borrowed.had_ended(&StreamError::Closed), "it is new");
        lent.push(borrowed);
    }
    let mut waits = std::pin::pin!(borrow());
    assert!(futures::poll!(&mut waits).is_pending(), "all are lent");
    let other = first.network.borrow(second.peer(), Errand::Confirm).await.unwrap();
    drop(other); // who waits for the ledger is not in the way
    lent.pop().unwrap().give_back();
    let again = waits.await.unwrap();
    assert!(again.had_ended(&StreamError::Closed), "no other was opened");
    let fresh = first.network.replace(second.peer(), again).await.unwrap();
    assert!(!fresh.had_ended(&StreamError::Closed), "whoever finds it ended gets another one");
}

#[tokio::test]
async fn whoever_opens_a_stream_of_its_own_does_not_wait_for_those_that_are_only_kept() {
    let (first, second) = pair(QUIC).await;
    hold(&second);
    let mut lent = Vec::new();
    for _ in 0..limits::STREAMS_LENT_MAX {
        lent.push(first.network.borrow(second.peer(), Errand::Bring).await.unwrap());
    }
    let last = lent.pop().unwrap();
    for borrowed in lent {
        borrowed.give_back();
    }
    let mut own = Vec::new();
    while own.len() + 1 < limits::STREAMS_TO_PEER_MAX {
        match first.network.open(second.peer(), Protocol::Sliver).await {
            Ok(stream) => own.push(stream),
            Err(OpenError::Busy) => {} // it has not heard yet that the others ended
            Err(error) => panic!("{} of them open: {error}", own.len()),
        }
    }
    let mut waits = std::pin::pin!(first.network.open(second.peer(), Protocol::Sliver));
    assert!(futures::poll!(&mut waits).is_pending(), "one is still lent");
    last.give_back();
    match waits.await {
        Ok(_) | Err(OpenError::Busy) => {}
        Err(error) => panic!("it is closed for whoever waits: {error}"),
    }
}
