//! A whole Ledge on this machine: one cloud and its edges as processes of their own, a link to each edge that can
//! be cut, a thermostat per edge that speaks MQTT, and `kubectl`.
//!
//! ```text
//!   kubectl ──TLS──► ledge-cloud ◄──── Link (can be cut) ◄──── ledge-edge ◄──MQTT── Thermostat
//!                    a process          in this process        a process            in this process
//! ```
//! Everything listens on loopback and on ports that were free; a process that is started again gets the ports that it
//! had. Whatever was started is stopped when its handle is dropped, by its own process id and no other.
//!
//! Reading order: [`error`] → [`process`] → [`tool`] → [`cloud`] → [`edge`] → [`link`] → [`thermostat`] →
//! [`kube`] → [`up`](up()).
//!
//! Absent on purpose: everything that Ledge itself does. Only its binaries, its command lines and its interfaces to
//! users are used here.

pub mod cloud;
pub mod edge;
pub mod error;
pub mod kube;
pub mod link;
pub mod manifests;
pub mod process;
pub mod thermostat;
pub mod tool;
mod up;
mod wait;

pub use error::StackError;
pub use up::{UpArgs, up};
pub use wait::until;

use std::fs;
use std::path::{Path, PathBuf};

use self::cloud::Cloud;
use self::edge::Edge;
use self::kube::Kube;
use self::thermostat::Thermostat;
use self::tool::Binaries;

/// One cloud, its edges, and what talks to them.
#[derive(Debug)]
pub struct Stack {
    /// Where everything is kept.
    pub dir: PathBuf,
    /// The programs.
    pub binaries: Binaries,
    /// `kubectl`, or what stands in for it.
    pub kube: Kube,
    /// The thermostats, by the index of their edge. Before the processes, so that they go first.
    pub thermostats: Vec<Thermostat>,
    /// The edges.
    pub edges: Vec<Edge>,
    /// The cloud.
    pub cloud: Cloud,
}

impl Stack {
    /// Starts a cloud and joins and starts `edges` edges in `dir`. What was there from a former run is used again.
    ///
    /// # Errors
    /// [`StackError`], with the end of the log of the process that failed.
    pub async fn start(dir: &Path, edges: usize) -> Result<Self, StackError> {
        let binaries = Binaries::find()?;
        make_dir(dir)?;
        let dir = fs::canonicalize(dir).map_err(|source| StackError::file(dir, "resolve", source))?;
        let cloud = Cloud::start(&binaries, &dir).await?;
        let home = dir.join("home");
        make_dir(&home)?;
        let kube = Kube::connect(&cloud.kubeconfig(), &home).await?;
        let mut started = Vec::new();
        for number in 1..=edges {
            started.push(Edge::start(&binaries, &dir, &format!("edge-{number}"), &cloud).await?);
        }
        let mut stack = Self { dir, binaries, kube, thermostats: Vec::new(), edges: started, cloud };
        for (number, edge) in (1..).zip(&stack.edges) {
            stack.thermostats.push(Thermostat::start(&format!("thermostat-{number}"), edge.mqtt()?));
        }
        Ok(stack)
    }

    /// Stops everything in order and waits for it: devices, edges, cloud.
    ///
    /// # Errors
    /// A process that did not end well.
    pub async fn stop(mut self) -> Result<(), StackError> {
        self.thermostats.clear();
        let edges: Result<Vec<()>, _> =
            futures_of(self.edges.iter_mut().map(|edge| edge.process.terminate())).await;
        let cloud = self.cloud.process.terminate().await;
        edges.and(cloud)
    }

    /// The end of every process's log, for who must find out why something failed.
    #[must_use]
    pub fn log_tails(&self) -> String {
        let edges = self.edges.iter().map(|edge| &edge.process);
        let tails = std::iter::once(&self.cloud.process).chain(edges).map(|process| process.tail());
        tails.collect::<Vec<_>>().join("\n")
    }
}

/// All of them, one after the other; the first error, after all were tried.
async fn futures_of<T, E>(
    futures: impl Iterator<Item = impl Future<Output = Result<T, E>>>,
) -> Result<Vec<T>, E> {
    let mut results = Vec::new();
    for future in futures {
        results.push(future.await);
    }
    results.into_iter().collect()
}

/// A directory and those above it.
fn make_dir(dir: &Path) -> Result<(), StackError> {
    fs::create_dir_all(dir).map_err(|source| StackError::file(dir, "create", source))
}
