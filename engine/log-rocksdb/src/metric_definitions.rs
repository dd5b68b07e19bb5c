//! Metrics of this crate: name, unit, and each label's values.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Commits that became durable. One sync each.
pub(crate) const COMMITS: &str = "ledge.log.commits.total";
/// Bytes of these commits, as handed to the write-ahead log.
pub(crate) const COMMIT_BYTES: &str = "ledge.log.commit.bytes.total";
/// Time of one commit, its sync included. Seconds.
pub(crate) const COMMIT_TIME: &str = "ledge.log.commit.duration.seconds";
/// Commits refused because the disk was full.
pub(crate) const FULL: &str = "ledge.log.full.total";
/// Reads that met damaged bytes.
pub(crate) const CORRUPT_READS: &str = "ledge.log.corrupt.reads.total";
/// Writes of the witness.
pub(crate) const WITNESS: &str = "ledge.log.witness.writes.total";
/// Bytes that the log takes on the disk. Set when it is measured.
pub(crate) const USED_BYTES: &str = "ledge.log.used.bytes";

/// Tells the recorder what the metrics mean. Call it once, after the recorder is installed.
pub fn describe_metrics() {
    describe_counter!(COMMITS, "Commits that became durable");
    describe_counter!(COMMIT_BYTES, Unit::Bytes, "Bytes of durable commits");
    describe_histogram!(COMMIT_TIME, Unit::Seconds, "Time of one commit, its sync included");
    describe_counter!(FULL, "Commits refused because the disk was full");
    describe_counter!(CORRUPT_READS, "Reads that met damaged bytes");
    describe_counter!(WITNESS, "Writes of the tail witness");
    describe_gauge!(USED_BYTES, Unit::Bytes, "Bytes that the log takes on the disk");
}
