//! The session's commands on their way through the writer: many at once, run and answered in order.

use futures::FutureExt;
use ledge_core::Row;
use ledge_core::log::{Reader, Store, StoreError};
use ledge_core::sync::commands::{Fresh, Side, run};
use ledge_core::sync::message::Direction;
use ledge_core::sync::{Answer, Command};
use ledge_log::{Class, WriteError};
use ledge_schemas::LogId;

use crate::{Begun, Pipeline, SessionStore};

/// Commands whose answers are still to come, oldest first.
#[derive(Default)]
pub(crate) struct Commands {
    asked: Pipeline<Result<Answer, StoreError>>,
}

impl Commands {
    pub(crate) fn push<S, R>(&mut self, store: &SessionStore<S, R>, command: Command)
    where
        S: Store + Send + 'static,
        R: Reader,
    {
        let (writer, node, side) = (store.writer.clone(), store.node.clone(), store.side);
        let fresh = Fresh { log_id: LogId(rand::random()) };
        let (class, bytes) = (class(side, &command), weight(&command));
        let step = async move {
            let submitted =
                writer.submit(class, bytes, move |txn| run(side, txn, &node, fresh, command)).await;
            Begun::new(async move {
                match submitted {
                    Ok(submitted) => submitted.answer().await.map_err(into_store),
                    Err(error) => Err(into_store(error)),
                }
            })
        };
        self.asked.push(step.boxed());
    }

    /// The oldest answer; never returns while nothing was asked. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Answer, StoreError> {
        self.asked.next().await
    }

    /// Waits for all of them, whatever they answer.
    pub(crate) async fn finish(&mut self) {
        while !self.asked.is_empty() {
            if let Err(error) = self.asked.next().await {
                tracing::debug!(%error, "a command of the ended session was not written");
            }
        }
    }
}

/// What the cloud takes from a node may be refused as its disk fills; everything else is Ledge's own.
fn class(side: Side, command: &Command) -> Class {
    match (side, command) {
        (Side::Cloud, Command::Append { direction: Direction::Up, .. }) => Class::State,
        _ => Class::Configuration,
    }
}

fn weight(command: &Command) -> usize {
    let rows = |rows: &[Row]| rows.iter().map(|row| row.key.len() + row.value.len()).sum::<usize>();
    let own = match command {
        Command::Append { runs, .. } => runs.iter().map(|run| run.bytes().len()).sum(),
        Command::Install { rows: of, .. } | Command::Reconcile { rows: of, .. } => rows(of),
        _ => 0,
    };
    own + 512
}

fn into_store(error: WriteError<StoreError>) -> StoreError {
    match error {
        WriteError::Refused(error) | WriteError::Store(error) => error,
        WriteError::Admission(refused) => {
            StoreError::Full { free: refused.budget.saturating_sub(refused.used), needed: 1 }
        }
        other @ (WriteError::Unknown(_) | WriteError::Stopped(_) | WriteError::Closed) => {
            StoreError::Failed(other.to_string())
        }
    }
}
