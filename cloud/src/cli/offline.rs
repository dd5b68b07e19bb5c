//! A command's way to the data: through the running process, or, if none runs, directly.

use std::path::Path;

use ledge_core::journal::{Journal, Txn};
use ledge_core::log::StoreError;
use ledge_log_rocksdb::{RocksReader, RocksStore};
use ledge_pki::CertificateAuthority;
use ledge_process::{CtlClient, CtlError, DataDir, Exit, OpenMode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::{StartError, open_dir};
use crate::log::{LogError, open_journal};
use crate::operations::OperationError;

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error(transparent)]
    Ctl(#[from] CtlError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Operation(#[from] OperationError),
    #[error("the process answered something else than was asked: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("cannot print: {0}")]
    Print(#[from] std::io::Error),
    #[error("{0}")]
    NeedsProcess(&'static str),
}

impl From<LogError> for CommandError {
    fn from(error: LogError) -> Self {
        Self::Start(error.into())
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Operation(error.into())
    }
}

impl CommandError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Ctl(CtlError::Failed { failure, .. }) if failure.code == "bad-request" => Exit::Usage,
            Self::Ctl(CtlError::Failed { failure, .. }) if failure.code == "not-found" => Exit::Different,
            Self::Ctl(error) => error.exit(),
            Self::Start(error) => error.exit(),
            Self::Operation(OperationError::Request(_)) => Exit::Usage,
            Self::Operation(OperationError::NoNode(_)) => Exit::Different,
            Self::Operation(_) => Exit::IoErr,
            Self::Answer(_) => Exit::Protocol,
            Self::Print(_) => Exit::IoErr,
            Self::NeedsProcess(_) => Exit::Unavailable,
        }
    }
}

/// Asks the running process; `None` if none runs.
pub(super) async fn ask<T: DeserializeOwned>(
    dir: &Path,
    op: &str,
    args: &impl Serialize,
) -> Result<Option<T>, CommandError> {
    let mut client = match CtlClient::connect(dir).await {
        Ok(client) => client,
        Err(CtlError::NotRunning { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(serde_json::from_value(client.call(op, args).await?)?))
}

/// A stopped cloud's data. The log is closed before the directory's lock goes.
pub(super) struct Stopped {
    journal: Journal<RocksStore>,
    pub(super) authority: CertificateAuthority,
    _dir: DataDir,
}

impl Stopped {
    pub(super) fn open(dir: &Path) -> Result<Self, CommandError> {
        let (dir, authority) = open_dir(dir, OpenMode::Existing)?;
        let journal = open_journal(dir.path())?;
        Ok(Self { journal, authority, _dir: dir })
    }

    pub(super) fn reader(&self) -> RocksReader {
        self.journal.store().reader()
    }

    /// One command in a transaction of its own.
    pub(super) fn write<R>(
        &mut self,
        command: impl FnOnce(&mut Txn<'_, RocksStore>) -> Result<R, OperationError>,
    ) -> Result<R, CommandError> {
        let mut txn = self.journal.begin(crate::clock::unix_ms());
        let done = txn.command(command)?;
        txn.commit()?;
        Ok(done)
    }
}
