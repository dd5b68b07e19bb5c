//! The API's objects: `object/<key>` holds the object's JSON, written at its own revision.

use ledge_schemas::kinds::Body;
use ledge_schemas::kinds::cluster::{ObjectDeleted, ObjectWritten};
use ledge_schemas::{EventRef, Position};

use super::{Applied, Rows};
use crate::log::StoreError;

/// Prefix of the rows.
pub const OBJECT: &str = "object/";

/// See [`super::apply`]. The row's body is the JSON itself.
pub fn apply(rows: &mut dyn Rows, at: Position, event: &EventRef<'_>) -> Result<Applied, StoreError> {
    let key = format!("{OBJECT}{}", event.key).into_bytes();
    if event.kind == ObjectWritten::KIND {
        let Ok(body) = ObjectWritten::from_body(event.body) else { return Ok(Applied::Poison) };
        let mut row = at.seq.0.to_le_bytes().to_vec();
        row.extend(body.object);
        rows.put(key, row)?;
    } else if event.kind == ObjectDeleted::KIND {
        rows.delete(key)?;
    } else {
        return Ok(Applied::Unknown);
    }
    Ok(Applied::Done)
}
