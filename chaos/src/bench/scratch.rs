//! A log of our own in a directory of the benchmark, used as the edge uses its own: one writer, one stream.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use ledge_core::journal::{Draft, Journal};
use ledge_core::log::StoreError;
use ledge_core::sync::commands::Fresh;
use ledge_core::sync::commands::edge::begin_first;
use ledge_log::writer::{Ended, WallClock};
use ledge_log::{Class, Writer, WriterConfig, WriterHandle};
use ledge_log_rocksdb::{RocksConfig, RocksReader, RocksStore};
use ledge_schemas::kinds::up::{Change, Message, PropertyChange, TwinChanged, TwinValue};
use ledge_schemas::{DeviceName, LogId, NodeName, StreamId};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Bytes of an event's body.
pub(super) const BODY: usize = 256;
/// Events that are made beforehand and used in turn.
const EVENTS: usize = 1024;
/// Devices that they are about.
const DEVICES: usize = 16;

/// What an append changes beside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// Messages: no row of a view.
    None,
    /// Twin updates: one row each, of properties that take turns.
    One,
}

impl Rows {
    /// In the names of figures.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "log",
            Self::One => "row",
        }
    }

    /// Events with bodies of [`BODY`] bytes: text as devices write it, numbers that differ. The same each time.
    pub(super) fn events(self) -> anyhow::Result<Arc<[Draft]>> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        (0..EVENTS).map(|number| self.event(number, &mut random)).collect()
    }

    fn event(self, number: usize, random: &mut ChaCha8Rng) -> anyhow::Result<Draft> {
        let device = DeviceName::new("default", &format!("device-{}", number % DEVICES))?;
        let message = |payload: String| {
            let topic = format!("$ke/events/upload/{device}");
            Draft::new(topic.clone(), &Message { topic, payload: payload.into_bytes() })
        };
        let twin = |value: String| {
            let actual = Some(TwinValue { value, timestamp_ms: 1_700_000_000_000 + number as u64 });
            let change =
                Change::Set { expected: None, actual, optional: None, value_type: "string".to_owned() };
            let changes = vec![PropertyChange { name: format!("property-{}", number / DEVICES), change }];
            Draft::new(device.to_string(), &TwinChanged { event_id: format!("event-{number}"), changes })
        };
        let draft = |text: String| match self {
            Self::None => message(text),
            Self::One => twin(text),
        };
        let bare = draft(String::new())?.body.len();
        Ok(draft(telemetry(BODY - bare, random))?)
    }
}

/// So many bytes of text.
fn telemetry(length: usize, random: &mut ChaCha8Rng) -> String {
    let mut text = String::new();
    while text.len() < length {
        let (temperature, pressure): (f64, u32) =
            (random.random_range(-20.0..60.0), random.random_range(900..1100));
        text.push_str(&format!("{{\"temperature\":{temperature:.4},\"pressure\":{pressure}}}"));
    }
    text.truncate(length);
    text
}

/// An open log.
pub(super) struct ScratchLog {
    dir: PathBuf,
    stream: StreamId,
    pub(super) writer: WriterHandle<RocksStore>,
    pub(super) reader: RocksReader,
    thread: JoinHandle<Ended<RocksStore>>,
}

impl ScratchLog {
    /// An empty one whose node's stream has begun.
    pub(super) fn create(dir: &Path) -> anyhow::Result<Self> {
        let node = NodeName::new("bench")?;
        let mut log = Self::open(dir, std::slice::from_ref(&node))?;
        log.stream = StreamId::Up(node);
        Ok(log)
    }

    /// An empty one in which the stream of each of these nodes has begun.
    pub(super) fn open(dir: &Path, nodes: &[NodeName]) -> anyhow::Result<Self> {
        let opened = RocksStore::open(dir, &RocksConfig::default())?;
        let mut journal = Journal::open(opened.store)?;
        let mut txn = journal.begin(now_ms());
        for node in nodes {
            begin_first(&mut txn, node, Fresh { log_id: LogId(rand::random()) })?;
        }
        txn.commit()?;
        let reader = journal.store().reader();
        // As in a process: what the log takes is measured.
        let config =
            WriterConfig { usage: Some(Box::new(journal.store().usage())), ..WriterConfig::default() };
        let clock: WallClock = Arc::new(now_ms);
        let (writer, thread) = Writer::start(journal, config, clock)?;
        Ok(Self { dir: dir.to_owned(), stream: StreamId::Control, writer, reader, thread })
    }

    pub(super) fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// A command that appends these events; it returns when they are durable.
    pub(super) fn appender(&self) -> Appender {
        Appender { writer: self.writer.clone(), stream: self.stream.clone() }
    }

    /// Makes everything durable and closes the store; returns its directory.
    pub(super) async fn close(self) -> anyhow::Result<PathBuf> {
        let Self { dir, writer, reader, thread, .. } = self;
        writer.close().await;
        drop((writer, reader));
        let ended = tokio::task::spawn_blocking(move || thread.join().map(|ended| ended.failure)).await?;
        match ended {
            Ok(None) => Ok(dir),
            Ok(Some(error)) => Err(error.into()),
            Err(_) => Err(anyhow!("the writer panicked")),
        }
    }
}

/// Appends to the log's stream.
#[derive(Clone, Debug)]
pub(super) struct Appender {
    writer: WriterHandle<RocksStore>,
    stream: StreamId,
}

impl Appender {
    pub(super) async fn append(&self, draft: Draft) -> anyhow::Result<()> {
        let stream = self.stream.clone();
        Ok(self.writer.write(Class::State, move |txn| txn.append(&stream, draft).map(drop)).await?)
    }

    /// Many in one command.
    pub(super) async fn append_all(&self, drafts: Vec<Draft>) -> anyhow::Result<()> {
        let (stream, bytes) = (self.stream.clone(), drafts.iter().map(|draft| draft.body.len()).sum());
        let written = self.writer.write_sized(Class::State, bytes, move |txn| {
            drafts.into_iter().try_for_each(|draft| txn.append(&stream, draft).map(drop))
        });
        Ok(written.await.map_err(|error: ledge_log::WriteError<StoreError>| error)?)
    }
}

/// Unix milliseconds.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use ledge_schemas::kinds::Body;

    use super::*;

    #[test]
    fn every_body_has_the_same_length_and_each_kind_decodes() {
        for draft in Rows::None.events().unwrap().iter() {
            assert_eq!(draft.body.len(), BODY);
            Message::from_body(&draft.body).unwrap();
        }
        for draft in Rows::One.events().unwrap().iter() {
            assert_eq!(draft.body.len(), BODY);
            assert_eq!(TwinChanged::from_body(&draft.body).unwrap().changes.len(), 1);
        }
    }
}
