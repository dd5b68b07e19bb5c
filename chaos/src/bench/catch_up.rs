//! Back after a long absence: how long until the cloud has everything that the edge did meanwhile.
//!
//! The link is cut, the edge takes reports over MQTT, the link is healed. `catch-up.time` begins when it is healed,
//! so it holds the edge's pause before it tries again; `catch-up.rate` is of what is left when the session is seen
//! to be live.
//! The end is the edge's own watermark: the cloud returned the chain of what it made durable.

use std::time::Instant;

use serde_json::Value;

use super::Bench;
use super::figure::{Bound, Figure};
use super::rig::{PATIENCE, Rig};
use crate::stack::until;

/// Clients that report meanwhile.
const CLIENTS: u64 = 4;
/// Each costs as many events as `Scale::missed`.
const MOST_ROUNDS: usize = 3;

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let rig = Rig::start(bench, "catch-up").await?;
    let (mut times, mut rates) = (Vec::new(), Vec::new());
    for round in 0..bench.scale.repetitions.min(MOST_ROUNDS) {
        let missed = bench.scale.missed;
        bench.progress(&format!("catch-up: the link is cut, {missed} reports"));
        let link = &rig.edge()?.link;
        link.cut();
        until("the edge to notice the cut", PATIENCE, || backlog(&rig, |phase, _| phase != "live")).await?;
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            clients.push(rig.probe(&format!("offline-{round}-{client}")).await?);
        }
        futures::future::try_join_all(clients.iter_mut().map(|client| client.flood(missed / CLIENTS)))
            .await?;
        drop(clients);
        bench.progress("catch-up: the link is healed");
        link.heal();
        let healed = Instant::now();
        // Some of it has gone before it is seen that there is a session.
        let (_, left) = until("a session", PATIENCE, || backlog(&rig, |phase, _| phase == "live")).await?;
        let live = Instant::now();
        until("the cloud to have everything", PATIENCE, || backlog(&rig, |_, backlog| backlog == 0)).await?;
        times.push(healed.elapsed().as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        rates.push(left as f64 / live.elapsed().as_secs_f64());
    }
    let peak = super::memory::of(rig.edge()?.process.pid())?.peak;
    rig.stop().await?;
    Ok(vec![
        Figure::of("catch-up.time", "s", &times),
        Figure::of("catch-up.rate", "events/s", &rates).goal(&[Bound::AtLeast(200_000.0)]),
        Figure::of("catch-up.edge.peak", "MiB", &[super::memory::mebibytes(peak)]),
    ])
}

/// The edge's backlog, if its connection and its backlog are as wanted.
async fn backlog(rig: &Rig, wanted: impl Fn(&str, u64) -> bool) -> Result<u64, String> {
    let status = rig.status().await.map_err(|error| error.to_string())?;
    let phase = status["cloud"]["phase"].as_str().unwrap_or_default().to_owned();
    let streams = status["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    let up =
        streams.iter().find(|stream| stream["stream"].as_str().is_some_and(|name| name.starts_with("up/")));
    let backlog = up.and_then(|up| up["backlog"].as_u64()).unwrap_or(u64::MAX);
    match wanted(&phase, backlog) {
        true => Ok(backlog),
        false => Err(Value::to_string(&status["streams"])),
    }
}
