//! The three kinds of patch, applied to an object in memory.

pub(crate) mod strategic;

use serde_json::Value;

use crate::schema::Schema;

/// Most operations of one JSON patch.
const MAX_OPERATIONS: usize = 10_000;

/// Media type of a JSON patch (RFC 6902).
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
/// Media type of a merge patch (RFC 7386).
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
/// Media type of a strategic merge patch.
pub(crate) const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";

/// A patch, read.
#[derive(Clone, Debug)]
pub(crate) enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7386.
    Merge(Value),
    /// Kubernetes' own, guided by the schema.
    Strategic(Value),
}

/// Why a patch cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatchError {
    /// It cannot be read.
    #[error("error decoding patch: {0}")]
    Decode(String),
    /// It does not fit the object.
    #[error("{0}")]
    Apply(String),
    /// More operations than are allowed.
    #[error("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {0}")]
    TooMany(usize),
}

impl Patch {
    /// Reads a patch of the given media type; `None` for a media type that is no patch.
    pub(crate) fn read(media_type: &str, body: &[u8]) -> Option<Result<Self, PatchError>> {
        let decode = |error: serde_json::Error| PatchError::Decode(error.to_string());
        let object = || match serde_json::from_slice::<Value>(body) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err(PatchError::Decode("the patch must be an object".to_owned())),
            Err(error) => Err(decode(error)),
        };
        Some(match media_type {
            JSON_PATCH => match serde_json::from_slice::<json_patch::Patch>(body) {
                Ok(patch) if patch.0.len() > MAX_OPERATIONS => Err(PatchError::TooMany(patch.0.len())),
                Ok(patch) => Ok(Self::Json(patch)),
                Err(error) => Err(decode(error)),
            },
            MERGE_PATCH => object().map(Self::Merge),
            STRATEGIC_PATCH => object().map(Self::Strategic),
            _ => return None,
        })
    }

    /// The object after the patch.
    pub(crate) fn apply(&self, object: &Value, schema: &Schema) -> Result<Value, PatchError> {
        let mut patched = object.clone();
        match self {
            Self::Json(patch) => {
                json_patch::patch(&mut patched, patch)
                    .map_err(|error| PatchError::Apply(error.to_string()))?;
            }
            Self::Merge(patch) => json_patch::merge(&mut patched, patch),
            Self::Strategic(patch) => return strategic::apply(patched, patch, schema),
        }
        Ok(patched)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(media_type: &str, patch: Value, expected: Option<Value>) {
        let object = json!({ "a": { "b": 1, "c": [1, 2] } });
        let patch = Patch::read(media_type, patch.to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(patch.apply(&object, &Schema::anything()).ok(), expected);
    }

    #[test]
    fn json_patches() {
        check(
            JSON_PATCH,
            json!([{ "op": "add", "path": "/a/c/-", "value": 3 }]),
            Some(json!({ "a": { "b": 1, "c": [1, 2, 3] } })),
        );
        check(JSON_PATCH, json!([{ "op": "remove", "path": "/a/b" }]), Some(json!({ "a": { "c": [1, 2] } })));
        check(JSON_PATCH, json!([{ "op": "test", "path": "/a/b", "value": 2 }]), None);
        check(JSON_PATCH, json!([{ "op": "replace", "path": "/x", "value": 2 }]), None);
    }

    #[test]
    fn merge_patches() {
        check(MERGE_PATCH, json!({ "a": { "b": null, "c": [9] } }), Some(json!({ "a": { "c": [9] } })));
    }

    #[test]
    fn what_is_not_a_patch_is_refused() {
        assert!(Patch::read("application/json", b"{}").is_none());
        assert!(Patch::read(MERGE_PATCH, b"[1]").unwrap().is_err());
        assert!(Patch::read(STRATEGIC_PATCH, b"{").unwrap().is_err());
        assert!(Patch::read(JSON_PATCH, br#"[{"op":"fly","path":"/a"}]"#).unwrap().is_err());
        let many: Vec<Value> =
            (0..=MAX_OPERATIONS).map(|_| json!({ "op": "remove", "path": "/a" })).collect();
        assert!(Patch::read(JSON_PATCH, json!(many).to_string().as_bytes()).unwrap().is_err());
    }

    proptest! {
        #[test]
        fn no_patch_panics(body in r#"[\[\]{}":,a-z$/0-9-]{0,60}"#, path in "[/~0-9a-z-]{0,12}") {
            let object = json!({ "a": { "b": 1, "c": [1, 2] } });
            let made = json!([{ "op": "add", "path": path, "value": 1 }, { "op": "move", "from": path, "path": "/a" }]).to_string();
            for media_type in [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH] {
                for text in [&body, &made] {
                    if let Some(Ok(patch)) = Patch::read(media_type, text.as_bytes()) {
                        let _ = patch.apply(&object, &Schema::anything());
                    }
                }
            }
        }
    }
}
