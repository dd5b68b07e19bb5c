//! How a write may end other than well.

use ledge_core::log::StoreError;

use super::AdmissionRefused;

/// See each variant. `E` is what the command itself may answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError<E> {
    /// The command said no; nothing of it was written.
    #[error(transparent)]
    Refused(E),
    /// The disk budget says no; the command was not run.
    #[error(transparent)]
    Admission(#[from] AdmissionRefused),
    /// The store said no before anything was written. See [`StoreError::retryable`].
    #[error("not written: {0}")]
    Store(StoreError),
    /// It may or may not be durable: known only after the process has opened the store again.
    #[error("outcome unknown until the store is opened again: {0}")]
    Unknown(String),
    /// An earlier write failed, so this one was not tried. The process must end and open again.
    #[error("not written, because an earlier write failed: {0}. The process must be started again")]
    Stopped(String),
    /// The writer was closed.
    #[error("not written: the writer is closed")]
    Closed,
}

/// What became of the transaction that held a command.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Durable.
    Committed,
    /// Not written.
    NotWritten(StoreError),
    /// Nobody knows yet.
    Unknown(String),
    /// Not tried.
    Stopped(String),
}
