//! Topic names and filters (4.7 of the MQTT specifications): what is valid, and what matches what.

/// Levels of a name or filter. The specifications set no bound; 65,535 slashes would cost the routing
/// table a node each.
const MAX_LEVELS: usize = 128;

/// Longest name or filter, bytes: what a two-byte length can say.
const MAX_BYTES: usize = u16::MAX as usize;

fn bounded(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_BYTES
        && text.bytes().filter(|byte| *byte == b'/').count() < MAX_LEVELS
        && !text.contains('\0')
}

/// Can be published to: not empty, no wildcard, at most 128 levels.
pub fn is_name(topic: &str) -> bool {
    bounded(topic) && !topic.contains(['+', '#'])
}

/// Can be subscribed to: a wildcard fills its level, and `#` is the last.
pub fn is_filter(filter: &str) -> bool {
    if !bounded(filter) {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        match level {
            "+" => {}
            "#" => return levels.peek().is_none(),
            level if level.contains(['+', '#']) => return false,
            _ => {}
        }
    }
    true
}

/// Whether a leading wildcard may stand for the topic's first level: never for `$hw`, `$SYS` and the like.
pub(crate) fn wildcard_may_lead(topic: &str) -> bool {
    !topic.starts_with('$')
}

/// Whether a message on `topic` (a valid name) is wanted by `filter` (a valid filter). `a/#` matches `a`.
/// For those who decide what a topic means; the broker itself routes through a tree.
pub fn matches(filter: &str, topic: &str) -> bool {
    if filter.starts_with(['+', '#']) && !wildcard_may_lead(topic) {
        return false;
    }
    let mut names = topic.split('/');
    for level in filter.split('/') {
        match (level, names.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(name)) if level == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_specification_says() {
        for (filter, topic, wanted) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("a/+", "a/b/c", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "a/b", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("sport/+/player1", "sport/tennis/player1", true),
            ("#", "$SYS/uptime", false),
            ("+/uptime", "$SYS/uptime", false),
            ("$SYS/#", "$SYS/uptime", true),
            ("$hw/events/device/+/+/twin/+", "$hw/events/device/default/pump1/twin/update", true),
            ("$hw/events/device/+/+/twin/+", "$hw/events/device/default/pump1/twin/update/result", false),
            ("+/user/#", "factory/user", true),
            ("+/user/#", "$hw/user/a", false),
            ("é/+", "é/ü", true),
        ] {
            assert_eq!(matches(filter, topic), wanted, "{filter} on {topic}");
        }
    }

    #[test]
    fn wildcards_fill_a_level_and_names_have_none() {
        for filter in ["#", "+", "a/#", "+/+/#", "/", "$hw/#", "a//b"] {
            assert!(is_filter(filter), "{filter}");
        }
        for filter in ["", "a#", "a/#/b", "a+", "a/b+/c", "a\0"] {
            assert!(!is_filter(filter), "{filter:?}");
        }
        assert!(is_name("$hw/events/x"));
        for name in ["", "a/+", "#", "a\0", &"/".repeat(128), &"x".repeat(65_536)] {
            assert!(!is_name(name), "{} bytes", name.len());
        }
    }
}
