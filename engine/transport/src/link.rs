//! A link: the two ends of one connection, once TLS and upgrade are done.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsStream;
use tokio_tungstenite::WebSocketStream;

use crate::close::{CloseCode, SendError, TrySendError};
use crate::config::LinkConfig;
use crate::lane::Lane;
use crate::metric_definitions::OpenLink;
use crate::queue::Queue;
use crate::receiver::LinkReceiver;
use crate::writer;

pub(crate) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Bytes of encrypted records that rustls may hold while the kernel takes no more.
const TLS_BUFFER: usize = 16 * 1024;

/// A connection that carries messages both ways. A task of its own writes; reading happens in
/// [`LinkReceiver::recv`], so a receiver that is not polled slows its peer down and costs no memory.
#[derive(Debug)]
pub struct Link {
    sender: LinkSender,
    receiver: LinkReceiver,
}

impl Link {
    /// Starts the writer task, on the current tokio runtime.
    pub(crate) fn start(
        mut socket: Socket,
        config: &LinkConfig,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        match socket.get_mut() {
            TlsStream::Client(stream) => stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER)),
            TlsStream::Server(stream) => stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER)),
        }
        let queue = Arc::new(Queue::new(config));
        let (sink, stream) = socket.split();
        // The place among the listener's links is given back when the socket is, so it goes with the
        // task that lives to the end.
        let held = (place, OpenLink::new());
        tokio::spawn(writer::run(sink, Arc::clone(&queue), held));
        Self {
            sender: LinkSender { inner: Arc::new(SenderInner { queue: Arc::clone(&queue) }) },
            receiver: LinkReceiver::new(stream, queue, config),
        }
    }

    /// The two halves. Dropping the receiver ends the link at once; dropping the last sender ends it
    /// after everything queued was sent.
    #[must_use]
    pub fn split(self) -> (LinkSender, LinkReceiver) {
        (self.sender, self.receiver)
    }
}

/// Queues messages. Cheap to clone; all clones share the lanes.
#[derive(Clone)]
pub struct LinkSender {
    inner: Arc<SenderInner>,
}

struct SenderInner {
    queue: Arc<Queue>,
}

impl Drop for SenderInner {
    fn drop(&mut self) {
        self.queue.close(CloseCode::Normal, "");
    }
}

impl LinkSender {
    /// Queues a message, waiting while its lane is full. `Ok` says that it is queued, not that it has
    /// arrived. Cancel-safe: a future dropped before it is ready has queued nothing.
    ///
    /// # Errors
    /// [`SendError`]: the link has ended, or the message is too long for any link.
    pub async fn send(&self, lane: Lane, message: Bytes) -> Result<(), SendError> {
        self.inner.queue.send(lane, message).await
    }

    /// Queues a message if its lane has room now.
    ///
    /// # Errors
    /// [`TrySendError::Full`] gives the message back.
    pub fn try_send(&self, lane: Lane, message: Bytes) -> Result<(), TrySendError> {
        self.inner.queue.try_send(lane, message)
    }

    /// Bytes that wait in a lane and were not yet handed to the socket.
    #[must_use]
    pub fn waiting(&self, lane: Lane) -> usize {
        self.inner.queue.waiting(lane)
    }

    /// Closes the link, telling the peer why. With [`CloseCode::Normal`] what is queued here goes first;
    /// with any other code it is dropped. What the peer has queued is lost either way: WebSocket sends
    /// nothing after a close. `reason` is cut to the 123 bytes WebSocket allows.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.inner.queue.close(code, reason);
    }

    /// Resolves when the link has ended for any reason.
    pub async fn ended(&self) {
        self.inner.queue.ended.cancelled().await;
    }

    /// Whether the link has ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.inner.queue.ended.is_cancelled()
    }
}

impl std::fmt::Debug for LinkSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkSender").field("ended", &self.is_ended()).finish_non_exhaustive()
    }
}
