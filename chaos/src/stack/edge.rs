//! `ledge-edge` in a directory: joined, then run, its hub behind a link that can be cut.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::cloud::Cloud;
use super::link::Link;
use super::process::Process;
use super::tool::{Binaries, command, run};
use super::{StackError, make_dir};

/// Its listeners: names in the ready line, and flags.
const LISTENERS: [&str; 3] = ["mqtt", "api", "metrics"];

/// An edge.
#[derive(Debug)]
pub struct Edge {
    /// Its node name.
    pub node: String,
    /// Its data directory.
    pub dir: PathBuf,
    /// Its process.
    pub process: Process,
    /// Its way to the cloud.
    pub link: Link,
    binaries: Binaries,
}

/// Where the edge's own stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpStatus {
    /// `epoch:seq` of the last event.
    pub head: String,
    /// Events that the cloud has not proved to hold.
    pub backlog: u64,
    /// Whether a session is live.
    pub live: bool,
    /// The state of the connection in one word.
    pub phase: String,
}

impl Edge {
    /// Joins if that was not done before, and runs.
    pub(super) async fn start(
        binaries: &Binaries,
        dir: &Path,
        node: &str,
        cloud: &Cloud,
    ) -> Result<Self, StackError> {
        let log = dir.join(format!("{node}.log"));
        let dir = dir.join(node);
        if !dir.join("edge.json").is_file() {
            make_dir(&dir)?;
            let token = cloud.token(node).await?;
            let mut join = command(&binaries.edge);
            join.args(["join", "--cloud", &cloud.join()?.to_string(), "--node", node, "--data-dir"])
                .arg(&dir);
            join.env("LEDGE_JOIN_TOKEN", token);
            run(join, None).await?.good()?;
        }
        let link = Link::to(cloud.hub()?).await?;
        direct(&dir.join("edge.json"), link.address(), cloud.join()?)?;
        let args = args(&dir, |_| Ok("127.0.0.1:0".to_owned()))?;
        let process = Process::start(node, &binaries.edge, &args, &log).await?;
        Ok(Self { node: node.to_owned(), dir, process, link, binaries: binaries.clone() })
    }

    /// Starts it after it was killed, on the ports that it had.
    ///
    /// # Errors
    /// [`StackError`].
    pub async fn start_again(&mut self) -> Result<(), StackError> {
        let process = &self.process;
        let args = args(&self.dir, |name| process.address(name).map(|address| address.to_string()))?;
        self.process.start_again(&args).await
    }

    /// Where devices connect.
    ///
    /// # Errors
    /// The ready line does not say.
    pub fn mqtt(&self) -> Result<SocketAddr, StackError> {
        self.process.address("mqtt")
    }

    /// What `ledge-edge status` says.
    ///
    /// # Errors
    /// [`StackError`].
    pub async fn status(&self) -> Result<UpStatus, StackError> {
        let mut status = command(&self.binaries.edge);
        status.args(["status", "-o", "json", "--data-dir"]).arg(&self.dir);
        let done = run(status, None).await?.good()?;
        UpStatus::read(&done.json()?, &format!("up/{}", self.node))
            .ok_or_else(|| StackError::answer(format!("the output of `{}`", done.command), &done.stdout))
    }
}

impl UpStatus {
    fn read(status: &Value, stream: &str) -> Option<Self> {
        let up = status["streams"].as_array()?.iter().find(|up| up["stream"] == stream)?;
        let phase = status["cloud"]["phase"].as_str()?.to_owned();
        Some(Self {
            head: format!("{}:{}", up["epoch"].as_u64()?, up["head"].as_u64()?),
            backlog: up["backlog"].as_u64()?,
            live: phase == "live",
            phase,
        })
    }
}

/// Sends the edge through the link instead of straight to the hub that it was told when it joined.
fn direct(path: &Path, hub: SocketAddr, join: SocketAddr) -> Result<(), StackError> {
    let text = fs::read(path).map_err(|source| StackError::file(path, "read", source))?;
    let understood = |error| StackError::answer(path.display().to_string(), error);
    let mut edge: Value = serde_json::from_slice(&text).map_err(understood)?;
    edge["hub"] = json!([hub.to_string()]);
    edge["cloud"] = json!(join.to_string());
    fs::write(path, edge.to_string()).map_err(|source| StackError::file(path, "write", source))
}

fn args(dir: &Path, address: impl Fn(&str) -> Result<String, StackError>) -> Result<Vec<String>, StackError> {
    let mut args = vec!["run".to_owned(), "--data-dir".to_owned(), dir.display().to_string()];
    for name in LISTENERS {
        args.extend([format!("--{name}-listen"), address(name)?]);
    }
    Ok(args)
}
