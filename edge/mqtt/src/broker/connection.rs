//! One client's connection, from its session to its end.
//!
//! ```text
//!   socket ──decode──► publish ──Intake──► handler ──► settle ──► Hub::publish, PUBACK ─┐
//!     ▲  (not read while the window is full or the handler is busy)                     │
//!     └──────────── flush, once per batch ◄── write buffer ◄── pump ◄── session's queue ┘
//! ```
//!
//! One task, one loop: [`Connection::work`] does all that can be done now, and what is left waits in one
//! `select`.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::end::End;
use super::handshake::session_expiry;
use super::hub::{Hub, Opened};
use super::session::{Delivery, Line, Session, State};
use crate::codec::encode::{self, Outgoing};
use crate::codec::{CodecError, Connect, Packet, Publish, Subscribe, Version, Will, reason};
use crate::handler::{Claim, Origin, Refusal};
use crate::intake::{Intake, Settled};
use crate::message::Message;
use crate::metric_definitions::{DELIVERED, DROPPED, RECEIVED, REFUSED};
use crate::socket::{Next, Socket};

/// How often a quiet connection gives its buffers back.
const TIDY: Duration = Duration::from_secs(30);
/// How long the last bytes may take to a peer that is being disconnected.
const FINISH: Duration = Duration::from_secs(1);
/// QoS 2 messages that a 3.1.1 client may leave unreleased; a v5 client is told its receive maximum.
const MAX_UNRELEASED: usize = 4_096;

pub(crate) struct Connection {
    hub: Arc<Hub>,
    socket: Socket,
    version: Version,
    session: Arc<Session>,
    line: Arc<Line>,
    intake: Intake,
    /// QoS 2 messages that are with the handler, by packet id.
    unsettled: HashSet<u16>,
    send_window: usize,
    /// Largest packet that the client takes, bytes.
    client_max: usize,
    keep_alive: Option<Duration>,
    will: Option<Will>,
    /// Seconds that the session outlives this connection.
    expiry: u32,
    last_heard: Instant,
    /// Nothing has been written since, though something is unsent.
    stalled_since: Option<Instant>,
    paused_until: Option<Instant>,
}

/// Why decoding stopped.
enum Stop {
    /// Everything whole is decoded.
    Empty,
    /// The next packet is a message that has to wait for its turn with the handler.
    Blocked,
    /// The client has to read first.
    Congested,
}

impl Connection {
    pub(crate) fn new(hub: Arc<Hub>, socket: Socket, connect: Connect, opened: Opened) -> Self {
        let retries = connect.version == Version::V4;
        Self {
            intake: Intake::new(Arc::clone(&hub.handler), retries),
            version: connect.version,
            session: opened.session,
            line: opened.line,
            unsettled: HashSet::new(),
            send_window: usize::from(hub.config.send_window.min(connect.receive_maximum)),
            client_max: connect.maximum_packet as usize,
            keep_alive: (connect.keep_alive > 0)
                .then(|| Duration::from_millis(u64::from(connect.keep_alive) * 1_500)),
            expiry: session_expiry(&hub, &connect),
            will: connect.will,
            last_heard: Instant::now(),
            stalled_since: None,
            paused_until: None,
            hub,
            socket,
        }
    }

    /// Serves the client until one of both leaves, sees its messages through, and leaves the session.
    pub(crate) async fn run(mut self, stop: &CancellationToken) -> End {
        let end = self.serve(stop).await;
        self.intake.stop_retrying();
        let until = Instant::now() + self.hub.config.drain_timeout;
        if !matches!(end, End::Shutdown) {
            self.say_goodbye(&end).await;
        }
        while let Some(settled) = self.intake.next_before(until).await {
            // A refusal cannot end a connection that has ended.
            let _refused = self.settle(settled);
        }
        if matches!(end, End::Shutdown) {
            self.say_goodbye(&end).await;
        }
        let will = self.will.take().filter(|_| end.wants_will());
        let (now, later) = match will {
            Some(will) if will.delay == 0 || self.expiry == 0 => (Some(will), None),
            // Resumed already, which is what the delay was for.
            Some(_) if matches!(end, End::TakenOver) => (None, None),
            later => (None, later),
        };
        let expiry = Duration::from_secs(self.expiry.into());
        self.hub.leave(&self.session, &self.line, expiry, later);
        if let Some(will) = now {
            self.hub.publish_will(Arc::clone(&self.session.id), will).await;
        }
        end
    }

    async fn say_goodbye(&mut self, end: &End) {
        if let (Some(code), Version::V5) = (end.code(), self.version) {
            encode::disconnect(&mut self.socket.output, self.version, code);
        }
        self.socket.finish(FINISH).await;
    }

    async fn serve(&mut self, stop: &CancellationToken) -> End {
        let mut timer = std::pin::pin!(sleep_until(self.deadline()));
        loop {
            let may_read = match self.work() {
                Ok(may_read) => may_read,
                Err(end) => return end,
            };
            let deadline = self.deadline();
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            let step = tokio::select! {
                biased;
                () = stop.cancelled() => Err(End::Shutdown),
                () = self.line.wake.notified() => Ok(()),
                settled = self.intake.next() => self.settle(settled),
                ready = self.socket.ready(may_read) => match ready {
                    Ok(()) if may_read => self.read(),
                    Ok(()) => Ok(()),
                    Err(error) => Err(error.into()),
                },
                () = &mut timer => {
                    let step = self.on_time(may_read);
                    timer.as_mut().reset(self.deadline());
                    step
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn read(&mut self) -> Result<(), End> {
        match self.socket.fill()? {
            None => Err(End::Network(std::io::ErrorKind::UnexpectedEof.into())),
            Some(0) => Ok(()),
            Some(_) => {
                self.last_heard = Instant::now();
                Ok(())
            }
        }
    }

    /// Decodes, answers, delivers and flushes until nothing more can be done without waiting. Returns
    /// whether more should be read.
    fn work(&mut self) -> Result<bool, End> {
        loop {
            if let Some(kick) = self.line.kicked() {
                return Err(kick.into());
            }
            let stop = self.decode()?;
            let mut settled_some = false;
            while let Some(settled) = self.intake.ready() {
                self.settle(settled)?;
                settled_some = true;
            }
            let more = self.pump();
            self.flush()?;
            let congested = self.socket.is_congested();
            match stop {
                _ if more && !congested => {}
                Stop::Empty => return Ok(!congested),
                Stop::Blocked if settled_some && !self.is_blocked() => {}
                Stop::Blocked => return Ok(false),
                Stop::Congested if !congested => {}
                Stop::Congested => return Ok(false),
            }
        }
    }

    fn flush(&mut self) -> Result<(), End> {
        let moved = self.socket.flush()?;
        if self.socket.output.is_empty() {
            self.stalled_since = None;
        } else if moved || self.stalled_since.is_none() {
            self.stalled_since = Some(Instant::now());
        }
        Ok(())
    }

    /// No further message may go to the handler now.
    fn is_blocked(&self) -> bool {
        self.paused_until.is_some()
            || self.intake.is_retrying()
            || self.intake.len() >= usize::from(self.hub.config.receive_window)
    }

    fn deadline(&self) -> Instant {
        let keep_alive = self.keep_alive.map(|limit| self.last_heard + limit);
        let stall = self.stalled_since.map(|since| since + self.hub.config.write_timeout);
        let tidy = Instant::now() + TIDY;
        [keep_alive, stall, self.paused_until].into_iter().flatten().fold(tidy, Instant::min)
    }

    fn on_time(&mut self, reading: bool) -> Result<(), End> {
        let now = Instant::now();
        self.paused_until.take_if(|until| *until <= now);
        if self.stalled_since.is_some_and(|since| since + self.hub.config.write_timeout <= now) {
            return Err(End::Stalled);
        }
        if self.keep_alive.is_some_and(|limit| self.last_heard + limit <= now) {
            if reading || self.socket.is_congested() {
                return Err(End::KeepAlive);
            }
            // It is we who do not listen.
            self.last_heard = now;
        }
        if self.last_heard + TIDY <= now {
            self.socket.shrink();
        }
        Ok(())
    }

    fn decode(&mut self) -> Result<Stop, End> {
        while !self.socket.is_congested() {
            let Next::Whole(frame) = self.socket.peek()? else {
                return Ok(Stop::Empty);
            };
            if frame.is_publish() && self.is_blocked() {
                return Ok(Stop::Blocked);
            }
            let packet = self.socket.take(frame, self.version)?;
            self.handle(packet)?;
        }
        Ok(Stop::Congested)
    }

    fn handle(&mut self, packet: Packet) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.receive(publish)?,
            Packet::PubAck(ack) => {
                if let Some(mut state) = self.state() {
                    state.land(ack.id);
                }
            }
            Packet::PubRel(ack) => {
                let known = self.state().is_some_and(|mut state| state.received.remove(&ack.id));
                let code = if known { reason::SUCCESS } else { reason::PACKET_ID_NOT_FOUND };
                self.ack(encode::PUBCOMP, ack.id, code, "");
            }
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe),
            Packet::Unsubscribe { id, filters } => {
                let codes: Vec<u8> =
                    filters.iter().map(|filter| self.hub.unsubscribe(&self.session, filter)).collect();
                encode::unsuback(&mut self.socket.output, self.version, id, &codes);
            }
            Packet::PingReq => encode::pingresp(&mut self.socket.output),
            Packet::Disconnect { code, session_expiry } => {
                if let Some(expiry) = session_expiry {
                    if self.expiry == 0 && expiry > 0 {
                        return Err(CodecError::Protocol("a session expiry where connect had none").into());
                    }
                    let longest = u32::try_from(self.hub.config.session_expiry.as_secs()).unwrap_or(u32::MAX);
                    self.expiry = expiry.min(longest);
                }
                return Err(End::Client { with_will: code == reason::DISCONNECT_WITH_WILL });
            }
            Packet::Connect(_) => return Err(CodecError::Protocol("a second connect").into()),
            Packet::PubRec(_) | Packet::PubComp(_) => {
                return Err(CodecError::Protocol("an answer to QoS 2, which is never sent").into());
            }
            Packet::Auth
            | Packet::ConnAck { .. }
            | Packet::SubAck { .. }
            | Packet::UnsubAck { .. }
            | Packet::PingResp => {
                return Err(CodecError::Protocol("a packet that clients do not send").into());
            }
        }
        Ok(())
    }

    fn receive(&mut self, publish: Publish) -> Result<(), End> {
        let id = publish.id;
        if publish.qos == 2 {
            let (known, unreleased) =
                self.state().map_or((false, 0), |state| (state.received.contains(&id), state.received.len()));
            if known {
                self.ack(encode::PUBREC, id, reason::SUCCESS, "");
                return Ok(());
            }
            let max = match self.version {
                Version::V4 => MAX_UNRELEASED,
                Version::V5 => self.hub.config.receive_window.into(),
            };
            if unreleased >= max {
                return Err(CodecError::ReceiveMaximum { max }.into());
            }
            if !self.unsettled.insert(id) {
                return Ok(());
            }
        }
        let origin = Origin {
            client_id: Arc::clone(&self.session.id),
            packet_id: (id > 0).then_some(id),
            dup: publish.dup,
        };
        let message = Message::published(publish, Arc::clone(&self.session.id));
        let result = match self.hub.handler.classify(&message.topic) {
            Claim::Logged => {
                metrics::counter!(RECEIVED, "claim" => "logged").increment(1);
                self.intake.offer(origin, message);
                return Ok(());
            }
            Claim::Plain => {
                metrics::counter!(RECEIVED, "claim" => "plain").increment(1);
                Ok(())
            }
            Claim::Refused(why) => {
                metrics::counter!(RECEIVED, "claim" => "refused").increment(1);
                tracing::debug!(client.id = %self.session.id, topic = %message.topic, why, "publish refused");
                Err(Refusal::NotAuthorized)
            }
        };
        let settled = Settled { origin, message, result };
        if self.intake.is_empty() {
            return self.settle(settled);
        }
        self.intake.pass(settled);
        Ok(())
    }

    /// The handler has answered, or was not needed: routes and acknowledges, or says why not.
    fn settle(&mut self, settled: Settled) -> Result<(), End> {
        let Settled { origin, message, result } = settled;
        let first = if message.qos == 2 { encode::PUBREC } else { encode::PUBACK };
        let id = origin.packet_id;
        if let (2, Some(id)) = (message.qos, id) {
            self.unsettled.remove(&id);
        }
        let (code, why) = match result {
            Ok(()) => {
                if let (2, Some(id), Some(mut state)) = (message.qos, id, self.state()) {
                    state.received.insert(id);
                }
                self.hub.publish(&message);
                (reason::SUCCESS, String::new())
            }
            Err(Refusal::Closed) => return Err(End::Shutdown),
            Err(Refusal::Busy) => {
                metrics::counter!(crate::metric_definitions::BUSY).increment(1);
                self.paused_until = Some(Instant::now() + self.hub.config.busy_pause);
                if id.is_none() {
                    metrics::counter!(DROPPED, "reason" => "busy").increment(1);
                }
                (reason::QUOTA, String::new())
            }
            Err(Refusal::NotAuthorized) => {
                metrics::counter!(REFUSED, "reason" => "not_authorized").increment(1);
                (reason::NOT_AUTHORIZED, String::new())
            }
            Err(Refusal::Invalid(why)) => {
                metrics::counter!(REFUSED, "reason" => "invalid").increment(1);
                (reason::PAYLOAD_INVALID, why)
            }
        };
        let Some(id) = id else { return Ok(()) };
        match (self.version, code) {
            // Not acknowledged: the client keeps it and sends it again when it is back.
            (Version::V4, reason::QUOTA) => {}
            (Version::V4, reason::NOT_AUTHORIZED | reason::PAYLOAD_INVALID) => {
                let why =
                    if why.is_empty() { "the topic is not the client's to write".to_owned() } else { why };
                return Err(End::Refused { topic: message.topic.to_string(), why });
            }
            _ => self.ack(first, id, code, &why),
        }
        Ok(())
    }

    fn ack(&mut self, first: u8, id: u16, code: u8, why: &str) {
        encode::ack(&mut self.socket.output, self.version, first, id, code, why);
    }

    fn subscribe(&mut self, subscribe: &Subscribe) {
        let codes: Vec<u8> = subscribe
            .filters
            .iter()
            .map(|filter| self.hub.subscribe(&self.session, filter, subscribe.identifier))
            .map(|code| if self.version == Version::V4 && code > 2 { reason::UNSPECIFIED } else { code })
            .collect();
        encode::suback(&mut self.socket.output, self.version, subscribe.id, &codes);
    }

    /// The session's state, unless another connection has it by now.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        let state = self.session.state();
        let ours = state.line.as_ref().is_some_and(|line| Arc::ptr_eq(line, &self.line));
        ours.then_some(state)
    }

    /// Moves deliveries into the write buffer while there is room. Returns whether more may be waiting.
    fn pump(&mut self) -> bool {
        let session = Arc::clone(&self.session);
        let mut state = session.state();
        if !state.line.as_ref().is_some_and(|line| Arc::ptr_eq(line, &self.line)) {
            return false;
        }
        for flight in &mut state.flights {
            if self.socket.is_congested() {
                return true;
            }
            if !flight.sent {
                flight.sent = true;
                self.deliver(&flight.delivery, flight.id, true);
            }
        }
        while !self.socket.is_congested() {
            let Some(delivery) = state.take(self.send_window) else {
                return false;
            };
            let outgoing = outgoing(&delivery, 1, false);
            if outgoing.size(self.version) > self.client_max {
                metrics::counter!(DROPPED, "reason" => "too_large").increment(1);
                continue;
            }
            if delivery.qos == 0 {
                self.deliver(&delivery, 0, false);
            } else {
                let id = state.launch(delivery.clone());
                self.deliver(&delivery, id, false);
            }
        }
        true
    }

    fn deliver(&mut self, delivery: &Delivery, id: u16, dup: bool) {
        metrics::counter!(DELIVERED).increment(1);
        outgoing(delivery, id, dup).write(&mut self.socket.output, self.version);
    }
}

fn outgoing(delivery: &Delivery, id: u16, dup: bool) -> Outgoing<'_> {
    let message = &delivery.message;
    Outgoing {
        topic: &message.topic,
        payload: &message.payload,
        id,
        qos: delivery.qos,
        dup,
        retain: delivery.retain,
        expiry: message.seconds_left(),
        forward: &message.forward,
        subscriptions: &delivery.identifiers,
    }
}
