//! Recovering: nothing leaves any node, what only nodes still have comes back into the API, and an
//! operator ends it after seeing what goes.

use std::collections::BTreeMap;

use ledge_core::desired::{Outcome, Standing};
use ledge_core::log::Reader;
use ledge_core::log::StoreError;
use ledge_core::sync::commands::cloud::{is_recovering, record};
use ledge_core::view::{down, row};
use ledge_log::{Class, WriteError};
use ledge_schemas::kinds::control::{AuthorityBound, RecoveringAccepted};
use ledge_schemas::projection::ObjectKey;
use ledge_schemas::{NodeName, Position, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::DeviceController;
use super::client::{Kind, create, status_code};
use super::desired::{Scope, parse_key};
use super::devices::{Inner, append, standing};
use crate::records;

/// Annotation that names the node and `down` position that an imported object came from.
const RECOVERED_FROM: &str = "ledge.dev/recovered-from";
const CONTROLLER: &str = "recovery";

/// An object that would leave a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldObject {
    /// The node.
    pub node: String,
    /// Its key: `<plural>[.<group>]/<namespace>/<name>`.
    pub object: String,
    /// Why it stays until someone accepts.
    pub held: String,
}

/// What accepting would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// Why nothing may be removed, if so.
    pub recovering: Option<String>,
    /// What would be removed where.
    pub removals: Vec<HeldObject>,
    /// Whether it was done.
    pub accepted: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// What is wanted is not known.
    #[error("the controllers have not read the whole API yet; try again in a moment")]
    NotComplete,
    /// The log says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The writer says no.
    #[error(transparent)]
    Write(#[from] WriteError<StoreError>),
}

impl DeviceController {
    /// What leaves which node if an operator accepts the API's objects as the truth; with `accept` it is
    /// done, in one commit.
    pub async fn recover(&self, accept: bool) -> Result<Preview, RecoverError> {
        let inner = &self.inner;
        let uid =
            inner.authority().filter(|_| inner.desired().is_complete()).ok_or(RecoverError::NotComplete)?;
        let reason = records::recovering(&inner.log.reader)?.map(|row| row.reason);
        let mut plans = Vec::new();
        for (node, _) in records::nodes(&inner.log.reader)? {
            if inner.log.reader.head(&StreamId::Down(node.clone()))?.is_some() {
                plans.push((node.clone(), inner.plan(&node, &Scope::All)?));
            }
        }
        let decided = inner.log.writer.write(Class::Configuration, move |txn| {
            let now = standing(txn, Some(&uid), false)?;
            let then = Standing { accepted: true, ..now };
            let mut decided: Vec<(NodeName, Outcome, Outcome)> = Vec::new();
            for (node, plan) in &plans {
                let (without, with) = (plan.decide(txn, node, now)?, plan.decide(txn, node, then)?);
                if accept {
                    append(txn, node, &with)?;
                }
                decided.push((node.clone(), without, with));
            }
            if accept {
                if is_recovering(txn)? {
                    record(txn, "", &RecoveringAccepted {})?;
                }
                if !now.same_authority {
                    record(txn, "", &AuthorityBound { uid })?;
                }
            }
            Ok(decided)
        });
        let mut removals = Vec::new();
        for (node, without, with) in decided.await? {
            for (object, ..) in &with.removals {
                let held = without.held.get(object).map_or("", |held| held.name()).to_owned();
                removals.push(HeldObject { node: node.to_string(), object: object.clone(), held });
            }
            if accept {
                inner.passed(&node, &Scope::All, with);
            }
        }
        if accept {
            tracing::warn!(removed = removals.len(), "an operator accepted the API's objects as the truth");
        }
        Ok(Preview { recovering: reason, removals, accepted: accept })
    }
}

impl Inner {
    /// Brings what only the node has back into the API. Its deletion, if there was one, is not undone.
    pub(super) async fn import(&self, node: &NodeName, keys: Vec<String>) {
        let missing: Vec<String> = {
            let desired = self.desired();
            keys.into_iter().filter(|key| !desired.has(key) && !desired.is_deleted(node, key)).collect()
        };
        // Models come before the devices that refer to them: keys ascend.
        for key in missing {
            let Some((name, kind)) = parse_key(&key).and_then(|name| Some((name.clone(), Kind::of(&name)?)))
            else {
                continue;
            };
            match self.import_one(node, &key, &name, kind).await {
                Ok(true) => tracing::warn!(%node, object = %key, "imported an object that only the node had"),
                Ok(false) => {}
                Err(why) => tracing::error!(%node, object = %key, error = %why, "cannot import"),
            }
        }
    }

    async fn import_one(
        &self,
        node: &NodeName,
        key: &str,
        name: &ObjectKey,
        kind: Kind,
    ) -> Result<bool, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let stream = StreamId::Down(node.clone());
        let epoch = self.log.reader.head(&stream).map_err(|e| text(&e))?.map(|head| head.base.epoch);
        let row = self.log.reader.row(&stream, &down::object_key(key)).map_err(|e| text(&e))?;
        let (Some(epoch), Some(row)) = (epoch, row) else { return Ok(false) };
        let (seq, body) = row::split(&row).map_err(|e| text(&e))?;
        let object: Value = serde_json::from_slice(body).map_err(|e| text(&e))?;
        let object = imported(object, &format!("{node}/{}", Position { epoch, seq }));
        let api = self.client.namespaced(kind, &name.namespace);
        match create(&api, CONTROLLER, object.clone()).await {
            Ok(()) => Ok(true),
            Err(error) if status_code(&error) == Some(409) => Ok(false),
            Err(error) if status_code(&error) == Some(404) => {
                let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name.namespace } });
                create(&self.client.all(Kind::Namespace), CONTROLLER, namespace)
                    .await
                    .map_err(|e| text(&e))?;
                create(&api, CONTROLLER, object).await.map(|()| true).map_err(|e| text(&e))
            }
            Err(error) => Err(text(&error)),
        }
    }
}

/// The object as it is created again: without what the lost server gave it, and with its origin.
fn imported(mut object: Value, origin: &str) -> Value {
    let metadata = object.get("metadata").and_then(Value::as_object);
    let mut kept: BTreeMap<&str, Value> = BTreeMap::new();
    for field in ["name", "namespace", "labels", "annotations"] {
        kept.extend(metadata.and_then(|metadata| metadata.get(field)).map(|value| (field, value.clone())));
    }
    let mut metadata = json!(kept);
    metadata["annotations"][RECOVERED_FROM] = json!(origin);
    object["metadata"] = metadata;
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_imported_object_says_where_it_came_from() {
        let lost = json!({"kind": "Device", "spec": {"nodeName": "oslo"}, "metadata": {
            "name": "a", "namespace": "dev", "uid": "old", "generation": 3, "labels": {"x": "y"}}});
        assert_eq!(
            imported(lost, "oslo/1:7"),
            json!({"kind": "Device", "spec": {"nodeName": "oslo"}, "metadata": {
                "name": "a", "namespace": "dev", "labels": {"x": "y"},
                "annotations": {"ledge.dev/recovered-from": "oslo/1:7"}}})
        );
    }
}
