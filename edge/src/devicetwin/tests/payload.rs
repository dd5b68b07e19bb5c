use proptest::prelude::*;
use serde_json::json;

use super::super::Rejection;
use super::super::payload::{Head, MESSAGE_BYTES, StateReport, Unreadable, Update};
use super::super::value::{check_value, is_name, is_value};
use super::{Edge, PUMP, bytes};

#[track_caller]
fn wrong(payload: &[u8]) -> Rejection {
    Update::parse(payload).unwrap_err().rejection
}

#[test]
fn a_value_fits_its_type_or_not() {
    let check =
        |value_type: &str, value: &str| check_value("k", value_type, value).map_err(|e| e.to_string());
    for (value_type, value) in [
        ("", "test"),
        ("string", "test"),
        ("deleted", "test"),
        ("int", "10"),
        ("integer", "-10"),
        ("float", "10.10"),
        ("float", "1e5"),
        ("boolean", "true"),
        ("boolean", "false"),
        ("string", ""),
    ] {
        assert_eq!(check(value_type, value), Ok(()), "{value_type} {value}");
    }
    for (value_type, value, reason) in [
        ("int", "test", "the value is not int or integer"),
        ("int", "1.5", "the value is not int or integer"),
        ("integer", "9223372036854775808", "the value is not int or integer"),
        ("int", "", "the value is not int or integer"),
        ("float", "test", "the value is not float"),
        ("boolean", "test", "the bool value must be true or false"),
        ("boolean", "TRUE", "the bool value must be true or false"),
        ("test", "test", "the value type is not allowed"),
        ("nil", "test", "the value type is not allowed"),
    ] {
        let told = check(value_type, value).unwrap_err();
        assert!(told.contains(reason), "{value_type} {value}: {told}");
    }
}

#[test]
fn names_and_values_are_of_plain_characters() {
    for good in ["test123", "a-b_c.d,e:f/g@h#i", &"k".repeat(128)] {
        assert!(is_name(good) && is_value(good), "{good}");
    }
    for bad in ["test^", "a b", "å", "a%", "a+", "key~", "\"", "\n", "漢"] {
        assert!(!is_name(bad) && !is_value(bad), "{bad}");
    }
    assert!(!is_name("") && is_value(""));
    assert!(!is_name(&"k".repeat(129)));
    assert!(is_value(&"v".repeat(512)) && !is_value(&"v".repeat(513)));
}

#[test]
fn an_update_is_json_with_a_twin() {
    for payload in ["", "{", "[]", "null", "17", "\u{1}", "{\"twin\":3}", "{\"twin\":{\"k\":3}}"] {
        assert!(matches!(wrong(payload.as_bytes()), Rejection::Malformed(_)), "{payload}");
    }
    assert!(matches!(wrong(b"\xff\xfe{}"), Rejection::Malformed(_)));
    assert_eq!(wrong(b"{\"event_id\":\"e\"}"), Rejection::NoTwin);
    assert_eq!(wrong(b"{\"twin\":null}"), Rejection::NoTwin);
    assert!(Update::parse(br#"{"twin":{}}"#).is_ok());
}

#[test]
fn one_bad_name_or_value_rejects_the_message() {
    let with = |twin| wrong(&bytes(&json!({ "twin": twin })));
    let good = json!({"actual": {"value": "1"}});
    assert_eq!(with(json!({"good": good, "key~": good})), Rejection::Name("key~".into()));
    assert_eq!(with(json!({"good": good, "key~": null})), Rejection::Name("key~".into()));
    for side in ["expected", "actual"] {
        let value = |value| with(json!({"good": good, "k": {side: {"value": value}}}));
        assert_eq!(value(json!("value~")), Rejection::Value { property: "k".into(), side });
        assert_eq!(value(json!(null)), Rejection::NoValue { property: "k".into(), side });
        for other in [json!(23), json!(true), json!({}), json!(["a"])] {
            assert!(matches!(value(other), Rejection::Malformed(_)));
        }
        assert_eq!(with(json!({"k": {side: {}}})), Rejection::NoValue { property: "k".into(), side });
        assert!(matches!(with(json!({"k": {side: "1"}})), Rejection::Malformed(_)));
    }
    assert!(matches!(with(json!({"k": {"optional": "yes"}})), Rejection::Malformed(_)));
    assert!(matches!(with(json!({"k": {"metadata": "int"}})), Rejection::Malformed(_)));
    assert!(matches!(with(json!({"k": {"metadata": {"type": 3}}})), Rejection::Malformed(_)));
}

#[test]
fn the_id_is_given_back_wherever_it_could_be_read() {
    let error = Update::parse(br#"{"event_id":"e-7","twin":3}"#).unwrap_err();
    assert_eq!(error.event_id, "e-7");
    let error = Head::parse(br#"{"event_id":"e-7","timestamp":"now"}"#).unwrap_err();
    assert_eq!(error.event_id, "e-7");
    let long = json!({"event_id": "x".repeat(257)});
    assert_eq!(Head::parse(&bytes(&long)).unwrap_err().event_id, "");
    assert!(Head::parse(br#"{"event_id":7}"#).is_err());
    assert_eq!(Head::parse(b"{}"), Ok(Head::default()));
}

#[test]
fn a_timestamp_is_a_number_or_absent() {
    let of = |json: &str| Head::parse(format!("{{\"timestamp\":{json}}}").as_bytes()).map(|h| h.timestamp_ms);
    assert_eq!(of("1721900000000"), Ok(Some(1_721_900_000_000)));
    assert_eq!(of("1721900000000.75"), Ok(Some(1_721_900_000_000)));
    assert_eq!(of("1.7219e12"), Ok(Some(1_721_900_000_000)));
    for absent in ["0", "-5", "null", "1e300", "-1e300", "18446744073709551615"] {
        assert_eq!(of(absent), Ok(None), "{absent}");
    }
    assert!(of("\"2026\"").is_err());
    assert!(of("1e999").is_err());
}

#[test]
fn size_and_depth_are_bounded() {
    let big = vec![b' '; 10 * 1024 * 1024];
    assert_eq!(wrong(&big), Rejection::TooLarge { len: big.len() });
    let mut fits = br#"{"twin":{}}"#.to_vec();
    fits.resize(MESSAGE_BYTES, b' ');
    assert!(Update::parse(&fits).is_ok());
    fits.push(b' ');
    assert!(matches!(wrong(&fits), Rejection::TooLarge { .. }));
    for open in ["[", "{\"a\":", "{\"twin\":{\"k\":"] {
        let deep = open.repeat(MESSAGE_BYTES / open.len());
        assert!(matches!(wrong(deep.as_bytes()), Rejection::Malformed(_)));
    }
}

#[test]
fn the_event_of_the_fullest_message_fits_into_an_event() {
    use ledge_schemas::kinds::Body;
    for entry in ["{}", r#"{"actual":{"value":""}}"#, r#"{"metadata":{"type":"boolean"}}"#] {
        let all: Vec<_> = (0..1024).map(|i| format!("\"{i}\":{entry}")).collect();
        let payload = format!("{{\"twin\":{{{}}}}}", all.join(","));
        let event = Edge::with_pump().update(PUMP, payload.as_bytes()).unwrap().event.unwrap();
        let len = event.to_body().unwrap().len();
        assert!(len < 3 * payload.len(), "{len} of {}", payload.len());
    }
    const { assert!(3 * MESSAGE_BYTES < ledge_schemas::limits::EVENT_BODY) };
}

/// Text that is JSON more often than not.
fn jsonish() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("{}".to_owned()),
        Just("true".to_owned()),
        Just("-1e9".to_owned()),
        Just("\"v\"".to_owned()),
        Just("\"å\"".to_owned()),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        let key = prop::sample::select(vec![
            "twin",
            "expected",
            "actual",
            "value",
            "metadata",
            "type",
            "optional",
            "event_id",
            "timestamp",
            "state",
            "k",
        ]);
        prop::collection::vec((key, inner), 0..5).prop_map(|fields| {
            let fields: Vec<_> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!("{{{}}}", fields.join(","))
        })
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(payload: Vec<u8>) {
        let mut edge = Edge::with_pump();
        let _ = edge.update(PUMP, &payload);
        let _ = StateReport::parse(&payload);
        let _ = Head::parse(&payload);
    }

    #[test]
    fn arbitrary_json_is_taken_whole_or_refused_whole(payload in jsonish()) {
        let mut edge = Edge::with_pump();
        let before = edge.up.0.clone();
        if edge.update(PUMP, payload.as_bytes()).is_err() {
            prop_assert_eq!(before, edge.up.0);
        }
        let _: Result<StateReport, Unreadable> = StateReport::parse(payload.as_bytes());
    }
}
