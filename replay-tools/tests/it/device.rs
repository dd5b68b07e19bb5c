//! The twin as the node knew it: wishes count from when the node had applied them.

use ledge_replay::{At, ReplayError, device_at};
use ledge_schemas::StreamId;

use super::fixture::{DEVICE, down, up, whole_day};

/// Effective, its origin, actual, pending, `up`, `down`.
#[track_caller]
fn check(stream: Option<StreamId>, at: &str, expected: [&str; 6]) {
    let at = if at == "head" { At::Head } else { at.parse().unwrap() };
    let device = device_at(&whole_day(), &DEVICE.parse().unwrap(), stream.as_ref(), at).unwrap();
    let temp = device.properties.get("temp").cloned().unwrap_or_default();
    let wish = temp.expected();
    let shown = [
        wish.map_or("-", |wish| wish.value).to_owned(),
        wish.map_or("-", |wish| ledge_replay::device::origin(wish.origin)).to_owned(),
        temp.actual().map_or("-", |actual| &actual.value).to_owned(),
        temp.pending().unwrap_or("-").to_owned(),
        device.up.map_or("-".into(), |at| at.to_string()),
        device.down.map_or("-".into(), |at| at.to_string()),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn at_a_position_of_up_the_wishes_are_those_that_the_node_had_seen() {
    check(None, "1:2", ["20", "cloud", "18", "20", "1:2", "1:1"]);
    check(None, "1:3", ["20", "cloud", "19", "20", "1:3", "1:1"]);
    check(None, "1:4", ["22", "cloud", "19", "22", "1:4", "1:2"]);
    check(None, "1:5", ["25", "local", "19", "25", "1:5", "1:2"]);
    check(None, "head", ["25", "local", "19", "25", "1:5", "1:2"]);
}

#[test]
fn at_a_position_of_down_the_reports_are_those_before_the_next_wish_was_seen() {
    check(Some(down()), "1:1", ["20", "cloud", "19", "20", "1:3", "1:1"]);
    check(Some(down()), "1:2", ["25", "local", "19", "25", "1:5", "1:2"]);
}

#[test]
fn at_a_time_a_wish_that_the_node_had_not_seen_does_not_count() {
    // Desired 22 was written at second 4 while the node was cut off; its report of second 5 had not seen it.
    check(None, "2026-01-01T00:00:04.500Z", ["20", "cloud", "18", "20", "1:2", "1:1"]);
    check(None, "2026-01-01T00:00:05.500Z", ["22", "cloud", "19", "22", "1:3", "1:2"]);
    check(Some(up()), "2026-01-01T00:00:06Z", ["22", "cloud", "19", "22", "1:4", "1:2"]);
}

#[test]
fn a_device_that_nobody_names_is_an_error() {
    let ask = |name: &str, stream: Option<&StreamId>, at| {
        device_at(&whole_day(), &name.parse().unwrap(), stream, at).unwrap_err()
    };
    assert!(matches!(ask("shop/toaster", None, At::Head), ReplayError::NoDevice { .. }));
    assert!(matches!(ask(DEVICE, None, "1:1".parse().unwrap()), ReplayError::NoDevice { .. }));
    assert!(matches!(ask(DEVICE, Some(&StreamId::Cluster), At::Head), ReplayError::NotANode { .. }));
}
