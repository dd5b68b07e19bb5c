//! Durable appends against their floor: a file in the same directory, write and fdatasync, with the
//! same number in flight and the same greedy writer. Floor and log take turns; medians are shown.
//!
//! `append_bench [DIR] [SECONDS]`: DIR on the disk that is to be measured, seconds of each turn.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ledge_core::journal::{Draft, Journal};
use ledge_core::{Base, BaseReason, Digest};
use ledge_log::{Class, Writer, WriterConfig, WriterHandle};
use ledge_log_rocksdb::{RocksConfig, RocksStore};
use ledge_schemas::kinds::up::DeviceState;
use ledge_schemas::{Epoch, Kind, LogId, StreamId};
use tokio::sync::{mpsc, oneshot};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of one event.
const EVENT: usize = 256;
const ROUNDS: usize = 5;

/// Latencies of one turn, in microseconds, and events per second.
struct Turn {
    p50: f64,
    p99: f64,
    rate: f64,
}

/// Runs `flight` producers in closed loops for a while.
async fn turn<F, Fut>(flight: usize, time: Duration, append: F) -> Result<Turn, Failure>
where
    F: Fn(usize) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send,
{
    let began = Instant::now();
    let producers: Vec<_> = (0..flight)
        .map(|producer| {
            let append = append.clone();
            tokio::spawn(async move {
                let mut micros = Vec::new();
                while began.elapsed() < time {
                    let at = Instant::now();
                    append(producer).await?;
                    micros.push(at.elapsed().as_secs_f64() * 1e6);
                }
                Ok::<_, Failure>(micros)
            })
        })
        .collect();
    let mut micros = Vec::new();
    for producer in producers {
        micros.extend(producer.await??);
    }
    let took = began.elapsed().as_secs_f64();
    micros.sort_by(f64::total_cmp);
    let at = |part: usize| micros.get(micros.len() * part / 100).copied().unwrap_or_default();
    #[allow(clippy::cast_precision_loss, reason = "counts of a few seconds")]
    Ok(Turn { p50: at(50), p99: at(99), rate: micros.len() as f64 / took })
}

/// The floor's writer: takes one, drains what waits, writes, syncs, answers.
fn floor(path: &Path) -> Result<mpsc::Sender<oneshot::Sender<()>>, Failure> {
    let mut file = File::create(path)?;
    let (sender, mut queue) = mpsc::channel::<oneshot::Sender<()>>(4096);
    std::thread::spawn(move || {
        let (mut waiters, mut bytes) = (Vec::new(), Vec::new());
        while let Some(first) = queue.blocking_recv() {
            waiters.push(first);
            while let Ok(next) = queue.try_recv() {
                waiters.push(next);
            }
            bytes.resize(waiters.len() * EVENT, 7);
            if file.write_all(&bytes).and_then(|()| file.sync_data()).is_err() {
                return;
            }
            for waiter in waiters.drain(..) {
                let _ = waiter.send(());
            }
        }
    });
    Ok(sender)
}

fn stream() -> Result<StreamId, Failure> {
    Ok("up/a".parse()?)
}

fn log(dir: &Path) -> Result<WriterHandle<RocksStore>, Failure> {
    let store = RocksStore::open(dir, &RocksConfig::default())?.store;
    let (reader_usage, mut journal) = (store.usage(), Journal::open(store)?);
    let base = Base::begin(LogId([1; 16]), Epoch(1), Digest::default(), BaseReason::New);
    let mut txn = journal.begin(1);
    txn.begin(&stream()?, base, vec![])?;
    txn.commit()?;
    let config = WriterConfig { usage: Some(Box::new(reader_usage)), ..WriterConfig::default() };
    Ok(Writer::start(journal, config, Arc::new(|| 1))?.0)
}

/// One event; with `row` it changes one row of the view.
fn draft(row: bool, producer: usize) -> Result<Draft, Failure> {
    let pad = "x".repeat(EVENT - 32);
    if row {
        let body = DeviceState { state: pad, last_online_ms: 1 };
        return Ok(Draft::new(format!("ns/device-{producer}"), &body)?);
    }
    let (kind, body) = (Kind(u16::MAX), pad.into_bytes());
    Ok(Draft { kind, key: format!("ns/device-{producer}"), cause: None, seen: None, body })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Resident memory of this process.
fn memory() -> Result<String, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    Ok(status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default().to_owned())
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let parent = args.next().unwrap_or_else(|| ".".into());
    let seconds: f64 = args.next().map_or(Ok(1.0), |s| s.parse())?;
    let time = Duration::from_secs_f64(seconds);
    let dir = tempfile::tempdir_in(parent)?;
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?.block_on(async {
        let floor = floor(&dir.path().join("floor"))?;
        println!("before the log is opened: {}", memory()?);
        let log = log(&dir.path().join("log"))?;
        println!("with the log open and idle: {}", memory()?);
        for (flight, row) in [(1, false), (1, true), (64, false), (64, true)] {
            let (mut floors, mut logs) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let floor = floor.clone();
                floors.push(
                    turn(flight, time, move |_| {
                        let floor = floor.clone();
                        async move {
                            let (waiter, done) = oneshot::channel();
                            floor.send(waiter).await?;
                            Ok(done.await?)
                        }
                    })
                    .await?,
                );
                let log = log.clone();
                logs.push(
                    turn(flight, time, move |producer| {
                        let log = log.clone();
                        async move {
                            let (stream, draft) = (stream()?, draft(row, producer)?);
                            log.write(Class::State, move |txn| txn.append(&stream, draft)).await?;
                            Ok(())
                        }
                    })
                    .await?,
                );
            }
            let of = |turns: &[Turn], what: fn(&Turn) -> f64| median(turns.iter().map(what).collect());
            let ratio = |what: fn(&Turn) -> f64| {
                median(logs.iter().zip(&floors).map(|(log, floor)| what(log) / what(floor)).collect())
            };
            println!(
                "{flight:>2} in flight, {}: p50 {:.0} us (floor {:.0}, ratio {:.2}), p99 {:.0} us (floor {:.0}), \
                 {:.0}/s (floor {:.0}, ratio {:.2})",
                if row { "one row" } else { "log only" },
                of(&logs, |t| t.p50),
                of(&floors, |t| t.p50),
                ratio(|t| t.p50),
                of(&logs, |t| t.p99),
                of(&floors, |t| t.p99),
                of(&logs, |t| t.rate),
                of(&floors, |t| t.rate),
                ratio(|t| t.rate),
            );
        }
        println!("afterwards: {}", memory()?);
        Ok(())
    })
}
