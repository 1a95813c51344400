//! What clients are at.

use crate::env::{ChainStep, Env, Parts, StreamId};
use crate::get::Get;
use crate::put::Put;

/// How a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Done,
    /// Went away without paying, as it meant to.
    Left,
    Failed(String),
}

/// A client's task.
pub(crate) enum Task {
    Put(Box<Put>),
    Get(Box<Get>),
}

impl Task {
    pub(crate) fn state(&self) -> &State {
        match self {
            Task::Put(put) => &put.state,
            Task::Get(get) => &get.state,
        }
    }

    pub(crate) fn lost(&mut self, env: &mut Env, stream: StreamId) {
        match self {
            Task::Put(put) => put.lost(env, stream),
            Task::Get(get) => get.lost(env, stream),
        }
    }

    pub(crate) fn take(&mut self, env: &mut Env, stream: StreamId, parts: &Parts) {
        match self {
            Task::Put(put) => put.take(env, stream, parts),
            Task::Get(get) => get.take(env, stream, parts),
        }
    }

    pub(crate) fn wake(&mut self, env: &mut Env) {
        match self {
            Task::Put(put) => put.wake(env),
            Task::Get(get) => get.wake(env),
        }
    }

    pub(crate) fn chain(&mut self, env: &mut Env, step: ChainStep) {
        if let Task::Put(put) = self {
            put.chain(env, step);
        }
    }

    pub(crate) fn left(&mut self, env: &mut Env, stream: StreamId, segment: u32) {
        if let Task::Put(put) = self {
            put.left(env, stream, segment);
        }
    }
}
