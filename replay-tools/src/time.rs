//! Times for people: RFC 3339 in UTC, with milliseconds.

use jiff::Timestamp;
use ledge_schemas::Hlc;

/// Unix milliseconds as `2026-03-01T03:12:00.000Z`; a number no calendar reaches stays a number.
#[must_use]
pub fn rfc3339(millis: u64) -> String {
    let stamp = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    stamp.map_or_else(|| millis.to_string(), |stamp| format!("{stamp:.3}"))
}

/// When an event happened, by its writer's clock.
#[must_use]
pub fn of(hlc: Hlc) -> String {
    rfc3339(hlc.millis())
}

/// RFC 3339 with any offset, as Unix milliseconds; `None` if it is not one, or before 1970.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let stamp: Timestamp = text.parse().ok()?;
    u64::try_from(stamp.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(rfc3339(1_767_225_600_007), "2026-01-01T00:00:00.007Z");
        assert_eq!(rfc3339(u64::MAX), u64::MAX.to_string());
        assert_eq!(parse("2026-01-01T01:00:00.007+01:00"), Some(1_767_225_600_007));
        assert_eq!((parse("yesterday"), parse("1:42")), (None, None));
    }
}
