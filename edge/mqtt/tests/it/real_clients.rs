//! `rumqttc`, 3.1.1 and 5, against the broker.

use std::time::Duration;

use rumqttc::v5::mqttbytes::v5 as five;
use rumqttc::{Event, Packet};

use crate::fixture::{PATIENCE, broker};

#[tokio::test]
async fn a_3_1_1_client_publishes_to_itself() {
    let running = broker().await;
    let mut options = rumqttc::MqttOptions::new("four", "127.0.0.1", running.addr.port());
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = rumqttc::AsyncClient::new(options, 10);
    client.subscribe("log/#", rumqttc::QoS::AtLeastOnce).await.unwrap();
    let qualities = [rumqttc::QoS::AtMostOnce, rumqttc::QoS::AtLeastOnce, rumqttc::QoS::ExactlyOnce];
    for quality in qualities {
        client.publish("log/a", quality, false, format!("{quality:?}")).await.unwrap();
    }
    let (mut seen, mut acks, mut completed) = (Vec::new(), 0, 0);
    while seen.len() < 3 || acks < 1 || completed < 1 {
        match tokio::time::timeout(PATIENCE, events.poll()).await.unwrap().unwrap() {
            Event::Incoming(Packet::Publish(publish)) => seen.push(publish.payload),
            Event::Incoming(Packet::PubAck(_)) => acks += 1,
            Event::Incoming(Packet::PubComp(_)) => completed += 1,
            _ => {}
        }
    }
    assert_eq!(seen, ["AtMostOnce", "AtLeastOnce", "ExactlyOnce"]);
}

#[tokio::test]
async fn a_v5_client_publishes_to_itself_and_learns_of_a_refusal() {
    let running = broker().await;
    let mut options = rumqttc::v5::MqttOptions::new("five", "127.0.0.1", running.addr.port());
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = rumqttc::v5::AsyncClient::new(options, 10);
    let quality = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
    client.subscribe("log/#", quality).await.unwrap();
    let user = vec![("unit".to_owned(), "bar".to_owned())];
    let properties = five::PublishProperties { user_properties: user.clone(), ..Default::default() };
    client.publish_with_properties("log/a", quality, false, "x", properties).await.unwrap();
    client.publish("log/result", quality, false, "forged").await.unwrap();
    let (mut message, mut reasons) = (None, Vec::new());
    while message.is_none() || reasons.len() < 2 {
        match tokio::time::timeout(PATIENCE, events.poll()).await.unwrap().unwrap() {
            rumqttc::v5::Event::Incoming(five::Packet::Publish(publish)) => message = Some(publish),
            rumqttc::v5::Event::Incoming(five::Packet::PubAck(ack)) => reasons.push(ack.reason),
            _ => {}
        }
    }
    assert_eq!(message.unwrap().properties.unwrap().user_properties, user);
    assert_eq!(reasons, [five::PubAckReason::Success, five::PubAckReason::NotAuthorized]);
}
