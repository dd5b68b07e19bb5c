//! What happens in the background: dependents of deleted owners go, namespaces that are being deleted are emptied.
//!
//! ```text
//! list everything ─► graph ◄─ changes (one watch per resource)
//!                      └─► keys to look at ─► collect: compare with the store, write the difference
//! ```
//!
//! The graph only says where to look; every decision is made on what the store says, and written only if the object has
//! not changed since. So it does no harm if several replicas run it. After an error everything is listed again.

mod collect;
mod graph;

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream::select_all};
use tokio_util::sync::CancellationToken;

use crate::{api::Api, metadata, status::ApiError};
use graph::Graph;

/// Time until what did not succeed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Runs until `stop`: deletes what lost its owners and what is in namespaces that are being deleted.
pub async fn run_controllers(api: Api, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            result = follow(&api) => {
                if let Err(error) = result {
                    tracing::warn!(error = %error.message(), "background deletion lists everything again");
                }
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// Follows all changes until a watch ends.
async fn follow(api: &Api) -> Result<(), ApiError> {
    let mut graph = Graph::default();
    let mut queue = BTreeSet::new();
    let mut streams = Vec::new();
    for resource in api.registry.resources() {
        let listing = api.store.list(&resource.id, None).await?;
        let changes = api.store.watch(&resource.id, None, listing.revision).await;
        streams.push(changes.map_err(|error| ApiError::from_watch(&error, listing.revision))?);
        for (key, stored) in listing.items {
            graph.put(&key, &stored.object);
            queue.insert(key);
        }
    }
    let mut changes = select_all(streams);
    loop {
        let waiting = std::mem::take(&mut queue);
        for key in waiting {
            if let Err(error) = collect::look_at(api, &graph, &key).await {
                tracing::debug!(object = %key, error = %error.message(), "background deletion tries again");
                queue.insert(key);
            }
        }
        let retry = async {
            if queue.is_empty() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(RETRY).await;
        };
        tokio::select! {
            biased;
            change = changes.next() => {
                let Some(change) = change else { return Ok(()) };
                let change = change.map_err(|error| ApiError::from_watch(&error, 0))?;
                queue.extend(graph.concerned(&change));
                match &change.current {
                    Some(object) => graph.put(&change.key, object),
                    None => graph.remove(&change.key),
                }
                queue.retain(|key| graph.contains(key));
            }
            () = retry => {}
        }
    }
}

/// The finalizers of `object` without `name`.
fn finalizers_without(object: &serde_json::Value, name: &str) -> Vec<String> {
    metadata::finalizers(object).into_iter().filter(|one| *one != name).map(str::to_owned).collect()
}
