//! The clock of the process, read here only.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Unix seconds.
#[must_use]
pub fn unix_seconds() -> i64 {
    i64::try_from(unix_ms() / 1_000).unwrap_or(i64::MAX)
}

/// RFC 3339 with milliseconds, UTC.
#[must_use]
pub fn rfc3339_ms(unix_ms: u64) -> String {
    text(unix_ms, "%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// RFC 3339 in whole seconds, UTC, as Kubernetes objects show time.
#[must_use]
pub fn rfc3339(unix_ms: u64) -> String {
    text(unix_ms, "%Y-%m-%dT%H:%M:%SZ")
}

/// A time beyond the calendar is shown as its last moment.
fn text(unix_ms: u64, format: &str) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    at.strftime(format).to_string()
}
