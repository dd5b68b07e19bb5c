use ledge_core::view::row;
use ledge_core::view::up::{TwinRow, twin_key};
use proptest::prelude::*;
use serde_json::json;

use super::super::payload::{Head, Patch, Update};
use super::super::{Rejection, device::PROPERTIES, reply};
use super::*;

const RESULT: &str = "$hw/events/device/dev/pump/twin/update/result";

fn stored(edge: &Edge, property: &str) -> Option<TwinRow> {
    let bytes = edge.up.0.get(&twin_key(&name(PUMP), property))?;
    Some(row::decode(bytes).unwrap().1)
}

#[test]
fn an_update_is_answered_in_the_shapes_that_devices_know() {
    let mut edge = Edge::with_pump();
    let payload = br#"{"event_id":"e-17","timestamp":900,"twin":{
        "speed":{"expected":{"value":"40"},"metadata":{"type":"int"}},"mode":{"actual":{"value":"auto"}}}}"#;
    let accepted = edge.update(PUMP, payload).unwrap();

    let meta = json!({"timestamp": 900});
    let speed =
        json!({"expected": {"value": "40", "metadata": meta}, "optional": true, "metadata": {"type": "int"}});
    let mode = json!({"actual": {"value": "auto", "metadata": meta}, "optional": true, "metadata": {"type": "string"}});
    assert_eq!(accepted.result.topic, RESULT);
    let twin = json!({"speed": speed, "mode": mode});
    assert_eq!(json(&accepted.result), json!({"event_id": "e-17", "timestamp": 1_000, "twin": twin}));

    let document = accepted.document.unwrap();
    assert_eq!(document.topic, "$hw/events/device/dev/pump/twin/update/document");
    let docs = json!({"speed": {"last": null, "current": speed}, "mode": {"last": null, "current": mode}});
    assert_eq!(json(&document), json!({"event_id": "e-17", "timestamp": 1_000, "twin": docs}));

    let delta = accepted.delta.unwrap();
    assert_eq!(delta.topic, "$hw/events/device/dev/pump/twin/update/delta");
    let told =
        json!({"event_id": "fresh", "timestamp": 1_000, "twin": {"speed": speed}, "delta": {"speed": "40"}});
    assert_eq!(json(&delta), told);
    assert_eq!(edge.get(), json!({"speed": speed, "mode": mode}));
}

#[test]
fn result_holds_what_was_sent_and_document_the_whole_property() {
    let mut edge = Edge::with_pump();
    edge.twin(json!({"k": {"expected": {"value": "1"}}, "other": {"actual": {"value": "x"}}})).unwrap();
    let accepted = edge.twin(json!({"k": {"actual": {"value": "1"}}})).unwrap();
    let result = json(&accepted.result)["twin"].clone();
    assert!(result.get("other").is_none() && result["k"].get("expected").is_none());
    assert_eq!(result["k"]["actual"]["value"], "1");
    let document = json(&accepted.document.unwrap())["twin"]["k"].clone();
    assert!(document["last"].get("actual").is_none());
    assert_eq!(document["last"]["expected"]["value"], "1");
    assert_eq!(document["current"]["expected"]["value"], "1");
    assert_eq!(document["current"]["actual"]["value"], "1");
    assert_eq!(accepted.delta, None, "the device reports what is wanted");
}

#[test]
fn a_message_without_a_timestamp_has_the_edges() {
    let mut edge = Edge::with_pump();
    edge.twin(json!({"k": {"actual": {"value": "1"}}})).unwrap();
    assert_eq!(edge.get()["k"]["actual"]["metadata"]["timestamp"], 1_000);
}

#[test]
fn the_same_value_is_a_report_of_its_own() {
    let mut edge = Edge::with_pump();
    for version in 1..=3 {
        let accepted = edge.twin(json!({"k": {"actual": {"value": "1"}}})).unwrap();
        assert!(accepted.event.is_some());
        assert_eq!(stored(&edge, "k").unwrap().actual_version, version);
    }
}

#[test]
fn what_says_nothing_new_is_answered_and_not_appended() {
    let mut edge = Edge::with_pump();
    let first = edge.twin(json!({"k": {}})).unwrap();
    assert!(first.event.is_some(), "the property is there now");
    for twin in [json!({}), json!({"k": {}}), json!({"k": {"optional": true, "metadata": {"type": "int"}}})] {
        let accepted = edge.twin(twin).unwrap();
        assert_eq!((accepted.event, accepted.document), (None, None));
        assert_eq!(json(&accepted.result)["twin"], json!({}));
    }
}

#[test]
fn a_value_object_without_a_value_is_answered_to_its_sender() {
    let mut edge = Edge::with_pump();
    for side in ["expected", "actual"] {
        let (topic, code, reason) = refused(edge.twin(json!({"k": {side: {}}})));
        assert_eq!((topic.as_str(), code), (RESULT, 400));
        assert!(reason.contains("has no value"), "{reason}");
    }
    assert!(edge.twin(json!({"k": {"expected": {"value": "1"}}})).is_ok(), "and the next one is taken");
}

#[test]
fn errors_never_go_to_an_empty_device() {
    let mut edge = Edge::with_pump();
    for payload in ["", "{}", "nonsense", "{\"twin\":7}", "{\"twin\":{\"a b\":{}}}"] {
        let answer = edge.update(PUMP, payload.as_bytes());
        assert_eq!(refused(answer).0, RESULT);
    }
    let body = json(&edge.twin(json!({"k": null})).unwrap_err().reply);
    assert_eq!((&body["event_id"], &body["timestamp"]), (&json!("e-1"), &json!(1_000)));
}

#[test]
fn a_device_of_another_node_is_not_found() {
    let mut edge = Edge::with_pump();
    let good = bytes(&json!({"event_id": "e", "twin": {"k": {"actual": {"value": "1"}}}}));
    let (topic, code, reason) = refused(edge.update("dev/other", &good));
    assert_eq!((topic.as_str(), code), ("$hw/events/device/dev/other/twin/update/result", 404));
    assert!(reason.starts_with("update rejected due to the device is not existed"), "{reason}");
    let (topic, code, _) = refused(get::answer(&name("dev/other"), None, b"{}", &edge.now()));
    assert_eq!((topic.as_str(), code), ("$hw/events/device/dev/other/twin/get/result", 404));
    let (_, code, _) = refused(get::answer(&name(PUMP), edge.device(PUMP).as_ref(), b"", &edge.now()));
    assert_eq!(code, 400);
    edge.taken(PUMP);
    assert_eq!(refused(edge.update(PUMP, &good)).1, 404);
}

#[test]
fn null_deletes_and_leaves_a_tombstone() {
    let mut edge = Edge::with_pump();
    edge.twin(json!({"k": {"expected": {"value": "1"}, "actual": {"value": "2"}}})).unwrap();
    let accepted = edge.twin(json!({"k": null})).unwrap();
    assert_eq!(json(&accepted.result)["twin"], json!({"k": null}));
    let document = json(&accepted.document.unwrap())["twin"]["k"].clone();
    assert_eq!((&document["last"]["actual"]["value"], &document["current"]), (&json!("2"), &Value::Null));
    assert_eq!(accepted.delta, None);
    assert_eq!(edge.get(), json!({"k": null}));
    let row = stored(&edge, "k").unwrap();
    assert_eq!((row.deleted, row.expected_version, row.actual_version), (true, 2, 2));

    let again = edge.twin(json!({"k": null})).unwrap();
    assert_eq!((again.event, json(&again.result)["twin"].clone()), (None, json!({})));
}

#[test]
fn a_tombstone_comes_back_with_the_type_of_the_message() {
    let mut edge = Edge::with_pump();
    edge.twin(json!({"k": {"actual": {"value": "2"}, "metadata": {"type": "int"}}})).unwrap();
    edge.twin(json!({"k": null})).unwrap();
    let accepted = edge.twin(json!({"k": {"actual": {"value": "red"}}})).unwrap();
    assert_eq!(json(&accepted.document.unwrap())["twin"]["k"]["last"], Value::Null);
    assert_eq!(edge.get()["k"]["metadata"]["type"], "string");
    edge.twin(json!({"k": null})).unwrap();
    let float = json!({"k": {"actual": {"value": "2.5"}, "metadata": {"type": "float"}}});
    edge.twin(float).unwrap();
    assert_eq!(edge.get()["k"]["metadata"]["type"], "float");
}

#[test]
fn null_for_an_unknown_property_changes_nothing_at_all() {
    let mut edge = Edge::with_pump();
    edge.twin(json!({"b": {"actual": {"value": "1"}}})).unwrap();
    let before = edge.up.0.clone();
    let answer = edge.twin(json!({"a": {"actual": {"value": "1"}}, "b": null, "m": null, "z": {}}));
    assert_eq!(answer.as_ref().unwrap_err().rejection, Rejection::NothingToDelete("m".into()));
    assert_eq!(refused(answer).1, 400);
    assert_eq!(edge.up.0, before);
}

#[test]
fn mandatory_is_for_good_and_cannot_be_deleted() {
    let mut edge = Edge::with_pump();
    edge.twin(json!({"k": {"actual": {"value": "1"}, "optional": false}})).unwrap();
    let null = edge.twin(json!({"k": null, "l": {"actual": {"value": "1"}}})).unwrap();
    assert!(json(&null.result)["twin"].get("k").is_none(), "not honoured, and so not in the result");
    assert!(edge.twin(json!({"k": {"optional": true}})).unwrap().event.is_none());
    assert_eq!(edge.get()["k"]["optional"], false);
}

#[test]
fn the_type_of_a_property_wins_over_the_messages() {
    let mut edge = Edge::with_pump();
    edge.twin(json!({"k": {"actual": {"value": "2"}, "metadata": {"type": "int"}}})).unwrap();
    let text = json!({"k": {"actual": {"value": "red"}, "metadata": {"type": "string"}}});
    let (_, code, reason) = refused(edge.twin(text));
    assert_eq!(code, 400);
    assert!(reason.contains("the value is not int or integer"), "{reason}");
    let odd = json!({"k": {"actual": {"value": "3"}, "metadata": {"type": "DOUBLE"}}});
    edge.twin(odd).unwrap();
    assert_eq!(edge.get()["k"]["metadata"]["type"], "int");
}

#[test]
fn types_of_new_properties_are_the_known_ones() {
    let mut edge = Edge::with_pump();
    for (given, kept) in
        [("", "string"), ("string", "string"), ("integer", "integer"), ("boolean", "boolean")]
    {
        let value = match kept {
            "integer" => "3",
            _ => "true",
        };
        let key = format!("k-{given}");
        edge.twin(json!({&key: {"actual": {"value": value}, "metadata": {"type": given}}})).unwrap();
        assert_eq!(edge.get()[&key]["metadata"]["type"], kept);
    }
    for (bad, why) in
        [("DOUBLE", "the value type is not allowed"), ("nil", "not allowed"), ("deleted", "send null")]
    {
        let (_, code, reason) = refused(edge.twin(json!({"n": {"metadata": {"type": bad}}})));
        assert_eq!(code, 400);
        assert!(reason.contains(why), "{reason}");
    }
    let answer = edge.twin(json!({"n": {"expected": {"value": "string"}, "metadata": {"type": "int"}}}));
    assert!(refused(answer).2.contains("the value is not int or integer"));
}

#[test]
fn a_value_that_does_not_fit_leaves_the_whole_message_out() {
    let mut edge = Edge::with_pump();
    let twin = json!({"a": {"actual": {"value": "1"}}, "b": {"actual": {"value": "x"}, "metadata": {"type": "int"}}});
    assert!(edge.twin(twin).is_err());
    assert_eq!(edge.get(), json!({}));
}

#[test]
fn delta_names_what_differs_and_shows_all_that_is_wanted() {
    let mut edge = Edge::with_pump();
    edge.twin(json!({
        "twin": {"expected": {"value": "ON"}, "actual": {"value": "OFF"}},
        "expected": {"expected": {"value": "ON"}, "actual": {"value": ""}},
        "actual": {"expected": {"value": ""}, "actual": {"value": "ON"}},
        "gone": {"expected": {"value": "ON"}},
    }))
    .unwrap();
    let delta = json(&edge.twin(json!({"gone": null})).unwrap().delta.unwrap());
    assert_eq!(delta["delta"], json!({"twin": "ON", "expected": "ON"}));
    assert_eq!(delta["twin"].as_object().unwrap().keys().collect::<Vec<_>>(), ["expected", "twin"]);

    let same = json!({"actual": {"value": "ON"}});
    assert_eq!(edge.twin(json!({"twin": same, "expected": same})).unwrap().delta, None);
}

#[test]
fn the_clouds_wish_shows_as_expected_and_as_delta() {
    let mut edge = Edge::with_pump();
    assert_eq!(reply::delta(&edge.device(PUMP).unwrap(), &edge.now()), None);
    edge.given(PUMP, &[("speed", "40"), ("colour", "deep blue")]);
    let wish =
        |value| json!({"expected": {"value": value}, "optional": true, "metadata": {"type": "string"}});
    assert_eq!(edge.get(), json!({"speed": wish("40"), "colour": wish("deep blue")}));
    let delta = json(&reply::delta(&edge.device(PUMP).unwrap(), &edge.now()).unwrap());
    assert_eq!(delta["delta"], json!({"speed": "40", "colour": "deep blue"}));

    edge.twin(json!({"speed": {"actual": {"value": "40"}}})).unwrap();
    let delta = json(&reply::delta(&edge.device(PUMP).unwrap(), &edge.now()).unwrap());
    assert_eq!(delta["delta"], json!({"colour": "deep blue"}));
    assert_eq!(delta["twin"]["speed"]["expected"]["value"], "40");
    assert_eq!(refused(edge.twin(json!({"colour": null}))).1, 400, "only the cloud takes its wish back");
}

#[test]
fn a_local_wish_holds_until_the_cloud_wishes_again() {
    let mut edge = Edge::with_pump();
    edge.given(PUMP, &[("speed", "40")]);
    let expected = |edge: &Edge| edge.get()["speed"]["expected"]["value"].clone();
    edge.twin(json!({"speed": {"expected": {"value": "25"}}})).unwrap();
    assert_eq!(expected(&edge), "25");
    edge.given(PUMP, &[("speed", "40"), ("other", "1")]);
    assert_eq!(expected(&edge), "25", "the cloud's wish for speed is the same as before");
    edge.given(PUMP, &[("speed", "60"), ("other", "1")]);
    assert_eq!(expected(&edge), "60");
    let both = &edge.device(PUMP).unwrap().properties["speed"];
    assert_eq!(both.local().unwrap().value, "25");
    edge.twin(json!({"speed": null})).unwrap();
    assert_eq!(expected(&edge), "60");
}

#[test]
fn a_drivers_observed_desired_value_is_the_local_expected_one() {
    let mut edge = Edge::with_pump();
    edge.given(PUMP, &[("speed", "40")]);
    let patch = Patch { expected: Some("40".into()), actual: Some("38".into()), ..Patch::default() };
    let twin = [("speed".to_owned(), Some(patch))].into();
    let report = Update::new(Head::default(), twin).unwrap();
    let accepted = update::apply(&name(PUMP), edge.device(PUMP).as_mut(), &report, &edge.now()).unwrap();
    edge.append(PUMP, &accepted.event.unwrap());
    let row = stored(&edge, "speed").unwrap();
    assert_eq!((row.expected.unwrap().value.as_str(), row.actual.unwrap().value.as_str()), ("40", "38"));
    assert_eq!(row.value_type, "string");
    let bad = [("a b".to_owned(), None)].into();
    assert_eq!(Update::new(Head::default(), bad), Err(Rejection::Name("a b".into())));
}

#[test]
fn a_device_has_a_bounded_number_of_properties() {
    let mut edge = Edge::with_pump();
    let many = |from: usize, to: usize| {
        let all: serde_json::Map<_, _> = (from..to).map(|i| (format!("k{i}"), json!({}))).collect();
        Value::Object(all)
    };
    edge.twin(many(0, PROPERTIES - 1)).unwrap();
    let refused = edge.twin(many(PROPERTIES - 2, PROPERTIES + 1)).unwrap_err();
    assert_eq!(refused.rejection, Rejection::TooMany { count: PROPERTIES + 1, limit: PROPERTIES });
    edge.twin(many(PROPERTIES - 2, PROPERTIES)).unwrap();
    edge.twin(json!({"k0": null})).unwrap();
    assert!(edge.twin(json!({"one-more": {}})).is_err(), "a tombstone takes its place too");
    edge.twin(json!({"k0": {"actual": {"value": "1"}}})).unwrap();
}

#[test]
fn the_device_after_an_update_is_what_the_rows_give() {
    let mut edge = Edge::with_pump();
    edge.given(PUMP, &[("speed", "40")]);
    edge.twin(json!({"speed": {"actual": {"value": "1"}}, "x": {}})).unwrap();
    let mut kept = edge.device(PUMP).unwrap();
    for twin in [
        json!({"speed": {"expected": {"value": "2"}}, "x": null, "new": {}}),
        json!({"speed": null, "x": {}, "new": {"actual": {"value": "3"}, "optional": false}}),
    ] {
        let payload = bytes(&json!({ "twin": twin }));
        let accepted = update::decide(&name(PUMP), Some(&mut kept), &payload, &edge.now()).unwrap();
        edge.append(PUMP, &accepted.event.unwrap());
    }
    let mut loaded = edge.device(PUMP).unwrap();
    for reported in loaded.properties.values_mut().filter_map(|p| p.reported.as_mut()) {
        reported.at = ledge_schemas::Seq::ZERO;
    }
    assert_eq!(kept, loaded);
    let refused = br#"{"twin":{"a":{},"speed":{},"unknown":null}}"#;
    assert!(update::decide(&name(PUMP), Some(&mut kept), refused, &edge.now()).is_err());
    assert_eq!(kept, loaded, "a refusal leaves it as it was");
}

/// A slow, obvious twin: per property the two values and whether it is there.
type Model = BTreeMap<String, Option<(Option<String>, Option<String>)>>;

/// A message says of a property what the model holds of it.
fn message() -> impl Strategy<Value = Model> {
    let value = || prop::option::of("[a-c]{0,2}");
    prop::collection::btree_map("[a-d]", prop::option::weighted(0.7, (value(), value())), 0..4)
}

proptest! {
    #[test]
    fn folded_events_give_the_expected_twin(messages in prop::collection::vec(message(), 0..20)) {
        let mut edge = Edge::with_pump();
        let mut model = Model::new();
        for message in messages {
            let side = |value: &Option<String>| value.as_ref().map_or(Value::Null, |v| json!({"value": v}));
            let twin: serde_json::Map<_, _> = message
                .iter()
                .map(|(k, of)| {
                    let of = of.as_ref().map(|(e, a)| json!({"expected": side(e), "actual": side(a)}));
                    (k.clone(), of.unwrap_or(Value::Null))
                })
                .collect();
            let taken = message.iter().all(|(k, of)| of.is_some() || model.contains_key(k));
            prop_assert_eq!(edge.twin(Value::Object(twin)).is_ok(), taken);
            if taken {
                for (k, of) in message {
                    let Some((expected, actual)) = of else {
                        model.insert(k, None);
                        continue;
                    };
                    let now = model.entry(k).or_default().get_or_insert_default();
                    now.0 = expected.or(now.0.take());
                    now.1 = actual.or(now.1.take());
                }
            }
        }
        let text = |side: &Value| side["value"].as_str().map(str::to_owned);
        let shown = edge.get();
        let shown: Model = shown
            .as_object()
            .unwrap()
            .iter()
            .map(|(k, of)| (k.clone(), of.is_object().then(|| (text(&of["expected"]), text(&of["actual"])))))
            .collect();
        prop_assert_eq!(shown, model);
    }
}
