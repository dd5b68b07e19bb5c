//! Every metric of this crate: name, unit, labels and their values.

/// Connections that have passed their `CONNECT` and are open now. Gauge.
pub(crate) const CONNECTIONS: &str = "ledge.mqtt.connections";
/// Connections that ended, by `reason`: client | network | malformed | too_large | protocol | timeout |
/// taken_over | slow_consumer | refused | shutdown.
pub(crate) const CLOSED: &str = "ledge.mqtt.connections.closed.total";
/// Connections that never became a session, by `reason`: limit | timeout | network | rejected.
pub(crate) const REJECTED: &str = "ledge.mqtt.connections.rejected.total";
/// Messages received, by `claim`: logged | plain | refused.
pub(crate) const RECEIVED: &str = "ledge.mqtt.messages.received.total";
/// Answers "busy" of the handler, each time that it gives one.
pub(crate) const BUSY: &str = "ledge.mqtt.handler.busy.total";
/// Messages that the handler or its topic refused for good, by `reason`: topic | not_authorized | invalid.
pub(crate) const REFUSED: &str = "ledge.mqtt.messages.refused.total";
/// Deliveries written to subscribers, redeliveries included.
pub(crate) const DELIVERED: &str = "ledge.mqtt.messages.delivered.total";
/// Deliveries given up, by `reason`: queue_full | expired | too_large | busy | not_retained.
pub(crate) const DROPPED: &str = "ledge.mqtt.messages.dropped.total";
/// Connections of the bridge to its broker, by `outcome`: connected | failed.
pub(crate) const BRIDGE_CONNECTS: &str = "ledge.mqtt.bridge.connects.total";
