//! Watches: one task reads the store's changes, a bounded channel feeds the response.
//!
//! A watcher that leaves the channel full for `watch_write_timeout` is cut off; it resumes at the last revision it saw.
//! A bookmark names the newest revision that the watch itself has passed, which is always safe to resume from.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time};
use tokio_util::sync::CancellationToken;

use super::{
    Call,
    list::{self, Selectors},
};
use crate::{
    api::Api,
    metric_definitions as names,
    registry::Resource,
    respond::{self, Form, Output},
    status::{ApiError, FieldError},
    store::{Change, ChangeStream, WatchError},
    table,
};

/// Events that wait for a slow watcher.
const CHANNEL: usize = 64;

pub(super) async fn watch(call: &Call) -> Result<Response, ApiError> {
    let selectors = Selectors::read(call)?;
    if call.output.yaml {
        return Err(ApiError::not_acceptable(&["application/json", "application/json;stream=watch"]));
    }
    let (query, id, namespace) = (&call.query, &call.resource.id, call.namespace());
    let initial = query.optional_flag("sendInitialEvents");
    check_initial(initial, query.get("resourceVersionMatch"), query.flag("allowWatchBookmarks"))?;
    let asked = list::revision(query.get("resourceVersion"))?;
    if initial == Some(true)
        && let Some(asked) = asked
    {
        list::wait_for(call, asked).await?;
    }
    let wants_state = initial.unwrap_or(asked.is_none());
    let mut first = VecDeque::new();
    let mut revision = asked.unwrap_or_else(|| call.api.store.current_revision());
    let mut shape = Shape::new(call);
    if wants_state {
        let listing = call.api.store.list(id, namespace).await?;
        revision = listing.revision;
        for (_, stored) in listing.items.iter().filter(|(_, stored)| selectors.matches(&stored.object)) {
            first.push_back(shape.event("ADDED", &stored.object, stored.revision));
        }
        if initial == Some(true) {
            first.push_back(shape.bookmark(revision, true));
        }
    }
    let timeout = query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let bookmarks = query.flag("allowWatchBookmarks").then_some(call.api.options.bookmark_interval);
    let changes = match call.api.store.watch(id, namespace, revision).await {
        Ok(changes) => Some(changes),
        Err(error) => {
            close_reason(&error);
            first.push_back(error_event(&ApiError::from_watch(&error, revision)));
            None
        }
    };
    let (sender, receiver) = mpsc::channel(CHANNEL);
    let watcher = Watcher {
        shape,
        selectors,
        revision,
        bookmarks,
        timeout: timeout.unwrap_or(call.api.options.watch_timeout),
        write_timeout: call.api.options.watch_write_timeout,
        stop: call.api.options.stop.clone(),
        sender,
    };
    tokio::spawn(watcher.run(first, changes));
    Ok(response(receiver))
}

fn response(receiver: mpsc::Receiver<Bytes>) -> Response {
    let events = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|event| (Ok::<_, Infallible>(event), receiver))
    });
    let mut response = (StatusCode::OK, Body::from_stream(events)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

fn check_initial(initial: Option<bool>, rule: Option<&str>, bookmarks: bool) -> Result<(), ApiError> {
    let refused = |field: &str, why: &str| {
        Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[FieldError::forbidden(field, why)]))
    };
    match (initial, rule) {
        (None, Some(_)) => refused(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
        (Some(_), rule) if rule != Some("NotOlderThan") => refused(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (Some(true), _) if !bookmarks => {
            refused("sendInitialEvents", "sendInitialEvents requires setting allowWatchBookmarks to true")
        }
        _ => Ok(()),
    }
}

struct Watcher {
    shape: Shape,
    selectors: Selectors,
    /// Newest revision that the watch has passed.
    revision: u64,
    bookmarks: Option<Duration>,
    timeout: Duration,
    write_timeout: Duration,
    stop: CancellationToken,
    sender: mpsc::Sender<Bytes>,
}

impl Watcher {
    async fn run(mut self, first: VecDeque<Bytes>, changes: Option<ChangeStream>) {
        metrics::gauge!(names::WATCHES).increment(1.0);
        self.feed(first, changes).await;
        metrics::gauge!(names::WATCHES).decrement(1.0);
    }

    async fn feed(&mut self, first: VecDeque<Bytes>, changes: Option<ChangeStream>) {
        for event in first {
            if !self.send(event).await {
                return;
            }
        }
        let Some(mut changes) = changes else { return };
        let deadline = time::Instant::now() + self.timeout;
        let mut bookmark_at = self.bookmarks.map(|every| time::Instant::now() + every);
        loop {
            let wake = bookmark_at.map_or(deadline, |at| at.min(deadline));
            let next = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = self.sender.closed() => return,
                next = changes.next() => next,
                () = time::sleep_until(wake) => {
                    if time::Instant::now() >= deadline {
                        return;
                    }
                    bookmark_at = self.bookmarks.map(|every| time::Instant::now() + every);
                    let bookmark = self.shape.bookmark(self.revision, false);
                    if !self.send(bookmark).await {
                        return;
                    }
                    continue;
                }
            };
            match next {
                Some(Ok(change)) => {
                    self.revision = change.revision;
                    if let Some(event) = self.event(&change)
                        && !self.send(event).await
                    {
                        return;
                    }
                }
                Some(Err(error)) => {
                    close_reason(&error);
                    if let WatchError::Expired { .. } = error {
                        self.send(error_event(&ApiError::from_watch(&error, self.revision))).await;
                    }
                    return;
                }
                None => return,
            }
        }
    }

    /// Hands an event to the response; `false` when nobody reads it any more or the reader is too slow.
    async fn send(&self, event: Bytes) -> bool {
        match time::timeout(self.write_timeout, self.sender.send(event)).await {
            Ok(sent) => sent.is_ok(),
            Err(_) => {
                metrics::counter!(names::WATCHES_CLOSED, "reason" => "slow").increment(1);
                false
            }
        }
    }

    /// What a change means to a watcher who sees only what its selectors match.
    fn event(&mut self, change: &Change) -> Option<Bytes> {
        let matches = |object: &Option<std::sync::Arc<Value>>| {
            object.as_ref().filter(|object| self.selectors.matches(object)).cloned()
        };
        let (previous, current) = (matches(&change.previous), matches(&change.current));
        let (kind, object) = match (previous, current) {
            (None, Some(current)) => ("ADDED", current),
            (Some(_), Some(current)) => ("MODIFIED", current),
            (Some(previous), None) => ("DELETED", previous),
            (None, None) => return None,
        };
        Some(self.shape.event(kind, &object, change.revision))
    }
}

fn close_reason(error: &WatchError) {
    let reason = match error {
        WatchError::Expired { .. } => "expired",
        WatchError::Lagged => "lagged",
        WatchError::Unavailable { .. } => "unavailable",
    };
    metrics::counter!(names::WATCHES_CLOSED, "reason" => reason).increment(1);
}

fn error_event(error: &ApiError) -> Bytes {
    line(&json!({ "type": "ERROR", "object": error.to_json() }))
}

fn line(event: &Value) -> Bytes {
    let mut text = event.to_string();
    text.push('\n');
    Bytes::from(text)
}

/// Form of the objects in the events of one watch.
#[derive(Clone)]
struct Shape {
    api: Api,
    resource: std::sync::Arc<Resource>,
    output: Output,
    /// Only the first table names its columns.
    columns_sent: bool,
}

impl Shape {
    fn new(call: &Call) -> Self {
        Self {
            api: call.api.clone(),
            resource: call.resource.clone(),
            output: call.output,
            columns_sent: false,
        }
    }

    fn event(&mut self, kind: &str, object: &Value, revision: u64) -> Bytes {
        let shown = respond::with_version(object, revision);
        let object = match self.output.form {
            Form::Whole => shown,
            Form::Partial => table::partial(&shown),
            Form::Table => {
                let now = (self.api.options.clock)();
                let row = table::row(&shown, &self.resource, self.output.include, now);
                self.table(revision, vec![row])
            }
        };
        line(&json!({ "type": kind, "object": object }))
    }

    fn bookmark(&mut self, revision: u64, initial_end: bool) -> Bytes {
        let mut metadata = json!({ "resourceVersion": revision.to_string(), "creationTimestamp": null });
        if initial_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = match self.output.form {
            Form::Whole => {
                json!({ "kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": metadata })
            }
            Form::Partial => {
                json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata })
            }
            Form::Table => self.table(revision, Vec::new()),
        };
        line(&json!({ "type": "BOOKMARK", "object": object }))
    }

    fn table(&mut self, revision: u64, rows: Vec<Value>) -> Value {
        let columns = if self.columns_sent { Value::Null } else { table::columns(&self.resource) };
        self.columns_sent = true;
        json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": { "resourceVersion": revision.to_string() },
            "columnDefinitions": columns, "rows": rows })
    }
}
