//! The loop.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ledge_core::log::{Reader, Store, StoreError};
use ledge_core::sync::commands::Side;
use ledge_core::sync::message::{Message, RefuseCode};
use ledge_core::sync::{CloseReason, Input, Note, Output, Session, wire};
use ledge_transport::{CloseCode, Link, LinkError, LinkReceiver, LinkSender};
use tokio_util::sync::CancellationToken;

use crate::commands::Commands;
use crate::metric_definitions::{ENDED, LiveGauge, count};
use crate::outbox::{Outbox, OutboxError};
use crate::{SessionObserver, SessionStore};

/// Between two ticks of a session.
const TICK: Duration = Duration::from_millis(500);
/// For the last words, and for the other side's farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The session itself decided. `retry_after` is what the other side asked for, if it refused.
    Over {
        /// Why.
        reason: CloseReason,
        /// How long to stay away.
        retry_after: Option<Duration>,
    },
    /// The connection was closed by the other side or broke.
    Lost(Option<LinkError>),
    /// The caller's token was cancelled.
    Stopped,
}

impl Ended {
    fn over(reason: CloseReason) -> Self {
        Self::Over { reason, retry_after: None }
    }

    /// For metrics; see [`ENDED`].
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Over { reason, .. } => match reason {
                CloseReason::Silent => "silent",
                CloseReason::Stalled => "stalled",
                CloseReason::Protocol(_) => "protocol",
                CloseReason::Store(_) => "store",
                CloseReason::Refused(..) => "refused",
                CloseReason::Restart => "restart",
                CloseReason::Fenced => "fenced",
            },
            Self::Lost(None) => "closed",
            Self::Lost(Some(_)) => "lost",
            Self::Stopped => "stopped",
        }
    }

    /// How the link is closed. `Normal` lets what is queued go first.
    fn code(&self) -> CloseCode {
        match self {
            Self::Over { reason, .. } => match reason {
                CloseReason::Protocol(_) => CloseCode::Protocol,
                CloseReason::Silent | CloseReason::Stalled => CloseCode::GoingAway,
                CloseReason::Store(_)
                | CloseReason::Refused(..)
                | CloseReason::Restart
                | CloseReason::Fenced => CloseCode::Normal,
            },
            Self::Lost(_) => CloseCode::Normal,
            Self::Stopped => CloseCode::GoingAway,
        }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Over { reason, .. } => match reason {
                CloseReason::Silent => f.write_str("the other side went silent"),
                CloseReason::Stalled => {
                    f.write_str("the other side owes acknowledgements and does not give them")
                }
                CloseReason::Protocol(why) => write!(f, "the protocol was broken: {why}"),
                CloseReason::Store(why) => write!(f, "the store does not take more: {why}"),
                CloseReason::Refused(code, why) => write!(f, "refused ({}): {why}", code_name(*code)),
                CloseReason::Restart => f.write_str("a new log was begun"),
                CloseReason::Fenced => f.write_str("a newer session of this node is confirmed"),
            },
            Self::Lost(None) => f.write_str("the other side closed the connection"),
            Self::Lost(Some(error)) => error.fmt(f),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

fn code_name(code: RefuseCode) -> &'static str {
    match code {
        RefuseCode::Quarantined => "quarantined",
        RefuseCode::Protocol => "protocol",
        RefuseCode::Busy => "busy",
        RefuseCode::Identity => "identity",
        RefuseCode::Fenced => "fenced",
        RefuseCode::Store => "store",
    }
}

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Edge => "edge",
        Side::Cloud => "cloud",
    }
}

/// Unix milliseconds.
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Runs a session until it ends or `stop` is cancelled, and closes the link. `opening` is what the session
/// said when it was started ([`ledge_core::sync::EdgeSession::start`]; nothing in the cloud). `began` is the
/// zero of the monotonic clock that the session was started with.
pub async fn drive<N, S, R, O>(
    session: N,
    opening: Vec<Output>,
    began: Instant,
    link: Link,
    store: &SessionStore<S, R>,
    observer: &mut O,
    stop: &CancellationToken,
) -> Ended
where
    N: Session,
    S: Store + Send + 'static,
    R: Reader,
    O: SessionObserver,
{
    let (sender, mut receiver) = link.split();
    let side = side_name(store.side);
    let mut driver = Driver {
        session,
        began,
        store,
        observer,
        sender,
        outbox: Outbox::default(),
        commands: Commands::default(),
        live: None,
        retry_after: None,
    };
    let ended = driver.run(opening, &mut receiver, stop).await;
    driver.live = None;
    metrics::counter!(ENDED, "side" => side, "reason" => ended.label()).increment(1);
    tracing::debug!(node = %store.node, side, reason = %ended, "session ended");
    tokio::join!(driver.commands.finish(), farewell(&ended, driver.sender, driver.outbox, receiver));
    ended
}

struct Driver<'a, N, S, R, O> {
    session: N,
    began: Instant,
    store: &'a SessionStore<S, R>,
    observer: &'a mut O,
    sender: LinkSender,
    outbox: Outbox,
    commands: Commands,
    live: Option<LiveGauge>,
    retry_after: Option<Duration>,
}

/// What woke the loop.
enum Event {
    Received(Result<Option<Bytes>, LinkError>),
    Input(Input),
    Room(Result<(), OutboxError>),
    Stop,
}

impl<N, S, R, O> Driver<'_, N, S, R, O>
where
    N: Session,
    S: Store + Send + 'static,
    R: Reader,
    O: SessionObserver,
{
    async fn run(
        &mut self,
        opening: Vec<Output>,
        receiver: &mut LinkReceiver,
        stop: &CancellationToken,
    ) -> Ended {
        let mut tail = self.store.writer.watch(&self.store.own_stream());
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if let Some(ended) = self.out(opening) {
            return ended;
        }
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => Event::Stop,
                _ = ticks.tick() => Event::Input(Input::Tick),
                answer = self.commands.next() => Event::Input(Input::Done(answer)),
                room = self.outbox.room(&self.sender) => Event::Room(room),
                message = receiver.recv(), if !self.outbox.is_unheard() => Event::Received(message),
                // The sender lives in the writer's handle, which is ours.
                _ = tail.changed() => Event::Input(Input::Wake),
            };
            let ended = match event {
                Event::Stop => Some(Ended::Stopped),
                Event::Input(input) => self.on(input),
                Event::Room(Ok(())) => self.push_out(),
                Event::Room(Err(error)) => Some(unsent(&error)),
                Event::Received(Ok(Some(bytes))) => self.received(&bytes),
                Event::Received(Ok(None)) => Some(Ended::Lost(None)),
                Event::Received(Err(error)) => Some(Ended::Lost(Some(error))),
            };
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    fn received(&mut self, bytes: &Bytes) -> Option<Ended> {
        match wire::decode(bytes) {
            Ok(message) => {
                if let Message::Refuse(refuse) = &message {
                    self.retry_after = Some(Duration::from_millis(refuse.retry_after_ms.into()));
                }
                self.on(Input::Message(message))
            }
            Err(error) => Some(Ended::over(CloseReason::Protocol(error.to_string()))),
        }
    }

    fn on(&mut self, input: Input) -> Option<Ended> {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let log = self.store.log();
        let outputs = self.session.on(now_ms, wall_ms(), input, &log);
        match outputs {
            Ok(outputs) => self.out(outputs),
            Err(error) => Some(unreadable(&error)),
        }
    }

    fn out(&mut self, outputs: Vec<Output>) -> Option<Ended> {
        let side = side_name(self.store.side);
        let mut over = None;
        for output in outputs {
            match output {
                Output::Send(lane, message) => self.outbox.push(lane, message),
                Output::Command(command) => self.commands.push(self.store, command),
                Output::Overlay { position, rows } => self.observer.overlay(position, rows),
                Output::Live { session } => {
                    self.live = Some(LiveGauge::new(side));
                    tracing::info!(node = %self.store.node, session, "session is live");
                    self.observer.live(session);
                }
                Output::Note(note) => {
                    count(&note, side);
                    log_note(&note, self.store.node.as_str());
                    self.observer.note(&note);
                }
                Output::Close(reason) => {
                    over.get_or_insert(Ended::Over { reason, retry_after: self.retry_after });
                }
            }
        }
        over.or_else(|| self.push_out())
    }

    fn push_out(&mut self) -> Option<Ended> {
        self.outbox.push_out(&self.sender).err().map(|error| unsent(&error))
    }
}

fn unsent(error: &OutboxError) -> Ended {
    match error {
        OutboxError::Send(ledge_transport::SendError::Ended) => Ended::Lost(None),
        error => Ended::over(CloseReason::Protocol(error.to_string())),
    }
}

fn unreadable(error: &StoreError) -> Ended {
    Ended::over(CloseReason::Store(error.to_string()))
}

fn log_note(note: &Note, node: &str) {
    match note {
        Note::Proved(_) | Note::Duplicate { .. } => {}
        Note::ClockOffset(offset_ms) => tracing::debug!(node, offset_ms, "clock offset"),
        Note::Regressed { direction, accepted, found } => {
            tracing::warn!(node, ?direction, %accepted, %found, "a stream is shorter than it was");
        }
        Note::ChainDiffers { direction, seq } => {
            tracing::error!(node, ?direction, %seq, "the chain of the other side is not ours");
        }
        Note::Diverged { direction, seq } => {
            tracing::error!(node, ?direction, %seq, "digests of the same position differ");
        }
    }
}

/// Lets the last words out where there are any, and waits for the link to end.
async fn farewell(ended: &Ended, sender: LinkSender, mut outbox: Outbox, mut receiver: LinkReceiver) {
    let talk = async {
        if ended.code() == CloseCode::Normal && outbox.flush(&sender).await.is_err() {
            return;
        }
        sender.close(ended.code(), &ended.to_string());
        while let Ok(Some(_)) = receiver.recv().await {}
        sender.ended().await;
    };
    // Whoever does not take a farewell goes without.
    let _ = tokio::time::timeout(FAREWELL, talk).await;
}
