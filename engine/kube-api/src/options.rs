//! What the server takes from outside: time, identities, authorization, limits.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::auth::{Authorizer, MastersOnly};

/// Version that `/version` shows: clients choose their behaviour by it.
const GIT_VERSION: &str = "v1.32.0+ledge";

/// Settings of a server.
#[derive(Clone)]
pub struct Options {
    /// Wall time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// A new random UUID in its usual text form.
    pub uid: Arc<dyn Fn() -> String + Send + Sync>,
    /// Who may do what. Default: group `system:masters` everything, others nothing.
    pub authorizer: Arc<dyn Authorizer>,
    /// `gitVersion` of `/version`.
    pub git_version: String,
    /// Largest request body, bytes. Default 3 MiB.
    pub max_body: usize,
    /// Longest watch without `timeoutSeconds`. Default 30 minutes; the real one varies up to twice that.
    pub watch_timeout: Duration,
    /// Time between bookmarks of a watch that asked for them. Default 1 minute.
    pub bookmark_interval: Duration,
    /// How long a watcher may leave events unread before its watch is closed. Default 30 seconds.
    pub watch_write_timeout: Duration,
    /// Ends all watches when cancelled; give it the token that stops `serve`, so that a stop need not cut them.
    pub stop: CancellationToken,
}

impl Options {
    /// Defaults with the given clock and source of UUIDs.
    pub fn new(
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        uid: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            clock: Arc::new(clock),
            uid: Arc::new(uid),
            authorizer: Arc::new(MastersOnly),
            git_version: GIT_VERSION.to_owned(),
            max_body: 3 * 1024 * 1024,
            watch_timeout: Duration::from_secs(30 * 60),
            bookmark_interval: Duration::from_secs(60),
            watch_write_timeout: Duration::from_secs(30),
            stop: CancellationToken::new(),
        }
    }

    /// Now, as objects show it: whole seconds, UTC.
    pub(crate) fn now_text(&self) -> String {
        (self.clock)().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("git_version", &self.git_version)
            .field("max_body", &self.max_body)
            .field("watch_timeout", &self.watch_timeout)
            .field("bookmark_interval", &self.bookmark_interval)
            .field("watch_write_timeout", &self.watch_write_timeout)
            .finish_non_exhaustive()
    }
}
