//! What was found.

use ledge_core::log::StoreError;
use ledge_process::Exit;
use ledge_schemas::{LogId, Position, StreamId};
use serde::Serialize;

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything is as it was written.
    Good,
    /// It could not be told.
    Unknown,
    /// Something is not.
    Wrong,
}

impl Verdict {
    /// As an exit code.
    #[must_use]
    pub fn exit(self) -> Exit {
        match self {
            Self::Good => Exit::Done,
            Self::Unknown => Exit::Unknown,
            Self::Wrong => Exit::Different,
        }
    }
}

/// What is wrong, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// Bytes fail their checksum, or do not decode.
    Corrupt,
    /// A run does not continue what is before it.
    Hole,
    /// A chain is not the recomputed one.
    Chain,
    /// A base is not what it says it is.
    Base,
    /// The head names another tail than the runs have.
    Tail,
    /// A row of the view is not what the log makes of it.
    Row,
    /// The view's progress or digest is not that of its rows.
    Cursor,
    /// Two logs of one id differ.
    Parted,
    /// Two views at one position differ.
    Diverged,
    /// The rows were written by another version of the view: they are rebuilt when the process starts. Not a fault.
    ViewVersion,
    /// A read failed. Not a fault of the data as far as can be told.
    Unreadable,
    /// The two stores share no log, or nothing of it that both still hold.
    NothingShared,
}

impl Fault {
    /// What this alone says about the data.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::ViewVersion | Self::Unreadable | Self::NothingShared => Verdict::Unknown,
            _ => Verdict::Wrong,
        }
    }
}

/// One thing that is wrong, or could not be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// What sort it is.
    pub fault: Fault,
    /// Where: the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Where: the incarnation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_id: Option<LogId>,
    /// Where: `epoch:seq`. Everything before it was found in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// For people.
    pub why: String,
}

impl Problem {
    pub(super) fn new(fault: Fault, stream: &StreamId, log_id: LogId, at: Position, why: String) -> Self {
        let (stream, position) = (Some(stream.to_string()), Some(at.to_string()));
        Self { fault, stream, log_id: Some(log_id), position, why }
    }

    /// The log as a whole is damaged.
    pub(crate) fn of_damage(why: String) -> Self {
        Self { fault: Fault::Corrupt, stream: None, log_id: None, position: None, why }
    }

    pub(super) fn of_store(
        stream: Option<&StreamId>,
        log_id: Option<LogId>,
        at: Option<Position>,
        error: &StoreError,
    ) -> Self {
        let fault = match error {
            StoreError::Corrupt { .. } => Fault::Corrupt,
            StoreError::NotABoundary { .. } | StoreError::Trimmed { .. } | StoreError::NoStream(_) => {
                Fault::Hole
            }
            _ => Fault::Unreadable,
        };
        let (stream, position) = (stream.map(ToString::to_string), at.map(|at| at.to_string()));
        Self { fault, stream, log_id, position, why: error.to_string() }
    }
}

/// One incarnation that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamReport {
    /// Its stream.
    pub stream: String,
    /// Its id.
    pub log_id: LogId,
    /// Whether it is archived: then only base and runs are looked at.
    pub archived: bool,
    /// `epoch:seq` of the base.
    pub base: String,
    /// `epoch:seq` of the tail.
    pub tail: String,
    /// Events between them.
    pub events: u64,
    /// Rows of the view; 0 if it could not be folded.
    pub rows: u64,
    /// The answer for this one.
    pub verdict: Verdict,
}

/// What [`super::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Every incarnation that was looked at.
    pub streams: Vec<StreamReport>,
    /// Everything that is wrong or could not be told.
    pub problems: Vec<Problem>,
}

impl Report {
    /// The worst of everything.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        worst(&self.problems)
    }
}

/// The worst of some problems.
pub(super) fn worst(problems: &[Problem]) -> Verdict {
    problems.iter().map(|problem| problem.fault.verdict()).max().unwrap_or(Verdict::Good)
}
