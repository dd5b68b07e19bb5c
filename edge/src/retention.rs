//! Retention: proved events outside the replay window go, oldest first, behind a new base.
//!
//! What the cloud has not proved is never trimmed, whatever the window says; the disk budget acts where
//! events come in. The sizes of stored runs are read once and then followed, so that a look is cheap.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use ledge_core::log::{Reader, StoreError};
use ledge_core::sync::commands::edge::proved;
use ledge_log::{Class, WriteError, WriterHandle};
use ledge_schemas::{LogId, NodeName, Seq, StreamId};
use tokio_util::sync::CancellationToken;

use crate::config::LogConfig;
use crate::metric_definitions::TRIMMED;
use crate::store::{Log, LogReader};

/// Runs read at once, bytes, and the most that one segment holds.
const SEGMENT: u64 = 1024 * 1024;

/// A piece of a stream that goes as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    last: Seq,
    bytes: u64,
    newest_ms: u64,
}

/// What is known of one incarnation of a stream.
#[derive(Debug)]
struct Segments {
    log_id: LogId,
    /// Oldest first.
    segments: VecDeque<Segment>,
    read: Seq,
}

/// What stays although it is proved.
#[derive(Clone, Copy, Debug)]
struct Window {
    bytes: u64,
    age: Duration,
}

impl Segments {
    /// Reads what is new.
    fn follow(&mut self, reader: &impl Reader, stream: &StreamId, largest: u64) -> Result<(), StoreError> {
        loop {
            let page = reader.runs(stream, self.read, usize::try_from(largest).unwrap_or(usize::MAX))?;
            let Some(last) = page.last() else { return Ok(()) };
            let newest_ms =
                last.run.events().filter_map(Result::ok).last().map_or(0, |(_, e)| e.hlc.millis());
            let bytes = page.iter().map(|entry| entry.run.bytes().len() as u64).sum();
            self.read = last.run.last();
            match self.segments.back_mut() {
                Some(open) if open.bytes + bytes <= largest => {
                    *open = Segment { last: self.read, bytes: open.bytes + bytes, newest_ms };
                }
                _ => self.segments.push_back(Segment { last: self.read, bytes, newest_ms }),
            }
        }
    }

    /// How far the stream can go, if at all.
    fn cut(&self, proved: Seq, now_ms: u64, window: Window) -> Option<Seq> {
        let mut left: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        let oldest_ms = now_ms.saturating_sub(u64::try_from(window.age.as_millis()).unwrap_or(u64::MAX));
        let mut through = None;
        for segment in &self.segments {
            let outside = left > window.bytes || segment.newest_ms < oldest_ms;
            if !outside || segment.last > proved {
                break;
            }
            left -= segment.bytes;
            through = Some(segment.last);
        }
        through
    }
}

/// See the module.
#[derive(Debug)]
pub struct Retention {
    node: NodeName,
    writer: WriterHandle<Log>,
    reader: LogReader,
    config: LogConfig,
}

impl Retention {
    /// Of a node's two streams.
    #[must_use]
    pub fn new(node: NodeName, writer: WriterHandle<Log>, reader: LogReader, config: LogConfig) -> Self {
        Self { node, writer, reader, config }
    }

    /// Trims until told to stop.
    ///
    /// # Errors
    /// None; the type is the stage's.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let streams = [StreamId::Up(self.node.clone()), StreamId::Down(self.node.clone())];
        let mut known: [Option<Segments>; 2] = [None, None];
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.config.trim_interval.0) => {}
            }
            for (stream, known) in streams.iter().zip(&mut known) {
                if let Err(error) = self.look(stream, known).await {
                    tracing::warn!(%stream, %error, "could not be trimmed; trying again");
                    *known = None;
                }
            }
        }
    }

    async fn look(
        &self,
        stream: &StreamId,
        known: &mut Option<Segments>,
    ) -> Result<(), WriteError<StoreError>> {
        let Some(head) = self.reader.head(stream).map_err(WriteError::Store)? else { return Ok(()) };
        let log_id = head.base.log_id;
        if known.as_ref().is_none_or(|known| known.log_id != log_id || known.read < head.base.seq) {
            *known = Some(Segments { log_id, segments: VecDeque::new(), read: head.base.seq });
        }
        let Some(segments) = known else { return Ok(()) };
        let window = Window { bytes: self.config.keep_bytes.0, age: self.config.keep_age.0 };
        let largest = (window.bytes / 8).clamp(1, SEGMENT);
        segments.follow(&self.reader, stream, largest).map_err(WriteError::Store)?;
        let safe = match stream {
            StreamId::Up(_) => proved(&self.reader, log_id).map_err(WriteError::Store)?,
            _ => head.cursor.applied,
        };
        let Some(through) = segments.cut(safe, crate::eventbus::now().ms, window) else { return Ok(()) };
        let target = stream.clone();
        let trim = move |txn: &mut ledge_core::journal::Txn<'_, Log>| {
            // Between the look and now a new log may have begun.
            match txn.head(&target) {
                Some(head) if head.base.log_id == log_id && head.base.seq < through => {
                    txn.trim(&target, through)?;
                    Ok(through.0 - head.base.seq.0)
                }
                _ => Ok(0),
            }
        };
        let trimmed = self.writer.write(Class::Configuration, trim).await?;
        segments.segments.retain(|segment| segment.last > through);
        let name = if matches!(stream, StreamId::Up(_)) { "up" } else { "down" };
        metrics::counter!(TRIMMED, "stream" => name).increment(trimmed);
        tracing::info!(%stream, %through, events = trimmed, "trimmed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(segments: &[(u64, u64, u64)]) -> Segments {
        let segment = |&(last, bytes, newest_ms)| Segment { last: Seq(last), bytes, newest_ms };
        Segments {
            log_id: LogId([1; 16]),
            segments: segments.iter().map(segment).collect(),
            read: Seq(segments.last().map_or(0, |segment| segment.0)),
        }
    }

    #[test]
    fn what_is_not_proved_stays_whatever_the_window_says() {
        let log = segments(&[(10, 100, 1), (20, 100, 2), (30, 100, 3)]);
        let nothing_stays = Window { bytes: 0, age: Duration::ZERO };
        let now_ms = 1_000_000;
        assert_eq!(log.cut(Seq(0), now_ms, nothing_stays), None);
        assert_eq!(log.cut(Seq(19), now_ms, nothing_stays), Some(Seq(10)));
        assert_eq!(log.cut(Seq(30), now_ms, nothing_stays), Some(Seq(30)));
    }

    #[test]
    fn the_newest_bytes_and_the_young_stay() {
        let log = segments(&[(10, 100, 1_000), (20, 100, 2_000), (30, 100, 3_000)]);
        let window = |bytes, age| Window { bytes, age: Duration::from_millis(age) };
        assert_eq!(log.cut(Seq(30), 3_000, window(250, 100_000)), Some(Seq(10)));
        assert_eq!(log.cut(Seq(30), 3_000, window(300, 100_000)), None);
        assert_eq!(log.cut(Seq(30), 4_500, window(1_000, 2_000)), Some(Seq(20)));
    }
}
