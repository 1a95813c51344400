//! Starts actors in order, restarts those that end, and says when it cannot any more.
//!
//! Promises: a child that panics, fails, is killed or stops unasked is started again after a pause
//! (100 ms doubling to 10 s); `RestForOne` restarts the younger siblings too, because they may hold
//! a handle of the dead one; a supervisor that needs more restarts than its budget stops its
//! children, youngest first, and fails itself, which its own supervisor treats like any failure.
//! Children are known by their actor id, so a late word of a dead child never hits its successor.
//! Does not: register names (one process may run many nodes), or hand out handles of children:
//! those live in the specs' closures.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::limits;

/// Starts one child below the given supervisor.
type Start =
    Arc<dyn Fn(ActorCell) -> BoxFuture<'static, Result<ActorCell, SpawnErr>> + Send + Sync>;

/// Called with a child's name each time it is started again; for metrics.
pub type RestartHook = Arc<dyn Fn(&str) + Send + Sync>;

/// Who restarts with a child that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The child and all that were started after it.
    RestForOne,
    /// Only the child.
    OneForOne,
}

/// How many restarts are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So many restarts are fine...
    pub restarts: usize,
    /// ...within so long.
    pub window: Duration,
}

/// How to start one child, again and again.
#[derive(Clone)]
pub struct Child {
    name: String,
    start: Start,
    nested: Option<Arc<Board>>,
}

impl std::fmt::Debug for Child {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Child").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Child {
    /// A child started by `start`, which must link it below the cell it is given.
    pub fn new<F, S>(name: impl Into<String>, start: F) -> Self
    where
        F: Fn(ActorCell) -> S + Send + Sync + 'static,
        S: Future<Output = Result<ActorCell, SpawnErr>> + Send + 'static,
    {
        let start: Start = Arc::new(move |supervisor| Box::pin(start(supervisor)));
        Child { name: name.into(), start, nested: None }
    }

    /// A child that is one actor; `make` gives its handler and its arguments at each start.
    pub fn actor<A, F>(name: impl Into<String>, make: F) -> Self
    where
        A: Actor,
        F: Fn() -> (A, A::Arguments) + Send + Sync + 'static,
    {
        Child::new(name, move |supervisor| {
            let (handler, arguments) = make();
            async move {
                let (actor, _) = Actor::spawn_linked(None, handler, arguments, supervisor).await?;
                Ok(actor.get_cell())
            }
        })
    }

    /// A child that is a supervisor itself.
    pub fn supervisor(plan: Plan) -> Self {
        let board = Arc::new(Board::new(&plan));
        let (name, nested) = (plan.name.clone(), Some(board.clone()));
        let mut child =
            Child::actor(name, move || (SupervisorActor, (plan.clone(), board.clone())));
        child.nested = nested;
        child
    }
}

/// What a supervisor starts, and how it reacts.
#[derive(Clone)]
pub struct Plan {
    /// For logs.
    pub name: String,
    /// Who restarts with whom.
    pub strategy: Strategy,
    /// When to give up.
    pub budget: Budget,
    /// The children, eldest first.
    pub children: Vec<Child>,
    /// Told of each restart.
    pub on_restart: Option<RestartHook>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Plan")
            .field("name", &self.name)
            .field("strategy", &self.strategy)
            .field("budget", &self.budget)
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

/// What a child is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// It runs.
    Running,
    /// It ended, or an elder did; it starts again after a pause.
    Waiting,
    /// It is not running and nobody will start it.
    Stopped,
}

/// How one child is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Its name in the plan.
    pub name: String,
    /// What it is doing.
    pub state: ChildState,
    /// How often it was started again.
    pub restarts: u64,
    /// Its own children, if it is a supervisor.
    pub children: Vec<Health>,
}

/// A child that could not be started the first time.
#[derive(Debug, thiserror::Error)]
#[error("{child} did not start: {source}")]
pub struct StartError {
    /// The child's name.
    pub child: String,
    /// What its start said.
    pub source: ActorProcessingErr,
}

/// Why a supervisor ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// A child ended once more than the budget allows.
    #[error("{supervisor} gave up: {child} kept failing, last with: {reason}")]
    Exhausted {
        /// The supervisor.
        supervisor: String,
        /// The child that ended last.
        child: String,
        /// Why it did.
        reason: String,
    },
    /// The supervisor was killed or panicked.
    #[error("{0} ended unasked")]
    Died(String),
}

/// A running tree of actors; a cheap handle.
#[derive(Clone, Debug)]
pub struct Supervisor {
    actor: ActorRef<Message>,
    board: Arc<Board>,
}

impl Supervisor {
    /// Starts the children in order. The first one that does not start ends it all: what cannot
    /// even start once needs a person, not a retry.
    pub async fn start(plan: Plan) -> Result<Self, StartError> {
        let board = Arc::new(Board::new(&plan));
        let name = plan.name.clone();
        match Actor::spawn(None, SupervisorActor, (plan, board.clone())).await {
            Ok((actor, _)) => Ok(Supervisor { actor, board }),
            Err(error) => {
                let error = unwrap_spawn_error(error);
                Err(match error.downcast::<StartError>() {
                    Ok(start_error) => *start_error,
                    Err(source) => StartError { child: name, source },
                })
            }
        }
    }

    /// How every child is; asks nobody, so it answers while children restart.
    pub fn health(&self) -> Vec<Health> {
        self.board.health()
    }

    /// Kills the child of this name, wherever it is in the tree, as a crash would. For fault drills.
    pub fn kill(&self, name: &str) -> bool {
        self.board.kill(name)
    }

    /// Stops the tree, youngest child first; each gets ten seconds, then it is killed.
    pub async fn shutdown(&self) {
        self.board.stopping.store(true, Ordering::Relaxed);
        if self.actor.stop_and_wait(Some("shutdown".to_owned()), None).await.is_err() {
            debug!(supervisor = %self.board.name, "supervisor was gone before its shutdown");
        }
    }

    /// Waits until the tree ends: `Ok` after a shutdown, else why.
    pub async fn ended(&self) -> Result<(), Ended> {
        if self.actor.wait(None).await.is_err() {
            debug!("waiting without a limit timed out");
        }
        match self.board.outcome().take() {
            Some(ended) => Err(ended),
            None if self.board.stopping.load(Ordering::Relaxed) => Ok(()),
            None => Err(Ended::Died(self.board.name.clone())),
        }
    }
}

/// What others may read of a supervisor; survives its restarts.
#[derive(Debug)]
struct Board {
    name: String,
    rows: Mutex<Vec<Row>>,
    outcome: Mutex<Option<Ended>>,
    stopping: AtomicBool,
}

#[derive(Debug)]
struct Row {
    name: String,
    state: ChildState,
    restarts: u64,
    running: Option<ActorCell>,
    nested: Option<Arc<Board>>,
}

impl Board {
    fn new(plan: &Plan) -> Self {
        let row = |child: &Child| Row {
            name: child.name.clone(),
            state: ChildState::Stopped,
            restarts: 0,
            running: None,
            nested: child.nested.clone(),
        };
        Board {
            name: plan.name.clone(),
            rows: Mutex::new(plan.children.iter().map(row).collect()),
            outcome: Mutex::new(None),
            stopping: AtomicBool::new(false),
        }
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcome(&self) -> MutexGuard<'_, Option<Ended>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, index: usize, state: ChildState, running: Option<ActorCell>) {
        if let Some(row) = self.rows().get_mut(index) {
            row.state = state;
            row.running = running;
        }
    }

    fn health(&self) -> Vec<Health> {
        let health = |row: &Row| Health {
            name: row.name.clone(),
            state: row.state,
            restarts: row.restarts,
            children: row.nested.as_ref().map(|board| board.health()).unwrap_or_default(),
        };
        self.rows().iter().map(health).collect()
    }

    fn kill(&self, name: &str) -> bool {
        self.rows().iter().any(|row| match &row.running {
            Some(cell) if row.name == name => {
                cell.kill();
                true
            }
            _ => row.nested.as_ref().is_some_and(|board| board.kill(name)),
        })
    }
}

#[derive(Debug)]
enum Message {
    RestartDue(usize),
}

struct SupervisorActor;

struct State {
    plan: Plan,
    board: Arc<Board>,
    /// Who runs, by the child's place in the plan.
    running: Vec<Option<ActorCell>>,
    /// Past failures inside the window: when, and whose.
    failures: VecDeque<(Instant, usize)>,
}

impl Actor for SupervisorActor {
    type Msg = Message;
    type State = State;
    type Arguments = (Plan, Arc<Board>);

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        (plan, board): (Plan, Arc<Board>),
    ) -> Result<State, ActorProcessingErr> {
        let running = plan.children.iter().map(|_| None).collect();
        let mut state = State { plan, board, running, failures: VecDeque::new() };
        for index in 0..state.running.len() {
            if let Err(source) = state.start(&myself, index).await {
                let child = state.child_name(index);
                state.stop_from(0, limits::RESTART_STOP_TIMEOUT, ChildState::Stopped).await;
                return Err(Box::new(StartError { child, source }));
            }
        }
        info!(supervisor = %state.plan.name, children = state.running.len(), "supervisor started");
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::RestartDue(index) => state.restart(&myself, index).await,
        }
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let (cell, reason) = match event {
            SupervisionEvent::ActorFailed(cell, error) => (cell, error.to_string()),
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                (cell, reason.unwrap_or_else(|| "stopped unasked".to_owned()))
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {
                return Ok(());
            }
        };
        let runs = |child: &Option<ActorCell>| {
            child.as_ref().is_some_and(|running| running.get_id() == cell.get_id())
        };
        match state.running.iter().position(runs) {
            Some(index) => state.failed(&myself, index, reason).await,
            None => Ok(()), // one we stopped ourselves, or a predecessor
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<Message>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.stop_from(0, limits::SHUTDOWN_STOP_TIMEOUT, ChildState::Stopped).await;
        info!(supervisor = %state.plan.name, "supervisor stopped");
        Ok(())
    }
}

impl State {
    fn child_name(&self, index: usize) -> String {
        self.plan.children[index].name.clone()
    }

    async fn start(
        &mut self,
        myself: &ActorRef<Message>,
        index: usize,
    ) -> Result<(), ActorProcessingErr> {
        let start = self.plan.children[index].start.clone();
        let cell = start(myself.get_cell()).await.map_err(unwrap_spawn_error)?;
        self.running[index] = Some(cell.clone());
        self.board.set(index, ChildState::Running, Some(cell));
        Ok(())
    }

    /// A child ended: decide between a restart and giving up.
    async fn failed(
        &mut self,
        myself: &ActorRef<Message>,
        index: usize,
        reason: String,
    ) -> Result<(), ActorProcessingErr> {
        let child = self.child_name(index);
        self.running[index] = None;
        self.board.set(index, ChildState::Waiting, None);
        let window = self.plan.budget.window;
        self.failures.retain(|(when, _)| when.elapsed() < window);
        if self.failures.len() >= self.plan.budget.restarts {
            let supervisor = self.plan.name.clone();
            error!(%supervisor, %child, %reason, "restart budget exhausted; giving up");
            self.stop_from(0, limits::RESTART_STOP_TIMEOUT, ChildState::Stopped).await;
            let ended = Ended::Exhausted { supervisor, child, reason };
            *self.board.outcome() = Some(ended.clone());
            return Err(Box::new(ended));
        }
        let before = self.failures.iter().filter(|(_, whose)| *whose == index).count();
        self.failures.push_back((Instant::now(), index));
        if self.plan.strategy == Strategy::RestForOne {
            self.stop_from(index + 1, limits::RESTART_STOP_TIMEOUT, ChildState::Waiting).await;
        }
        let pause = backoff(before);
        warn!(supervisor = %self.plan.name, %child, %reason, ?pause, "child ended; restarting it");
        drop(myself.send_after(pause, move || Message::RestartDue(index)));
        Ok(())
    }

    /// Starts a child again and, under `RestForOne`, those that wait behind it.
    async fn restart(
        &mut self,
        myself: &ActorRef<Message>,
        index: usize,
    ) -> Result<(), ActorProcessingErr> {
        let rest = self.plan.strategy == Strategy::RestForOne;
        if rest && self.running[..index].iter().any(Option::is_none) {
            return Ok(()); // an elder waits too; its restart brings us along
        }
        let last = if rest { self.running.len() } else { index + 1 };
        for place in index..last {
            if self.running[place].is_some() {
                continue;
            }
            let child = self.child_name(place);
            if let Some(row) = self.board.rows().get_mut(place) {
                row.restarts += 1;
            }
            if let Some(hook) = &self.plan.on_restart {
                hook(&child);
            }
            match self.start(myself, place).await {
                Ok(()) => info!(supervisor = %self.plan.name, %child, "child restarted"),
                Err(error) => return self.failed(myself, place, error.to_string()).await,
            }
        }
        Ok(())
    }

    /// Stops the children from a place on, youngest first.
    async fn stop_from(&mut self, first: usize, patience: Duration, state: ChildState) {
        for index in (first..self.running.len()).rev() {
            let child = self.running[index].take();
            self.board.set(index, state, None);
            let Some(cell) = child else { continue };
            let stopped = cell.stop_and_wait(Some("shutdown".to_owned()), Some(patience)).await;
            if matches!(stopped, Err(ractor::RactorErr::Timeout)) {
                warn!(child = %self.child_name(index), ?patience, "child did not stop; killing it");
                cell.kill();
            }
        }
    }
}

/// The pause after so many earlier failures of the same child.
fn backoff(failures_before: usize) -> Duration {
    let doublings = u32::try_from(failures_before).unwrap_or(u32::MAX).min(16);
    (limits::RESTART_BACKOFF_MIN * 2_u32.pow(doublings)).min(limits::RESTART_BACKOFF_MAX)
}

/// What the child said, without ractor's wrapping, so that callers can look for their own errors.
fn unwrap_spawn_error(error: SpawnErr) -> ActorProcessingErr {
    match error {
        SpawnErr::StartupFailed(inner) => inner,
        SpawnErr::ActorAlreadyStarted | SpawnErr::ActorAlreadyRegistered(_) => Box::new(error),
    }
}

#[cfg(test)]
mod tests;
