//! Who gets a link, who does not, and what each is told.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{Cloud, DAY, dial, now, soon, target};
use ledge_pki::{PeerIdentity, RevocationList};
use ledge_transport::{
    ConnectError, ConnectTarget, Link, LinkConfig, ListenerConfig, Stage, Verdict, connect,
};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

fn expect_refused_certificate(outcome: &Result<Link, ConnectError>) {
    assert!(matches!(outcome, Err(ConnectError::CertificateRefused { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_do_not_hold_are_refused_and_the_node_knows_it() {
    let (cloud, other) = (Cloud::new(), Cloud::new());
    let hub = cloud.hub(ListenerConfig::default()).await;
    // It trusts our hub, but shows what it should not: rebuilt by hand.
    let trusting = |certificate: Option<(rustls::pki_types::CertificateDer<'static>, _)>| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(cloud.authority.certificate().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        })
    };
    expect_refused_certificate(&soon(dial(&hub, trusting(None))).await);
    let foreign = other.authority.issue_admin("x", &[], now()).unwrap();
    expect_refused_certificate(
        &soon(dial(&hub, trusting(Some((foreign.certificate(), foreign.key()))))).await,
    );
    expect_refused_certificate(&soon(dial(&hub, cloud.node_issued("oslo", now() - 366 * DAY))).await);

    let admin = cloud.authority.issue_admin("admin", &["system:masters".to_owned()], now()).unwrap();
    let not_a_node = soon(dial(&hub, trusting(Some((admin.certificate(), admin.key()))))).await;
    let Err(ConnectError::Refused { status: 403, reason }) = not_a_node else {
        panic!("{not_a_node:?}");
    };
    assert!(reason.contains("not a node's certificate"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_cannot_be_trusted_is_not_used() {
    let (cloud, other) = (Cloud::new(), Cloud::new());
    let hub = cloud.hub(ListenerConfig::default()).await;
    let foreign = soon(dial(&hub, other.node("oslo"))).await;
    assert!(matches!(foreign, Err(ConnectError::ServerNotTrusted { .. })), "{foreign:?}");

    let server_name = ledge_pki::server_name("other.example").unwrap();
    let elsewhere = ConnectTarget { server_name, ..target(&hub) };
    let misnamed = soon(connect(&elsewhere, cloud.node("oslo"), &LinkConfig::default())).await;
    assert!(matches!(misnamed, Err(ConnectError::ServerNotTrusted { .. })), "{misnamed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_never_finish_their_handshake_hold_up_nobody() {
    let cloud = Cloud::new();
    let config = ListenerConfig { handshake_timeout: Duration::from_secs(2), ..ListenerConfig::default() };
    let mut hub = cloud.hub(config).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(hub.local_addr()).await.unwrap());
    }
    for name in ["oslo", "bergen"] {
        let _link = soon(dial(&hub, cloud.node(name))).await.unwrap();
        assert_eq!(soon(hub.accept()).await.unwrap().peer.node, name);
    }
    for mut stream in silent {
        let end = soon(stream.read(&mut [0; 16])).await;
        assert!(matches!(end, Ok(0) | Err(_)), "given up after the time limit: {end:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_slow_handshakes_than_allowed_only_delay() {
    let cloud = Cloud::new();
    let handshake_timeout = Duration::from_millis(500);
    let config = ListenerConfig { max_handshakes: 2, handshake_timeout, ..ListenerConfig::default() };
    let mut hub = cloud.hub(config).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(hub.local_addr()).await.unwrap());
    }
    let _link = soon(dial(&hub, cloud.node("oslo"))).await.unwrap();
    assert_eq!(soon(hub.accept()).await.unwrap().peer.node, "oslo");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_hub_says_when_to_come_back() {
    let cloud = Cloud::new();
    let busy_retry_after = Duration::from_millis(1500);
    let mut hub =
        cloud.hub(ListenerConfig { max_links: 1, busy_retry_after, ..ListenerConfig::default() }).await;
    let first = soon(dial(&hub, cloud.node("oslo"))).await.unwrap();
    let at_hub = soon(hub.accept()).await.unwrap();
    let refused = soon(dial(&hub, cloud.node("bergen"))).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(busy_retry_after), "{refused}");
    // A place is given back with the link.
    drop((first, at_hub));
    let again = async {
        loop {
            match dial(&hub, cloud.node("bergen")).await {
                Err(ConnectError::RetryAfter(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                outcome => break outcome,
            }
        }
    };
    soon(again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn admission_sends_away_or_refuses_by_name() {
    let cloud = Cloud::new();
    let revoked = RevocationList::default();
    let list = revoked.clone();
    let admission = move |peer: &PeerIdentity, live: usize| match list.check(peer) {
        Err(revoked) => Verdict::Refuse(revoked.to_string()),
        Ok(()) if live >= 1 => Verdict::RetryAfter(Duration::from_secs(7)),
        Ok(()) => Verdict::Admit,
    };
    let mut hub =
        cloud.hub(ListenerConfig { admission: Arc::new(admission), ..ListenerConfig::default() }).await;
    let oslo = cloud.node("oslo");
    let _link = soon(dial(&hub, Arc::clone(&oslo))).await.unwrap();
    let accepted = soon(hub.accept()).await.unwrap();

    let later = soon(dial(&hub, cloud.node("bergen"))).await.unwrap_err();
    assert_eq!(later.retry_after(), Some(Duration::from_secs(7)));
    revoked.revoke(&accepted.peer.serial);
    let never = soon(dial(&hub, oslo)).await.unwrap_err();
    let ConnectError::Refused { status: 403, reason } = never else {
        panic!("{never}");
    };
    assert!(reason.contains("was revoked") && reason.contains("--rejoin"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_path_is_not_the_hub() {
    let cloud = Cloud::new();
    let hub = cloud.hub(ListenerConfig::default()).await;
    let elsewhere = ConnectTarget { path: "/other".to_owned(), ..target(&hub) };
    let refused = soon(connect(&elsewhere, cloud.node("oslo"), &LinkConfig::default())).await;
    assert!(matches!(refused, Err(ConnectError::Refused { status: 404, .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stage_has_its_own_failure() {
    let cloud = Cloud::new();
    let node = cloud.node("oslo");
    let config = LinkConfig { tls_timeout: Duration::from_millis(300), ..LinkConfig::default() };

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let target = ConnectTarget::hub("127.0.0.1", port).unwrap();
    let outcome = soon(connect(&target, Arc::clone(&node), &config)).await;
    assert!(matches!(outcome, Err(ConnectError::TimedOut { stage: Stage::Tls, .. })), "{outcome:?}");

    drop(silent);
    let outcome = soon(connect(&target, node, &config)).await;
    assert!(matches!(outcome, Err(ConnectError::Unreachable { .. })), "{outcome:?}");
}
