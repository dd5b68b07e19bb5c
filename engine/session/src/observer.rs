//! What a session tells whoever runs it.

use ledge_core::Row;
use ledge_core::sync::Note;
use ledge_schemas::Position;

/// Told of a session on its own task: must not block. Notes are counted and logged before it is told.
pub trait SessionObserver: Send {
    /// Frames may flow: the session has this number.
    fn live(&mut self, session: u64);

    /// Rows of `up` ahead of its history: show them until the view has passed `position`. Volatile: to be
    /// dropped when the session ends.
    fn overlay(&mut self, position: Position, rows: Vec<Row>);

    /// Something worth knowing.
    fn note(&mut self, note: &Note);
}
