//! The receiving half of a link.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::SplitStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use crate::chunk::{ChunkError, Reassembly};
use crate::close::{CloseCode, LinkError};
use crate::config::LinkConfig;
use crate::lane::Lane;
use crate::link::Socket;
use crate::metric_definitions::{Traffic, count_ended};
use crate::queue::Queue;

/// How long reading goes on after the peer's close frame, so that ours reaches it.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long the last look before giving up takes. Short, so that a caller that often cancels `recv` still
/// gets to the end of it.
const LAST_LOOK: Duration = Duration::from_millis(1);

/// Receives messages. Dropping it ends the link.
pub struct LinkReceiver {
    stream: SplitStream<Socket>,
    queue: Arc<Queue>,
    reassembly: Reassembly,
    traffic: Traffic,
    limit: usize,
    idle_timeout: Duration,
    last_heard: Instant,
    over: bool,
}

impl LinkReceiver {
    pub(crate) fn new(stream: SplitStream<Socket>, queue: Arc<Queue>, config: &LinkConfig) -> Self {
        Self {
            stream,
            queue,
            reassembly: Reassembly::new(config.message_limit()),
            traffic: Traffic::new("in"),
            limit: config.message_limit(),
            idle_timeout: config.idle_timeout,
            last_heard: Instant::now(),
            over: false,
        }
    }

    /// The next message; `None` after a normal close by either side, and ever after any end. Messages of
    /// one lane come in the order they were sent. Cancel-safe.
    ///
    /// # Errors
    /// [`LinkError`], once: why the link ended.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, LinkError> {
        Ok(self.recv_from().await?.map(|(_, message)| message))
    }

    /// As [`LinkReceiver::recv`], with the lane.
    ///
    /// # Errors
    /// [`LinkError`], once.
    pub async fn recv_from(&mut self) -> Result<Option<(Lane, Bytes)>, LinkError> {
        if self.over {
            return Ok(None);
        }
        match self.receive().await {
            Ok(Some((lane, message))) => {
                self.traffic.count(lane, message.len());
                Ok(Some((lane, message)))
            }
            Ok(None) => {
                self.finish(CloseCode::Normal, "");
                Ok(None)
            }
            Err(error) => {
                let (code, reason) = farewell(&error);
                count_ended(reason);
                self.finish(code, reason);
                if matches!(error, LinkError::Idle(_) | LinkError::Lost(_)) {
                    // Nobody is there to say farewell to.
                    self.queue.end();
                }
                Err(error)
            }
        }
    }

    fn finish(&mut self, code: CloseCode, reason: &str) {
        self.over = true;
        self.queue.close(code, reason);
        self.queue.received_all.cancel();
    }

    async fn receive(&mut self) -> Result<Option<(Lane, Bytes)>, LinkError> {
        loop {
            let deadline = self.last_heard + self.idle_timeout;
            let heard = tokio::select! {
                biased;
                heard = timeout_at(deadline, self.stream.next()) => heard,
                () = self.queue.ended.cancelled() => {
                    return match self.queue.failure() {
                        Some(failure) => Err(LinkError::Lost(failure)),
                        None => Ok(None),
                    };
                }
            };
            let heard = match heard {
                Ok(heard) => heard,
                Err(_) => self.heard_after_all().await.ok_or(LinkError::Idle(self.idle_timeout))?,
            };
            self.last_heard = Instant::now();
            match heard {
                Some(Ok(Message::Binary(chunk))) => match self.reassembly.push(chunk) {
                    Ok(None) => {}
                    Ok(Some(message)) => return Ok(Some(message)),
                    Err(ChunkError::TooLong { length }) => {
                        return Err(LinkError::TooLong { limit: self.limit, length });
                    }
                    Err(ChunkError::Malformed(what)) => return Err(LinkError::Protocol(what.to_owned())),
                },
                Some(Ok(Message::Text(_))) => return Err(LinkError::Text),
                // tungstenite answers pings by itself; both show that the peer is there.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(frame))) => return self.closed_by_peer(frame).await,
                Some(Err(error)) => return Err(self.link_error(error)),
                None => return Ok(None),
            }
        }
    }

    /// Looks once more: when the caller was busy for longer than the idle timeout, something may be there
    /// that tokio did not let this task read in the turn that found the time to be over.
    async fn heard_after_all(&mut self) -> Option<Option<Result<Message, Error>>> {
        tokio::task::yield_now().await;
        timeout_at(Instant::now() + LAST_LOOK, self.stream.next()).await.ok()
    }

    /// Lets the answer to the peer's close frame out, then tells its reason.
    async fn closed_by_peer(
        &mut self,
        frame: Option<CloseFrame>,
    ) -> Result<Option<(Lane, Bytes)>, LinkError> {
        // tungstenite sends the answer while it reads on; what else it reads no longer matters.
        let _ = timeout_at(Instant::now() + FAREWELL, self.stream.next()).await;
        let Some(frame) = frame else {
            return Ok(None);
        };
        match CloseCode::from(u16::from(frame.code)) {
            CloseCode::Normal => Ok(None),
            // The answer to our own farewell repeats our own words.
            _ if self.queue.closing() => Ok(None),
            code => Err(LinkError::Closed { code, reason: frame.reason.as_str().to_owned() }),
        }
    }

    fn link_error(&self, error: Error) -> LinkError {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { size, .. }) => {
                LinkError::TooLong { limit: self.limit, length: size }
            }
            // The TLS library's own words for it are a page long.
            Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                LinkError::Lost("closed without farewell".to_owned())
            }
            Error::Io(error) => LinkError::Lost(error.to_string()),
            Error::Protocol(
                tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            ) => LinkError::Lost("closed without farewell".to_owned()),
            // Text that is not even text.
            Error::Utf8(_) => LinkError::Text,
            other => LinkError::Protocol(other.to_string()),
        }
    }
}

/// What the peer is told of an error, and the error's name in metrics.
fn farewell(error: &LinkError) -> (CloseCode, &'static str) {
    match error {
        LinkError::Idle(_) => (CloseCode::GoingAway, "idle"),
        LinkError::TooLong { .. } => (CloseCode::TooLong, "too_long"),
        LinkError::Text => (CloseCode::Text, "text"),
        LinkError::Protocol(_) => (CloseCode::Protocol, "protocol"),
        LinkError::Closed { .. } => (CloseCode::GoingAway, "closed"),
        LinkError::Lost(_) => (CloseCode::GoingAway, "lost"),
    }
}

impl Drop for LinkReceiver {
    fn drop(&mut self) {
        self.queue.received_all.cancel();
        // After an end that was told, the writer is saying farewell already.
        if !self.over {
            self.queue.end();
        }
    }
}

impl std::fmt::Debug for LinkReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkReceiver").field("over", &self.over).finish_non_exhaustive()
    }
}
