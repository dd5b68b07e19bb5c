//! One command on its way through the writer.

use ledge_core::journal::Txn;
use ledge_core::log::Store;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::error::Outcome;
use super::{AdmissionRefused, Class, WriteError};

/// What stands in the queue.
pub(super) enum Message<S> {
    /// A command.
    Job(Box<dyn Job<S>>),
    /// Something was refused: look whether there is room again.
    Measure,
    /// No more are wanted: finish what was accepted, then end.
    Close,
}

/// A command with its waiter, whatever its types are.
pub(super) trait Job<S: Store>: Send {
    /// How much it matters.
    fn class(&self) -> Class;
    /// Runs the command; its answer waits for [`Job::finish`], because it may rest on changes of
    /// the same transaction that are not durable yet.
    fn run(&mut self, txn: &mut Txn<'_, S>);
    /// Refuses it without running.
    fn refuse(self: Box<Self>, refused: AdmissionRefused);
    /// Tells the waiter.
    fn finish(self: Box<Self>, outcome: &Outcome);
}

pub(super) struct Command<F, R, E> {
    pub(super) class: Class,
    pub(super) command: Option<F>,
    pub(super) answer: Option<Result<R, E>>,
    pub(super) waiter: oneshot::Sender<Result<R, WriteError<E>>>,
    /// Given back when the command is done.
    pub(super) _bytes: OwnedSemaphorePermit,
}

impl<S, F, R, E> Job<S> for Command<F, R, E>
where
    S: Store,
    F: FnOnce(&mut Txn<'_, S>) -> Result<R, E> + Send,
    R: Send,
    E: Send,
{
    fn class(&self) -> Class {
        self.class
    }

    fn run(&mut self, txn: &mut Txn<'_, S>) {
        if let Some(command) = self.command.take() {
            self.answer = Some(txn.command(command));
        }
    }

    fn refuse(self: Box<Self>, refused: AdmissionRefused) {
        // A waiter that has gone away needs no answer; here and below.
        let _ = self.waiter.send(Err(refused.into()));
    }

    fn finish(self: Box<Self>, outcome: &Outcome) {
        let answer = match (outcome, self.answer) {
            (Outcome::Committed, Some(answer)) => answer.map_err(WriteError::Refused),
            (Outcome::Committed, None) => Err(WriteError::Closed),
            (Outcome::NotWritten(error), _) => Err(WriteError::Store(error.clone())),
            (Outcome::Unknown(why), _) => Err(WriteError::Unknown(why.clone())),
            (Outcome::Stopped(why), _) => Err(WriteError::Stopped(why.clone())),
        };
        let _ = self.waiter.send(answer);
    }
}
