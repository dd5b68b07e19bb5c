//! The codec against arbitrary bytes, and against the codec of `rumqttc`.

#![allow(clippy::unwrap_used, reason = "tests")]

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::encode::{self, Outgoing};
use super::frame::{self, Frame};
use super::*;

const MAX: usize = 1 << 20;

fn read(bytes: &[u8], version: Version) -> Result<Packet, CodecError> {
    let frame = frame::peek(bytes, MAX)?.expect("a whole header");
    assert_eq!(frame.len(), bytes.len(), "the frame is not the packet");
    decode::packet(frame.first, &bytes[frame.header..], version)
}

#[test]
fn any_bytes_are_a_packet_or_an_error() {
    bolero::check!().with_type::<(u8, Vec<u8>)>().for_each(|(first, body)| {
        for version in [Version::V4, Version::V5] {
            let _either = decode::packet(*first, body, version);
        }
        let mut input = vec![*first];
        input.extend_from_slice(body);
        let _either = frame::peek(&input, 1000);
    });
}

proptest! {
    /// Bytes that look right for longer than random ones do: every prefix and every changed byte of a
    /// packet that is right.
    #[test]
    fn damaged_packets_are_a_packet_or_an_error(at in 0usize..200, byte: u8, cut in 0usize..200) {
        for (bytes, version) in samples() {
            let mut bytes = bytes.to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len() - cut % bytes.len());
            if let Ok(Some(frame)) = frame::peek(&bytes, MAX) {
                let body = &bytes[frame.header.min(bytes.len())..frame.len().min(bytes.len())];
                let _either = decode::packet(frame.first, body, version);
            }
        }
    }

    #[test]
    fn what_rumqttc_publishes_is_read_and_the_reverse(
        topic in "[a-z$é]{1,10}(/[a-z]{0,5}){0,4}",
        payload in prop::collection::vec(any::<u8>(), 0..300),
        id in 1u16..,
        qos in 0u8..=2,
        retain: bool,
        dup: bool,
        expiry: Option<u32>,
        user in prop::collection::vec(("[a-z]{0,5}", "[a-z]{0,5}"), 0..4),
    ) {
        let dup = dup && qos > 0;
        let id = if qos > 0 { id } else { 0 };
        let mut bytes = BytesMut::new();
        let mut theirs = v4::Publish::new(topic.as_str(), rumqttc::mqttbytes::qos(qos).unwrap(), payload.clone());
        (theirs.pkid, theirs.dup, theirs.retain) = (id, dup, retain);
        theirs.write(&mut bytes).unwrap();
        let Ok(Packet::Publish(ours)) = read(&bytes, Version::V4) else { panic!("not read") };
        prop_assert_eq!((&*ours.topic, &ours.payload[..], ours.id, ours.qos, ours.retain, ours.dup),
            (topic.as_str(), &payload[..], id, qos, retain, dup));

        let mut theirs = v5::Publish::new(topic.as_str(), rumqttc::v5::mqttbytes::qos(qos).unwrap(), payload.clone(),
            Some(v5::PublishProperties { message_expiry_interval: expiry, user_properties: user.clone(),
                content_type: Some("text".into()), ..Default::default() }));
        (theirs.pkid, theirs.dup, theirs.retain) = (id, dup, retain);
        let mut bytes = BytesMut::new();
        theirs.write(&mut bytes).unwrap();
        let Ok(Packet::Publish(ours)) = read(&bytes, Version::V5) else { panic!("not read") };
        prop_assert_eq!(ours.expiry, expiry);

        let mut back = BytesMut::new();
        let outgoing = Outgoing { topic: &ours.topic, payload: &ours.payload, id, qos, dup, retain, expiry: ours.expiry,
            forward: &ours.forward, subscriptions: &[7, 300] };
        outgoing.write(&mut back, Version::V5);
        prop_assert_eq!(back.len(), outgoing.size(Version::V5));
        let Ok(v5::Packet::Publish(again)) = v5::Packet::read(&mut back, None) else { panic!("not read back") };
        let properties = again.properties.unwrap();
        prop_assert_eq!(properties.user_properties, user);
        prop_assert_eq!(properties.message_expiry_interval, expiry);
        prop_assert_eq!(properties.content_type.as_deref(), Some("text"));
        prop_assert_eq!(properties.subscription_identifiers, vec![7, 300]);
        prop_assert_eq!(&again.payload[..], &payload[..]);
    }
}

fn samples() -> Vec<(BytesMut, Version)> {
    let mut samples = Vec::new();
    let mut v4_connect = BytesMut::new();
    let mut connect = v4::Connect::new("client");
    connect.set_login("user", "password");
    connect.last_will = Some(v4::LastWill::new("last/will", "gone", rumqttc::QoS::AtLeastOnce, true));
    connect.write(&mut v4_connect).unwrap();
    samples.push((v4_connect, Version::V4));

    let mut v5_connect = BytesMut::new();
    let mut properties = v5::ConnectProperties::new();
    properties.session_expiry_interval = Some(77);
    properties.receive_maximum = Some(5);
    properties.max_packet_size = Some(4096);
    properties.user_properties = vec![("a".into(), "b".into())];
    let connect = v5::Connect {
        keep_alive: 9,
        client_id: "five".into(),
        clean_start: true,
        properties: Some(properties),
    };
    let will = v5::LastWill::new("w", "gone", rumqttc::v5::mqttbytes::QoS::AtLeastOnce, false, None);
    connect.write(&Some(will), &Some(v5::Login::new("u", "p")), &mut v5_connect).unwrap();
    samples.push((v5_connect, Version::V5));

    let mut subscribe = BytesMut::new();
    v4::Subscribe {
        pkid: 3,
        filters: vec![v4::SubscribeFilter::new("a/+".into(), rumqttc::QoS::ExactlyOnce)],
    }
    .write(&mut subscribe)
    .unwrap();
    samples.push((subscribe, Version::V4));

    let mut subscribe = BytesMut::new();
    let mut filter = v5::Filter::new("a/#", rumqttc::v5::mqttbytes::QoS::AtLeastOnce);
    filter.nolocal = true;
    let properties = v5::SubscribeProperties { id: Some(300), user_properties: Vec::new() };
    let mut packet = v5::Subscribe::new(filter, Some(properties));
    packet.pkid = 4;
    packet.write(&mut subscribe).unwrap();
    samples.push((subscribe, Version::V5));

    let mut publish = BytesMut::new();
    let forward = [0x26, 0, 1, b'k', 0, 1, b'v'];
    let outgoing = Outgoing {
        topic: "a/b",
        payload: b"hello",
        id: 9,
        qos: 1,
        dup: true,
        retain: true,
        expiry: Some(60),
        forward: &forward,
        subscriptions: &[],
    };
    outgoing.write(&mut publish, Version::V5);
    samples.push((publish, Version::V5));
    let mut disconnect = BytesMut::new();
    encode::disconnect(&mut disconnect, Version::V5, reason::PACKET_TOO_LARGE);
    samples.push((disconnect, Version::V5));
    let mut ack = BytesMut::new();
    encode::ack(&mut ack, Version::V5, encode::PUBREL, 5, reason::PACKET_ID_NOT_FOUND, "lost");
    samples.push((ack, Version::V5));
    samples
}

#[test]
fn the_samples_are_read() {
    let packets: Vec<_> = samples().iter().map(|(bytes, version)| read(bytes, *version).unwrap()).collect();
    let [
        Packet::Connect(four),
        Packet::Connect(five),
        Packet::Subscribe(plain),
        Packet::Subscribe(rich),
        publish,
        end,
        ack,
    ] = &packets[..]
    else {
        panic!("{packets:?}");
    };
    assert_eq!((four.version, four.client_id.as_str(), four.clean), (Version::V4, "client", true));
    assert_eq!((four.username.as_deref(), four.password.as_deref()), (Some("user"), Some(&b"password"[..])));
    let will = four.will.as_ref().unwrap();
    assert_eq!(
        (&*will.topic, &will.payload[..], will.qos, will.retain),
        ("last/will", &b"gone"[..], 1, true)
    );
    assert_eq!(
        (five.keep_alive, five.session_expiry, five.receive_maximum, five.maximum_packet),
        (9, Some(77), 5, 4096)
    );
    assert_eq!((plain.id, plain.filters[0].qos), (3, 2));
    assert_eq!((rich.id, rich.identifier, rich.filters[0].no_local), (4, Some(300), true));
    assert!(matches!(publish, Packet::Publish(Publish { id: 9, dup: true, expiry: Some(60), .. })));
    assert_eq!(end, &Packet::Disconnect { code: reason::PACKET_TOO_LARGE, session_expiry: None });
    assert_eq!(ack, &Packet::PubRel(Ack { id: 5, code: reason::PACKET_ID_NOT_FOUND }));
}

#[test]
fn a_length_is_checked_before_the_body_is_here() {
    assert_eq!(
        frame::peek(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], MAX),
        Err(CodecError::TooLarge { size: 268_435_460, max: MAX })
    );
    assert!(frame::peek(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], MAX).is_err());
    assert_eq!(frame::peek(&[0x30, 0xFF, 0xFF], MAX), Ok(None));
    assert_eq!(frame::peek(&[0x30, 5], MAX), Ok(Some(Frame { first: 0x30, header: 2, body: 5 })));
}

#[test]
fn what_the_specifications_forbid_is_refused() {
    let cases: &[(&[u8], Version, &str)] = &[
        (&[0x10, 10, 0, 4, b'M', b'Q', b'T', b'T', 4, 1, 0, 0], Version::V4, "reserved connect flag"),
        (&[0x10, 10, 0, 4, b'M', b'Q', b'T', b'T', 6, 2, 0, 0], Version::V4, "protocol level 6"),
        (&[0x31, 3, 0, 1, b'#'], Version::V4, "wildcard in a name"),
        (&[0x36, 5, 0, 1, b'a', 0, 1], Version::V4, "QoS 3"),
        (&[0x38, 3, 0, 1, b'a'], Version::V4, "duplicate at QoS 0"),
        (&[0x32, 5, 0, 1, b'a', 0, 0], Version::V4, "packet id 0"),
        (&[0x30, 3, 0, 9, b'a'], Version::V4, "topic longer than the packet"),
        (&[0x30, 4, 0, 2, 0xC3, 0x28], Version::V4, "not UTF-8"),
        (&[0x30, 3, 0, 1, 0], Version::V4, "U+0000"),
        (&[0x80, 6, 0, 1, 0, 1, b'a', 0], Version::V4, "flags of subscribe"),
        (&[0x82, 2, 0, 1], Version::V4, "no filter"),
        (&[0xA2, 2, 0, 1], Version::V4, "no filter"),
        (&[0xC0, 1, 0], Version::V4, "ping with a body"),
        (&[0xF0, 0], Version::V4, "packet type 15 in 3.1.1"),
        (&[0x00, 0], Version::V5, "packet type 0"),
        (&[0x30, 5, 0, 1, b'a', 9, 1], Version::V5, "property block longer than the packet"),
        (&[0x30, 6, 0, 1, b'a', 2, 1, 2], Version::V5, "payload format 2"),
        (&[0x30, 8, 0, 1, b'a', 4, 1, 0, 1, 0], Version::V5, "a property twice"),
        (&[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 1], Version::V5, "topic alias"),
        (&[0x30, 6, 0, 1, b'a', 2, 0x0B, 1], Version::V5, "subscription identifier from a client"),
    ];
    for (bytes, version, what) in cases {
        assert!(read(bytes, *version).is_err(), "{what} is accepted");
    }
}

#[test]
fn answers_are_what_rumqttc_reads() {
    let mut out = BytesMut::new();
    let ack = encode::ConnAck {
        session_present: true,
        code: reason::SUCCESS,
        assigned_id: Some("given"),
        session_expiry: 60,
        receive_maximum: 64,
        maximum_packet: 1000,
    };
    encode::connack(&mut out, Version::V5, &ack);
    encode::suback(&mut out, Version::V5, 1, &[1, reason::NO_SHARED_SUBSCRIPTIONS]);
    encode::unsuback(&mut out, Version::V5, 2, &[0, reason::NO_SUBSCRIPTION]);
    encode::ack(&mut out, Version::V5, encode::PUBACK, 3, reason::QUOTA, "");
    encode::ack(&mut out, Version::V5, encode::PUBACK, 4, reason::PAYLOAD_INVALID, "not JSON");
    encode::ack(&mut out, Version::V5, encode::PUBACK, 5, reason::SUCCESS, "");
    encode::pingresp(&mut out);
    let mut next = || v5::Packet::read(&mut out, None).unwrap();
    let v5::Packet::ConnAck(ack) = next() else { panic!("connack") };
    let properties = ack.properties.unwrap();
    assert!(ack.session_present);
    assert_eq!(properties.assigned_client_identifier.as_deref(), Some("given"));
    assert_eq!((properties.receive_max, properties.max_packet_size), (Some(64), Some(1000)));
    assert_eq!((properties.topic_alias_max, properties.shared_subscription_available), (Some(0), Some(0)));
    assert!(matches!(next(), v5::Packet::SubAck(ack) if ack.return_codes.len() == 2));
    assert!(matches!(next(), v5::Packet::UnsubAck(ack) if ack.reasons.len() == 2));
    assert!(
        matches!(next(), v5::Packet::PubAck(ack) if ack.pkid == 3 && ack.reason == v5::PubAckReason::QuotaExceeded)
    );
    let v5::Packet::PubAck(ack) = next() else { panic!("puback") };
    assert_eq!(ack.properties.unwrap().reason_string.as_deref(), Some("not JSON"));
    assert!(
        matches!(next(), v5::Packet::PubAck(ack) if ack.pkid == 5 && ack.reason == v5::PubAckReason::Success)
    );
    assert!(matches!(next(), v5::Packet::PingResp(_)));

    let mut out = BytesMut::new();
    encode::connack(&mut out, Version::V4, &ack_refused());
    assert_eq!(&out[..], [0x20, 2, 0, 5]);
    let mut out = BytesMut::new();
    let connect = Connect {
        version: Version::V4,
        client_id: "bridge".into(),
        clean: false,
        keep_alive: 30,
        session_expiry: None,
        receive_maximum: u16::MAX,
        maximum_packet: u32::MAX,
        enhanced_auth: false,
        will: None,
        username: Some("u".into()),
        password: Some(Bytes::from_static(b"p")),
    };
    encode::connect(&mut out, &connect);
    assert_eq!(read(&out, Version::V4), Ok(Packet::Connect(Box::new(connect))));
    let Ok(v4::Packet::Connect(theirs)) = v4::Packet::read(&mut out, MAX) else { panic!("connect") };
    assert_eq!(
        (theirs.client_id.as_str(), theirs.clean_session, theirs.login.is_some()),
        ("bridge", false, true)
    );
    let mut out = BytesMut::new();
    encode::subscribe(&mut out, 9, &["a/+".into(), "#".into()]);
    assert!(
        matches!(v4::Packet::read(&mut out, MAX), Ok(v4::Packet::Subscribe(packet)) if packet.filters.len() == 2)
    );
}

fn ack_refused() -> encode::ConnAck<'static> {
    encode::ConnAck {
        session_present: false,
        code: reason::NOT_AUTHORIZED,
        assigned_id: None,
        session_expiry: 0,
        receive_maximum: 0,
        maximum_packet: 0,
    }
}
