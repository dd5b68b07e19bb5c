//! What lies where in an edge's data directory.
//!
//! ```text
//! D/  FORMAT  LOCK.pid  ctl.sock      (engine/process)
//!     log/                            the store
//!     pki/   node.pem                 key, certificate and CA certificate (0600)
//!            node.key                 the key while it waits for its certificate
//!            joined.json              the cloud's answer while it is being taken in
//!     edge.json                       name and cloud; written last, so its presence says "joined"
//!     checkpoints/<random>/           leased to tools over ctl.sock
//! ```

use std::io;
use std::path::{Path, PathBuf};

use ledge_process::atomic_write;
use ledge_schemas::NodeName;
use serde::{Deserialize, Serialize};

use crate::address::HostPort;

/// Names in a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout(PathBuf);

/// Longest `edge.json` and `joined.json`, bytes.
const LONGEST: u64 = 256 * 1024;

impl Layout {
    /// Of that directory.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// The directory itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The store.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Keys and certificates.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    /// What tools lease.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// The cloud's answer to a join, until it is taken in.
    #[must_use]
    pub fn joined(&self) -> PathBuf {
        self.pki().join("joined.json")
    }

    fn edge(&self) -> PathBuf {
        self.0.join("edge.json")
    }
}

/// `edge.json`: who this node is and where its cloud is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Its name.
    pub node: NodeName,
    /// Hubs, in the order to try them.
    pub hub: Vec<HostPort>,
    /// Where it joined, and renews its certificate.
    pub cloud: HostPort,
}

/// Why `edge.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EdgeFileError {
    /// There is none.
    #[error(
        "{} has not joined a cloud. Get a token with `ledge-cloud token create` and run \
         `ledge-edge join --cloud HOST:10002 --token TOKEN --node NAME --data-dir {}`", .dir.display(), .dir.display()
    )]
    NotJoined {
        /// The data directory.
        dir: PathBuf,
    },
    /// It cannot be read or written.
    #[error("{} cannot be {doing}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// It does not say what it should.
    #[error("{} cannot be understood: {reason}. Restore it from a backup, or join again with a --rejoin token", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Edge {
    /// Reads the file.
    ///
    /// # Errors
    /// [`EdgeFileError`].
    pub fn load(layout: &Layout) -> Result<Self, EdgeFileError> {
        let path = layout.edge();
        match read_bounded(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| EdgeFileError::Damaged { path, reason: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(EdgeFileError::NotJoined { dir: layout.0.clone() })
            }
            Err(source) => Err(EdgeFileError::Io { path, doing: "read", source }),
        }
    }

    /// Writes the file, whole and durable.
    ///
    /// # Errors
    /// [`EdgeFileError::Io`].
    pub fn store(&self, layout: &Layout) -> Result<(), EdgeFileError> {
        let path = layout.edge();
        let written = serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .and_then(|bytes| atomic_write(&path, &bytes, 0o600));
        written.map_err(|source| EdgeFileError::Io { path, doing: "written", source })
    }
}

/// A small file, whole; an error if it is longer than any of ours.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read =
        io::Read::read_to_end(&mut io::Read::take(std::fs::File::open(path)?, LONGEST + 1), &mut bytes)?;
    if read as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("longer than {LONGEST} bytes")));
    }
    Ok(bytes)
}
