//! Names of this process's own metrics. Those of sessions, transport and API are in their crates.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Connections that hubs serve, handshakes of sessions included. Gauge.
pub const CONNECTIONS: &str = "cloud.hub.connections";
/// Events made durable, by `direction`: up | down | cluster | control.
pub const EVENTS: &str = "cloud.events.total";
/// Bytes of overlays that were not kept because a node sent too many.
pub const OVERLAY_DROPPED: &str = "cloud.overlay.dropped.bytes.total";
/// Writes of API objects, by `resource` and `outcome`: ok | conflict | failed.
pub const OBJECT_WRITES: &str = "cloud.object.writes.total";
/// Requests of controllers to the API, by `controller` and `outcome`: ok | failed.
pub const API_WRITES: &str = "cloud.controller.api.writes.total";
/// Keys that wait in a controller, by `controller`. Gauge.
pub const QUEUE: &str = "cloud.controller.queue";
/// Objects put to nodes and removed from them, by `change`: put | removed.
pub const DOWN_CHANGES: &str = "cloud.down.changes.total";
/// Objects that stay on nodes although nobody wants them. Gauge.
pub const HELD: &str = "cloud.down.held";
/// Objects that cannot go down to nodes because of their size, counted at every change of them.
pub const UNPROJECTABLE: &str = "cloud.down.unprojectable.total";
/// Time from the pick of a device to its status written, seconds, waiting for the rate budget included.
pub const STATUS_TIME: &str = "cloud.status.write.duration.seconds";
/// 1 while nothing may be removed from any node. Gauge.
pub const RECOVERING: &str = "cloud.recovering";
/// Joins and renewals, by `outcome`: ok | a code of `JoinErrorCode`.
pub const JOINS: &str = "cloud.joins.total";

/// Texts and units for whoever scrapes.
pub fn describe_metrics() {
    describe_gauge!(CONNECTIONS, Unit::Count, "Connections of nodes");
    describe_counter!(EVENTS, Unit::Count, "Events made durable, by direction");
    describe_counter!(OVERLAY_DROPPED, Unit::Bytes, "Overlay rows that were not kept");
    describe_counter!(OBJECT_WRITES, Unit::Count, "Writes of API objects");
    describe_counter!(API_WRITES, Unit::Count, "Writes of controllers to the API");
    describe_gauge!(QUEUE, Unit::Count, "Keys that wait in a controller");
    describe_counter!(DOWN_CHANGES, Unit::Count, "Objects put to nodes and removed from them");
    describe_gauge!(HELD, Unit::Count, "Objects that stay on nodes although nobody wants them");
    describe_counter!(UNPROJECTABLE, Unit::Count, "Objects that are too large for nodes");
    describe_histogram!(STATUS_TIME, Unit::Seconds, "Time to write the status of a device");
    describe_gauge!(RECOVERING, Unit::Count, "1 while nothing may be removed from any node");
    describe_counter!(JOINS, Unit::Count, "Joins and renewals");
}
