//! Peers that pass TLS and then break the rules: each gets a typed end and costs nothing.

use crate::common::{Cloud, soon, target};
use futures::{SinkExt, StreamExt};
use ledge_transport::{Accepted, CloseCode, LinkError, Listener, ListenerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

type Stranger = WebSocketStream<TlsStream<TcpStream>>;

async fn stranger() -> (Stranger, Accepted, Listener) {
    let cloud = Cloud::new();
    let mut hub = cloud.hub(ListenerConfig::default()).await;
    let target = target(&hub);
    let tcp = TcpStream::connect(hub.local_addr()).await.unwrap();
    let tls = TlsConnector::from(cloud.node("oslo")).connect(target.server_name, tcp).await.unwrap();
    let (socket, _) = client_async(format!("wss://127.0.0.1{}", target.path), tls).await.unwrap();
    let accepted = soon(hub.accept()).await.unwrap();
    (socket, accepted, hub)
}

/// What the hub makes of `message`, and the close code it answers with.
async fn outcome_of(message: Message) -> (LinkError, CloseCode) {
    let (mut socket, accepted, _hub) = stranger().await;
    let (_sender, mut receiver) = accepted.link.split();
    socket.send(message).await.unwrap();
    let error = soon(receiver.recv()).await.unwrap_err();
    let code = loop {
        match soon(socket.next()).await.unwrap().unwrap() {
            Message::Close(Some(frame)) => break CloseCode::from(u16::from(frame.code)),
            _ => continue,
        }
    };
    (error, code)
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_refused() {
    assert_eq!(outcome_of(Message::text("hello")).await, (LinkError::Text, CloseCode::Text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_frame_is_refused_by_its_header() {
    let (error, code) = outcome_of(Message::binary(vec![0; 8193])).await;
    assert_eq!(error, LinkError::TooLong { limit: 1024 * 1024 + 64 * 1024, length: 8193 });
    assert_eq!(code, CloseCode::TooLong);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_only_announces_a_length_is_refused_at_once() {
    let (socket, accepted, _hub) = stranger().await;
    let (_sender, mut receiver) = accepted.link.split();
    let mut tls = socket.into_inner();
    // A binary frame, masked, of 2⁴⁰ bytes, none of which ever come.
    let mut header = vec![0x82, 0x80 | 127];
    header.extend((1_u64 << 40).to_be_bytes());
    header.extend([1, 2, 3, 4]);
    tls.write_all(&header).await.unwrap();
    tls.flush().await.unwrap();
    let error = soon(receiver.recv()).await.unwrap_err();
    assert!(matches!(error, LinkError::TooLong { length, .. } if length == 1 << 40), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_make_no_sense_are_refused() {
    for chunk in [vec![], vec![0xff], vec![0b1000, 1], vec![0b0100, 0, 0]] {
        let (error, code) = outcome_of(Message::binary(chunk.clone())).await;
        assert!(matches!(error, LinkError::Protocol(_)), "{chunk:?}: {error:?}");
        assert_eq!(code, CloseCode::Protocol);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_answered_and_do_not_disturb() {
    let (mut socket, accepted, _hub) = stranger().await;
    let (_sender, mut receiver) = accepted.link.split();
    socket.send(Message::Ping("are you there".into())).await.unwrap();
    socket.send(Message::binary(vec![0b1100, 42])).await.unwrap();
    assert_eq!(soon(receiver.recv()).await.unwrap().unwrap().as_ref(), [42]);
    let reading = tokio::spawn(async move { receiver.recv().await });
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::Pong("are you there".into()));
    drop(socket);
    let lost = soon(reading).await.unwrap();
    assert!(matches!(lost, Err(LinkError::Lost(_))), "{lost:?}");
}
