//! Durable appends beside a program that does nothing but `write` and `fdatasync`.
//!
//! | figure | ours | floor |
//! |---|---|---|
//! | `append.serial.*` | one event after the other | one `write` + `fdatasync` of its body after the other |
//! | `append.64.*` | 64 producers that each wait for their event | the same producers and the same greedy writer, doing only that |
//! | `append.saturated.*` | commands of 256 events, 32 in flight | 1 MiB at a time |

use std::sync::Arc;

use ledge_core::journal::Draft;

use super::figure::{Bound, Figure};
use super::load::{Times, closed_loop};
use super::machine;
use super::raw::{RawFile, RawWriter, batch};
use super::scratch::{Appender, BODY, Rows, ScratchLog};
use super::{Bench, commits};

/// Serial appends before it is the floor's turn again: a slow second shall count for both.
const TURN: usize = 25;
/// Events of one command at saturation, as of a run.
const COMMAND: usize = 256;
/// Such commands in flight.
const COMMANDS: u64 = 32;
/// Bytes of one raw write at saturation.
const RAW_BATCH: usize = 1024 * 1024;

/// Log-only, then with one view row per event.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for rows in [Rows::None, Rows::One] {
        let events = rows.events()?;
        let dir = bench.dir.join(format!("append-{}", rows.name()));
        let log = ScratchLog::create(&dir)?;
        let load = Load { bench, rows, appender: log.appender(), bodies: bodies(&events), events };
        figures.extend(load.serial().await?);
        figures.push(load.in_flight(64).await?);
        figures.push(load.saturated().await?);
        figures.extend(load.amplification().await?);
        drop(load);
        std::fs::remove_dir_all(log.close().await?)?;
    }
    Ok(figures)
}

fn bodies(events: &[Draft]) -> Arc<[Vec<u8>]> {
    events.iter().map(|draft| draft.body.clone()).collect()
}

struct Load<'a> {
    bench: &'a Bench,
    rows: Rows,
    appender: Appender,
    events: Arc<[Draft]>,
    bodies: Arc<[Vec<u8>]>,
}

impl Load<'_> {
    fn name(&self, what: &str) -> String {
        format!("append.{what}.{}", self.rows.name())
    }

    async fn serial(&self) -> anyhow::Result<Vec<Figure>> {
        let count = self.bench.scale.serial;
        let mut raw = RawFile::create(&self.bench.dir, "serial")?;
        let (mut ours, mut floors) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
        let mut bytes = Vec::new();
        for _ in self.bench.rounds(&self.name("serial")) {
            let (mut floor, mut times, mut written) = (Vec::new(), Vec::new(), 0);
            while times.len() < count {
                for body in self.bodies.iter().take(TURN) {
                    floor.push(raw.append(body)?);
                }
                let before = machine::written_bytes()?;
                let (appender, events, first) =
                    (self.appender.clone(), Arc::clone(&self.events), times.len());
                times.extend(tokio::spawn(async move { serial(&appender, &events, first).await }).await??);
                written += machine::written_bytes()? - before;
            }
            #[allow(clippy::cast_precision_loss, reason = "a mean")]
            bytes.push(written as f64 / times.len() as f64);
            let (floor, times) = (Times::of(&floor)?, Times::of(&times)?);
            for (at, quantile) in [0.5, 0.99].into_iter().enumerate() {
                ours[at].push(times.quantile(quantile));
                floors[at].push(floor.quantile(quantile));
            }
        }
        let [p50, p99] = [0, 1].map(|at| (&ours[at], &floors[at]));
        Ok(vec![
            Figure::beside(self.name("serial.p50"), "us", p50.0, p50.1).goal(&[Bound::RatioAtMost(1.25)]),
            Figure::beside(self.name("serial.p99"), "us", p99.0, p99.1).goal(&[Bound::RatioAtMost(1.5)]),
            Figure::of(self.name("serial.written"), "bytes/event", &bytes),
        ])
    }

    async fn in_flight(&self, producers: u64) -> anyhow::Result<Figure> {
        let time = self.bench.scale.time;
        let raw = RawWriter::start(RawFile::create(&self.bench.dir, "in-flight")?)?;
        let (mut ours, mut floors) = (Vec::new(), Vec::new());
        let name = self.name(&producers.to_string());
        for _ in self.bench.rounds(&name) {
            let (raw, bodies) = (raw.clone(), Arc::clone(&self.bodies));
            let floor = closed_loop(producers, time, move |number| {
                let (raw, body) = (raw.clone(), of(&bodies, number));
                async move { raw.append(body).await }
            });
            floors.push(floor.await?);
            let (appender, events) = (self.appender.clone(), Arc::clone(&self.events));
            let rate = closed_loop(producers, time, move |number| {
                let (appender, event) = (appender.clone(), of(&events, number));
                async move { appender.append(event).await }
            });
            ours.push(rate.await?);
        }
        let goal = match self.rows {
            Rows::None => 0.7,
            Rows::One => 0.5,
        };
        Ok(Figure::beside(name, "events/s", &ours, &floors).goal(&[Bound::RatioAtLeast(goal)]))
    }

    async fn saturated(&self) -> anyhow::Result<Figure> {
        let time = self.bench.scale.time;
        let batch = batch(&self.bodies, RAW_BATCH);
        let (mut ours, mut floors) = (Vec::new(), Vec::new());
        let name = self.name("saturated");
        for _ in self.bench.rounds(&name) {
            // A new file each time, so that it stays small.
            let mut raw = RawFile::create(&self.bench.dir, "saturated")?;
            let (mut micros, mut batches) = (0.0, 0.0);
            while micros < time.as_secs_f64() * 1e6 {
                micros += raw.append(&batch)?;
                batches += 1.0;
            }
            #[allow(clippy::cast_precision_loss, reason = "a small constant")]
            floors.push(batches * (RAW_BATCH / BODY) as f64 / (micros / 1e6));
            #[allow(clippy::cast_precision_loss, reason = "a small constant")]
            ours.push(self.commands().await? * COMMAND as f64);
        }
        let figure = Figure::beside(name, "events/s", &ours, &floors);
        let goals = [Bound::RatioAtLeast(0.25), Bound::AtLeast(400_000.0)];
        Ok(match self.rows {
            Rows::None => figure.goal(&goals),
            Rows::One => figure,
        })
    }

    /// Commands per second at saturation.
    async fn commands(&self) -> anyhow::Result<f64> {
        let (appender, events) = (self.appender.clone(), Arc::clone(&self.events));
        let command = move |number: u64| {
            let (appender, events) = (appender.clone(), Arc::clone(&events));
            async move { appender.append_all(drafts(&events, number)).await }
        };
        closed_loop(COMMANDS, self.bench.scale.time, command).await
    }

    /// What the disk is given for what was asked, at saturation.
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    async fn amplification(&self) -> anyhow::Result<Vec<Figure>> {
        let (mut bytes, mut syncs) = (Vec::new(), Vec::new());
        for round in self.bench.rounds(&self.name("saturated.written")) {
            let per_round = self.bench.scale.events / self.bench.scale.repetitions as u64;
            let (written, before) = (machine::written_bytes()?, commits(&self.bench.metrics));
            let (commands, first) = (per_round / COMMAND as u64, round as u64 * per_round);
            futures::future::try_join_all((0..COMMANDS).map(|producer| {
                let (appender, events) = (self.appender.clone(), Arc::clone(&self.events));
                async move {
                    for number in (producer..commands).step_by(COMMANDS as usize) {
                        appender.append_all(drafts(&events, first + number)).await?;
                    }
                    Ok::<_, anyhow::Error>(())
                }
            }))
            .await?;
            let events = (commands * COMMAND as u64) as f64;
            bytes.push((machine::written_bytes()? - written) as f64 / (events * BODY as f64));
            syncs.push((commits(&self.bench.metrics) - before) / events);
        }
        let most = match self.rows {
            Rows::None => 2.3,
            Rows::One => 4.0,
        };
        Ok(vec![
            Figure::of(self.name("saturated.written"), "bytes/byte", &bytes).goal(&[Bound::AtMost(most)]),
            Figure::of(self.name("saturated.syncs"), "syncs/event", &syncs)
                .goal(&[Bound::AtMost(1.0 / 256.0)]),
        ])
    }
}

/// Microseconds of each append of a turn.
async fn serial(appender: &Appender, events: &[Draft], first: usize) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::with_capacity(TURN);
    for number in first..first + TURN {
        let event = of(events, number as u64);
        let began = std::time::Instant::now();
        appender.append(event).await?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times)
}

/// The event of a number: they take turns.
fn of<T: Clone>(all: &[T], number: u64) -> T {
    all[usize::try_from(number % all.len() as u64).unwrap_or_default()].clone()
}

/// The events of a command.
fn drafts(events: &[Draft], command: u64) -> Vec<Draft> {
    let first = command * COMMAND as u64;
    (first..first + COMMAND as u64).map(|number| of(events, number)).collect()
}
