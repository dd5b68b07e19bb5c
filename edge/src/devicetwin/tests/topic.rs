use ledge_schemas::NodeName;
use proptest::prelude::*;

use super::super::topic::{Ask, Refusal, Route, route};
use super::name;

fn on(topic: &str) -> Route {
    route(&NodeName::new("oslo").unwrap(), topic, |topic| topic == "shop/orders")
}

#[test]
fn the_topics_of_a_device_reach_its_twin_in_every_namespace() {
    for namespace in ["default", "dev", "device", "events", "hw", "e", "twin", "state"] {
        let device = name(&format!("{namespace}/pump.1"));
        for (action, ask) in
            [("twin/update", Ask::TwinUpdate), ("twin/get", Ask::TwinGet), ("state/update", Ask::StateUpdate)]
        {
            let topic = format!("$hw/events/device/{device}/{action}");
            assert_eq!(on(&topic), Route::Device { device: device.clone(), ask });
            assert_eq!(ask.result_topic(&device), format!("{topic}/result"));
        }
    }
}

#[test]
fn requests_are_answered_but_not_logged() {
    let logged = |topic: &str| on(topic).is_logged();
    assert!(logged("$hw/events/device/a/b/twin/update"));
    assert!(logged("$hw/events/device/a/b/state/update"));
    assert!(!logged("$hw/events/device/a/b/twin/get"));
    assert!(!logged("$hw/events/node/oslo/membership/get"));
    assert_eq!(on("$hw/events/node/oslo/membership/get"), Route::Membership);
}

#[test]
fn uploads_are_logged_as_they_are() {
    for topic in [
        "$hw/events/upload",
        "$hw/events/upload/a/result",
        "SYS/dis/upload_records",
        "x/user",
        "x/user/a/b",
        "/user/a",
        "shop/orders",
    ] {
        assert_eq!(on(topic), Route::Upload, "{topic}");
        assert!(on(topic).is_logged());
    }
}

#[test]
fn everything_else_is_plain() {
    for topic in [
        "",
        "/",
        "a",
        "user/a",
        "$x/user/a",
        "$hw/events/uploads",
        "$hw/events/connected/x",
        "$hw/events/device/",
        "$hw/events/device/a/b/state/get",
        "$hw/events/device/a/b/c/twin/update",
        "$hw/events/device/a/twin/update",
        "$hw/events/node/oslo/membership/detail",
        "SYS/dis/upload_records/x",
        "$ke/events/device/a/b/data/update",
        "shop/orders/1",
    ] {
        assert_eq!(on(topic), Route::Plain, "{topic}");
        assert!(!on(topic).is_logged());
    }
}

#[test]
fn what_ledge_writes_is_refused_to_clients() {
    for topic in [
        "$hw/events/device/a/b/twin/update/result",
        "$hw/events/device/a/b/twin/update/delta",
        "$hw/events/device/a/b/twin/update/document",
        "$hw/events/device/a/b/twin/get/result",
        "$hw/events/device/a/b/twin/cloud_updated",
        "$hw/events/device/a/b/state/update/result",
        "$hw/events/device/a/b/updated",
        "$hw/events/device//twin/update/result",
        "$hw/events/node/oslo/membership/updated",
        "$hw/events/node/oslo/membership/get/result",
    ] {
        assert_eq!(on(topic), Route::Refused(Refusal::Own(topic.into())), "{topic}");
    }
}

#[test]
fn what_no_one_could_answer_is_refused_with_the_reason() {
    assert!(matches!(on("$hw/events/device/A/b/twin/update"), Route::Refused(Refusal::Name { .. })));
    assert!(matches!(on("$hw/events/device//twin/update"), Route::Plain));
    assert!(matches!(on("$hw/events/device///twin/update"), Route::Refused(Refusal::Name { .. })));
    assert!(matches!(on("$hw/events/device/a/b/twin/x"), Route::Refused(Refusal::UnknownAction(_))));
    let long = format!("x/user/{}", "y".repeat(1024));
    assert_eq!(on(&long), Route::Refused(Refusal::TooLong(long.len())));
    assert_eq!(on(&format!("x/{long}")), Route::Plain);
    assert!(matches!(on("$hw/events/node/bergen/membership/get"), Route::Refused(Refusal::OtherNode { .. })));
}

proptest! {
    #[test]
    fn any_topic_has_a_route(topic in "(\\$hw/events/(device|node)/)?[a-z/$é.]{0,40}") {
        let _ = on(&topic).is_logged();
    }
}
