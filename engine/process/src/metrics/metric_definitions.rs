//! Names of the metrics that every process has. The `process_…` names are those that Prometheus clients share.

use metrics::{Unit, describe_counter, describe_gauge};

/// Resident memory, bytes. Gauge, read at each scrape.
pub const RESIDENT_MEMORY: &str = "process_resident_memory_bytes";
/// Open file descriptors. Gauge, read at each scrape; counts the one that reads the directory too.
pub const OPEN_FDS: &str = "process_open_fds";
/// Start of the process, seconds since the Unix epoch. Gauge.
pub const START_TIME: &str = "process_start_time_seconds";
/// Threads of the process. Gauge, read at each scrape.
pub const THREADS: &str = "process_threads";
/// HTTP requests to the metrics listener that were answered, by `status`: 200 | 404 | 405 | 503.
pub const SCRAPES: &str = "process.metrics.requests.total";
/// Requests on the control socket that were answered, by `outcome`: ok | error | refused. Refused are connections of
/// another user, too many connections, and lines that are no request.
pub const CONTROL_REQUESTS: &str = "process.control.requests.total";

pub(super) fn describe() {
    describe_gauge!(RESIDENT_MEMORY, Unit::Bytes, "Resident memory");
    describe_gauge!(OPEN_FDS, Unit::Count, "Open file descriptors");
    describe_gauge!(START_TIME, Unit::Seconds, "Start of the process since the Unix epoch");
    describe_gauge!(THREADS, Unit::Count, "Threads of the process");
    describe_counter!(SCRAPES, Unit::Count, "Answered requests to the metrics listener by status");
    describe_counter!(CONTROL_REQUESTS, Unit::Count, "Answered requests on the control socket by outcome");
}
