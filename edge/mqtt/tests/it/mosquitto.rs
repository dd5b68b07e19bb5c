//! `mosquitto_pub` and `mosquitto_sub` against the broker, and a mosquitto for the bridge's tests.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::fixture::{PATIENCE, broker};

/// The program, or `None` and a loud line.
pub(crate) fn program(path: &str) -> Option<PathBuf> {
    let found = Path::new(path).exists().then(|| path.into());
    if found.is_none() {
        eprintln!("SKIPPED: {path} is not installed, and this test is about it");
    }
    found
}

/// A mosquitto on a free port of loopback with its data in a directory of its own; gone with its value.
pub(crate) struct Mosquitto {
    program: PathBuf,
    child: Child,
    dir: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Mosquitto {
    pub(crate) async fn start() -> Option<Self> {
        let program = program("/usr/sbin/mosquitto")?;
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Started by root it would drop to a user that cannot write into the directory; started by anybody
        // else it does not care.
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\n\
             max_queued_messages 10000\nlog_type error\nuser root\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
        let child = spawn(&program, dir.path());
        let mosquitto = Self { program, child, dir, port };
        mosquitto.answers().await;
        Some(mosquitto)
    }

    async fn answers(&self) {
        let connected = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, connected).await.expect("mosquitto does not listen");
    }

    /// Ends it as an operator would, which makes it write its sessions down.
    pub(crate) async fn stop(&mut self) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("/bin/kill").arg(id).status().await.unwrap().success());
        self.child.wait().await.unwrap();
    }

    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(&self.program, self.dir.path());
        self.answers().await;
    }

    /// Without what it wrote down: a broker that has lost its disk.
    pub(crate) fn forget(&self) {
        std::fs::remove_file(self.dir.path().join("mosquitto.db")).unwrap();
    }
}

fn spawn(program: &Path, dir: &Path) -> Child {
    let mut command = Command::new(program);
    command.arg("-c").arg(dir.join("mosquitto.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().unwrap()
}

pub(crate) async fn publish(port: u16, version: &str, topic: &str, payload: &str) {
    let port = port.to_string();
    let args = ["-V", version, "-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic, "-m", payload];
    let status = tokio::time::timeout(PATIENCE, Command::new("/usr/bin/mosquitto_pub").args(args).status());
    assert!(status.await.unwrap().unwrap().success(), "mosquitto_pub {args:?}");
}

#[tokio::test]
async fn mosquitto_pub_speaks_to_mosquitto_sub_through_the_broker() {
    if program("/usr/bin/mosquitto_pub").is_none() || program("/usr/bin/mosquitto_sub").is_none() {
        return;
    }
    let running = broker().await;
    for version in ["311", "5"] {
        let port = running.addr.port().to_string();
        let mut viewer = Command::new("/usr/bin/mosquitto_sub")
            .args([
                "-V",
                version,
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-q",
                "1",
                "-t",
                "log/#",
                "-t",
                "ready",
                "-C",
                "2",
                "-v",
            ])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(viewer.stdout.take().unwrap()).lines();
        // Subscribed is only known by being heard.
        let ready = async {
            loop {
                running.publisher.publish("ready", "1".into(), 0, true).await.unwrap();
                if let Ok(line) = tokio::time::timeout(Duration::from_millis(100), lines.next_line()).await {
                    return line.unwrap().unwrap();
                }
            }
        };
        assert_eq!(tokio::time::timeout(PATIENCE, ready).await.unwrap(), "ready 1");
        running.publisher.publish("ready", "".into(), 0, true).await.unwrap();
        publish(running.addr.port(), version, "log/x", "hello").await;
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        // The clearing of the retained message may have come first and ended the count.
        assert!(matches!(line.as_deref(), Some("log/x hello" | "ready (null)")), "{version}: {line:?}");
        assert!(tokio::time::timeout(PATIENCE, viewer.wait()).await.unwrap().unwrap().success());
    }
}
