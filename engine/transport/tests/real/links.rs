//! What a link promises, between two ends that keep the rules.

use std::time::Duration;

use crate::common::{filled, linked, soon};
use bytes::Bytes;
use ledge_transport::{CloseCode, Lane, LaneBudgets, LinkConfig, LinkError, SendError, TrySendError};

const MIB: usize = 1024 * 1024;

fn roomy() -> LinkConfig {
    let lanes = LaneBudgets { history: 80 * MIB, ..LaneBudgets::default() };
    LinkConfig { lanes, ..LinkConfig::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_any_size_go_both_ways_in_order() {
    let (node, hub, _listener) = linked(LinkConfig::default(), LinkConfig::default()).await;
    assert_eq!(hub.peer.node, "oslo");
    assert!(hub.address.ip().is_loopback());
    let sizes = [0, 1, 8191, 8192, 8193, 100_000, MIB + 64 * 1024, 5];
    let ((up, mut down), (back, mut at_hub)) = (node.split(), hub.link.split());
    let echo = tokio::spawn(async move {
        while let Some((lane, message)) = at_hub.recv_from().await.unwrap() {
            back.send(lane, message).await.unwrap();
        }
    });
    for (at, size) in sizes.into_iter().enumerate() {
        up.send(Lane::Live, filled(size, at as u8)).await.unwrap();
    }
    for (at, size) in sizes.into_iter().enumerate() {
        let (lane, message) = soon(down.recv_from()).await.unwrap().unwrap();
        assert_eq!((lane, message.len()), (Lane::Live, size));
        assert_eq!(message, filled(size, at as u8));
    }
    drop(up);
    assert_eq!(soon(down.recv()).await, Ok(None), "the last sender gone is a normal close");
    soon(echo).await.unwrap();
}

/// With a reader that reads nothing, 64 MiB of history fill every buffer there is. A heartbeat queued
/// then comes out before nearly all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_overtakes_64_mib_of_history() {
    let (node, hub, _listener) = linked(roomy(), LinkConfig::default()).await;
    let ((up, _down), (_back, mut at_hub)) = (node.split(), hub.link.split());
    for _ in 0..64 {
        up.send(Lane::History, filled(MIB, 1)).await.unwrap();
    }
    // Until the sockets take no more.
    let mut before = usize::MAX;
    while up.waiting(Lane::History) < before {
        before = up.waiting(Lane::History);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let in_buffers = 64 * MIB - before;
    up.send(Lane::Liveness, Bytes::from_static(b"beat")).await.unwrap();

    let mut history = 0;
    loop {
        match soon(at_hub.recv_from()).await.unwrap().unwrap() {
            (Lane::Liveness, _) => break,
            (_, message) => history += message.len(),
        }
    }
    println!("{in_buffers} bytes in buffers, {history} bytes of whole messages before the heartbeat");
    assert!(in_buffers < 8 * MIB, "{in_buffers} bytes were handed over ahead of time");
    assert!(history <= in_buffers, "the heartbeat waited behind history that was still queued");
    while history < 64 * MIB {
        let (lane, message) = soon(at_hub.recv_from()).await.unwrap().unwrap();
        assert_eq!((lane, message.len()), (Lane::History, MIB));
        history += message.len();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_lane_holds_its_sender_and_no_other() {
    let lanes = LaneBudgets { history: 2 * MIB, ..LaneBudgets::default() };
    let small = LinkConfig { lanes, ..LinkConfig::default() };
    let (node, hub, _listener) = linked(small, LinkConfig::default()).await;
    let ((up, _down), (_back, mut at_hub)) = (node.split(), hub.link.split());
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_millis(500), up.send(Lane::History, filled(MIB, 0)))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 50, "nothing ever held the sender");
    }
    let full = up.try_send(Lane::History, filled(MIB, 0));
    assert!(matches!(full, Err(TrySendError::Full(message)) if message.len() == MIB));
    up.try_send(Lane::Live, filled(1000, 9)).unwrap();
    let mut received = 0;
    while received < sent {
        match soon(at_hub.recv_from()).await.unwrap().unwrap() {
            (Lane::Live, message) => assert_eq!(message.len(), 1000),
            (_, message) => received += usize::from(message.len() == MIB),
        }
    }
    soon(up.send(Lane::History, filled(MIB, 0))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_refuses_what_the_receiver_would() {
    let (node, _hub, _listener) = linked(LinkConfig::default(), LinkConfig::default()).await;
    let (up, _down) = node.split();
    let refused = up.send(Lane::Live, filled(2 * MIB, 0)).await;
    assert_eq!(refused, Err(SendError::TooLong { length: 2 * MIB, limit: MIB + 64 * 1024 }));
    assert!(!up.is_ended());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_receivers_limit_ends_the_link() {
    let strict = LinkConfig { max_message: 100_000, ..LinkConfig::default() };
    let (node, hub, _listener) = linked(LinkConfig::default(), strict).await;
    let ((up, mut down), (_back, mut at_hub)) = (node.split(), hub.link.split());
    up.send(Lane::Live, filled(100_000, 0)).await.unwrap();
    up.send(Lane::Live, filled(100_001, 0)).await.unwrap();
    assert_eq!(soon(at_hub.recv()).await.unwrap().unwrap().len(), 100_000);
    let refused = soon(at_hub.recv()).await;
    assert_eq!(refused, Err(LinkError::TooLong { limit: 100_000, length: 100_001 }));
    assert_eq!(soon(at_hub.recv()).await, Ok(None), "an error is told once");
    let told = soon(down.recv()).await;
    assert!(matches!(told, Err(LinkError::Closed { code: CloseCode::TooLong, .. })), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_peer_is_told_why_a_link_was_closed() {
    for (code, reason) in [
        (CloseCode::Policy, "session 7 was fenced off by session 8"),
        (CloseCode::GoingAway, "stopping"),
        (CloseCode::TryAgainLater, ""),
        (CloseCode::Other(4001), "quarantined"),
    ] {
        let (node, hub, _listener) = linked(LinkConfig::default(), LinkConfig::default()).await;
        let ((up, mut down), (back, mut at_hub)) = (node.split(), hub.link.split());
        back.close(code, reason);
        let expected = LinkError::Closed { code, reason: reason.to_owned() };
        assert_eq!(soon(down.recv()).await, Err(expected));
        assert_eq!(soon(at_hub.recv()).await, Ok(None), "for the one who closed it is no error");
        soon(up.ended()).await;
        soon(back.ended()).await;
        assert_eq!(up.send(Lane::Live, Bytes::new()).await, Err(SendError::Ended));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_normal_close_delivers_what_was_queued() {
    let (node, hub, _listener) = linked(LinkConfig::default(), LinkConfig::default()).await;
    let ((up, _down), (_back, mut at_hub)) = (node.split(), hub.link.split());
    for at in 0..3 {
        up.send(Lane::History, filled(MIB, at)).await.unwrap();
    }
    up.close(CloseCode::Normal, "done");
    for at in 0..3 {
        assert_eq!(soon(at_hub.recv()).await, Ok(Some(filled(MIB, at))));
    }
    assert_eq!(soon(at_hub.recv()).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_receiver_ends_the_link() {
    let (node, hub, _listener) = linked(LinkConfig::default(), LinkConfig::default()).await;
    let ((up, down), (_back, mut at_hub)) = (node.split(), hub.link.split());
    drop(down);
    soon(up.ended()).await;
    assert!(soon(at_hub.recv()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_taken_for_the_end() {
    let idle_timeout = Duration::from_millis(400);
    let (node, hub, _listener) =
        linked(LinkConfig::default(), LinkConfig { idle_timeout, ..LinkConfig::default() }).await;
    let ((up, mut down), (back, mut at_hub)) = (node.split(), hub.link.split());
    // Alive as long as something comes, also when the receiver is polled anew each time.
    for _ in 0..8 {
        up.send(Lane::Liveness, Bytes::from_static(b"beat")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(soon(at_hub.recv()).await.unwrap().is_some());
    }
    let begun = std::time::Instant::now();
    let error = loop {
        let tick = tokio::time::sleep(Duration::from_millis(50));
        tokio::select! {
            heard = at_hub.recv() => break heard.unwrap_err(),
            () = tick => assert!(begun.elapsed() < Duration::from_secs(10), "never noticed"),
        }
    };
    assert_eq!(error, LinkError::Idle(idle_timeout));
    soon(back.ended()).await;
    assert!(soon(down.recv()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_was_busy_longer_than_the_idle_timeout_still_gets_everything() {
    let idle_timeout = Duration::from_millis(200);
    let (node, hub, _listener) =
        linked(LinkConfig::default(), LinkConfig { idle_timeout, ..LinkConfig::default() }).await;
    let ((up, _down), (_back, mut at_hub)) = (node.split(), hub.link.split());
    for at in 0..100 {
        up.send(Lane::Live, filled(10, at)).await.unwrap();
    }
    tokio::time::sleep(3 * idle_timeout).await;
    for at in 0..100 {
        assert_eq!(soon(at_hub.recv()).await, Ok(Some(filled(10, at))));
    }
}
