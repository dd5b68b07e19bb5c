//! The hash chain over the runs of one log, kept at run boundaries.

use std::fmt;

use bincode::{Decode, Encode};
use ledge_schemas::{LogId, Seq};
use serde::Serialize;

use crate::Digest;

/// BLAKE3(previous chain ‖ uncompressed run bytes). Two logs agree up to a position exactly when
/// their chains there are equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// The chain where a new log begins: bound to its id and to what it begins with.
    #[must_use]
    pub fn genesis(log_id: LogId, seq: Seq, rows: Digest) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"ledge log 1").update(&log_id.0).update(&seq.0.to_le_bytes()).update(&rows.0);
        Self(*hasher.finalize().as_bytes())
    }

    /// The chain after one more run.
    #[must_use]
    pub fn then(self, run: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0).update(run);
        Self(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({:02x}{:02x}{:02x}{:02x})", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

impl Serialize for Chain {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
