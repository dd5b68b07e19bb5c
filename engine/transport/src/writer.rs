//! The one task per link that writes: always the most urgent chunk, one flush per burst.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use futures::SinkExt;
use futures::stream::SplitSink;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::close::CloseCode;
use crate::link::Socket;
use crate::metric_definitions::Traffic;
use crate::queue::{Next, Queue};

type Sink = SplitSink<Socket, Message>;

/// How long the peer has to take our farewell, and then to answer it.
const FAREWELL: Duration = Duration::from_secs(2);
/// Longest reason in a close frame, bytes.
const MAX_REASON: usize = 123;

/// Runs until the link ends; `held` is dropped with the socket.
pub(crate) async fn run(mut sink: Sink, queue: Arc<Queue>, held: impl Send) {
    let outcome = tokio::select! {
        biased;
        outcome = write(&mut sink, &queue) => outcome,
        () = queue.ended.cancelled() => Ok((CloseCode::GoingAway, String::new())),
    };
    match outcome {
        Ok((code, reason)) => {
            // The peer may be gone, or not reading: whoever waits for us has been told already.
            let said = timeout(FAREWELL, sink.send(Message::Close(Some(close_frame(code, &reason))))).await;
            if matches!(said, Ok(Ok(()))) {
                // The receiver reads on, until the peer's answer.
                let _ = timeout(FAREWELL, queue.received_all.cancelled()).await;
            }
        }
        Err(error) => queue.fail(error.to_string()),
    }
    queue.end();
    drop(sink);
    drop(held);
}

/// Writes until it is time to close; gives the words to close with.
async fn write(sink: &mut Sink, queue: &Queue) -> Result<(CloseCode, String), Error> {
    let traffic = Traffic::new("out");
    loop {
        // First room, then the choice: what became urgent meanwhile is chosen.
        poll_fn(|context| sink.poll_ready_unpin(context)).await?;
        match queue.next() {
            Next::Chunk { chunk, lane, finished } => {
                sink.start_send_unpin(Message::Binary(chunk))?;
                if let Some(length) = finished {
                    traffic.count(lane, length);
                }
            }
            Next::Nothing => {
                sink.flush().await?;
                queue.changed().await;
            }
            Next::Close(code, reason) => return Ok((code, reason)),
        }
    }
}

fn close_frame(code: CloseCode, reason: &str) -> CloseFrame {
    let end = (0..=reason.len().min(MAX_REASON)).rev().find(|&at| reason.is_char_boundary(at));
    CloseFrame { code: u16::from(code).into(), reason: reason[..end.unwrap_or(0)].into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert_eq!(close_frame(CloseCode::Policy, &"ø".repeat(100)).reason.len(), 122);
        assert_eq!(close_frame(CloseCode::Policy, "fenced").reason.as_str(), "fenced");
        assert_eq!(close_frame(CloseCode::Policy, "").reason.len(), 0);
    }
}
