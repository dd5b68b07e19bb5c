//! What all connections share: sessions, routes, retained messages.
//!
//! Locks are taken in one order, tables before a session's state, and never held across an await.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::config::BrokerConfig;
use super::retained::Retained;
use super::routes::{Routes, Wish};
use super::session::{Delivery, Kick, Line, Session, lock};
use crate::codec::{Filter, Will, reason};
use crate::handler::{Claim, Handler, Origin};
use crate::message::Message;
use crate::metric_definitions::REFUSED;
use crate::topic;

pub(crate) struct Hub {
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) config: BrokerConfig,
    tables: Mutex<Tables>,
    closed: AtomicBool,
    /// Number of the next client without an id of its own.
    anonymous: AtomicU64,
    /// Tells such ids of this run from those of others.
    run: u64,
}

#[derive(Default)]
struct Tables {
    sessions: HashMap<Arc<str>, Arc<Session>>,
    routes: Routes,
    retained: Retained,
}

/// A session with its new connection.
pub(crate) struct Opened {
    pub(crate) session: Arc<Session>,
    pub(crate) line: Arc<Line>,
    /// It existed before.
    pub(crate) present: bool,
    /// A will that the end of the former session made due.
    pub(crate) will: Option<Will>,
}

impl Hub {
    pub(crate) fn new(config: BrokerConfig, handler: Arc<dyn Handler>) -> Arc<Self> {
        let run = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
        Arc::new(Self {
            handler,
            config,
            tables: Mutex::default(),
            closed: AtomicBool::new(false),
            anonymous: AtomicU64::new(0),
            run,
        })
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// An id for a client that brought none.
    pub(crate) fn assign_id(&self) -> String {
        format!("ledge-{:x}-{:x}", self.run, self.anonymous.fetch_add(1, Ordering::Relaxed))
    }

    /// Keeps the message if it is retained, and queues it for every session that wants it, once each.
    pub(crate) fn publish(&self, message: &Arc<Message>) {
        let mut wanted: Vec<(Arc<Session>, Wish)> = Vec::new();
        {
            let mut tables = lock(&self.tables);
            if message.retain {
                tables.retained.keep(message, self.config.max_retained, self.config.max_retained_bytes);
            }
            tables.routes.find(&message.topic, &mut |session, wish| {
                if !(wish.no_local && message.from.as_ref() == Some(&session.id)) {
                    wanted.push((Arc::clone(session), *wish));
                }
            });
        }
        wanted.sort_unstable_by_key(|(session, _)| Arc::as_ptr(session));
        for group in wanted.chunk_by(|(one, _), (other, _)| Arc::ptr_eq(one, other)) {
            let best = group.iter().map(|(_, wish)| wish.qos).max().unwrap_or(0);
            let delivery = Delivery {
                message: Arc::clone(message),
                qos: best.min(message.qos),
                retain: message.retain && group.iter().any(|(_, wish)| wish.retain_as_published),
                identifiers: group.iter().filter_map(|(_, wish)| wish.identifier).collect(),
            };
            group[0].0.push(delivery, &self.config, false);
        }
    }

    /// Publishes for a client that is gone. What the handler refuses is lost with its client.
    pub(crate) async fn publish_will(&self, client: Arc<str>, will: Will) {
        let message = Message::will(will, Arc::clone(&client));
        match self.handler.classify(&message.topic) {
            Claim::Plain => {}
            Claim::Refused(why) => {
                metrics::counter!(REFUSED, "reason" => "topic").increment(1);
                tracing::warn!(client.id = %client, topic = %message.topic, why, "will refused");
                return;
            }
            Claim::Logged => {
                let origin = Origin { client_id: Arc::clone(&client), packet_id: None, dup: false };
                if let Err(error) = self.handler.publish(origin, message.incoming()).await {
                    tracing::warn!(client.id = %client, topic = %message.topic, %error, "will not taken");
                    return;
                }
            }
        }
        self.publish(&message);
    }

    /// Opens or resumes the session of `id`, and cuts off the connection that holds it. `ephemeral` sessions
    /// end with their connection. `Err` is a reason code.
    pub(crate) fn open(&self, id: &str, clean: bool, ephemeral: bool) -> Result<Opened, u8> {
        let mut tables = lock(&self.tables);
        let line = Arc::new(Line::default());
        let mut will = None;
        if let Some(held) = tables.sessions.get(id).cloned() {
            let mut state = held.state();
            if let Some(old) = state.line.take() {
                old.kick(Kick::TakenOver);
            }
            if !clean && !state.ephemeral && state.ends_at.is_none_or(|at| at > Instant::now()) {
                state.line = Some(Arc::clone(&line));
                state.ephemeral = ephemeral;
                state.ends_at = None;
                state.will = None;
                state.flights.iter_mut().for_each(|flight| flight.sent = false);
                drop(state);
                return Ok(Opened { session: held, line, present: true, will: None });
            }
            will = state.will.take().map(|(_, will)| will);
            drop(state);
            tables.end(&held);
        }
        if tables.sessions.len() >= self.config.max_sessions {
            return Err(reason::QUOTA);
        }
        let session = Session::new(id.into());
        {
            let mut state = session.state();
            state.line = Some(Arc::clone(&line));
            state.ephemeral = ephemeral;
        }
        tables.sessions.insert(Arc::clone(&session.id), Arc::clone(&session));
        Ok(Opened { session, line, present: false, will })
    }

    /// A connection is over. Keeps the session for `expiry`, with a will that is not due yet. Does nothing
    /// if another connection has the session by now.
    pub(crate) fn leave(
        &self,
        session: &Arc<Session>,
        line: &Arc<Line>,
        expiry: Duration,
        will: Option<Will>,
    ) {
        let mut tables = lock(&self.tables);
        let mut state = session.state();
        if !state.line.as_ref().is_some_and(|held| Arc::ptr_eq(held, line)) {
            return;
        }
        state.line = None;
        if expiry.is_zero() {
            drop(state);
            tables.end(session);
            return;
        }
        let now = Instant::now();
        state.ends_at = now.checked_add(expiry);
        state.will = will.map(|will| (now + Duration::from_secs(will.delay.into()).min(expiry), will));
    }

    /// Ends sessions whose time has come and returns the wills that are due.
    pub(crate) fn tidy(&self) -> Vec<(Arc<str>, Will)> {
        let now = Instant::now();
        let mut due = Vec::new();
        let mut tables = lock(&self.tables);
        tables.retained.forget_expired();
        let all: Vec<_> = tables.sessions.values().cloned().collect();
        for session in all {
            let mut state = session.state();
            let over = state.line.is_none() && state.ends_at.is_some_and(|at| at <= now);
            if let Some((_, will)) = state.will.take_if(|(at, _)| over || *at <= now) {
                due.push((Arc::clone(&session.id), will));
            }
            drop(state);
            if over {
                tables.end(&session);
            }
        }
        due
    }

    /// Subscribes, and queues the retained messages that this calls for. Returns the `SUBACK` code.
    pub(crate) fn subscribe(&self, session: &Arc<Session>, filter: &Filter, identifier: Option<u32>) -> u8 {
        if filter.filter.starts_with("$share/") {
            return reason::NO_SHARED_SUBSCRIPTIONS;
        }
        if !topic::is_filter(&filter.filter) {
            return reason::FILTER_INVALID;
        }
        let wish = Wish {
            qos: filter.qos.min(1),
            no_local: filter.no_local,
            retain_as_published: filter.retain_as_published,
            identifier,
        };
        let mut tables = lock(&self.tables);
        let mut state = session.state();
        if state.line.is_none() {
            return reason::UNSPECIFIED;
        }
        let is_new = !state.filters.contains_key(&*filter.filter);
        if is_new && state.filters.len() >= self.config.max_filters {
            return reason::QUOTA;
        }
        state.filters.insert(filter.filter.as_str().into(), wish);
        drop(state);
        tables.routes.insert(&filter.filter, session, wish);
        let retained = match filter.retain_handling {
            0 => tables.retained.matching(&filter.filter),
            1 if is_new => tables.retained.matching(&filter.filter),
            _ => Vec::new(),
        };
        drop(tables);
        for message in retained {
            let qos = wish.qos.min(message.qos);
            let delivery =
                Delivery { message, qos, retain: true, identifiers: identifier.into_iter().collect() };
            session.push(delivery, &self.config, true);
        }
        wish.qos
    }

    /// Returns the `UNSUBACK` code.
    pub(crate) fn unsubscribe(&self, session: &Arc<Session>, filter: &str) -> u8 {
        let mut tables = lock(&self.tables);
        if session.state().filters.remove(filter).is_none() {
            return reason::NO_SUBSCRIPTION;
        }
        tables.routes.remove(filter, session);
        reason::SUCCESS
    }
}

impl Tables {
    fn end(&mut self, session: &Arc<Session>) {
        let filters = std::mem::take(&mut session.state().filters);
        for filter in filters.keys() {
            self.routes.remove(filter, session);
        }
        if self.sessions.get(&session.id).is_some_and(|held| Arc::ptr_eq(held, session)) {
            self.sessions.remove(&session.id);
        }
    }
}
