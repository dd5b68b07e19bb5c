//! A data directory, whether its process runs or not. A live database is never opened: the running process hands out a
//! checkpoint, leased for as long as the connection to it stands.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ledge_log_rocksdb::{OpenError as LogError, RocksReader};
use ledge_process::data_dir::Role;
use ledge_process::{CtlClient, CtlError, DataDir, Exit, OpenError, OpenMode};
use serde::Deserialize;
use tokio::runtime::{Builder, Runtime};

/// The log's folder in a data directory.
const LOG: &str = "log";
/// Time for opening a log, whose write-ahead log of at most some 32 MiB is read meanwhile. A MANIFEST in which a
/// record's type is damaged can keep RocksDB in a loop for ever; a tool must still answer.
const OPEN: Duration = Duration::from_secs(60);
/// The folder in a log by which it is known to be one.
const DB: &str = "db";

/// Why a data directory cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It is none, is of another format, or is in use by a process that does not answer.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its process does not hand out a checkpoint.
    #[error("{error}. It holds the log open, so nothing else may: stop it and try again")]
    Process {
        /// The process's answer.
        error: CtlError,
    },
    /// The reply to `checkpoint` names no folder.
    #[error("the process on {} answered `checkpoint` without a readable folder: {why}", .dir.display())]
    Reply {
        /// The data directory.
        dir: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// No log was ever written.
    #[error("{} holds no log yet: its process has not run", .dir.display())]
    NoLog {
        /// The data directory.
        dir: PathBuf,
    },
    /// The log is there and does not open.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Opening the log does not end.
    #[error(
        "the log of {} has not opened after {} s; its MANIFEST is probably damaged. Nothing was changed",
        .dir.display(), OPEN.as_secs()
    )]
    Stuck {
        /// The data directory.
        dir: PathBuf,
    },
    /// No run time for asking the process.
    #[error("cannot ask the process: {0}")]
    Runtime(std::io::Error),
}

impl SourceError {
    /// How a command ends that cannot go on.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Open(error) => error.exit(),
            Self::Process { error } => error.exit(),
            Self::Reply { .. } => Exit::Protocol,
            Self::NoLog { .. } => Exit::NoInput,
            Self::Log(LogError::Locked { .. }) => Exit::TempFail,
            Self::Log(LogError::Corrupt { .. }) => Exit::DataErr,
            Self::Log(LogError::Format { .. }) => Exit::Config,
            Self::Log(LogError::Io { .. }) => Exit::IoErr,
            Self::Stuck { .. } => Exit::Unknown,
            Self::Runtime(_) => Exit::OsErr,
        }
    }
}

/// The reply to `{"op":"checkpoint"}`. Whatever else is in it is not needed here.
#[derive(Deserialize)]
struct Checkpoint {
    dir: PathBuf,
}

/// What keeps the log readable: a lease of the running process, or the lock of the stopped one.
enum Held {
    Lease { client: CtlClient, _runtime: Runtime },
    Lock { _data_dir: DataDir },
}

/// A readable data directory. Its checkpoint, or its lock, is given back when this is dropped.
pub struct Source {
    // Before `held`: the log is closed before its checkpoint goes.
    reader: RocksReader,
    held: Held,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("running", &self.running()).finish_non_exhaustive()
    }
}

impl Source {
    /// Opens a data directory of either role: through its process if one runs, else its files, which stay as they are.
    pub fn open(dir: &Path) -> Result<Self, SourceError> {
        let format = DataDir::peek(dir)?.ok_or_else(|| OpenError::NotADataDir { dir: dir.to_owned() })?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(SourceError::Runtime)?;
        let (log, held) = match runtime.block_on(lease(dir)) {
            Err(SourceError::Process { error: CtlError::NotRunning { .. } }) => lock(dir, format.role)?,
            Err(error) => return Err(error),
            Ok((log, client)) => (log, Held::Lease { client, _runtime: runtime }),
        };
        let stuck = || SourceError::Stuck { dir: dir.to_owned() };
        let reader = within(OPEN, move || RocksReader::open_read_only(&log)).ok_or_else(stuck)??;
        Ok(Self { reader, held })
    }

    /// The log.
    #[must_use]
    pub fn reader(&self) -> &RocksReader {
        &self.reader
    }

    /// The process that handed out the checkpoint; `None` if none runs.
    #[must_use]
    pub fn running(&self) -> Option<u32> {
        match &self.held {
            Held::Lease { client, .. } => Some(client.hello().pid),
            Held::Lock { .. } => None,
        }
    }
}

/// The result of `work`, if it has one in time. Otherwise it goes on in its thread, until the process ends.
fn within<T: Send + 'static>(time: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = mpsc::sync_channel(1);
    thread::spawn(move || {
        // Nobody waits any longer: there is nobody to tell.
        let _ = done.send(work());
    });
    result.recv_timeout(time).ok()
}

async fn lease(dir: &Path) -> Result<(PathBuf, CtlClient), SourceError> {
    let failed = |error| SourceError::Process { error };
    let mut client = CtlClient::connect(dir).await.map_err(failed)?;
    let reply = client.call("checkpoint", &()).await.map_err(failed)?;
    let refused = |why: String| SourceError::Reply { dir: dir.to_owned(), why };
    let Checkpoint { dir: at } = serde_json::from_value(reply).map_err(|error| refused(error.to_string()))?;
    // The process may run in another working directory.
    let at = if at.is_absolute() { at } else { dir.join(at) };
    let log = [at.join(LOG), at.clone()].into_iter().find(|log| log.join(DB).is_dir());
    let log = log.ok_or_else(|| refused(format!("{} holds no log", at.display())))?;
    Ok((log, client))
}

fn lock(dir: &Path, role: Role) -> Result<(PathBuf, Held), SourceError> {
    let data_dir = DataDir::open(dir, role, OpenMode::ReadOnly)?;
    let log = data_dir.join(LOG);
    if !log.join(DB).is_dir() {
        return Err(SourceError::NoLog { dir: dir.to_owned() });
    }
    Ok((log, Held::Lock { _data_dir: data_dir }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_does_not_end_is_not_waited_for() {
        assert_eq!(within(Duration::from_secs(60), || 7), Some(7));
        let (_kept, never) = mpsc::channel::<()>();
        assert_eq!(within(Duration::from_millis(20), move || never.recv().is_ok()), None);
    }
}
