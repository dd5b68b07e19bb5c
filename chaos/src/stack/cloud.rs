//! `ledge-cloud serve` in a directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::StackError;
use super::process::Process;
use super::tool::{Binaries, command, run};

/// Its listeners: names in the ready line, and flags.
const LISTENERS: [&str; 4] = ["api", "hub", "join", "metrics"];

/// The cloud.
#[derive(Debug)]
pub struct Cloud {
    /// Its data directory.
    pub dir: PathBuf,
    /// Its process.
    pub process: Process,
    binaries: Binaries,
}

impl Cloud {
    pub(super) async fn start(binaries: &Binaries, dir: &Path) -> Result<Self, StackError> {
        let log = dir.join("cloud.log");
        let dir = dir.join("cloud");
        let args = args(&dir, |_| Ok("127.0.0.1:0".to_owned()))?;
        let process = Process::start("ledge-cloud", &binaries.cloud, &args, &log).await?;
        Ok(Self { dir, process, binaries: binaries.clone() })
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

    /// Where edges have their sessions.
    ///
    /// # Errors
    /// The ready line does not say.
    pub fn hub(&self) -> Result<SocketAddr, StackError> {
        self.process.address("hub")
    }

    /// Where edges join.
    ///
    /// # Errors
    /// The ready line does not say.
    pub fn join(&self) -> Result<SocketAddr, StackError> {
        self.process.address("join")
    }

    /// A token for one node.
    ///
    /// # Errors
    /// [`StackError::Tool`].
    pub async fn token(&self, node: &str) -> Result<String, StackError> {
        let mut command = command(&self.binaries.cloud);
        command.args(["token", "create", "--data-dir"]).arg(&self.dir).args(["--node", node]);
        Ok(run(command, None).await?.good()?.stdout.trim().to_owned())
    }

    /// How `kubectl` reaches it.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.kubeconfig")
    }
}

fn args(dir: &Path, address: impl Fn(&str) -> Result<String, StackError>) -> Result<Vec<String>, StackError> {
    let mut args = vec!["serve".to_owned(), "--data-dir".to_owned(), dir.display().to_string()];
    for name in LISTENERS {
        args.extend([format!("--{name}-listen"), address(name)?]);
    }
    Ok(args)
}
