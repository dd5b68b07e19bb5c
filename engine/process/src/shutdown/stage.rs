//! A group of tasks that stop together.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exit::causes;

/// The first task of a stage that ended when it should not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stage's name.
    pub stage: &'static str,
    /// The task's name.
    pub task: &'static str,
    /// Its error with its causes, `panicked: …`, or `ended before it was told to stop`.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.task, self.reason)
    }
}

/// How draining a stage went.
#[must_use = "an abandoned task changes the exit code"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every task ended.
    Clean,
    /// The grace period passed; these tasks (one name each) were still running and are aborted.
    Abandoned(Vec<&'static str>),
}

impl Drained {
    pub(super) fn into_names(self) -> Vec<&'static str> {
        match self {
            Self::Clean => Vec::new(),
            Self::Abandoned(names) => names,
        }
    }
}

/// Tasks that stop together: a tracker, a cancellation token, and the first failure among them.
#[derive(Debug)]
pub struct Stage {
    name: &'static str,
    cancel: CancellationToken,
    tracker: TaskTracker,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    failure: watch::Sender<Option<Failure>>,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    tasks: BTreeMap<u64, (&'static str, AbortHandle)>,
}

impl Stage {
    /// An empty stage; the name is for logs and reasons.
    pub fn new(name: &'static str) -> Self {
        let shared = Shared { failure: watch::Sender::new(None), running: Mutex::default() };
        Self { name, cancel: CancellationToken::new(), tracker: TaskTracker::new(), shared: Arc::new(shared) }
    }

    /// Cancelled when the stage begins to drain.
    pub fn stopping(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Runs a loop that must not end before its token is cancelled. An error, a panic, or an early return is the
    /// failure that [`Stage::failed`] reports. After cancellation an error or a panic still counts.
    pub fn spawn<F, E>(&self, task: &'static str, body: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::error::Error + Send + 'static,
    {
        let future = body(self.cancel.clone());
        self.track(task, async move { future.await.map_err(|error| causes(&error).join(": ")) }, true);
    }

    /// Runs work that may end at any time (a connection, a probe). Only a panic is a failure.
    pub fn spawn_job<F>(&self, task: &'static str, body: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let future = body(self.cancel.clone());
        self.track(
            task,
            async move {
                future.await;
                Ok(())
            },
            false,
        );
    }

    fn track(
        &self,
        task: &'static str,
        future: impl Future<Output = Result<(), String>> + Send + 'static,
        lasting: bool,
    ) {
        let (stage, cancel, shared) = (self.name, self.cancel.clone(), Arc::clone(&self.shared));
        let inner = tokio::spawn(future);
        let id = shared.begin(task, inner.abort_handle());
        self.tracker.spawn(async move {
            let reason = match inner.await {
                Ok(Ok(())) if lasting && !cancel.is_cancelled() => {
                    Some("ended before it was told to stop".to_owned())
                }
                Ok(Ok(())) => None,
                Ok(Err(reason)) => Some(reason),
                Err(error) if error.is_panic() => {
                    Some(format!("panicked: {}", panic_text(error.into_panic())))
                }
                Err(_aborted) => None,
            };
            shared.end(id);
            if let Some(reason) = reason {
                shared.fail(Failure { stage, task, reason });
            }
        });
    }

    /// Waits for the first failure; pending while there is none.
    pub async fn failed(&self) -> Failure {
        let mut failure = self.shared.failure.subscribe();
        loop {
            if let Some(failure) = failure.borrow_and_update().clone() {
                return failure;
            }
            if failure.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Tells every task to stop and waits at most `grace` for them; what is left then is aborted and named.
    /// A blocking thread cannot be aborted; everything else stops at its next await.
    pub async fn drain(self, grace: Duration) -> Drained {
        self.cancel.cancel();
        self.tracker.close();
        if timeout(grace, self.tracker.wait()).await.is_ok() {
            return self.drained(Vec::new());
        }
        let mut names = Vec::new();
        for (name, abort) in self.shared.running().tasks.values() {
            names.push(*name);
            abort.abort();
        }
        tracing::warn!(stage = self.name, abandoned = ?names, "grace period passed");
        self.drained(names)
    }

    fn drained(&self, names: Vec<&'static str>) -> Drained {
        tracing::debug!(stage = self.name, abandoned = names.len(), "drained");
        if names.is_empty() { Drained::Clean } else { Drained::Abandoned(names) }
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, task: &'static str, abort: AbortHandle) -> u64 {
        let mut running = self.running();
        running.next += 1;
        let id = running.next;
        running.tasks.insert(id, (task, abort));
        id
    }

    fn end(&self, id: u64) {
        self.running().tasks.remove(&id);
    }

    /// The first one is kept; later ones are usually its consequences, and are logged.
    fn fail(&self, failure: Failure) {
        tracing::error!(stage = failure.stage, task = failure.task, error = %failure.reason, "task failed");
        self.failure.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                *first = Some(failure);
            }
            is_first
        });
    }
}

fn panic_text(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => {
            panic.downcast_ref::<&str>().map_or_else(|| "no message".to_owned(), |text| (*text).to_owned())
        }
    }
}
