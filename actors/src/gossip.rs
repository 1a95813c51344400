//! Hears of certificates and passes them on, so that nodes can act before the ledger's event.
//!
//! Promises: nothing is forwarded before it is verified; each certificate is verified once, on the
//! blocking pool, a few at a time; an accepted one is durable before it is forwarded, so that it
//! can be served with the header. Forgeries are held against whoever sent them.
//! Does not: believe anything else it hears, or announce on its own: writers announce.

use std::sync::Arc;

use haulout_protocol::certificate::Certificate;
use haulout_protocol::machine::announcement::{self, judge};
use haulout_protocol::wire;
use haulout_protocol::wire::announcement::Announcement;
use haulout_storage::StoreError;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::context::Context;
use crate::limits;
use crate::network::{Blame, Heard, Listener, Network, PublishError, Topic, Verdict};
use crate::tasks::Tasks;

/// Tells all nodes of a certificate.
pub async fn announce(network: &Network, certificate: &Certificate) -> Result<(), PublishError> {
    let announcement = Announcement { certificate: certificate.to_bytes() };
    network.publish(Topic::Blob, wire::encode(&announcement)).await
}

/// The actor.
pub(crate) struct GossipActor;

/// Facts the actor reacts to.
pub(crate) enum Message {
    /// A message came, and there is a permit to judge it.
    MessageHeard(Box<Heard>, OwnedSemaphorePermit),
    /// It was judged and, if it was news, stored.
    MessageJudged(Result<(), StoreError>),
}

/// What the actor starts with.
#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) context: Context,
    pub(crate) network: Network,
}

/// What the actor knows.
pub(crate) struct State {
    context: Context,
    network: Network,
    tasks: Tasks,
    _ear: AbortOnDropHandle<()>,
}

impl Actor for GossipActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments { context, network } = arguments;
        let listener = network.listen(Topic::Blob).await;
        let _ear = AbortOnDropHandle::new(tokio::spawn(listen(listener, myself)));
        Ok(State { context, network, tasks: Tasks::default(), _ear })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::MessageHeard(heard, permit) => state.judge(&myself, *heard, permit),
            Message::MessageJudged(judged) => judged?,
        }
        Ok(())
    }
}

impl State {
    /// Starts the task that judges one message.
    fn judge(&mut self, myself: &ActorRef<Message>, heard: Heard, permit: OwnedSemaphorePermit) {
        let (context, network) = (self.context.clone(), self.network.clone());
        self.tasks.spawn(myself, async move {
            let judged = judge_heard(&context, &network, heard).await;
            drop(permit);
            Message::MessageJudged(judged)
        });
    }
}

/// Takes a permit, then a message, again and again.
async fn listen(mut listener: Listener, actor: ActorRef<Message>) {
    let permits = Arc::new(Semaphore::new(limits::ANNOUNCEMENT_CHECKS_MAX));
    loop {
        let permit = permits.clone().acquire_owned().await;
        let permit = permit.expect("we never close the semaphore");
        let Some(heard) = listener.next().await else { return };
        if actor.cast(Message::MessageHeard(Box::new(heard), permit)).is_err() {
            return; // the actor is gone; its successor listens itself
        }
    }
}

/// Judges one message, keeps it if it is news, and lets it travel on or not.
async fn judge_heard(context: &Context, network: &Network, heard: Heard) -> Result<(), StoreError> {
    let position = context.position.current();
    let (store, id, bytes) = (context.store.clone(), context.network, heard.bytes.clone());
    let judged = tokio::task::spawn_blocking(move || {
        let mut failure = None;
        let verdict = judge(&bytes, &position.committee, &id, |blob_id| {
            match store.certificate(blob_id) {
                Ok(known) => known.is_some(),
                Err(StoreError::Corrupt { .. }) => false, // what came is written in its place
                Err(error) => {
                    failure = Some(error);
                    true
                }
            }
        });
        failure.map_or(Ok(verdict), Err)
    });
    let verdict = judged.await.expect("judging does not panic, and the runtime outlives us")?;
    let (from, metrics) = (heard.from, &context.metrics);
    let (travels, word) = consequence(&verdict);
    match verdict {
        announcement::Verdict::Accept(blob_id, certificate) => {
            context.store.put_certificate(&blob_id, certificate.to_bytes()).await?;
            debug!(%blob_id, %from, "certificate heard of and kept");
        }
        announcement::Verdict::Ignore => {}
        announcement::Verdict::Reject(reason) => {
            warn!(%from, reason, "peer announced a certificate that does not hold");
            metrics.peer_blamed(Blame::WrongProof.as_str());
            network.blame(from, Blame::WrongProof);
        }
    }
    metrics.announcement_judged(word);
    heard.verdict(travels);
    Ok(())
}

/// Whether a message travels on, and the word for what became of it.
fn consequence(verdict: &announcement::Verdict) -> (Verdict, &'static str) {
    match verdict {
        announcement::Verdict::Accept(..) => (Verdict::Accept, "accepted"),
        announcement::Verdict::Ignore => (Verdict::Ignore, "ignored"),
        announcement::Verdict::Reject(_) => (Verdict::Reject, "rejected"),
    }
}

#[cfg(test)]
mod tests;
