//! What is seen of a session while it runs.

use ledge_core::Row;
use ledge_core::log::StoreError;
use ledge_core::sync::{CloudSession, Input, Message, Note, Output, Session, SessionLog};
use ledge_schemas::Position;
use ledge_session::SessionObserver;

use super::sessions::Connection;

/// A session that tells how far it is after each step.
pub(super) struct Tracked {
    session: CloudSession,
    connection: Connection,
}

impl Tracked {
    pub(super) fn new(session: CloudSession, connection: Connection) -> Self {
        Self { session, connection }
    }
}

impl Session for Tracked {
    fn on(
        &mut self,
        now_ms: u64,
        wall_ms: u64,
        input: Input,
        log: &dyn SessionLog,
    ) -> Result<Vec<Output>, StoreError> {
        if let Input::Message(Message::Hello(hello)) = &input {
            self.connection.says(hello.up.head);
        }
        let out = self.session.on(now_ms, wall_ms, input, log);
        if self.session.is_live()
            && let Some(acked) = self.session.down_acked()
        {
            self.connection.acknowledged(acked);
        }
        out
    }
}

/// Hands what the driver tells to the registry of sessions.
pub(super) struct Observer {
    connection: Connection,
}

impl Observer {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }
}

impl SessionObserver for Observer {
    fn live(&mut self, session: u64) {
        self.connection.live(session);
    }

    fn overlay(&mut self, position: Position, rows: Vec<Row>) {
        self.connection.overlay(position, rows);
    }

    /// Counted and logged by the driver already.
    fn note(&mut self, _: &Note) {}
}
