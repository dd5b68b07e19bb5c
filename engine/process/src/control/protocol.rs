//! Requests and replies, one JSON object a line.

use std::any::Any;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Longest request line in bytes, without its line end.
pub(super) const MAX_REQUEST: usize = 64 * 1024;
/// Longest reply line in bytes. Tools ask for pages rather than for everything.
pub(super) const MAX_REPLY: usize = 16 * 1024 * 1024;

/// `{"op":"…", …}`: the operation, and its arguments beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CtlRequest {
    /// The operation's name.
    pub op: String,
    /// Everything else in the object.
    #[serde(flatten)]
    pub args: Map<String, Value>,
}

impl CtlRequest {
    /// The arguments as a type; on failure, the reply to send (`bad-request`, naming the argument).
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, CtlReply> {
        serde_json::from_value(Value::Object(self.args.clone()))
            .map_err(|error| CtlReply::error("bad-request", format!("{}: {error}", self.op)))
    }
}

/// The answer of `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The process that has the data directory.
    pub pid: u32,
    /// Version of the process's build.
    pub version: String,
}

/// An answer that is no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtlFailure {
    /// For programs: lowercase words joined by `-`. From here: `bad-request`, `too-long`, `forbidden`, `busy`,
    /// `timeout`, `reply-too-long`, `too-many-leases`. From handlers: `unknown-op` and their own.
    pub code: String,
    /// For people: what, where, what next.
    pub message: String,
}

impl fmt::Display for CtlFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// Dropped when the connection that asked for it ends.
pub type Guard = Box<dyn Any + Send>;

/// What travels: exactly one of the two.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    Ok(Value),
    Error(CtlFailure),
}

/// A handler's answer.
pub struct CtlReply {
    pub(super) answer: Answer,
    pub(super) guard: Option<Guard>,
}

impl CtlReply {
    /// `{"ok": value}`. A value that JSON cannot hold becomes the error `unserialisable`.
    pub fn ok(value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => Self { answer: Answer::Ok(value), guard: None },
            Err(error) => Self::error("unserialisable", error.to_string()),
        }
    }

    /// `{"error": {code, message}}`.
    pub fn error(code: &str, message: impl Into<String>) -> Self {
        Self {
            answer: Answer::Error(CtlFailure { code: code.to_owned(), message: message.into() }),
            guard: None,
        }
    }

    /// `{"error": …}` for an operation that the process does not have.
    pub fn unknown_op(request: &CtlRequest) -> Self {
        let name: String = request.op.chars().take(64).collect();
        Self::error(
            "unknown-op",
            format!("this process has no operation {name:?}; is the tool newer than the process?"),
        )
    }

    /// Keeps `guard` alive until the connection ends.
    #[must_use]
    pub fn with_guard(mut self, guard: impl Any + Send) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }
}

impl fmt::Debug for CtlReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CtlReply")
            .field("answer", &self.answer)
            .field("guarded", &self.guard.is_some())
            .finish()
    }
}
