//! Why the stack is not what it should be: what, where, and the end of the log that may say why.

use std::io;
use std::path::{Path, PathBuf};

use ledge_process::Exit;

/// See the module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// A program is not beside this one.
    #[error("{} is missing; build it with `cargo build --workspace --bins`", .path.display())]
    NoBinary {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The system did not start a program.
    #[error("cannot start {name}: {source}")]
    Spawn {
        /// Which.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A process ended, or did not say that it serves.
    #[error("{name} {what}\n{tail}")]
    Process {
        /// Which.
        name: String,
        /// What happened.
        what: String,
        /// The end of its log.
        tail: String,
    },
    /// A command did not do what it should.
    #[error("`{command}` {what}\n{output}")]
    Tool {
        /// As it would be typed.
        command: String,
        /// How it ended.
        what: String,
        /// What it said.
        output: String,
    },
    /// A file or folder.
    #[error("cannot {doing} {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// What something printed or sent is not what it should be.
    #[error("{what} is not understood: {why}")]
    Answer {
        /// Whose, and what.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The Kubernetes-style API says no.
    #[error("the API of the cloud: {0}")]
    Api(String),
    /// Something did not come about in time.
    #[error("waited {seconds} s for {what}; last seen: {last}")]
    Late {
        /// For what.
        what: String,
        /// How long.
        seconds: u64,
        /// What was there instead.
        last: String,
    },
}

impl StackError {
    pub(super) fn file(path: &Path, doing: &'static str, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), doing, source }
    }

    pub(crate) fn answer(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Answer { what: what.into(), why: why.to_string() }
    }

    /// How a command ends that cannot go on.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoBinary { .. } => Exit::NoInput,
            Self::Spawn { .. } => Exit::OsErr,
            Self::Process { .. } | Self::Api(_) => Exit::Unavailable,
            Self::Tool { .. } => Exit::Software,
            Self::File { .. } => Exit::IoErr,
            Self::Answer { .. } => Exit::Protocol,
            Self::Late { .. } => Exit::Different,
        }
    }
}
