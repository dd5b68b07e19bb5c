//! The one writer of a store: a thread of its own that owns the journal.
//!
//! ```text
//!   write(class, command) ─► bounded queue ─► one transaction: every command that waits, up to
//!        ▲                                    1 MiB ─► one commit ─► every waiter answered
//!        └─ backpressure by count and bytes
//! ```
//! Group commit without a timer: while one commit syncs, the next batch gathers. The batch size
//! follows the disk's latency by itself.
//!
//! After a failed write the writer stops for good (a failed fsync is never tried again, because a
//! second one may succeed without the bytes being on the disk): waiters of that batch get
//! `Unknown`, all others `Stopped`, and the process must open the store again.

mod admission;
mod error;
mod handle;
mod job;

pub use admission::{AdmissionChange, AdmissionRefused, Class, Usage};
pub use error::WriteError;
pub use handle::{Submitted, WriterHandle};

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ledge_core::journal::Journal;
use ledge_core::log::{Store, StoreError};
use tokio::sync::mpsc;

use crate::crash_point;
use error::Outcome;
use handle::Shared;
use job::{Job, Message};

/// Unix milliseconds.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How a writer behaves.
pub struct WriterConfig {
    /// Commands that may wait. Default 4096.
    pub queue: usize,
    /// Bytes that waiting commands may carry. Default 8 MiB.
    pub queue_bytes: u32,
    /// Bytes of changes at which a batch is committed although more commands wait. Default 1 MiB.
    pub max_batch_bytes: usize,
    /// Bytes that the log may take on the disk; see [`Class`]. Default: no limit of its own.
    pub budget: u64,
    /// Measures what the log takes. Called at most once a second, or every [`MEASURE_BYTES`].
    pub usage: Option<Box<dyn FnMut() -> Option<Usage> + Send>>,
    /// Told of each change of admission, on the writer's thread: it must not block, and must not
    /// wait for a write.
    pub on_admission: Option<Box<dyn FnMut(AdmissionChange) + Send>>,
}

/// Bytes written after which usage is measured again although no second has passed.
pub const MEASURE_BYTES: usize = 4 * 1024 * 1024;
/// Longest time that a measurement of usage counts while something is written.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
/// Commands in one batch at most, so that completing them stays short.
const BATCH_COMMANDS: usize = 8192;

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            queue: 4096,
            queue_bytes: 8 * 1024 * 1024,
            max_batch_bytes: 1024 * 1024,
            budget: u64::MAX,
            usage: None,
            on_admission: None,
        }
    }
}

impl std::fmt::Debug for WriterConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriterConfig")
            .field("queue", &self.queue)
            .field("queue_bytes", &self.queue_bytes)
            .field("max_batch_bytes", &self.max_batch_bytes)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// What the writer's thread returns when it ends.
#[derive(Debug)]
pub struct Ended<S> {
    /// For closing the store.
    pub journal: Journal<S>,
    /// Why it stopped, if it was not closed.
    pub failure: Option<StoreError>,
}

/// See the module.
pub struct Writer<S> {
    journal: Journal<S>,
    config: WriterConfig,
    clock: WallClock,
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Message<S>>,
    measured: Option<Instant>,
    unmeasured: usize,
    batch: Vec<Box<dyn Job<S>>>,
}

impl<S> std::fmt::Debug for Writer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Says that the thread ended without saying so, if it panics.
struct Alarm(Arc<Shared>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("the writer panicked");
        }
    }
}

impl<S: Store + Send + 'static> Writer<S> {
    /// Starts the thread. Fails only if the system gives no thread.
    pub fn start(
        journal: Journal<S>,
        config: WriterConfig,
        clock: WallClock,
    ) -> std::io::Result<(WriterHandle<S>, JoinHandle<Ended<S>>)> {
        let shared = Arc::new(Shared::new(config.budget, config.queue_bytes));
        for (stream, head) in journal.heads() {
            shared.set_tail(stream, head.position());
        }
        let (sender, queue) = mpsc::channel(config.queue);
        let handle = WriterHandle::new(sender, Arc::clone(&shared));
        let (measured, unmeasured, batch) = (None, 0, Vec::new());
        let mut writer = Self { journal, config, clock, shared, queue, measured, unmeasured, batch };
        let thread = std::thread::Builder::new().name("ledge-writer".into()).spawn(move || {
            let alarm = Alarm(Arc::clone(&writer.shared));
            writer.measure();
            let failure = writer.run();
            drop(alarm);
            Ended { journal: writer.journal, failure }
        })?;
        Ok((handle, thread))
    }

    fn run(&mut self) -> Option<StoreError> {
        while let Some(message) = self.queue.blocking_recv() {
            let first = match message {
                Message::Job(job) => job,
                Message::Measure => {
                    self.measure_if_due();
                    continue;
                }
                Message::Close => {
                    self.queue.close();
                    continue;
                }
            };
            if let Some(failure) = self.transact(first) {
                self.stop(&failure);
                return Some(failure);
            }
            self.measure_if_due();
        }
        None
    }

    /// Refuses everything that waits and will ever come.
    fn stop(&mut self, failure: &StoreError) {
        let why = failure.to_string();
        self.shared.fail(&why);
        self.queue.close();
        let stopped = Outcome::Stopped(why);
        while let Some(message) = self.queue.blocking_recv() {
            if let Message::Job(job) = message {
                job.finish(&stopped);
            }
        }
    }

    /// One batch: `first` and whatever waits behind it. Returns what stops the writer for good.
    fn transact(&mut self, first: Box<dyn Job<S>>) -> Option<StoreError> {
        let mut txn = self.journal.begin((self.clock)());
        let mut next = Some(first);
        while let Some(mut job) = next.take() {
            match self.shared.admission.check(job.class()) {
                Ok(()) => {
                    job.run(&mut txn);
                    self.batch.push(job);
                }
                Err(refused) => job.refuse(refused),
            }
            let room = txn.bytes() < self.config.max_batch_bytes && self.batch.len() < BATCH_COMMANDS;
            while room && next.is_none() {
                match self.queue.try_recv() {
                    Ok(Message::Job(job)) => next = Some(job),
                    Ok(Message::Measure) => {}
                    Ok(Message::Close) => self.queue.close(),
                    Err(_) => break,
                }
            }
        }
        self.unmeasured += txn.bytes();
        let result = txn.commit();
        crash_point("writer.committed");
        let (outcome, failure) = match result {
            Ok(committed) => {
                self.shared.publish(committed);
                (Outcome::Committed, None)
            }
            Err(error @ StoreError::Failed(_)) => (Outcome::Unknown(error.to_string()), Some(error)),
            Err(error @ StoreError::Poisoned) => (Outcome::Stopped(error.to_string()), Some(error)),
            Err(error) => (Outcome::NotWritten(error), None),
        };
        if let Some(failure) = &failure {
            // First the latch, so that whoever is told can rely on it.
            self.shared.fail(&failure.to_string());
        }
        for job in self.batch.drain(..) {
            job.finish(&outcome);
        }
        failure
    }

    fn measure_if_due(&mut self) {
        let due = |at: Instant| at.elapsed() >= MEASURE_INTERVAL;
        if self.unmeasured >= MEASURE_BYTES || self.measured.is_none_or(due) {
            self.measure();
        }
    }

    fn measure(&mut self) {
        self.unmeasured = 0;
        let Some(usage) = self.config.usage.as_mut() else { return };
        self.measured = Some(Instant::now());
        let Some(usage) = usage() else { return };
        for change in self.shared.admission.update(usage) {
            if let Some(told) = &mut self.config.on_admission {
                told(change);
            }
        }
    }
}
