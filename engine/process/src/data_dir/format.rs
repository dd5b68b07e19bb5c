//! `D/FORMAT`: whose directory this is and which build can read it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{OpenError, atomic_write};

/// The file's name.
pub(super) const FILE: &str = "FORMAT";
/// The file is one short JSON object; anything longer is not ours.
const MAX_BYTES: u64 = 4096;

/// The newest directory format this build reads, and the one it writes.
/// v1: the first. `LOCK.pid`, `FORMAT`, `ctl.sock`, and the role's own files.
pub const FORMAT_NEWEST: u16 = 1;
/// The oldest directory format this build reads.
pub const FORMAT_OLDEST: u16 = 1;

/// Which process a data directory belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// `ledge-cloud`.
    Cloud,
    /// `ledge-edge`.
    Edge,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cloud => "cloud",
            Self::Edge => "edge",
        })
    }
}

/// Random 128-bit name of one data directory: a copy has the same, a new directory never. Written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub [u8; 16]);

impl StoreId {
    fn random() -> io::Result<Self> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreId({self})")
    }
}

/// A text that is not 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a store id is 32 hex digits")]
pub struct StoreIdError;

impl FromStr for StoreId {
    type Err = StoreIdError;

    fn from_str(text: &str) -> Result<Self, StoreIdError> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(StoreIdError);
        }
        u128::from_str_radix(text, 16).map(|id| Self(id.to_be_bytes())).map_err(|_| StoreIdError)
    }
}

impl Serialize for StoreId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StoreId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The content of `FORMAT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Whose directory it is.
    pub role: Role,
    /// Version of the directory, `FORMAT_OLDEST..=FORMAT_NEWEST` in what this build opens.
    pub format: u16,
    /// Wall time of the first start, RFC 3339, UTC. For people; nothing is decided by it.
    pub created: String,
    /// Identity of the directory.
    pub store_id: StoreId,
}

impl Format {
    pub(super) fn new(role: Role) -> io::Result<Self> {
        let created = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Ok(Self { role, format: FORMAT_NEWEST, created, store_id: StoreId::random()? })
    }

    pub(super) fn write(&self, dir: &Path) -> Result<(), OpenError> {
        let path = dir.join(FILE);
        let failed = OpenError::io("write", &path);
        let mut bytes = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        bytes.push(b'\n');
        atomic_write(&path, &bytes, 0o600).map_err(failed)
    }

    /// `None` where there is no such file. The version is checked before the rest is understood, because a newer
    /// format may have other fields.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, OpenError> {
        #[derive(Deserialize)]
        struct Version {
            format: u16,
        }
        let path = dir.join(FILE);
        let failed = OpenError::io("read", &path);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        let damaged = |reason: String| OpenError::Damaged { path: path.clone(), reason };
        if bytes.len() as u64 > MAX_BYTES {
            return Err(damaged(format!("it is longer than {MAX_BYTES} bytes")));
        }
        let Version { format: found } =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if !(FORMAT_OLDEST..=FORMAT_NEWEST).contains(&found) {
            let (oldest, newest) = (FORMAT_OLDEST, FORMAT_NEWEST);
            return Err(OpenError::Format { dir: dir.to_owned(), found, oldest, newest });
        }
        serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(error.to_string()))
    }
}
