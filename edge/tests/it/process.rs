//! The real binary.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use ledge_process::Ready;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::mqtt::PATIENCE;

pub(crate) struct Process {
    child: Child,
    pub(crate) ready: Ready,
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledge-edge"));
    command.args(args).kill_on_drop(true).stdin(Stdio::null());
    command
}

const ANY: &str = "127.0.0.1:0";

/// `run` on a directory with free ports, and with `more`.
pub(crate) fn run(dir: &Path, more: &[&str]) -> Command {
    let mut command = command(&["run", "--api-listen", ANY, "--metrics-listen", ANY]);
    command.arg("--data-dir").arg(dir).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    pub(crate) async fn start(dir: &Path, more: &[&str]) -> Self {
        let mut child = run(dir, more).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        tokio::time::timeout(PATIENCE, out.read_line(&mut line)).await.expect("it is not ready").unwrap();
        Self { child, ready: Ready::parse(&line).unwrap() }
    }

    pub(crate) fn mqtt(&self) -> SocketAddr {
        self.ready.addr("mqtt").unwrap()
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM; it must end by itself and well.
    pub(crate) async fn terminate(mut self) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("/bin/kill").arg(id).status().await.unwrap().success());
        let status =
            tokio::time::timeout(PATIENCE * 2, self.child.wait()).await.expect("it does not end").unwrap();
        assert_eq!(status.code(), Some(0));
    }
}

/// Exit code and what was said on stderr.
pub(crate) async fn fails(mut command: Command) -> (Option<i32>, String) {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("it goes on").unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

pub(crate) async fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}
