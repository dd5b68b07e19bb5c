//! Why settings cannot be used.

use std::io;
use std::path::PathBuf;

use super::Origin;
use crate::exit::Exit;

/// Each names the file and line, the variable, or the flag that is to be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}; check --config", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is too long to be settings.
    #[error("{} is longer than {limit} bytes; is it the right file?", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// Not YAML, or not a map of keys.
    #[error("{} is not a YAML map of settings: {reason}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's words, with line and column.
        reason: String,
    },
    /// A key that no setting has.
    #[error("{origin}: unknown key {key:?}{}", suggestion(.nearest))]
    UnknownKey {
        /// The file and line, or the flag.
        origin: Origin,
        /// The dotted path.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A value that its key cannot take.
    #[error("{origin}: {key}: {reason}")]
    Value {
        /// The file and line, the variable, or the flag.
        origin: Origin,
        /// The dotted path.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Each value is right by itself, but not all of them together.
    #[error("the settings contradict each other: {0}")]
    Conflict(#[source] serde_yaml_ng::Error),
    /// The program's own struct cannot be written as YAML: a bug.
    #[error("the settings of this program cannot be shown: {0}")]
    Shape(#[source] serde_yaml_ng::Error),
}

impl ConfigError {
    /// How a process with such settings ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Read { .. } => Exit::NoInput,
            Self::Shape(_) => Exit::Software,
            _ => Exit::Config,
        }
    }
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |key| format!("; did you mean {key:?}?"))
}
