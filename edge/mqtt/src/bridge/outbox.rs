//! Published messages that the external broker has not acknowledged: they outlive connections.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::message::Message;

/// Identifiers run below the one that the bridge subscribes with.
pub(super) const SUBSCRIBE_ID: u16 = u16::MAX;

pub(super) struct Flight {
    pub(super) id: u16,
    pub(super) message: Arc<Message>,
    /// Sent on this connection.
    pub(super) sent: bool,
    /// Sent before, in a session that the broker still has.
    pub(super) dup: bool,
}

#[derive(Default)]
pub(super) struct Outbox {
    pub(super) flights: VecDeque<Flight>,
    last_id: u16,
}

impl Outbox {
    pub(super) fn launch(&mut self, message: Arc<Message>) {
        // Ends: the window is far smaller than the number of identifiers.
        loop {
            self.last_id = if self.last_id == SUBSCRIBE_ID - 1 { 1 } else { self.last_id + 1 };
            if !self.flights.iter().any(|flight| flight.id == self.last_id) {
                break;
            }
        }
        self.flights.push_back(Flight { id: self.last_id, message, sent: false, dup: false });
    }

    pub(super) fn land(&mut self, id: u16) {
        if let Some(at) = self.flights.iter().position(|flight| flight.id == id) {
            self.flights.remove(at);
        }
    }

    /// On a new connection everything is sent again, in order; as a duplicate only to a broker that kept
    /// the session (4.4 of MQTT 3.1.1).
    pub(super) fn reconnected(&mut self, session_present: bool) {
        for flight in &mut self.flights {
            flight.dup = session_present && (flight.sent || flight.dup);
            flight.sent = false;
        }
    }

    pub(super) fn is_all_sent(&self) -> bool {
        self.flights.back().is_none_or(|flight| flight.sent)
    }
}
