//! What waits to be given to the link: a queue per lane, so that a full lane holds up neither the others
//! nor the reading of the link. Credit bounds the frames that can stand here; a base stands here whole, as
//! messages that are encoded when their turn comes.

use std::collections::VecDeque;
use std::future::pending;

use bytes::Bytes;
use ledge_core::sync::wire::{WireError, encode};
use ledge_core::sync::{Lane, Message};
use ledge_transport::{LinkSender, SendError, TrySendError};

/// Acknowledgements and heartbeats that may wait before the link is read no further: their sender does not
/// listen.
const UNHEARD: usize = 1024;

/// Why a message cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboxError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Send(#[from] SendError),
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Message>,
    /// The first of them, encoded, after its lane was found full.
    front: Option<Bytes>,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    liveness: Waiting,
    live: Waiting,
    history: Waiting,
}

impl Outbox {
    pub(crate) fn push(&mut self, lane: Lane, message: Message) {
        match lane {
            Lane::Liveness => self.liveness.messages.push_back(message),
            Lane::Live => self.live.messages.push_back(message),
            Lane::History => self.history.messages.push_back(message),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        [&self.liveness, &self.live, &self.history].iter().all(|waiting| waiting.is_empty())
    }

    /// Whether the other side takes nothing of what it makes us say.
    pub(crate) fn is_unheard(&self) -> bool {
        self.liveness.messages.len() > UNHEARD
    }

    /// Hands over whatever has room now.
    pub(crate) fn push_out(&mut self, link: &LinkSender) -> Result<(), OutboxError> {
        self.liveness.push_out(link, ledge_transport::Lane::Liveness)?;
        self.live.push_out(link, ledge_transport::Lane::Live)?;
        self.history.push_out(link, ledge_transport::Lane::History)
    }

    /// Waits until a full lane took its first message; never returns while none is full. Dropping the
    /// future loses nothing.
    pub(crate) async fn room(&mut self, link: &LinkSender) -> Result<(), OutboxError> {
        tokio::select! {
            biased;
            sent = self.liveness.room(link, ledge_transport::Lane::Liveness) => sent,
            sent = self.live.room(link, ledge_transport::Lane::Live) => sent,
            sent = self.history.room(link, ledge_transport::Lane::History) => sent,
        }
    }

    /// Hands over everything, however long that takes.
    pub(crate) async fn flush(&mut self, link: &LinkSender) -> Result<(), OutboxError> {
        loop {
            self.push_out(link)?;
            if self.is_empty() {
                return Ok(());
            }
            self.room(link).await?;
        }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.front.is_none() && self.messages.is_empty()
    }

    fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        match (self.front.take(), self.messages.pop_front()) {
            (Some(front), Some(message)) => {
                self.messages.push_front(message);
                Ok(Some(front))
            }
            (Some(front), None) => Ok(Some(front)),
            (None, Some(message)) => encode(&message).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn push_out(&mut self, link: &LinkSender, lane: ledge_transport::Lane) -> Result<(), OutboxError> {
        while let Some(bytes) = self.next()? {
            match link.try_send(lane, bytes) {
                Ok(()) => {}
                Err(TrySendError::Full(bytes)) => {
                    self.front = Some(bytes);
                    break;
                }
                Err(TrySendError::Never(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn room(&mut self, link: &LinkSender, lane: ledge_transport::Lane) -> Result<(), OutboxError> {
        let Some(front) = self.front.clone() else { return pending().await };
        link.send(lane, front).await?;
        self.front = None;
        Ok(())
    }
}
