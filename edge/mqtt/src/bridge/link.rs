//! One connection to the external broker, from its `CONNECT` to its end.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};

use super::config::BridgeConfig;
use super::outbox::{Outbox, SUBSCRIBE_ID};
use crate::codec::encode::{self, Outgoing};
use crate::codec::{CodecError, Connect, Packet, Publish, Version};
use crate::handler::{Claim, Handler, Origin, Refusal};
use crate::intake::{Intake, Settled};
use crate::message::Message;
use crate::metric_definitions::{BRIDGE_CONNECTS, DELIVERED, DROPPED, RECEIVED, REFUSED};
use crate::socket::{Next, Socket};

#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("connection lost: {0}")]
    Network(#[from] io::Error),
    #[error("no answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error(
        "the broker refuses the connection with return code {0}: 2 is the client id, 4 and 5 the credentials"
    )]
    Refused(u8),
    #[error("from the broker: {0}")]
    Codec(#[from] CodecError),
    #[error("nothing heard for one and a half times the keep alive")]
    Silent,
    #[error("the log takes nothing any more")]
    LogClosed,
}

/// What outlives a connection.
pub(super) struct Shared {
    pub(super) config: BridgeConfig,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) client_id: Arc<str>,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) queue: mpsc::Receiver<Arc<Message>>,
    pub(super) outbox: Outbox,
}

pub(super) struct Link<'a> {
    shared: &'a mut Shared,
    socket: Socket,
    intake: Intake,
    last_heard: Instant,
    /// Stopping: nothing new is taken, and this is when patience ends.
    closing: Option<Instant>,
    /// No publisher is left, or the bridge stops, and the queue has run dry.
    queue_ended: bool,
}

impl<'a> Link<'a> {
    /// Connects, and resumes the session.
    pub(super) async fn open(shared: &'a mut Shared) -> Result<Self, LinkError> {
        let config = &shared.config;
        let connecting = TcpStream::connect((shared.host.as_str(), shared.port));
        let stream = timeout(config.connect_timeout, connecting).await??;
        let mut socket = Socket::new(stream, config.max_packet)?;
        encode::connect(&mut socket.output, &connect(config));
        let session_present = timeout(config.connect_timeout, connack(&mut socket)).await??;
        metrics::counter!(BRIDGE_CONNECTS, "outcome" => "connected").increment(1);
        tracing::info!(host = %shared.host, port = shared.port, session.present = session_present, "mqtt bridge connected");
        if !config.subscriptions.is_empty() {
            encode::subscribe(&mut socket.output, SUBSCRIBE_ID, &config.subscriptions);
        }
        shared.outbox.reconnected(session_present);
        let intake = Intake::new(Arc::clone(&shared.handler), true);
        Ok(Self { shared, socket, intake, last_heard: Instant::now(), closing: None, queue_ended: false })
    }

    /// Serves until the connection is lost, or until `stop` and everything under way is done.
    pub(super) async fn run(mut self, stop: &tokio_util::sync::CancellationToken) -> Result<(), LinkError> {
        let result = self.serve(stop).await;
        self.intake.stop_retrying();
        let until = Instant::now() + self.shared.config.drain_timeout;
        // Without acknowledgement: the broker delivers these again, and the handler knows them then.
        while self.intake.next_before(until).await.is_some() {}
        if result.is_ok() {
            encode::disconnect(&mut self.socket.output, Version::V4, 0);
            self.socket.finish(self.shared.config.drain_timeout).await;
        }
        result
    }

    async fn serve(&mut self, stop: &tokio_util::sync::CancellationToken) -> Result<(), LinkError> {
        let mut ping = pings(&self.shared.config);
        loop {
            let may_read = self.work()?;
            if self.is_finished() {
                return Ok(());
            }
            let may_send = !self.queue_ended
                && self.shared.outbox.is_all_sent()
                && self.shared.outbox.flights.len() < self.shared.config.send_window
                && !self.socket.is_congested();
            let patience = self.closing.unwrap_or_else(|| Instant::now() + self.shared.config.keep_alive);
            tokio::select! {
                biased;
                () = stop.cancelled(), if self.closing.is_none() => {
                    self.closing = Some(Instant::now() + self.shared.config.drain_timeout);
                    self.shared.queue.close();
                    self.intake.stop_retrying();
                }
                settled = self.intake.next() => self.settle(settled)?,
                ready = self.socket.ready(may_read) => {
                    ready?;
                    if may_read {
                        self.read()?;
                    }
                }
                message = self.shared.queue.recv(), if may_send => match message {
                    Some(message) => self.send(message),
                    None => self.queue_ended = true,
                },
                _ = ping.tick() => self.ping(may_read)?,
                () = tokio::time::sleep_until(patience), if self.closing.is_some() => return Ok(()),
            }
        }
    }

    fn read(&mut self) -> Result<(), LinkError> {
        match self.socket.fill()? {
            None => Err(LinkError::Network(io::ErrorKind::UnexpectedEof.into())),
            Some(0) => Ok(()),
            Some(_) => {
                self.last_heard = Instant::now();
                Ok(())
            }
        }
    }

    fn ping(&mut self, reading: bool) -> Result<(), LinkError> {
        if !reading {
            self.last_heard = Instant::now();
        } else if self.last_heard.elapsed() > self.shared.config.keep_alive * 3 / 2 {
            return Err(LinkError::Silent);
        }
        encode::pingreq(&mut self.socket.output);
        self.socket.shrink();
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.closing.is_some()
            && self.queue_ended
            && self.intake.is_empty()
            && self.shared.outbox.flights.is_empty()
            && self.socket.output.is_empty()
    }

    /// Does everything that needs no waiting. Returns whether more should be read.
    fn work(&mut self) -> Result<bool, LinkError> {
        loop {
            let blocked = self.decode()?;
            let mut settled_some = false;
            while let Some(settled) = self.intake.ready() {
                self.settle(settled)?;
                settled_some = true;
            }
            self.resend();
            self.socket.flush()?;
            let again = blocked && settled_some && !self.is_blocked();
            let pending = !self.shared.outbox.is_all_sent() && !self.socket.is_congested();
            if !again && !pending {
                return Ok(!blocked);
            }
        }
    }

    fn is_blocked(&self) -> bool {
        self.intake.is_retrying() || self.intake.len() >= self.shared.config.receive_window
    }

    /// Returns whether a message waits for its turn with the handler.
    fn decode(&mut self) -> Result<bool, LinkError> {
        while let Next::Whole(frame) = self.socket.peek()? {
            if frame.is_publish() && self.closing.is_none() && self.is_blocked() {
                return Ok(true);
            }
            match self.socket.take(frame, Version::V4)? {
                // Not acknowledged, so the broker keeps it for the next connection.
                Packet::Publish(_) if self.closing.is_some() => {}
                Packet::Publish(publish) => self.receive(publish)?,
                Packet::PubAck(ack) => self.shared.outbox.land(ack.id),
                Packet::SubAck { codes, .. } => self.subscribed(&codes),
                Packet::PingResp => {}
                _ => return Err(CodecError::Protocol("a packet that a broker does not send here").into()),
            }
        }
        Ok(false)
    }

    fn subscribed(&self, codes: &[u8]) {
        for (filter, _) in self.shared.config.subscriptions.iter().zip(codes).filter(|(_, code)| **code > 1) {
            tracing::error!(
                filter,
                "the broker refuses a subscription; give the bridge's user the right to it"
            );
        }
    }

    fn receive(&mut self, publish: Publish) -> Result<(), LinkError> {
        if publish.qos > 1 {
            return Err(CodecError::Protocol("QoS 2 for a QoS 1 subscription").into());
        }
        let origin = Origin {
            client_id: Arc::clone(&self.shared.client_id),
            packet_id: (publish.id > 0).then_some(publish.id),
            dup: publish.dup,
        };
        let claim = self.shared.handler.classify(&publish.topic);
        let message = Message::published(publish, Arc::clone(&self.shared.client_id));
        let label = match claim {
            Claim::Logged => "logged",
            Claim::Plain => "plain",
            Claim::Refused(_) => "refused",
        };
        metrics::counter!(RECEIVED, "claim" => label).increment(1);
        if claim == Claim::Logged {
            self.intake.offer(origin, message);
            return Ok(());
        }
        // The bridge's own answers come back through wildcards; they end here, acknowledged.
        let settled = Settled { origin, message, result: Ok(()) };
        if self.intake.is_empty() {
            return self.settle(settled);
        }
        self.intake.pass(settled);
        Ok(())
    }

    fn settle(&mut self, settled: Settled) -> Result<(), LinkError> {
        let id = settled.origin.packet_id;
        let topic = &settled.message.topic;
        match settled.result {
            Ok(()) => {}
            // Not acknowledged; only a bridge that stops comes here with an id.
            Err(Refusal::Busy) => {
                if id.is_none() {
                    metrics::counter!(DROPPED, "reason" => "busy").increment(1);
                }
                return Ok(());
            }
            Err(Refusal::Closed) => return Err(LinkError::LogClosed),
            // Kept unacknowledged it would come back for ever and block the window.
            Err(Refusal::NotAuthorized) => {
                metrics::counter!(REFUSED, "reason" => "not_authorized").increment(1);
                tracing::warn!(%topic, "message refused and taken off the broker");
            }
            Err(Refusal::Invalid(why)) => {
                metrics::counter!(REFUSED, "reason" => "invalid").increment(1);
                tracing::warn!(%topic, why, "message refused and taken off the broker");
            }
        }
        if let Some(id) = id {
            encode::ack(&mut self.socket.output, Version::V4, encode::PUBACK, id, 0, "");
        }
        Ok(())
    }

    fn send(&mut self, message: Arc<Message>) {
        if message.qos == 0 {
            metrics::counter!(DELIVERED).increment(1);
            outgoing(&message, 0, false).write(&mut self.socket.output, Version::V4);
        } else {
            self.shared.outbox.launch(message);
        }
    }

    fn resend(&mut self) {
        for flight in &mut self.shared.outbox.flights {
            if self.socket.is_congested() {
                return;
            }
            if !flight.sent {
                flight.sent = true;
                metrics::counter!(DELIVERED).increment(1);
                outgoing(&flight.message, flight.id, flight.dup).write(&mut self.socket.output, Version::V4);
            }
        }
    }
}

fn outgoing(message: &Message, id: u16, dup: bool) -> Outgoing<'_> {
    Outgoing {
        topic: &message.topic,
        payload: &message.payload,
        id,
        qos: message.qos,
        dup,
        retain: message.retain,
        expiry: None,
        forward: &[],
        subscriptions: &[],
    }
}

fn pings(config: &BridgeConfig) -> Interval {
    let mut ping = interval(config.keep_alive / 2);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick of an interval is at once.
    ping.reset();
    ping
}

fn connect(config: &BridgeConfig) -> Connect {
    Connect {
        version: Version::V4,
        client_id: config.client_id.clone(),
        clean: false,
        // Checked when the bridge was made.
        keep_alive: u16::try_from(config.keep_alive.as_secs()).unwrap_or(u16::MAX),
        session_expiry: None,
        receive_maximum: u16::MAX,
        maximum_packet: u32::MAX,
        enhanced_auth: false,
        will: None,
        username: config.credentials.as_ref().map(|known| known.username.clone()),
        password: config.credentials.as_ref().map(|known| known.password.clone().into()),
    }
}

/// Sends what is unsent and reads the `CONNACK`. Returns whether the broker still has the session.
async fn connack(socket: &mut Socket) -> Result<bool, LinkError> {
    loop {
        socket.flush()?;
        if let Next::Whole(frame) = socket.peek()? {
            return match socket.take(frame, Version::V4)? {
                Packet::ConnAck { session_present, code: 0 } => Ok(session_present),
                Packet::ConnAck { code, .. } => Err(LinkError::Refused(code)),
                _ => Err(CodecError::Protocol("the first packet is not a connack").into()),
            };
        }
        socket.ready(true).await?;
        if socket.fill()?.is_none() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}
