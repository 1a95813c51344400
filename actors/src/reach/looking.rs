//! The actor that has peers dial us back now and then, and dials back whoever asks.
//!
//! Promises: what was found last is in the vitals; few peers are asked, others each time. Does not: end because nobody answers.

use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::reachability::Reachability;
use haulout_protocol::wire::SMALL_FRAME_BYTES_MAX;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tracing::{info, warn};

use super::asking::ask;
use super::serve::{Desk, serve};
use crate::context::Context;
use crate::limits;
use crate::network::{Network, Protocol, doors};
use crate::serving::{Counter, Service, Serving};
use crate::tasks::Tasks;

/// The actor.
pub(crate) struct ReachActor;

/// Facts the actor reacts to.
pub(crate) enum Message {
    /// It is time to ask.
    AskDue,
    /// What peers found.
    Asked(Box<Reachability>),
}

/// What the actor starts with.
#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) context: Context,
    pub(crate) network: Network,
    pub(crate) serving: Serving,
}

/// What the actor knows.
pub(crate) struct State {
    context: Context,
    network: Network,
    /// How often was asked: others each time.
    rounds: usize,
    told: Option<bool>,
    tasks: Tasks,
    counter: Option<Counter>,
}

impl Actor for ReachActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments { context, network, serving } = arguments;
        let desk = Desk::new(network.clone());
        let service = Service {
            protocol: Protocol::Reach,
            frame_bytes_max: SMALL_FRAME_BYTES_MAX,
            idle: limits::STREAM_CREDIT,
        };
        let counter = serving.open(service, move |visit| serve(desk.clone(), visit));
        myself.cast(Message::AskDue)?;
        let (tasks, counter) = (Tasks::default(), Some(counter));
        Ok(State { context, network, rounds: 0, told: None, tasks, counter })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::AskDue => state.ask(&myself),
            Message::Asked(found) => {
                let pause = state.asked(*found);
                drop(myself.send_after(pause, || Message::AskDue));
            }
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Message>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(counter) = state.counter.take() {
            counter.close().await;
        }
        Ok(())
    }
}

impl State {
    /// Starts the task that asks.
    fn ask(&mut self, myself: &ActorRef<Message>) {
        let network = self.network.clone();
        let (peers, doors) = (self.chosen(), doors(&network.known_at()));
        self.rounds = self.rounds.wrapping_add(1);
        self.tasks.spawn(myself, async move {
            Message::Asked(Box::new(ask(&network, &peers, &doors).await))
        });
    }

    /// Whom to ask: some of those that are connected, others than the last time.
    fn chosen(&self) -> Vec<PeerId> {
        let connected = self.network.peers().borrow().connected.clone();
        let members: Vec<PeerId> =
            connected.into_iter().filter(|peer| self.network.is_member(peer)).collect();
        let skipped = self.rounds.wrapping_mul(limits::REACH_PEERS) % members.len().max(1);
        members
            .iter()
            .cycle()
            .skip(skipped)
            .take(limits::REACH_PEERS.min(members.len()))
            .copied()
            .collect()
    }

    /// Notes what was found, and says when to ask again.
    fn asked(&mut self, found: Reachability) -> std::time::Duration {
        let is_known = found.is_reached() || found.is_shut();
        if is_known && self.told != Some(found.is_reached()) {
            self.told = Some(found.is_reached());
            match found.is_reached() {
                true => info!(seen_at = ?found.seen_at(), "others reach this node"),
                false => warn!(
                    doors = ?found.doors,
                    "no peer that was asked could dial this node back; open its ports in the firewall, or correct network.external"
                ),
            }
        }
        let pause = match (is_known, found.is_reached()) {
            (true, true) => limits::REACH_INTERVAL,
            (true, false) => limits::REACH_PAUSE,
            (false, _) => limits::REACH_PAUSE_UNKNOWN,
        };
        if is_known || self.context.vitals.reachability().is_none() {
            self.context.vitals.set_reachability(found);
        }
        pause
    }
}
