//! Metrics of this crate: name, unit, and each label's values.

use metrics::{Counter, counter, describe_counter, describe_gauge, gauge};

use crate::lane::Lane;

/// Messages, by `lane`: liveness | live | tunnel | history, and `direction`: in | out. Out counts when
/// the last chunk went to the socket.
const MESSAGES: &str = "ledge.transport.messages.total";
/// Bytes of messages, without the overhead of chunks, WebSocket and TLS; labels as above.
const BYTES: &str = "ledge.transport.message.bytes.total";
/// Handshakes at a listener, by `outcome`: accepted | tls_failed | not_a_node | upgrade_failed |
/// refused | busy | timed_out.
const HANDSHAKES: &str = "ledge.transport.handshakes.total";
/// Connection attempts of a client, by `outcome`: connected | failed | retry_after | refused.
const CONNECTS: &str = "ledge.transport.connects.total";
/// Links that ended by an error, by `reason`: idle | too_long | text | protocol | closed | lost.
const ENDED: &str = "ledge.transport.links.ended.total";
/// Links open now.
const LINKS: &str = "ledge.transport.links";

/// Tells the recorder what the metrics mean. Call it once, after the recorder is installed.
pub fn describe_metrics() {
    describe_counter!(MESSAGES, "Messages by lane and direction");
    describe_counter!(BYTES, metrics::Unit::Bytes, "Bytes of messages by lane and direction");
    describe_counter!(HANDSHAKES, "Handshakes at a listener by outcome");
    describe_counter!(CONNECTS, "Connection attempts of a client by outcome");
    describe_counter!(ENDED, "Links that ended by an error, by reason");
    describe_gauge!(LINKS, "Links open now");
}

/// The counters of one direction of one link, looked up once.
pub(crate) struct Traffic([(Counter, Counter); Lane::ALL.len()]);

impl Traffic {
    pub(crate) fn new(direction: &'static str) -> Self {
        Self(Lane::ALL.map(|lane| {
            (
                counter!(MESSAGES, "lane" => lane.name(), "direction" => direction),
                counter!(BYTES, "lane" => lane.name(), "direction" => direction),
            )
        }))
    }

    pub(crate) fn count(&self, lane: Lane, bytes: usize) {
        let (messages, total) = &self.0[lane.index()];
        messages.increment(1);
        total.increment(bytes as u64);
    }
}

pub(crate) fn count_handshake(outcome: &'static str) {
    counter!(HANDSHAKES, "outcome" => outcome).increment(1);
}

pub(crate) fn count_connect(outcome: &'static str) {
    counter!(CONNECTS, "outcome" => outcome).increment(1);
}

pub(crate) fn count_ended(reason: &'static str) {
    counter!(ENDED, "reason" => reason).increment(1);
}

/// Counts a link as open while it lives.
pub(crate) struct OpenLink;

impl OpenLink {
    pub(crate) fn new() -> Self {
        gauge!(LINKS).increment(1.0);
        Self
    }
}

impl Drop for OpenLink {
    fn drop(&mut self) {
        gauge!(LINKS).decrement(1.0);
    }
}
