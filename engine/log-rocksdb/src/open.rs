//! Opening: for writing, and for reading a log that nobody writes.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use ledge_schemas::format;
use rocksdb::{DB, WriteBatch};

use crate::error::OpenError;
use crate::keys;
use crate::options::{self, RocksConfig};
use crate::reader::{Heads, Inner, RocksReader};
use crate::record::{self, Stored};
use crate::scan;
use crate::space::Space;
use crate::store::RocksStore;
use crate::witness::{Keeper, Regress, Witness};

/// Name of RocksDB's directory below the log's.
pub(crate) const DB_DIR: &str = "db";
/// The same while it is being made.
const NEW_DIR: &str = "db.new";

/// An opened log.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub store: RocksStore,
    /// Set if the log holds less than was once durable. The store works; the owner decides: an edge
    /// begins a new log, the cloud is recovering until an operator accepts the loss.
    pub regress: Option<Regress>,
}

impl RocksStore {
    /// Opens the log in `dir`, or makes an empty one. Never repairs or shortens anything but a
    /// record that a crash cut off at the very end.
    pub fn open(dir: &Path, config: &RocksConfig) -> Result<Opened, OpenError> {
        let io = |error: std::io::Error| OpenError::io(dir, &error);
        std::fs::create_dir_all(dir).map_err(io)?;
        if !dir.join(DB_DIR).exists() {
            make(dir, config)?;
        }
        let db = options::database(config, false)
            .and_then(|options| {
                DB::open_cf_descriptors(&options, dir.join(DB_DIR), options::column_families(config)?)
            })
            .map_err(|error| OpenError::rocks(dir, &error))?;
        let (inner, next_ordinal) = load(dir, db)?;
        let witness = Witness::read(dir).map_err(io)?;
        let regress = match &witness {
            Some(witness) => witness.compare(&inner).map_err(|error| OpenError::store(dir, &error))?,
            None => None,
        };
        if let Some(regress) = &regress {
            tracing::error!(dir = %dir.display(), %regress, "the log holds less than was durable");
        }
        let inner = Arc::new(inner);
        let space = Space::new(dir, config).map_err(io)?;
        // After a regress the tails that are there now count: what was lost stays lost.
        let generation = witness.as_ref().map_or(0, |w| w.generation);
        let last = match regress {
            None => witness.unwrap_or_default(),
            Some(_) => Witness { generation, ..Witness::default() },
        };
        let keeper = Keeper::start(Arc::clone(&inner), last).map_err(io)?;
        Ok(Opened { store: Self::new(inner, space, keeper, next_ordinal), regress })
    }
}

impl RocksReader {
    /// Reads a log that no process has open, or a checkpoint. Changes nothing in the directory.
    pub fn open_read_only(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(DB_DIR);
        refuse_locked(dir, &path)?;
        let config = RocksConfig::default();
        let db = options::database(&config, false)
            .and_then(|options| {
                DB::open_cf_descriptors_read_only(&options, &path, options::column_families(&config)?, false)
            })
            .map_err(|error| OpenError::rocks(dir, &error))?;
        let (inner, _) = load(dir, db)?;
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// Says so if a process holds RocksDB's lock. A read-only opening would not notice.
fn refuse_locked(dir: &Path, path: &Path) -> Result<(), OpenError> {
    use rustix::process::{Flock, FlockType, fcntl_getlk};
    // A checkpoint has no lock file.
    let Ok(lock) = File::open(path.join("LOCK")) else { return Ok(()) };
    let held =
        fcntl_getlk(&lock, &Flock::from(FlockType::WriteLock)).map_err(|e| OpenError::io(dir, &e.into()))?;
    match held {
        Some(_) => Err(OpenError::Locked { dir: dir.to_owned() }),
        None => Ok(()),
    }
}

/// Makes an empty log beside its place and moves it there whole, so that a crash leaves none or all.
fn make(dir: &Path, config: &RocksConfig) -> Result<(), OpenError> {
    let io = |error: std::io::Error| OpenError::io(dir, &error);
    let new = dir.join(NEW_DIR);
    if new.exists() {
        std::fs::remove_dir_all(&new).map_err(io)?;
    }
    let made = options::database(config, true).and_then(|options| {
        let db = DB::open_cf_descriptors(&options, &new, options::column_families(config)?)?;
        let mut batch = WriteBatch::default();
        batch.put(keys::FORMAT, [format::FORMAT]);
        db.write_opt(batch, &options::synced())
    });
    made.map_err(|error| OpenError::rocks(dir, &error))?;
    std::fs::rename(&new, dir.join(DB_DIR)).map_err(io)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)
}

/// Checks the format, reads every head, and checks that each tail is there.
fn load(dir: &Path, db: DB) -> Result<(Inner, u32), OpenError> {
    let rocks = |error: &rocksdb::Error| OpenError::rocks(dir, error);
    let written = db.get(keys::FORMAT).map_err(|e| rocks(&e))?;
    match written.as_deref() {
        Some([found]) if (format::FORMAT_OLDEST..=format::FORMAT).contains(found) => {}
        Some([found]) => return Err(OpenError::Format { dir: dir.to_owned(), found: *found }),
        _ => return Err(OpenError::corrupt(dir, "its format is not stated")),
    }
    let next = db.get(keys::NEXT_ORDINAL).map_err(|e| rocks(&e))?;
    let next = next.map_or(Ok(0), |bytes| bytes.as_slice().try_into().map(u32::from_le_bytes));
    let mut next_ordinal =
        next.map_err(|_| OpenError::corrupt(dir, "the next ordinal has another length"))?;

    let mut heads = Heads { sequence: db.latest_sequence_number(), ..Heads::default() };
    for tag in [keys::HEAD, keys::ARCHIVED] {
        let mut iterator = db.raw_iterator_opt(options::range(&[tag], Some(&[tag + 1])));
        iterator.seek_to_first();
        while let Some((key, value)) = iterator.item() {
            let place = || String::from_utf8_lossy(key).into_owned();
            let stream = keys::head_stream(key)
                .ok_or_else(|| OpenError::corrupt(dir, format!("{:?} is no stream", place())))?;
            let stored = record::decode_head(key, value)
                .map_err(|error| OpenError::corrupt(dir, format!("the head of {stream}: {error}")))?;
            next_ordinal = next_ordinal.max(stored.ordinal + 1);
            match tag {
                keys::HEAD => drop(heads.current.insert(stream, stored)),
                _ => heads.archived.entry(stream).or_default().push(stored),
            }
            iterator.next();
        }
        iterator.status().map_err(|e| rocks(&e))?;
    }
    let inner = Inner {
        db,
        dir: dir.to_owned(),
        heads: RwLock::new(heads),
        structure: RwLock::default(),
        commits: Mutex::default(),
    };
    check_tails(&inner).map_err(|error| OpenError::store(dir, &error))?;
    Ok((inner, next_ordinal))
}

fn check_tails(inner: &Inner) -> Result<(), ledge_core::log::StoreError> {
    for (stream, stored) in &inner.heads().current {
        let Stored { head, .. } = stored;
        if let Some(entry) = scan::run_at(inner, stream, stored, head.tail)?
            && (entry.run.last(), entry.chain) != (head.tail, head.chain)
        {
            return Err(crate::error::corrupt(stream.to_string(), "its head does not state its last run"));
        }
    }
    Ok(())
}
