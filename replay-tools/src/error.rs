//! Why a question about a log cannot be answered.

use ledge_core::RunError;
use ledge_core::journal::FoldError;
use ledge_core::log::StoreError;
use ledge_process::Exit;
use ledge_schemas::{DeviceName, Epoch, LogId, Position, Seq, StreamId};

use crate::time::rfc3339;

/// Each says what, where and what next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream's runs do not follow one another, or one does not read.
    #[error("{stream}: {why}. Run `ledge-replay verify` for everything that is wrong")]
    Broken {
        /// Which stream.
        stream: StreamId,
        /// What is wrong, and at which seq.
        why: String,
    },
    /// The stream is not in this data directory.
    #[error("there is no stream {stream} here; `ledge-replay ls` lists what there is")]
    NoStream {
        /// Which stream.
        stream: StreamId,
    },
    /// No incarnation of the stream has this log id.
    #[error("{stream} has no log {log_id}, archived or current; `ledge-replay ls` lists them")]
    NoLog {
        /// Which stream.
        stream: StreamId,
        /// The id that was asked for.
        log_id: LogId,
    },
    /// The position is of another incarnation than the one whose rows can be folded.
    #[error("{stream} is in epoch {}, not in that of {asked}; `ledge-replay cat --log` shows an archived log's events",
        .epoch.0)]
    Epoch {
        /// Which stream.
        stream: StreamId,
        /// The position that was asked for.
        asked: Position,
        /// The stream's epoch.
        epoch: Epoch,
    },
    /// The position lies outside what is stored.
    #[error("{stream} is stored from {oldest} to {newest}; {asked} is outside")]
    Outside {
        /// Which stream.
        stream: StreamId,
        /// The position that was asked for.
        asked: Position,
        /// Position of the base: the first state that can be shown.
        oldest: Position,
        /// Position of the tail.
        newest: Position,
    },
    /// The time lies before everything that is stored.
    #[error("{stream} is stored from {oldest}{}; what it was at {} is not known",
        .first_ms.map_or_else(String::new, |ms| format!(", its next event is of {}", rfc3339(ms))), rfc3339(*.asked_ms))]
    BeforeLog {
        /// Which stream.
        stream: StreamId,
        /// Unix milliseconds that were asked for.
        asked_ms: u64,
        /// Position of the base.
        oldest: Position,
        /// Time of the first event after the base, Unix milliseconds.
        first_ms: Option<u64>,
    },
    /// No row and no wish of any node names the device.
    #[error("no stream here knows the device {device} there; check the name, or ask for another position")]
    NoDevice {
        /// Which device.
        device: DeviceName,
    },
    /// Several nodes know the device.
    #[error("{} know the device {device}; say which is meant with --stream", listed(.streams))]
    AmbiguousDevice {
        /// Which device.
        device: DeviceName,
        /// The streams that name it.
        streams: Vec<StreamId>,
    },
    /// A device lives in `up` and `down` streams only.
    #[error("{stream} has no devices; ask for --stream up/NODE or down/NODE")]
    NotANode {
        /// Which stream.
        stream: StreamId,
    },
}

fn listed(streams: &[StreamId]) -> String {
    streams.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl ReplayError {
    /// How a command ends that cannot go on.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Store(StoreError::Corrupt { .. }) | Self::Broken { .. } => Exit::DataErr,
            Self::Store(StoreError::Read(_)) => Exit::IoErr,
            Self::Store(_) | Self::Epoch { .. } | Self::Outside { .. } | Self::BeforeLog { .. } => {
                Exit::Unknown
            }
            Self::NoStream { .. } | Self::NoLog { .. } | Self::NoDevice { .. } => Exit::NoInput,
            Self::AmbiguousDevice { .. } | Self::NotANode { .. } => Exit::Usage,
        }
    }

    pub(crate) fn fold(stream: &StreamId, error: FoldError) -> Self {
        match error {
            FoldError::Store(error) => Self::Store(error),
            FoldError::Broken { .. } => Self::Broken { stream: stream.clone(), why: error.to_string() },
        }
    }

    pub(crate) fn run(stream: &StreamId, error: &RunError) -> Self {
        Self::Broken { stream: stream.clone(), why: error.to_string() }
    }

    pub(crate) fn hole(stream: &StreamId, expected: Seq, found: Option<Seq>) -> Self {
        let found = found.map_or_else(|| "nothing".to_owned(), |seq| format!("a run from seq {seq}"));
        Self::Broken { stream: stream.clone(), why: format!("seq {expected} should follow, {found} does") }
    }
}
