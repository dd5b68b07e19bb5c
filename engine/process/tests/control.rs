//! A running process answers on its socket, and only to those who may ask.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ledge_process::{
    CtlClient, CtlError, CtlHandler, CtlReply, CtlRequest, CtlServer, DataDir, Drained, OpenMode, Role, Stage,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const GRACE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Handler {
    leased: Arc<AtomicBool>,
}

struct Lease(Arc<AtomicBool>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[derive(Deserialize)]
struct Add {
    a: u32,
    b: u32,
}

impl CtlHandler for Handler {
    async fn handle(&self, request: CtlRequest) -> CtlReply {
        match request.op.as_str() {
            "add" => match request.parse::<Add>() {
                Ok(Add { a, b }) => CtlReply::ok(a + b),
                Err(reply) => reply,
            },
            "checkpoint" => {
                self.leased.store(true, Ordering::SeqCst);
                CtlReply::ok(json!({"position": 7})).with_guard(Lease(Arc::clone(&self.leased)))
            }
            "large" => CtlReply::ok("x".repeat(17 << 20)),
            _ => CtlReply::unknown_op(&request),
        }
    }
}

struct Process {
    temp: tempfile::TempDir,
    leased: Arc<AtomicBool>,
    stage: Stage,
    _dir: DataDir,
}

impl Process {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), "")
    }

    fn start_in(temp: tempfile::TempDir, below: &str) -> Self {
        let dir = DataDir::open(&temp.path().join(below), Role::Edge, OpenMode::Create).unwrap();
        let (handler, stage) = (Handler::default(), Stage::new("control"));
        let leased = Arc::clone(&handler.leased);
        let server = CtlServer::bind(&dir).unwrap();
        stage.spawn("ctl", |stop| server.run(Arc::new(handler), stop));
        Self { temp, leased, stage, _dir: dir }
    }

    fn dir(&self) -> &Path {
        self._dir.path()
    }

    fn socket(&self) -> PathBuf {
        self.dir().join("ctl.sock")
    }

    async fn client(&self) -> CtlClient {
        CtlClient::connect(self.dir()).await.unwrap()
    }

    /// Sends bytes and reads until the process closes or has sent one line.
    async fn raw(&self, bytes: &[u8]) -> Value {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        // The process may close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n") {
            let mut byte = [0];
            match stream.read(&mut byte).await {
                Ok(0) | Err(_) => break,
                Ok(_) => answer.push(byte[0]),
            }
        }
        serde_json::from_slice(&answer).unwrap_or(Value::Null)
    }
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(GRACE, poll).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn a_request_is_a_line_and_so_is_its_reply() {
    let process = Process::start();
    assert_eq!(process.raw(b"{\"op\":\"add\",\"a\":1,\"b\":2}\n").await, json!({"ok": 3}));
    let mut client = process.client().await;
    assert_eq!(client.hello().pid, std::process::id());
    for n in 0..3 {
        assert_eq!(client.call("add", &json!({"a": n, "b": 1})).await.unwrap(), n + 1);
    }
}

#[tokio::test]
async fn a_failed_operation_has_a_code_and_leaves_the_connection_usable() {
    let process = Process::start();
    let mut client = process.client().await;
    for (op, code) in [("add", "bad-request"), ("fly", "unknown-op"), ("large", "reply-too-long")] {
        let error = client.call(op, &()).await.unwrap_err();
        assert!(matches!(&error, CtlError::Failed { failure, .. } if failure.code == code), "{op}: {error}");
    }
    assert_eq!(client.call("add", &json!({"a": 1, "b": 1})).await.unwrap(), 2);
}

#[tokio::test]
async fn a_lease_lasts_as_long_as_its_connection() {
    let process = Process::start();
    let mut client = process.client().await;
    assert_eq!(client.call("checkpoint", &()).await.unwrap(), json!({"position": 7}));
    assert_eq!(client.call("add", &json!({"a": 1, "b": 1})).await.unwrap(), 2);
    assert!(process.leased.load(Ordering::SeqCst), "kept while connected");
    drop(client);
    eventually("dropped at disconnect", || !process.leased.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_stopping_process_drops_leases_and_removes_its_socket() {
    let process = Process::start();
    let mut client = process.client().await;
    client.call("checkpoint", &()).await.unwrap();
    let (socket, dir) = (process.socket(), process.dir().to_owned());
    assert_eq!(process.stage.drain(GRACE).await, Drained::Clean);
    assert!(!process.leased.load(Ordering::SeqCst));
    assert!(!socket.exists());
    assert!(matches!(client.call("add", &()).await, Err(CtlError::Broken { .. })));
    assert!(matches!(CtlClient::connect(&dir).await, Err(CtlError::NotRunning { .. })));
}

#[tokio::test]
async fn lines_that_are_no_request_are_refused() {
    let process = Process::start();
    for line in ["", "x", "[]", "{}", "{\"op\":1}", "\u{0}"] {
        let answer = process.raw(format!("{line}\n").as_bytes()).await;
        assert_eq!(answer["error"]["code"], "bad-request", "{line:?}");
    }
    let long = vec![b'a'; 64 * 1024 + 1];
    assert_eq!(process.raw(&long).await["error"]["code"], "too-long");
    let mut client = process.client().await;
    let error = client.call("add", &json!({"a": "x".repeat(64 * 1024)})).await.unwrap_err();
    assert!(matches!(error, CtlError::Request { .. }), "{error}");
}

#[tokio::test]
async fn connections_are_bounded_and_a_closed_one_makes_room() {
    let process = Process::start();
    let mut clients = Vec::new();
    let error = loop {
        match CtlClient::connect(process.dir()).await {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, CtlError::Refused { reason, .. } if reason.contains("try again later")),
        "{error}"
    );
    assert_eq!(clients.len(), 16);
    clients.clear();
    for _ in 0..100 {
        if CtlClient::connect(process.dir()).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no room after all clients went");
}

#[tokio::test]
async fn only_the_owner_can_open_the_socket() {
    let process = Process::start();
    let mode = std::fs::metadata(process.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!process.dir().join("ctl.sock.new").exists());
}

/// The body of the child process below, which runs as another user.
#[tokio::test]
#[ignore = "no test by itself: the body of a child process"]
async fn child_of_another_user_connects() {
    let Some(dir) = std::env::var_os("TEST_CTL_DIR") else { return };
    println!("\n{}", CtlClient::connect(Path::new(&dir)).await.unwrap_err());
}

/// Even where the file modes would let them in. Only root can start a process of another user; for others the rule is
/// held by the unit test beside it.
#[tokio::test]
async fn another_user_is_refused_by_the_process_itself() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let process = Process::start();
    for (path, mode) in [(process.dir().to_owned(), 0o755), (process.socket(), 0o666)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let exe = process.dir().join("exe");
    std::fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    let child = tokio::process::Command::new(exe)
        .args(["--ignored", "--exact", "child_of_another_user_connects", "--nocapture"])
        .env("TEST_CTL_DIR", process.dir())
        .current_dir("/")
        .uid(65534)
        .output();
    let said = String::from_utf8(child.await.unwrap().stdout).unwrap();
    assert!(said.contains("refused: user 65534 may not control this process"), "{said}");
}

#[tokio::test]
async fn no_socket_and_a_dead_socket_mean_no_process() {
    let temp = tempfile::tempdir().unwrap();
    assert!(matches!(CtlClient::connect(temp.path()).await, Err(CtlError::NotRunning { .. })));
    drop(std::os::unix::net::UnixListener::bind(temp.path().join("ctl.sock")).unwrap());
    assert!(matches!(CtlClient::connect(temp.path()).await, Err(CtlError::NotRunning { .. })));
}

#[tokio::test]
async fn a_socket_left_by_a_killed_process_is_replaced() {
    let temp = tempfile::tempdir().unwrap();
    drop(DataDir::open(temp.path(), Role::Edge, OpenMode::Create).unwrap());
    drop(std::os::unix::net::UnixListener::bind(temp.path().join("ctl.sock")).unwrap());
    drop(std::os::unix::net::UnixListener::bind(temp.path().join("ctl.sock.new")).unwrap());
    let process = Process::start_in(temp, "");
    assert_eq!(process.client().await.call("add", &json!({"a": 1, "b": 1})).await.unwrap(), 2);
}

#[tokio::test]
async fn a_directory_with_a_long_name_works_too() {
    let process =
        Process::start_in(tempfile::tempdir().unwrap(), &format!("{}/{}", "a".repeat(100), "b".repeat(100)));
    assert!(process.dir().as_os_str().len() > 200 && process.temp.path().exists());
    assert_eq!(process.client().await.call("add", &json!({"a": 1, "b": 1})).await.unwrap(), 2);
}
