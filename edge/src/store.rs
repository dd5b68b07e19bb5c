//! The edge's store: opening it, and what an edge does first with one.

use std::sync::Arc;

use ledge_core::journal::{Draft, Journal};
use ledge_core::log::{Reader, Store, StoreError};
use ledge_core::sync::commands::Fresh;
use ledge_core::sync::commands::edge::{begin_first, begin_up};
use ledge_log::writer::{AdmissionChange, WallClock};
use ledge_log_rocksdb::{OpenError, RocksConfig, RocksReader, RocksStore};
use ledge_process::Exit;
use ledge_schemas::kinds::up::{AdmissionChanged, EdgeStarted};
use ledge_schemas::{LogId, NodeName, StreamId};

use crate::layout::Layout;

/// Where an edge's streams are written.
pub type Log = RocksStore;
/// Where they are read.
pub type LogReader = RocksReader;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    /// It does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It opened, and does not work.
    #[error("the log in {}: {source}", .dir.display())]
    Store {
        /// The store's directory.
        dir: std::path::PathBuf,
        /// What is wrong.
        source: StoreError,
    },
}

impl StoreOpenError {
    /// How the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Open(OpenError::Locked { .. }) => Exit::TempFail,
            Self::Open(OpenError::Corrupt { .. }) => Exit::DataErr,
            Self::Open(OpenError::Format { .. }) => Exit::Config,
            Self::Store { source: StoreError::Corrupt { .. }, .. } => Exit::DataErr,
            Self::Open(OpenError::Io { .. }) | Self::Store { .. } => Exit::IoErr,
        }
    }
}

/// Opens the store of a node, and sees to it that there is an `up` log to write to: a first one, or a new
/// one if the old one lost its tail, whose numbers must never be used twice.
///
/// # Errors
/// [`StoreOpenError`].
pub fn open(layout: &Layout, node: &NodeName) -> Result<Journal<Log>, StoreOpenError> {
    let dir = layout.log();
    let opened = RocksStore::open(&dir, &RocksConfig::default())?;
    let failed = |source| StoreOpenError::Store { dir: dir.clone(), source };
    let mut journal = Journal::open(opened.store).map_err(failed)?;
    let has_log = journal.head(&StreamId::Up(node.clone())).is_some();
    let (fresh, now_ms) = (Fresh { log_id: LogId(rand::random()) }, wall_clock()());
    let mut txn = journal.begin(now_ms);
    match opened.regress {
        _ if !has_log => txn.command(|txn| begin_first(txn, node, fresh)).map_err(failed)?,
        Some(regress) => {
            let reason = format!("this store was set back: {regress}");
            txn.command(|txn| begin_up(txn, node, fresh, &reason).map(drop)).map_err(failed)?;
        }
        None => {}
    }
    txn.commit().map_err(failed)?;
    Ok(journal)
}

/// Notes in the log that the process started.
///
/// # Errors
/// [`StoreOpenError`].
pub fn note_start(
    journal: &mut Journal<Log>,
    layout: &Layout,
    node: &NodeName,
) -> Result<(), StoreOpenError> {
    let failed = |source| StoreOpenError::Store { dir: layout.log(), source };
    let started = EdgeStarted { version: env!("CARGO_PKG_VERSION").to_owned() };
    let draft = Draft::new("", &started).map_err(|error| failed(StoreError::Failed(error.to_string())))?;
    let mut txn = journal.begin(wall_clock()());
    let seen = txn.head(&StreamId::Down(node.clone())).map(|head| head.position());
    txn.append(&StreamId::Up(node.clone()), Draft { seen, ..draft }).map_err(failed)?;
    txn.commit().map_err(failed).map(drop)
}

/// Makes the log of a node that is about to join; returns the log's name.
///
/// # Errors
/// [`StoreOpenError`].
pub fn prepare(layout: &Layout, node: &NodeName) -> Result<LogId, StoreOpenError> {
    let journal = open(layout, node)?;
    let up = StreamId::Up(node.clone());
    let head = journal.head(&up).map(|head| head.base.log_id);
    let missing = || StoreOpenError::Store { dir: layout.log(), source: StoreError::NoStream(up.clone()) };
    head.ok_or_else(missing)
}

/// The system's clock, Unix milliseconds.
#[must_use]
pub fn wall_clock() -> WallClock {
    Arc::new(|| crate::eventbus::now().ms)
}

/// Appends that a class was closed or opened again.
///
/// # Errors
/// The append is not possible.
pub fn append_admission<S: Store>(
    txn: &mut ledge_core::journal::Txn<'_, S>,
    node: &NodeName,
    change: AdmissionChange,
) -> Result<(), StoreError> {
    let class = change.class.name().to_owned();
    let AdmissionChange { open, used: used_bytes, budget: budget_bytes, .. } = change;
    let up = StreamId::Up(node.clone());
    let seen = txn.head(&StreamId::Down(node.clone())).map(|head| head.position());
    let draft = Draft::new(class.clone(), &AdmissionChanged { class, open, used_bytes, budget_bytes })
        .map_err(|error| StoreError::Failed(error.to_string()))?;
    txn.append(&up, Draft { seen, ..draft }).map(drop)
}

/// The node whose log a directory holds, for tools that find no `edge.json`.
#[must_use]
pub fn node_of(reader: &impl Reader) -> Option<NodeName> {
    let streams = reader.streams().ok()?;
    streams.into_iter().find_map(|stream| match stream {
        StreamId::Up(node) => Some(node),
        _ => None,
    })
}
