//! Events in order, one run at a time: memory does not grow with the log.

use std::collections::VecDeque;
use std::vec::IntoIter;

use ledge_core::log::{Reader, RunEntry, StreamHead};
use ledge_schemas::{Event, Kind, LogId, Position, Seq, StreamId};
use serde::Serialize;

use crate::error::ReplayError;
use crate::json::Json;
use crate::{decode, time};

/// Bytes of runs read at once.
const READ: usize = 1024 * 1024;

/// Which events of a stream; the default is every event of the current log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// An incarnation, current or archived; `None` for the current one.
    pub log: Option<LogId>,
    /// First seq, inclusive.
    pub from: Option<Seq>,
    /// Last seq, inclusive.
    pub to: Option<Seq>,
    /// What keys begin with.
    pub key: Option<String>,
    /// The only kind.
    pub kind: Option<Kind>,
}

/// One event and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its stream.
    pub stream: StreamId,
    /// Its position.
    pub position: Position,
    /// The event.
    pub event: Event,
}

/// An event as it is shown: serialises to one JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its stream, `up/<node>`.
    pub stream: String,
    /// `epoch:seq`.
    pub position: String,
    /// RFC 3339, by its writer's clock.
    pub time: String,
    /// Name of its kind.
    pub kind: String,
    /// What changed.
    pub key: String,
    /// `stream@epoch:seq` of what made it happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// In `up`: position of `down` that the node had applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// The decoded body; see [`decode::body`].
    pub body: Json,
}

impl Entry {
    /// As it is shown.
    #[must_use]
    pub fn record(&self) -> Record {
        let event = &self.event;
        Record {
            stream: self.stream.to_string(),
            position: self.position.to_string(),
            time: time::of(event.hlc),
            kind: decode::kind(event.kind),
            key: event.key.clone(),
            cause: event.cause.as_ref().map(|cause| format!("{}@{}", cause.stream, cause.position)),
            seen: event.seen.map(|seen| seen.to_string()),
            body: decode::body(event.kind, &event.body),
        }
    }
}

/// The events of a stream that pass a filter, ascending. Ends after the first error.
///
/// See the crate's example.
pub fn events<'r, R: Reader>(
    reader: &'r R,
    stream: &StreamId,
    filter: Filter,
) -> Result<Events<'r, R>, ReplayError> {
    let head = reader.head(stream)?.ok_or_else(|| ReplayError::NoStream { stream: stream.clone() })?;
    let (head, archived) = match filter.log {
        Some(log_id) if log_id != head.base.log_id => (archived(reader, stream, log_id)?, true),
        _ => (head, false),
    };
    let end = filter.to.map_or(head.tail, |to| to.min(head.tail));
    let mut after = head.base.seq;
    if let Some(from) = filter.from.filter(|from| !archived && *from > head.base.seq && *from <= end)
        && let Some(entry) = reader.run_at(stream, from)?
    {
        after = Seq(entry.run.first().0.saturating_sub(1));
    }
    let stream = stream.clone();
    let (runs, ready) = (VecDeque::new(), Vec::new().into_iter());
    Ok(Events { reader, stream, filter, head, archived, after, end, runs, ready, done: false })
}

fn archived<R: Reader>(reader: &R, stream: &StreamId, log_id: LogId) -> Result<StreamHead, ReplayError> {
    let heads = reader.archived(stream)?;
    let found = heads.into_iter().find(|head| head.base.log_id == log_id);
    found.ok_or_else(|| ReplayError::NoLog { stream: stream.clone(), log_id })
}

/// See [`events`].
#[derive(Debug)]
pub struct Events<'r, R> {
    reader: &'r R,
    stream: StreamId,
    filter: Filter,
    head: StreamHead,
    archived: bool,
    /// Last seq of the last run taken up.
    after: Seq,
    end: Seq,
    runs: VecDeque<RunEntry>,
    ready: IntoIter<Entry>,
    done: bool,
}

impl<R: Reader> Events<'_, R> {
    /// The incarnation whose events these are.
    #[must_use]
    pub fn head(&self) -> &StreamHead {
        &self.head
    }

    /// Takes up the next run; `false` at the end.
    fn advance(&mut self) -> Result<bool, ReplayError> {
        if self.after >= self.end {
            return Ok(false);
        }
        if self.runs.is_empty() {
            let (stream, log_id) = (&self.stream, self.head.base.log_id);
            self.runs = match self.archived {
                true => self.reader.archived_runs(stream, log_id, self.after, READ)?.into(),
                false => self.reader.runs(stream, self.after, READ)?.into(),
            };
        }
        let next = self.runs.pop_front().map(|entry| entry.run);
        let Some(run) = next.as_ref().filter(|run| run.first() == self.after.next()) else {
            let found = next.map(|run| run.first());
            return Err(ReplayError::hole(&self.stream, self.after.next(), found));
        };
        let mut entries = Vec::new();
        for event in run.events() {
            let (seq, event) = event.map_err(|error| ReplayError::run(&self.stream, &error))?;
            if seq <= self.end && self.passes(seq, event.kind, event.key) {
                let position = Position { epoch: self.head.base.epoch, seq };
                entries.push(Entry { stream: self.stream.clone(), position, event: event.to_owned() });
            }
        }
        self.after = run.last();
        self.ready = entries.into_iter();
        Ok(true)
    }

    fn passes(&self, seq: Seq, kind: Kind, key: &str) -> bool {
        let Filter { from, key: prefix, kind: only, .. } = &self.filter;
        from.is_none_or(|from| seq >= from)
            && only.is_none_or(|only| kind == only)
            && prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_str()))
    }
}

impl<R: Reader> Iterator for Events<'_, R> {
    type Item = Result<Entry, ReplayError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.ready.next() {
                return Some(Ok(entry));
            }
            if self.done {
                return None;
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => self.done = true,
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
