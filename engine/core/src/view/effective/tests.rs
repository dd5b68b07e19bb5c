#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::view::up::twin_key;

fn local(value: &str, seen: Position) -> TwinRow {
    TwinRow {
        expected: Some(LocalExpected { value: value.into(), timestamp_ms: 9, seen }),
        actual: None,
        value_type: "string".into(),
        optional: true,
        deleted: false,
        expected_version: 1,
        actual_version: 0,
        edge_time_ms: 9,
    }
}

/// The cloud wishes "cloud" at 2:50.
fn wished(reported: Option<TwinRow>) -> Property {
    let desired = Desired { value: "cloud".into() };
    Property::new(Epoch(2), Some((Seq(50), desired)), reported.map(|row| (Seq(3), row)))
}

#[track_caller]
fn counts(property: &Property, value: &str, origin: Origin) {
    let expected = property.expected().unwrap();
    assert_eq!((expected.value, expected.origin), (value, origin));
}

#[test]
fn a_local_wish_counts_once_it_had_seen_the_clouds() {
    counts(&wished(None), "cloud", Origin::Cloud);
    counts(&wished(Some(local("edge", Position::new(2, 49)))), "cloud", Origin::Cloud);
    counts(&wished(Some(local("edge", Position::new(1, 99)))), "cloud", Origin::Cloud);
    counts(&wished(Some(local("edge", Position::new(2, 50)))), "edge", Origin::Local);
    counts(&wished(Some(local("edge", Position::new(3, 1)))), "edge", Origin::Local);
}

#[test]
fn both_are_shown_whichever_counts() {
    let property = wished(Some(local("edge", Position::new(2, 49))));
    assert_eq!(property.desired.as_ref().map(|wish| wish.value.as_str()), Some("cloud"));
    assert_eq!(property.local().map(|local| local.value.as_str()), Some("edge"));
}

#[test]
fn a_tombstone_wishes_nothing_so_the_clouds_wish_shows() {
    let dead = TwinRow { deleted: true, ..local("edge", Position::new(9, 9)) };
    counts(&wished(Some(dead.clone())), "cloud", Origin::Cloud);
    assert_eq!(Property::new(Epoch(2), None, Some((Seq(1), dead))).expected(), None);
}

#[test]
fn pending_is_a_wish_that_the_device_has_not_reported() {
    let with = |wish: &str, actual: Option<&str>| {
        let actual = actual.map(|value| TwinValue { value: value.into(), timestamp_ms: 1 });
        let row = TwinRow { actual, ..local(wish, Position::default()) };
        Property::new(Epoch(1), None, Some((Seq(1), row))).pending().map(str::to_owned)
    };
    assert_eq!(with("ON", Some("OFF")), Some("ON".into()));
    assert_eq!(with("ON", Some("")), Some("ON".into()));
    assert_eq!(with("ON", None), Some("ON".into()));
    assert_eq!(with("", Some("ON")), None);
    assert_eq!(with("ON", Some("ON")), None);
    assert_eq!(wished(None).pending(), Some("cloud"));
}

#[test]
fn rows_of_both_streams_meet_under_the_propertys_name() {
    let device: DeviceName = "dev/pump".parse().unwrap();
    let encode = |seq, row: &TwinRow| row::encode(Seq(seq), row).unwrap();
    let wish = row::encode(Seq(7), &Desired { value: "1".into() }).unwrap();
    let desired = [
        Row { key: b"desired/dev/pump/a".to_vec(), value: wish.clone() },
        Row { key: b"desired/dev/pump/b".to_vec(), value: wish.clone() },
        Row { key: b"desired/dev/other/z".to_vec(), value: wish },
    ];
    let mine = local("2", Position::new(1, 7));
    let reported = [
        Row { key: twin_key(&device, "b"), value: encode(3, &mine) },
        Row { key: twin_key(&device, "c/d"), value: encode(4, &mine) },
    ];
    let all = properties(&device, Epoch(1), &desired, &reported).unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b", "c/d"]);
    counts(&all["a"], "1", Origin::Cloud);
    counts(&all["b"], "2", Origin::Local);
    assert_eq!(all["c/d"].reported, Some(Reported { at: Seq(4), row: mine }));

    let bad = [Row { key: twin_key(&device, "b"), value: vec![0; 3] }];
    assert!(properties(&device, Epoch(1), &desired, &bad).is_err());
}
