//! Folding a stored stream from its base into memory: for rebuilding views, for new bases, for
//! verifying, and for the state at any position.

use std::collections::BTreeMap;

use ledge_schemas::{Position, Seq, StreamId};

use super::cursor_at;
use crate::log::{Cursor, Reader, StoreError};
use crate::view::{self, Rows};
use crate::{Chain, Digest};

/// Bytes of runs read at once.
const READ: usize = 1024 * 1024;
/// Rows of a base read at once.
const ROWS: usize = 4096;

/// A stream folded up to some position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The view's rows.
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where the fold ended, with the digest of the rows.
    pub cursor: Cursor,
    /// Chain at the end of the last run read.
    pub chain: Chain,
}

/// Why a stream cannot be folded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Runs do not follow one another, or the chain breaks.
    #[error("the run that ends at {at} does not continue what is before it: {why}")]
    Broken {
        /// Last seq of the run.
        at: Seq,
        /// What is wrong.
        why: String,
    },
}

impl FoldError {
    /// As a store's error about a stream.
    #[must_use]
    pub fn into_store(self, stream: &StreamId) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Broken { .. } => StoreError::Corrupt { place: stream.to_string(), why: self.to_string() },
        }
    }
}

/// Folds a stream through `through` (a position inside a run is fine), or to its tail.
pub fn fold<R: Reader>(store: &R, stream: &StreamId, through: Option<Seq>) -> Result<Folded, FoldError> {
    let head = store.head(stream)?.ok_or_else(|| StoreError::NoStream(stream.clone()))?;
    let through = through.unwrap_or(head.tail);
    if through < head.base.seq || through > head.tail {
        let (stream, asked, oldest) = (stream.clone(), through, head.base.seq);
        return Err(match through < oldest {
            true => StoreError::Trimmed { stream, asked, oldest },
            false => StoreError::NotABoundary { stream, asked },
        }
        .into());
    }
    let mut rows = Memory(load_base(store, stream)?);
    let digest = rows.digest();
    if digest != head.base.digest {
        let why = format!("its base states digest {}, the rows have {digest}", head.base.digest);
        return Err(FoldError::Broken { at: head.base.seq, why });
    }
    let (mut at, mut chain) = (head.base.seq, head.base.chain);
    while at < through {
        let entries = store.runs(stream, at, READ)?;
        if entries.is_empty() {
            return Err(FoldError::Broken { at, why: format!("nothing follows; the tail is {}", head.tail) });
        }
        for entry in entries {
            if at >= through {
                break;
            }
            let broken = |why: String| FoldError::Broken { at: entry.run.last(), why };
            if entry.run.first() != at.next() || entry.run.log_id() != head.base.log_id {
                return Err(broken(format!("it begins at {} of {}", entry.run.first(), entry.run.log_id())));
            }
            chain = chain.then(entry.run.bytes());
            if chain != entry.chain {
                return Err(broken("its chain differs from the recomputed one".into()));
            }
            for event in entry.run.events() {
                let (seq, event) = event.map_err(|error| broken(error.to_string()))?;
                if seq > through {
                    break;
                }
                let position = Position { epoch: head.base.epoch, seq };
                view::apply(stream, &mut rows, position, &event)?;
            }
            at = entry.run.last();
        }
    }
    Ok(Folded { cursor: cursor_at(through, rows.digest()), rows: rows.0, chain })
}

fn load_base<R: Reader>(store: &R, stream: &StreamId) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
    let mut rows = BTreeMap::new();
    loop {
        let after = rows.last_key_value().map(|(key, _): (&Vec<u8>, &Vec<u8>)| key.clone());
        let page = store.base_rows(stream, after.as_deref(), ROWS)?;
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page.into_iter().map(|row| (row.key, row.value)));
    }
}

/// Rows in memory. The digest is taken once, at the end: hashing each change would cost more than
/// applying it.
#[derive(Debug, Default)]
struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);

impl Memory {
    fn digest(&self) -> Digest {
        Digest::of(self.0.iter().map(|(key, value)| (&key[..], &value[..])))
    }
}

impl Rows for Memory {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.0.insert(key, value);
        Ok(())
    }

    fn delete(&mut self, key: Vec<u8>) -> Result<(), StoreError> {
        self.0.remove(&key);
        Ok(())
    }

    fn keys(&mut self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let keys = self.0.range(prefix.to_vec()..).map(|(key, _)| key);
        Ok(keys.take_while(|key| key.starts_with(prefix)).cloned().collect())
    }
}
