//! Stopping in order: what feeds stops first, then what it was feeding; each within a grace period.
//!
//! ```text
//! signal ──┐                     intake.drain(grace)   writers.drain(grace)
//! intake ──┼─ first_of ─► Why ─► cancel, wait, count ─► cancel, wait, count ─► exit(why, [intake, writers])
//! writers ─┘
//! ```
//! A loop that fails, panics or returns before it was told to stop ends the process, and the reason names it.

mod signal;
mod stage;

pub use signal::stop_signal;
pub use stage::{Drained, Failure, Stage};

use std::fmt;
use std::future::Future;

use crate::exit::Exit;

/// Why the process is stopping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was asked to; the name of the signal, or whatever the caller's signal future returned.
    Signal(&'static str),
    /// A loop ended that should not have.
    Failed(Failure),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(name) => f.write_str(name),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

/// Waits for the signal or for the first failed loop of any stage. With both at once the failure is reported.
pub async fn first_of<const N: usize>(
    signal: impl Future<Output = &'static str>,
    stages: [&Stage; N],
) -> Why {
    let mut failures: Vec<_> = stages.into_iter().map(|stage| Box::pin(stage.failed())).collect();
    let mut signal = std::pin::pin!(signal);
    std::future::poll_fn(move |cx| {
        for failure in &mut failures {
            if let std::task::Poll::Ready(failure) = failure.as_mut().poll(cx) {
                return std::task::Poll::Ready(Why::Failed(failure));
            }
        }
        signal.as_mut().poll(cx).map(Why::Signal)
    })
    .await
}

/// Logs how the process ended. Asked to stop and everything stopped: [`Exit::Done`]. A loop failed, or something had to be
/// abandoned: [`Exit::Software`].
pub fn exit<const N: usize>(why: &Why, drained: [Drained; N]) -> Exit {
    let abandoned: Vec<_> = drained.into_iter().flat_map(Drained::into_names).collect();
    match (why, abandoned.is_empty()) {
        (Why::Signal(signal), true) => {
            tracing::info!(signal, "stopped");
            Exit::Done
        }
        (Why::Signal(signal), false) => {
            tracing::error!(signal, ?abandoned, "stopped, but not everything in time");
            Exit::Software
        }
        (Why::Failed(failure), _) => {
            tracing::error!(stage = failure.stage, task = failure.task, error = %failure.reason, ?abandoned, "failed");
            Exit::Software
        }
    }
}
