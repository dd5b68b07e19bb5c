//! Reading a log again, beside RocksDB's own iterator over the same keys.
//!
//! | figure | ours | floor |
//! |---|---|---|
//! | `replay.verify` | every run read with its checksums and its chain | RocksDB's iterator over the same runs |
//! | `replay.views` | folded from the base into rows in memory, digest included | every run read, every event decoded |

use std::path::Path;
use std::time::Instant;

use ledge_core::journal::fold;
use ledge_core::log::{Reader, RunEntry};
use ledge_log_rocksdb::RocksReader;
use ledge_schemas::{Seq, StreamId};
use rocksdb::{DB, IteratorMode, Options};

use super::Bench;
use super::figure::{Bound, Figure};
use super::scratch::{Rows, ScratchLog};

/// Bytes of runs read at once, as `fold` does.
const READ: usize = 1024 * 1024;
/// Column families of a log, by the names that are in its files.
const FAMILIES: [&str; 3] = ["default", "runs", "rows"];

/// Twin updates, so that the same log serves both.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let events = Rows::One.events()?;
    let log = ScratchLog::create(&bench.dir.join("replay"))?;
    let (appender, stream) = (log.appender(), log.stream().clone());
    bench.progress(&format!("replay: writing {} events", bench.scale.events));
    for command in events.iter().cycle().take(count(bench)).collect::<Vec<_>>().chunks(256) {
        appender.append_all(command.iter().map(|draft| (*draft).clone()).collect()).await?;
    }
    drop(appender);
    let dir = log.close().await?;

    let mut times = [const { Vec::new() }; 4];
    for _ in bench.rounds("replay") {
        let measured =
            [raw(&dir)?, read(&dir, &stream, false)?, read(&dir, &stream, true)?, views(&dir, &stream)?];
        for (times, seconds) in times.iter_mut().zip(measured) {
            #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
            times.push(bench.scale.events as f64 / seconds);
        }
    }
    std::fs::remove_dir_all(dir)?;
    let [raw, verified, decoded, folded] = times;
    let verify = [Bound::RatioAtLeast(0.7), Bound::AtLeast(2_000_000.0)];
    let views = [Bound::RatioAtLeast(0.6), Bound::AtLeast(1_000_000.0)];
    Ok(vec![
        Figure::beside("replay.verify", "events/s", &verified, &raw).goal(&verify),
        Figure::beside("replay.views", "events/s", &folded, &decoded).goal(&views),
    ])
}

fn count(bench: &Bench) -> usize {
    usize::try_from(bench.scale.events).unwrap_or(usize::MAX)
}

/// Seconds of RocksDB's iterator.
fn raw(dir: &Path) -> anyhow::Result<f64> {
    let mut options = Options::default();
    // As the log was written: RocksDB 11 crashes when a read-only opening finds tracked files that it need not track.
    options.set_track_and_verify_wals_in_manifest(true);
    let db = DB::open_cf_for_read_only(&options, dir.join("db"), FAMILIES, false)?;
    let runs = db.cf_handle("runs").ok_or_else(|| anyhow::anyhow!("no column family of runs"))?;
    let (began, mut bytes) = (Instant::now(), 0);
    for item in db.iterator_cf(runs, IteratorMode::Start) {
        let (key, value) = item?;
        bytes += key.len() + value.len();
    }
    anyhow::ensure!(bytes > 0, "nothing to iterate over");
    Ok(began.elapsed().as_secs_f64())
}

/// Seconds of reading with every check of a reader.
fn read(dir: &Path, stream: &StreamId, decode: bool) -> anyhow::Result<f64> {
    let reader = RocksReader::open_read_only(dir)?;
    let (began, mut at, mut bytes) = (Instant::now(), Seq::ZERO, 0);
    loop {
        let entries = reader.runs(stream, at, READ)?;
        let Some(RunEntry { run, .. }) = entries.last() else { break };
        at = run.last();
        for event in entries.iter().filter(|_| decode).flat_map(|entry| entry.run.events()) {
            bytes += event?.1.body.len();
        }
    }
    anyhow::ensure!(at > Seq::ZERO && (bytes > 0) == decode, "nothing to read");
    Ok(began.elapsed().as_secs_f64())
}

/// Seconds of folding.
fn views(dir: &Path, stream: &StreamId) -> anyhow::Result<f64> {
    let reader = RocksReader::open_read_only(dir)?;
    let began = Instant::now();
    let folded = fold(&reader, stream, None)?;
    let took = began.elapsed().as_secs_f64();
    anyhow::ensure!(Some(folded.cursor) == reader.head(stream)?.map(|head| head.cursor), "the views differ");
    Ok(took)
}
