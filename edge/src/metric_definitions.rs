//! Names of the edge's metrics; those of sessions, links, MQTT and the store are in their own crates.

use metrics::{Unit, describe_counter, describe_gauge};

/// Messages that EventBus is done with, by `route` (twin-update | state-update | upload | get) and `outcome`
/// (logged | answered | rejected | admission | full | too-large | failed | unknown). A message that came
/// again counts again.
pub const BUS_MESSAGES: &str = "edge.bus.messages.total";
/// Deltas published because the cloud's wishes changed. One is repeated after a crash between publishing and noting it.
pub const DELTAS: &str = "edge.bus.deltas.total";
/// Attempts to connect to the cloud that ended, whatever came of them.
pub const CONNECT_ATTEMPTS: &str = "edge.hub.attempts.total";
/// Live sessions that ended other than by our stopping: each is followed by a reconnect.
pub const RECONNECTS: &str = "edge.hub.reconnects.total";
/// Number of the live session; 0 while there is none.
pub const SESSION: &str = "edge.hub.session";
/// Clock of the cloud minus ours at the last handshake, seconds.
pub const CLOCK_OFFSET: &str = "edge.hub.clock.offset.seconds";
/// Days until the node's certificate ends; negative once it has.
pub const CERTIFICATE_DAYS: &str = "edge.certificate.days";
/// Certificates asked for, by `outcome`: done | failed.
pub const RENEWALS: &str = "edge.certificate.renewals.total";
/// Last durable event, by `stream`: up | down.
pub const APPENDED: &str = "edge.log.appended.seq";
/// Last event of a stream that its view holds, by `stream`.
pub const APPLIED: &str = "edge.log.applied.seq";
/// Oldest event of a stream is the one after this, by `stream`.
pub const BASE: &str = "edge.log.base.seq";
/// Last event of `up` that the cloud has proved to hold: accepted there, and its chain returned.
pub const PROVED: &str = "edge.log.proved.seq";
/// Events of `up` that the cloud has not proved.
pub const BACKLOG: &str = "edge.log.backlog.events";
/// Events trimmed since the start, by `stream`.
pub const TRIMMED: &str = "edge.log.trimmed.events.total";

/// Texts and units for whoever scrapes.
pub fn describe_metrics() {
    describe_counter!(BUS_MESSAGES, Unit::Count, "Messages that EventBus is done with");
    describe_counter!(DELTAS, Unit::Count, "Deltas published because the cloud's wishes changed");
    describe_counter!(CONNECT_ATTEMPTS, Unit::Count, "Attempts to connect to the cloud that ended");
    describe_counter!(RECONNECTS, Unit::Count, "Live sessions that ended other than by stopping");
    describe_gauge!(SESSION, Unit::Count, "Number of the live session, 0 for none");
    describe_gauge!(CLOCK_OFFSET, Unit::Seconds, "Clock of the cloud minus ours at the last handshake");
    describe_gauge!(CERTIFICATE_DAYS, Unit::Count, "Days until the node's certificate ends");
    describe_counter!(RENEWALS, Unit::Count, "Certificates asked for");
    describe_gauge!(APPENDED, Unit::Count, "Last durable event of a stream");
    describe_gauge!(APPLIED, Unit::Count, "Last event that the view over a stream holds");
    describe_gauge!(BASE, Unit::Count, "The oldest event of a stream is the one after this");
    describe_gauge!(PROVED, Unit::Count, "Last up event that the cloud has proved to hold");
    describe_gauge!(BACKLOG, Unit::Count, "Up events that the cloud has not proved");
    describe_counter!(TRIMMED, Unit::Count, "Events trimmed since the start");
}
