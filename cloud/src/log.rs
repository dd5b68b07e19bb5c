//! The process's one store: its writer, its reader, and how it is opened and first filled.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use ledge_core::journal::{Journal, Txn};
use ledge_core::log::{Store, StoreError};
use ledge_core::sync::commands::cloud::{begin_recovering, record};
use ledge_core::sync::commands::edge::rebased;
use ledge_core::{Base, BaseReason, Digest};
use ledge_log::writer::Ended;
use ledge_log::{Writer, WriterConfig, WriterHandle};
use ledge_log_rocksdb::{OpenError, Opened, RocksConfig, RocksReader, RocksStore};
use ledge_schemas::kinds::control::StoreCreated;
use ledge_schemas::{Epoch, LogId, StreamId};

use crate::clock;
use crate::namespaces;

/// Folder of the store in a data directory.
pub const LOG_DIR: &str = "log";

/// Everything that reads and writes the log. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    /// The one writer.
    pub writer: WriterHandle<RocksStore>,
    /// Reads what is durable.
    pub reader: RocksReader,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store can be opened, not read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No thread for the writer.
    #[error("no thread for the writer: {0}")]
    Thread(#[from] std::io::Error),
}

/// Opens the journal over the store in a data directory, and makes its first events if it is empty.
pub fn open_journal(data_dir: &Path) -> Result<Journal<RocksStore>, LogError> {
    let Opened { store, regress } = RocksStore::open(&data_dir.join(LOG_DIR), &RocksConfig::default())?;
    let mut journal = Journal::open(store)?;
    let mut txn = journal.begin(clock::unix_ms());
    begin_store(&mut txn)?;
    if let Some(regress) = regress {
        begin_recovering(&mut txn, &regress.to_string())?;
        // Which streams are shorter is known of the last ones only: revisions count as given out.
        begin_cluster_again(&mut txn)?;
    }
    txn.commit()?;
    Ok(journal)
}

/// Starts the writer over an open journal.
pub fn start(journal: Journal<RocksStore>) -> Result<(Log, JoinHandle<Ended<RocksStore>>), LogError> {
    let reader = journal.store().reader();
    let (writer, thread) = Writer::start(journal, WriterConfig::default(), Arc::new(clock::unix_ms))?;
    Ok((Log { writer, reader }, thread))
}

/// The first events of an empty store: its name, its two streams, the namespaces that always are.
fn begin_store<S: Store>(txn: &mut Txn<'_, S>) -> Result<(), StoreError> {
    if txn.head(&StreamId::Control).is_some() {
        return Ok(());
    }
    let store_id = LogId(rand::random());
    begin_stream(txn, &StreamId::Control)?;
    record(txn, "", &StoreCreated { store_id })?;
    begin_stream(txn, &StreamId::Cluster)?;
    namespaces::create_first(txn, store_id)
}

fn begin_stream<S: Store>(txn: &mut Txn<'_, S>, stream: &StreamId) -> Result<(), StoreError> {
    let base = Base::begin(LogId(rand::random()), Epoch(1), Digest::default(), BaseReason::New);
    txn.begin(stream, base, Vec::new())
}

/// The API's objects go on in a new epoch: revisions that were given out are never given out again.
fn begin_cluster_again<S: Store>(txn: &mut Txn<'_, S>) -> Result<(), StoreError> {
    let Some(head) = txn.head(&StreamId::Cluster) else { return Ok(()) };
    let rows = rebased(txn.rows(&StreamId::Cluster, b"")?);
    let digest = Digest::of(rows.iter().map(|row| (&row.key[..], &row.value[..])));
    let base = Base::begin(LogId(rand::random()), head.base.epoch.next(), digest, BaseReason::TailLost);
    txn.begin(&StreamId::Cluster, base, rows)
}
