//! The process's side.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::line::{self, Line};
use super::protocol::{Answer, CtlReply, CtlRequest, Guard, Hello, MAX_REPLY, MAX_REQUEST};
use super::socket::{self, ShortDir};
use crate::data_dir::DataDir;
use crate::metrics::metric_definitions::CONTROL_REQUESTS;

/// Connections at once; one more is told `busy`.
const MAX_CONNECTIONS: usize = 16;
/// Guards that one connection may hold.
const MAX_LEASES: usize = 4;
/// Silence after which a connection without a lease is closed, and time for a peer to take a reply.
const IDLE: Duration = Duration::from_secs(30);
/// Time for a handler; a checkpoint of a large log is the slowest operation.
const HANDLE: Duration = Duration::from_secs(120);
/// Pause after accept fails, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// The socket before it has its mode.
const NEW: &str = "ctl.sock.new";

/// The operations of one process. Called concurrently, in order within a connection. Cancelled (dropped) after 120 s and
/// when the process stops.
pub trait CtlHandler: Send + Sync + 'static {
    /// Answers one request; an operation it does not know gets [`CtlReply::unknown_op`].
    fn handle(&self, request: CtlRequest) -> impl Future<Output = CtlReply> + Send;
}

/// The socket cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {}: {source}", .path.display())]
pub struct CtlBindError {
    /// The socket.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// A bound socket that answers nobody until [`CtlServer::run`]; it is removed when dropped. Keep the [`DataDir`] longer than this
/// value, or the removal could meet the next process's socket.
#[derive(Debug)]
pub struct CtlServer {
    listener: UnixListener,
    socket: Socket,
    allowed_uid: u32,
}

impl CtlServer {
    /// Replaces whatever socket a killed process left: only the holder of the directory's lock gets here. The
    /// socket appears under its name with its mode already set. Needs a tokio runtime.
    pub fn bind(dir: &DataDir) -> Result<Self, CtlBindError> {
        let path = dir.join(socket::FILE);
        let listener = bind(dir.path()).map_err(|source| CtlBindError { path: path.clone(), source })?;
        Ok(Self { listener, socket: Socket(path), allowed_uid: rustix::process::geteuid().as_raw() })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.socket.0
    }

    /// Serves until told to stop; then every connection is cut and every guard dropped before it returns.
    pub async fn run(self, handler: Arc<impl CtlHandler>, stop: CancellationToken) -> Result<(), Infallible> {
        let (slots, connections) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), TaskTracker::new());
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "control socket cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let refusal = match Arc::clone(&slots).try_acquire_owned() {
                _ if !is_allowed(peer_uid(&stream), self.allowed_uid) => forbidden(peer_uid(&stream)),
                Err(_) => CtlReply::error(
                    "busy",
                    format!("{MAX_CONNECTIONS} tools are connected already; try again later"),
                ),
                Ok(slot) => {
                    let (handler, stop) = (Arc::clone(&handler), stop.clone());
                    connections.spawn(async move {
                        let _slot = slot;
                        tokio::select! {
                            () = stop.cancelled() => {}
                            ended = Connection::new(stream).serve(&*handler) => {
                                if let Err(error) = ended {
                                    tracing::debug!(%error, "control connection ended");
                                }
                            }
                        }
                    });
                    continue;
                }
            };
            counter!(CONTROL_REQUESTS, "outcome" => "refused").increment(1);
            // A short line into an empty socket buffer does not wait; a peer that is gone needs no answer.
            let _ = stream.try_write(&encode(&refusal.answer));
        }
        connections.close();
        connections.wait().await;
        Ok(())
    }
}

/// Removes the name when the process ends in order; after a kill, the next `bind` replaces it.
#[derive(Debug)]
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn bind(dir: &Path) -> io::Result<UnixListener> {
    let short = ShortDir::new(dir, NEW.len())?;
    let new = short.join(NEW);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, Permissions::from_mode(0o600))?;
    fs::rename(&new, short.join(socket::FILE))?;
    Ok(listener)
}

fn peer_uid(stream: &UnixStream) -> Option<u32> {
    stream.peer_cred().ok().map(|peer| peer.uid())
}

/// Root and the process's own user. A peer that the kernel does not name is nobody.
fn is_allowed(peer: Option<u32>, own: u32) -> bool {
    peer.is_some_and(|uid| uid == 0 || uid == own)
}

fn forbidden(peer: Option<u32>) -> CtlReply {
    let who = peer.map_or_else(|| "an unknown user".to_owned(), |uid| format!("user {uid}"));
    tracing::warn!(peer = %who, "control connection refused");
    CtlReply::error(
        "forbidden",
        format!("{who} may not control this process; run the tool as its user or as root"),
    )
}

fn encode(answer: &Answer) -> Vec<u8> {
    let mut line = match serde_json::to_vec(answer) {
        Ok(line) if line.len() <= MAX_REPLY => line,
        Ok(line) => {
            let message =
                format!("the reply has {} bytes, the limit is {MAX_REPLY}; ask for less", line.len());
            return encode(&CtlReply::error("reply-too-long", message).answer);
        }
        Err(error) => return encode(&CtlReply::error("unserialisable", error.to_string()).answer),
    };
    line.push(b'\n');
    line
}

struct Connection {
    stream: BufReader<UnixStream>,
    leases: Vec<Guard>,
}

impl Connection {
    fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), leases: Vec::new() }
    }

    async fn serve(mut self, handler: &impl CtlHandler) -> io::Result<()> {
        loop {
            let next = line::read(&mut self.stream, MAX_REQUEST);
            // A lease may be held in silence for as long as its holder lives.
            let line = match self.leases.is_empty() {
                true => match timeout(IDLE, next).await {
                    Ok(line) => line?,
                    Err(_) => {
                        return self.refuse("timeout", format!("no request for {} s", IDLE.as_secs())).await;
                    }
                },
                false => next.await?,
            };
            let request = match line {
                Line::End => return Ok(()),
                Line::TooLong => {
                    return self
                        .refuse("too-long", format!("a request has at most {MAX_REQUEST} bytes"))
                        .await;
                }
                Line::Whole(line) => match serde_json::from_slice::<CtlRequest>(&line) {
                    Ok(request) => request,
                    Err(error) => {
                        self.refuse(
                            "bad-request",
                            format!("not a request such as {{\"op\":\"status\"}}: {error}"),
                        )
                        .await?;
                        continue;
                    }
                },
            };
            let reply = answer(handler, request).await;
            self.send(reply).await?;
        }
    }

    async fn send(&mut self, mut reply: CtlReply) -> io::Result<()> {
        if let Some(guard) = reply.guard.take() {
            if self.leases.len() < MAX_LEASES {
                self.leases.push(guard);
            } else {
                reply = CtlReply::error(
                    "too-many-leases",
                    format!("a connection holds at most {MAX_LEASES}; open another"),
                );
            }
        }
        let outcome = if matches!(reply.answer, Answer::Ok(_)) { "ok" } else { "error" };
        counter!(CONTROL_REQUESTS, "outcome" => outcome).increment(1);
        self.write(&reply.answer).await
    }

    async fn refuse(&mut self, code: &str, message: String) -> io::Result<()> {
        counter!(CONTROL_REQUESTS, "outcome" => "refused").increment(1);
        self.write(&CtlReply::error(code, message).answer).await
    }

    async fn write(&mut self, answer: &Answer) -> io::Result<()> {
        let line = encode(answer);
        timeout(IDLE, self.stream.get_mut().write_all(&line))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

async fn answer(handler: &impl CtlHandler, request: CtlRequest) -> CtlReply {
    if request.op == "hello" {
        return CtlReply::ok(Hello {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
    }
    let op = request.op.clone();
    let late = || CtlReply::error("timeout", format!("{op} was given up after {} s", HANDLE.as_secs()));
    timeout(HANDLE, handler.handle(request)).await.unwrap_or_else(|_| late())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_own_user_are_allowed_and_nobody_else() {
        assert!(is_allowed(Some(0), 1000));
        assert!(is_allowed(Some(1000), 1000));
        assert!(!is_allowed(Some(1001), 1000));
        assert!(!is_allowed(Some(1001), 0));
        assert!(!is_allowed(None, 0));
    }
}
