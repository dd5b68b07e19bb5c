//! What the broker keeps for one client id: subscriptions, what waits to be delivered, what is in flight.
//!
//! ```text
//!   Hub::publish ──push──► queue ──take──► in flight (QoS 1, a window) ──PUBACK──► gone
//!                            │ full: the oldest QoS 0 goes; else a connected client is cut off,
//!                            └ and the message is dropped                          (all counted)
//! ```

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::config::BrokerConfig;
use super::routes::Wish;
use crate::codec::Will;
use crate::message::Message;
use crate::metric_definitions::DROPPED;

/// One message for one subscriber.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    /// 0 or 1.
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// Identifiers of the v5 subscriptions that asked for it.
    pub(crate) identifiers: Vec<u32>,
}

/// A QoS 1 delivery that is not acknowledged.
pub(crate) struct Flight {
    pub(crate) id: u16,
    pub(crate) delivery: Delivery,
    /// Sent on this connection.
    pub(crate) sent: bool,
}

/// Why the broker ends a connection from outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kick {
    TakenOver,
    SlowConsumer,
}

/// How the rest of the broker reaches an open connection.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) wake: Notify,
    kicked: Mutex<Option<Kick>>,
}

impl Line {
    pub(crate) fn kick(&self, why: Kick) {
        lock(&self.kicked).get_or_insert(why);
        self.wake.notify_one();
    }

    pub(crate) fn kicked(&self) -> Option<Kick> {
        *lock(&self.kicked)
    }
}

/// A panic while a lock was held is a bug that its own task has reported; the data is still whole, since
/// nothing here is left half done across a call that can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Session {
    pub(crate) id: Arc<str>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    /// The open connection, if there is one.
    pub(crate) line: Option<Arc<Line>>,
    /// It ends with its connection.
    pub(crate) ephemeral: bool,
    queue: VecDeque<Delivery>,
    queued_bytes: usize,
    queued_qos0: usize,
    pub(crate) flights: VecDeque<Flight>,
    last_id: u16,
    /// QoS 2 messages taken and not yet released by their client.
    pub(crate) received: HashSet<u16>,
    pub(crate) filters: HashMap<Box<str>, Wish>,
    /// When a session without a connection ends; `None` while connected, or for never.
    pub(crate) ends_at: Option<Instant>,
    /// A will that waits for its delay.
    pub(crate) will: Option<(Instant, Will)>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(id: Arc<str>) -> Arc<Self> {
        Arc::new(Self { id, state: Mutex::default() })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Queues a delivery and wakes the connection. `patient` queues (retained messages for a new
    /// subscription) never cost a client its connection.
    pub(crate) fn push(&self, delivery: Delivery, config: &BrokerConfig, patient: bool) {
        let mut state = self.state();
        if state.line.is_none() && delivery.qos == 0 {
            return;
        }
        let weight = delivery.message.weight();
        while state.queue.len() >= config.max_queued_messages
            || state.queued_bytes.saturating_add(weight) > config.max_queued_bytes
        {
            metrics::counter!(DROPPED, "reason" => "queue_full").increment(1);
            if state.drop_oldest_qos0() {
                continue;
            }
            if delivery.qos > 0
                && !patient
                && let Some(line) = &state.line
            {
                line.kick(Kick::SlowConsumer);
            }
            return;
        }
        state.queued_bytes += weight;
        state.queued_qos0 += usize::from(delivery.qos == 0);
        state.queue.push_back(delivery);
        if let Some(line) = &state.line {
            line.wake.notify_one();
        }
    }
}

impl State {
    fn drop_oldest_qos0(&mut self) -> bool {
        if self.queued_qos0 == 0 {
            return false;
        }
        let Some(at) = self.queue.iter().position(|delivery| delivery.qos == 0) else {
            return false;
        };
        if let Some(dropped) = self.queue.remove(at) {
            self.forget(&dropped);
        }
        true
    }

    fn forget(&mut self, delivery: &Delivery) {
        self.queued_bytes -= delivery.message.weight();
        self.queued_qos0 -= usize::from(delivery.qos == 0);
    }

    /// The next delivery, unless it is QoS 1 and the window of `window` flights is full. Expired ones go.
    pub(crate) fn take(&mut self, window: usize) -> Option<Delivery> {
        while let Some(next) = self.queue.front() {
            let expired = next.message.expired();
            if !expired && next.qos > 0 && self.flights.len() >= window {
                return None;
            }
            let next = self.queue.pop_front()?;
            self.forget(&next);
            if !expired {
                return Some(next);
            }
            metrics::counter!(DROPPED, "reason" => "expired").increment(1);
        }
        None
    }

    /// Puts a QoS 1 delivery in flight and returns its packet identifier.
    pub(crate) fn launch(&mut self, delivery: Delivery) -> u16 {
        // Ends: the window is far smaller than the number of identifiers.
        loop {
            self.last_id = if self.last_id == u16::MAX { 1 } else { self.last_id + 1 };
            if !self.flights.iter().any(|flight| flight.id == self.last_id) {
                break;
            }
        }
        self.flights.push_back(Flight { id: self.last_id, delivery, sent: true });
        self.last_id
    }

    /// The client has it.
    pub(crate) fn land(&mut self, id: u16) {
        if let Some(at) = self.flights.iter().position(|flight| flight.id == id) {
            self.flights.remove(at);
        }
    }
}
