//! The handle: how everything else reaches the one writer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ledge_core::journal::{Committed, Txn};
use ledge_core::log::Store;
use ledge_schemas::{Position, StreamId};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};

use super::admission::Admission;
use super::job::{Command, Message};
use super::{AdmissionRefused, Class, WriteError};

/// What handles and the writer's thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) admission: Admission,
    bytes: Arc<Semaphore>,
    queue_bytes: u32,
    /// Why the writer has stopped for good, if it has.
    failure: watch::Sender<Option<String>>,
    committed: broadcast::Sender<Arc<Committed>>,
    tails: Mutex<BTreeMap<StreamId, watch::Sender<Option<Position>>>>,
}

/// Commits that a receiver of [`WriterHandle::committed`] may be behind before it misses some.
const COMMITTED_BACKLOG: usize = 256;

impl Shared {
    pub(super) fn new(budget: u64, queue_bytes: u32) -> Self {
        Self {
            admission: Admission::new(budget),
            bytes: Arc::new(Semaphore::new(queue_bytes as usize)),
            queue_bytes,
            failure: watch::Sender::new(None),
            committed: broadcast::Sender::new(COMMITTED_BACKLOG),
            tails: Mutex::default(),
        }
    }

    /// Stops the writer for good; the first reason stays.
    pub(super) fn fail(&self, why: &str) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert_with(|| why.to_owned());
            first
        });
    }

    /// Why nothing is written any more.
    fn gone<E>(&self) -> WriteError<E> {
        match &*self.failure.borrow() {
            Some(why) => WriteError::Stopped(why.clone()),
            None => WriteError::Closed,
        }
    }

    /// Sets a tail without telling of a commit: where a stream stands when the writer starts.
    pub(super) fn set_tail(&self, stream: &StreamId, tail: Position) {
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        tails.entry(stream.clone()).or_default().send_replace(Some(tail));
    }

    /// Wakes whoever waits for streams that changed.
    pub(super) fn publish(&self, committed: Committed) {
        {
            let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
            for (stream, tail) in &committed.tails {
                match tails.get(stream) {
                    Some(sender) => drop(sender.send_replace(Some(*tail))),
                    None => drop(tails.insert(stream.clone(), watch::Sender::new(Some(*tail)))),
                }
            }
        }
        if self.committed.receiver_count() > 0 {
            // Fails only if the last receiver has just gone.
            let _ = self.committed.send(Arc::new(committed));
        }
    }
}

/// Hands commands to the writer. Cheap to clone; when the last one is dropped, the writer ends.
pub struct WriterHandle<S> {
    queue: mpsc::Sender<Message<S>>,
    shared: Arc<Shared>,
}

impl<S> std::fmt::Debug for WriterHandle<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriterHandle").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl<S> Clone for WriterHandle<S> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), shared: Arc::clone(&self.shared) }
    }
}

/// A command that has its place in the queue.
#[derive(Debug)]
pub struct Submitted<R, E> {
    answer: oneshot::Receiver<Result<R, WriteError<E>>>,
    shared: Arc<Shared>,
}

impl<R, E> Submitted<R, E> {
    /// Returns when the command's changes are durable. Dropping it changes nothing for the command.
    pub async fn answer(self) -> Result<R, WriteError<E>> {
        // The writer answers every command that it takes out of the queue, unless it panics.
        self.answer.await.unwrap_or_else(|_| Err(self.shared.gone()))
    }
}

/// Bytes that a command counts for in the queue when nothing better is known.
const COMMAND_BYTES: usize = 512;

impl<S: Store + Send + 'static> WriterHandle<S> {
    pub(super) fn new(queue: mpsc::Sender<Message<S>>, shared: Arc<Shared>) -> Self {
        Self { queue, shared }
    }

    /// Runs `command` in the writer and returns when its changes are durable. Waits while the queue
    /// is full. `command` runs on the writer's thread: it must not block.
    ///
    /// If the returned future is dropped, the command may still be run and become durable.
    pub async fn write<R, E, F>(&self, class: Class, command: F) -> Result<R, WriteError<E>>
    where
        F: FnOnce(&mut Txn<'_, S>) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: Send + 'static,
    {
        self.write_sized(class, COMMAND_BYTES, command).await
    }

    /// [`WriterHandle::write`] for a command that carries about `bytes` bytes, so that the queue is
    /// bounded by memory too.
    pub async fn write_sized<R, E, F>(
        &self,
        class: Class,
        bytes: usize,
        command: F,
    ) -> Result<R, WriteError<E>>
    where
        F: FnOnce(&mut Txn<'_, S>) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: Send + 'static,
    {
        self.submit(class, bytes, command).await?.answer().await
    }

    /// The first half of [`WriterHandle::write_sized`]: returns as soon as `command` has its place in the
    /// queue, so that a caller who has many under way can keep their order. (Futures that are merely polled in
    /// some order are not enough: a task whose turn is over makes any of them wait.)
    pub async fn submit<R, E, F>(
        &self,
        class: Class,
        bytes: usize,
        command: F,
    ) -> Result<Submitted<R, E>, WriteError<E>>
    where
        F: FnOnce(&mut Txn<'_, S>) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: Send + 'static,
    {
        if let Err(refused) = self.shared.admission.check(class) {
            // Room may have come without a write that would notice it. A full queue measures anyway.
            let _ = self.queue.try_send(Message::Measure);
            return Err(refused.into());
        }
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.shared.queue_bytes);
        let bytes = Arc::clone(&self.shared.bytes).acquire_many_owned(permits).await;
        let Ok(bytes) = bytes else { return Err(self.gone()) };
        let (waiter, answer) = oneshot::channel();
        let job = Command { class, command: Some(command), answer: None, waiter, _bytes: bytes };
        if self.queue.send(Message::Job(Box::new(job))).await.is_err() {
            return Err(self.gone());
        }
        Ok(Submitted { answer, shared: Arc::clone(&self.shared) })
    }

    fn gone<E>(&self) -> WriteError<E> {
        self.shared.gone()
    }

    /// Commands that wait in the queue now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Whether a class would be taken now.
    pub fn admits(&self, class: Class) -> Result<(), AdmissionRefused> {
        self.shared.admission.check(class)
    }

    /// Every commit from now on. A receiver that falls far behind is told so by `Lagged`, and reads
    /// the heads instead.
    #[must_use]
    pub fn committed(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.shared.committed.subscribe()
    }

    /// The durable tail of one stream, woken by its changes only. `None` until the stream begins.
    /// A dropped stream keeps its last value.
    #[must_use]
    pub fn watch(&self, stream: &StreamId) -> watch::Receiver<Option<Position>> {
        let mut tails = self.shared.tails.lock().unwrap_or_else(PoisonError::into_inner);
        tails.entry(stream.clone()).or_default().subscribe()
    }

    /// Waits until the writer has stopped for good, and says why. Never returns otherwise.
    pub async fn failed(&self) -> String {
        let mut failure = self.shared.failure.subscribe();
        // The borrow ends with this statement, so that whoever waits can be moved between threads.
        let why = failure.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        match why {
            Some(why) => why,
            // The sender lives in `self.shared`.
            None => std::future::pending().await,
        }
    }

    /// Closes the queue: everything accepted so far becomes durable, then the writer ends.
    pub async fn close(&self) {
        // An error means that it has ended already.
        let _ = self.queue.send(Message::Close).await;
    }
}
