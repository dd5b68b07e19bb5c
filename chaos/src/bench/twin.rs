//! A twin update, seen from the device and seen from the cloud's API.
//!
//! | figure | from | to |
//! |---|---|---|
//! | `twin.local` | MQTT publish at the edge | MQTT result: durable in the edge's log |
//! | `twin.cloud` | MQTT publish at the edge | a watch of DeviceStatus shows it: durable at the edge and in the cloud |
//! | `twin.accepted` | 4 clients with 100 messages in flight each | PUBACK: durable in the edge's log |
//!
//! The floor of the first two is `fdatasync` on the same disk.

use std::time::Instant;

use super::Bench;
use super::figure::{Bound, Figure};
use super::load::Times;
use super::raw::RawFile;
use super::rig::Rig;
use super::scratch::BODY;

/// Updates before it is the others' turn.
const TURN: usize = 20;
/// Clients that flood the edge.
const CLIENTS: u64 = 4;

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let rig = Rig::start(bench, "twin").await?;
    let mut raw = RawFile::create(&bench.dir, "twin-floor")?;
    let (mut probe, mut watch) = (rig.probe("probe").await?, rig.watch().await?);
    probe.listen().await?;
    let count = bench.scale.updates;
    let mut floors = [const { Vec::new() }; 2];
    let (mut local, mut cloud) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    let quantiles = [0.5, 0.99];
    for _ in bench.rounds("twin.local, twin.cloud") {
        let (mut floor, mut locals, mut clouds) = (Vec::new(), Vec::new(), Vec::new());
        while clouds.len() < count {
            for _ in 0..TURN {
                floor.push(raw.append(&[7; BODY])?);
            }
            let mut last = String::new();
            for _ in 0..TURN {
                let (value, _, took) = probe.update().await?;
                locals.push(took.as_secs_f64() * 1e6);
                last = value;
            }
            watch.shows(&last).await?;
            for _ in 0..TURN {
                let (value, began, _) = probe.update().await?;
                clouds.push(watch.shows(&value).await?.duration_since(began).as_secs_f64() * 1e6);
            }
        }
        let floor = Times::of(&floor)?;
        let (locals, clouds) = (Times::of(&locals)?, Times::of(&clouds)?);
        for (at, quantile) in quantiles.into_iter().enumerate() {
            floors[at].push(floor.quantile(quantile));
            local[at].push(locals.quantile(quantile));
            cloud[at].push(clouds.quantile(quantile));
        }
    }
    drop((probe, watch));
    let accepted = flood(bench, &rig).await?;
    rig.stop().await?;
    let figure = |name, at: usize, of: &[Vec<f64>; 2]| Figure::beside(name, "us", &of[at], &floors[at]);
    Ok(vec![
        figure("twin.local.p50", 0, &local).goal(&[Bound::FloorsPlus(1.0, 400.0)]),
        figure("twin.local.p99", 1, &local),
        figure("twin.cloud.p50", 0, &cloud).goal(&[Bound::FloorsPlus(2.0, 2000.0)]),
        figure("twin.cloud.p99", 1, &cloud).goal(&[Bound::AtMost(10_000.0)]),
        accepted.goal(&[Bound::AtLeast(20_000.0)]),
    ])
}

/// Updates per second that are acknowledged.
async fn flood(bench: &Bench, rig: &Rig) -> anyhow::Result<Figure> {
    let mut rates = Vec::new();
    for round in bench.rounds("twin.accepted") {
        let per_client = bench.scale.missed / CLIENTS / 10;
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            clients.push(rig.probe(&format!("flood-{round}-{client}")).await?);
        }
        let began = Instant::now();
        futures::future::try_join_all(clients.iter_mut().map(|client| client.flood(per_client))).await?;
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        rates.push((per_client * CLIENTS) as f64 / began.elapsed().as_secs_f64());
    }
    Ok(Figure::of("twin.accepted", "events/s", &rates))
}
