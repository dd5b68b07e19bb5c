//! Objects of `down` and `cluster`.

use ledge_schemas::kinds::cluster::{ObjectDeleted, ObjectWritten};
use ledge_schemas::kinds::down::{ObjectPut, ObjectRemoved, RemovalReason};

use crate::json::Fields;

pub(super) fn object(bytes: &[u8]) -> Fields {
    Fields::default().stored("object", "objectHex", bytes)
}

pub(super) fn put(body: ObjectPut) -> Fields {
    object(&body.object)
}

pub(super) fn removed(body: ObjectRemoved) -> Fields {
    let reason = match body.reason {
        RemovalReason::Deleted => "deleted",
        RemovalReason::Moved => "moved",
        RemovalReason::Unlisted => "unlisted",
        RemovalReason::Accepted => "accepted",
    };
    Fields::default().with("reason", &reason)
}

pub(super) fn written(body: ObjectWritten) -> Fields {
    Fields::default().maybe("previous", body.previous.as_ref()).stored("object", "objectHex", &body.object)
}

pub(super) fn deleted(body: ObjectDeleted) -> Fields {
    Fields::default().maybe("previous", body.previous.as_ref()).stored("object", "objectHex", &body.object)
}
