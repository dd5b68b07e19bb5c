//! The namespaces that are there from the first start, and the identity that one of them carries.

use ledge_core::journal::{Draft, Txn};
use ledge_core::log::{Store, StoreError};
use ledge_schemas::kinds::cluster::ObjectWritten;
use ledge_schemas::projection::{ObjectKey, canonical};
use ledge_schemas::{LogId, StreamId};
use serde_json::json;

use crate::clock;

/// The namespace whose UID names the authority.
pub const KUBE_SYSTEM: &str = "kube-system";

/// Writes `default` and `kube-system`; the UID of the latter is the store's id.
pub fn create_first<S: Store>(txn: &mut Txn<'_, S>, store_id: LogId) -> Result<(), StoreError> {
    for (name, uid) in [("default", uuid(rand::random())), (KUBE_SYSTEM, uuid(store_id.0))] {
        let object = canonical(&json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "uid": uid,
                "creationTimestamp": clock::rfc3339(txn.now_ms()),
                "labels": { "kubernetes.io/metadata.name": name },
            },
            "spec": { "finalizers": ["kubernetes"] },
            "status": { "phase": "Active" },
        }));
        let key = ObjectKey::new("", "namespaces", "", name).to_string();
        let draft = Draft::new(key, &ObjectWritten { object, previous: None })
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        txn.append(&StreamId::Cluster, draft)?;
    }
    Ok(())
}

/// 16 bytes as UUID text.
#[must_use]
pub fn uuid(id: [u8; 16]) -> String {
    let hex = hex::encode(id);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A random UUID, version 4.
#[must_use]
pub fn random_uuid() -> String {
    let mut id: [u8; 16] = rand::random();
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    uuid(id)
}
