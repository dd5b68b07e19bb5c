//! What the session tells of itself.

use std::sync::Arc;

use ledge_core::Row;
use ledge_core::sync::Note;
use ledge_schemas::Position;
use ledge_session::SessionObserver;
use tokio::sync::watch;

use super::HubState;

pub(super) struct Observer {
    pub(super) state: Arc<watch::Sender<HubState>>,
}

impl SessionObserver for Observer {
    fn live(&mut self, session: u64) {
        self.state.send_modify(|state| state.live(session));
    }

    /// Only the cloud is sent rows ahead of their history.
    fn overlay(&mut self, _: Position, _: Vec<Row>) {}

    fn note(&mut self, note: &Note) {
        if let Note::ClockOffset(offset) = note {
            self.state.send_modify(|state| state.clock_offset_ms = *offset);
        }
    }
}
