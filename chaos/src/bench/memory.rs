//! What the processes take when nothing happens.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::process::Command;

use super::Bench;
use super::figure::{Bound, Figure};
use super::machine::{self, Memory};
use super::rig::Rig;

/// Until what the start needed is given back or not.
const SETTLE: Duration = Duration::from_secs(5);

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let rig = Rig::start(bench, "memory").await?;
    let (edge, cloud) = (rig.edge()?.process.pid(), rig.stack.cloud.process.pid());
    let (mut edges, mut clouds) = (Vec::new(), Vec::new());
    for _ in bench.rounds("memory of an idle edge and an idle cloud") {
        tokio::time::sleep(SETTLE).await;
        edges.push(of(edge)?);
        clouds.push(of(cloud)?);
    }
    let binaries = rig.stack.binaries.clone();
    rig.stop().await?;
    let resident = |all: &[Memory]| all.iter().map(|memory| mebibytes(memory.resident)).collect::<Vec<_>>();
    let anonymous = |all: &[Memory]| all.iter().map(|memory| mebibytes(memory.anonymous)).collect::<Vec<_>>();
    let mut figures = vec![
        Figure::of("memory.edge.resident", "MiB", &resident(&edges)).goal(&[Bound::AtMost(24.0)]),
        Figure::of("memory.edge.anonymous", "MiB", &anonymous(&edges)),
        Figure::of("memory.cloud.resident", "MiB", &resident(&clouds)).goal(&[Bound::AtMost(40.0)]),
        Figure::of("memory.cloud.anonymous", "MiB", &anonymous(&clouds)),
    ];
    for (name, binary, goal) in [("edge", &binaries.edge, Some(20.0)), ("cloud", &binaries.cloud, None)] {
        match stripped(&bench.dir, binary).await {
            Ok(bytes) => {
                let figure = Figure::of(format!("memory.{name}.binary"), "MB", &[bytes / 1e6]);
                figures.push(match goal {
                    Some(most) => figure.goal(&[Bound::AtMost(most)]),
                    None => figure,
                });
            }
            Err(error) => bench.progress(&format!("the stripped {name} is not measured: {error:#}")),
        }
    }
    Ok(figures)
}

/// Memory of a process of ours.
pub(super) fn of(pid: Option<u32>) -> anyhow::Result<Memory> {
    machine::memory(pid.context("the process does not run")?)
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Bytes of a program without its symbols.
async fn stripped(dir: &Path, program: &Path) -> anyhow::Result<f64> {
    let copy = dir.join("stripped");
    let status =
        Command::new("strip").arg("-o").arg(&copy).arg(program).status().await.context("running strip")?;
    anyhow::ensure!(status.success(), "strip {} ended with {status}", program.display());
    let bytes = std::fs::metadata(&copy)?.len();
    std::fs::remove_file(copy)?;
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(bytes as f64)
}
