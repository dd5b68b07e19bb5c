//! A tool's side.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::line::{self, Line};
use super::protocol::{Answer, CtlFailure, CtlRequest, Hello, MAX_REPLY, MAX_REQUEST};
use super::socket::{self, ShortDir};
use crate::exit::Exit;

/// Time for `connect`, its `hello` included.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for a reply: more than a handler gets, so that the process's own answer arrives first.
const CALL: Duration = Duration::from_secs(130);

/// Why a running process could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CtlError {
    /// Nobody listens: no socket, or one that a killed process left. The tool may open the directory itself.
    #[error("no process is running on {}", .dir.display())]
    NotRunning {
        /// The data directory.
        dir: PathBuf,
    },
    /// There is a process, and it does not talk to us.
    #[error("the process on {} refused: {reason}", .dir.display())]
    Refused {
        /// The data directory.
        dir: PathBuf,
        /// Its words, or the kernel's.
        reason: String,
    },
    /// The operation failed; the connection can be used again.
    #[error("{op}: {failure}")]
    Failed {
        /// The operation.
        op: String,
        /// The process's answer.
        failure: CtlFailure,
    },
    /// The connection broke, or the process ended; whether the operation was done is not known.
    #[error("{op}: the connection to the process on {} broke: {source}; whether it was done is unknown", .dir.display())]
    Broken {
        /// The operation.
        op: String,
        /// The data directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The arguments are no JSON object, or longer than a request may be.
    #[error("{op}: {reason}")]
    Request {
        /// The operation.
        op: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl CtlError {
    /// How a tool ends that cannot go on without the answer.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotRunning { .. } => Exit::Unavailable,
            Self::Refused { .. } => Exit::NoPerm,
            Self::Failed { .. } | Self::Broken { .. } => Exit::Unknown,
            Self::Request { .. } => Exit::Usage,
        }
    }
}

/// A connection to the process that has a data directory. Whatever was leased on it is given back when it is dropped.
#[derive(Debug)]
pub struct CtlClient {
    dir: PathBuf,
    stream: BufReader<UnixStream>,
    hello: Hello,
}

impl CtlClient {
    /// Connects and says `hello`, within 5 s.
    pub async fn connect(dir: &Path) -> Result<Self, CtlError> {
        let silent = |_| CtlError::Refused { dir: dir.to_owned(), reason: "it does not answer".to_owned() };
        timeout(CONNECT, Self::greet(dir)).await.map_err(silent)?
    }

    async fn greet(dir: &Path) -> Result<Self, CtlError> {
        let refused = |reason: String| CtlError::Refused { dir: dir.to_owned(), reason };
        let open =
            async || UnixStream::connect(ShortDir::new(dir, socket::FILE.len())?.join(socket::FILE)).await;
        let stream = open().await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                CtlError::NotRunning { dir: dir.to_owned() }
            }
            _ => refused(error.to_string()),
        })?;
        let nobody = Hello { pid: 0, version: String::new() };
        let mut client = Self { dir: dir.to_owned(), stream: BufReader::new(stream), hello: nobody };
        let answer = client.call("hello", &()).await.map_err(|error| match error {
            CtlError::Failed { failure, .. } => refused(failure.message),
            other => other,
        })?;
        client.hello = serde_json::from_value(answer)
            .map_err(|error| refused(format!("not a Ledge process: {error}")))?;
        Ok(client)
    }

    /// Who answered.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// One request and its reply. `args` is a struct or map whose keys stand beside `op`, or `()`.
    pub async fn call(&mut self, op: &str, args: &impl Serialize) -> Result<Value, CtlError> {
        let line = encode(op, args).map_err(|reason| CtlError::Request { op: op.to_owned(), reason })?;
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let exchanged = timeout(CALL, self.exchange(&line)).await.map_err(late).flatten();
        let answer = exchanged.map_err(|source| CtlError::Broken {
            op: op.to_owned(),
            dir: self.dir.clone(),
            source,
        })?;
        match answer {
            Answer::Ok(value) => Ok(value),
            Answer::Error(failure) => Err(CtlError::Failed { op: op.to_owned(), failure }),
        }
    }

    async fn exchange(&mut self, line: &[u8]) -> io::Result<Answer> {
        // A process that refuses answers and closes without reading: its words matter more than our broken pipe.
        let written = self.stream.get_mut().write_all(line).await;
        match line::read(&mut self.stream, MAX_REPLY).await {
            Ok(Line::Whole(line)) => Ok(serde_json::from_slice(&line)?),
            Ok(Line::TooLong) => Err(io::Error::new(io::ErrorKind::InvalidData, "the reply is too long")),
            Ok(Line::End) => Err(written.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(written.err().unwrap_or(error)),
        }
    }
}

fn encode(op: &str, args: &impl Serialize) -> Result<Vec<u8>, String> {
    let args = match serde_json::to_value(args).map_err(|error| error.to_string())? {
        Value::Object(args) => args,
        Value::Null => serde_json::Map::new(),
        _ => return Err("arguments are an object".to_owned()),
    };
    let request = CtlRequest { op: op.to_owned(), args };
    let mut line = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
    if line.len() > MAX_REQUEST {
        return Err(format!("the request has {} bytes, the limit is {MAX_REQUEST}", line.len()));
    }
    line.push(b'\n');
    Ok(line)
}
