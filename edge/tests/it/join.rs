//! Joining: with a cloud that answers, and with everything that can be wrong with one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ledge_edge::layout::Edge;
use ledge_pki::{
    CertificateAuthority, JoinError, JoinErrorCode, JoinRequest, JoinResponse, ServerIdentity, Token,
    join_server_config,
};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::fixture::{NODE, now};
use crate::process::{command, fails};

struct Cloud {
    authority: Arc<CertificateAuthority>,
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Cloud {
    /// Answers every join with a certificate, or with `refusal`.
    async fn start(refusal: Option<JoinErrorCode>) -> Self {
        let authority = Arc::new(CertificateAuthority::create(now()).unwrap());
        let identity = ServerIdentity::issue(&authority, &["127.0.0.1".to_owned()], now()).unwrap();
        let tls = TlsAcceptor::from(join_server_config(&identity).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let (issuer, counter) = (Arc::clone(&authority), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = tls.accept(stream).await else { continue };
                let mut stream = BufReader::new(stream);
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).await.unwrap();
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let valid = JoinRequest::parse(&body).unwrap();
                assert_eq!(valid.store_id.as_ref().map(String::len), Some(32), "it names its log");
                let (status, answer) = match refusal {
                    Some(code) => {
                        let error = JoinError::new(code, "because of the test");
                        (error.status(), serde_json::to_string(&error).unwrap())
                    }
                    None => {
                        let issued = issuer.issue_node(&valid.csr_der, &valid.node, now()).unwrap();
                        let response = JoinResponse {
                            certificate_pem: issued.pem,
                            ca_pem: issuer.certificate_pem().to_owned(),
                            hub: vec!["127.0.0.1:10000".to_owned()],
                        };
                        (200, serde_json::to_string(&response).unwrap())
                    }
                };
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", answer.len());
                stream.write_all((head + &answer).as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
            }
        });
        Self { authority, address, asked }
    }

    fn token(&self) -> String {
        Token::generate(&self.authority.ca_hash()).unwrap().to_string()
    }
}

async fn join(dir: &std::path::Path, cloud: &str, token: &str) -> (Option<i32>, String) {
    let mut command = command(&["join", "--cloud", cloud, "--token", token, "--node", NODE]);
    command.arg("--data-dir").arg(dir);
    fails(command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_joins_and_an_interrupted_join_asks_only_once() {
    let cloud = Cloud::start(None).await;
    let dir = tempfile::tempdir().unwrap();
    let (address, token) = (cloud.address.to_string(), cloud.token());
    let (code, said) = join(dir.path(), &address, &token).await;
    assert_eq!(code, Some(0), "{said}");
    let layout = ledge_edge::layout::Layout::new(dir.path());
    assert_eq!(Edge::load(&layout).unwrap().hub[0].to_string(), "127.0.0.1:10000");
    assert!(!dir.path().join("pki/node.key").exists() && dir.path().join("pki/node.pem").exists());
    assert!(!layout.joined().exists());

    // As if it had been interrupted right after the cloud's answer, and then right before the last step.
    let held = ledge_pki::NodeCredentials::load(&layout.pki()).unwrap();
    let answer = JoinResponse {
        certificate_pem: held.certificate_pem().to_owned(),
        ca_pem: held.ca_pem().to_owned(),
        hub: vec!["127.0.0.1:10009".to_owned()],
    };
    std::fs::write(layout.joined(), serde_json::to_vec(&answer).unwrap()).unwrap();
    std::fs::remove_file(dir.path().join("edge.json")).unwrap();
    let (code, said) = join(dir.path(), &address, &token).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(Edge::load(&layout).unwrap().hub[0].to_string(), "127.0.0.1:10009");
    assert_eq!(cloud.asked.load(Ordering::SeqCst), 1, "the first answer was enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_to_fail_says_what_to_do() {
    let cloud = Cloud::start(None).await;
    let address = cloud.address.to_string();
    let dir = tempfile::tempdir().unwrap();
    let foreign = Token::generate(&"ab".repeat(32)).unwrap().to_string();
    let (code, said) = join(dir.path(), &address, &foreign).await;
    assert_eq!(code, Some(77), "{said}");
    assert!(said.contains("is not the cloud that was meant"), "{said}");
    assert_eq!(cloud.asked.load(Ordering::SeqCst), 0, "the token must not be sent there");

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (code, said) = join(dir.path(), &nobody, &cloud.token()).await;
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("cannot be reached"), "{said}");

    let (code, said) = join(dir.path(), &address, "ledge1.short").await;
    assert_eq!(code, Some(64), "{said}");

    for (refusal, wanted) in [
        (JoinErrorCode::TokenExpired, "ledge-cloud token create"),
        (JoinErrorCode::RejoinRequired, "--rejoin"),
        (JoinErrorCode::TokenNotForNode, "because of the test"),
    ] {
        let cloud = Cloud::start(Some(refusal)).await;
        let (code, said) = join(dir.path(), &cloud.address.to_string(), &cloud.token()).await;
        assert_eq!(code, Some(77), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
    let (code, said) = join(dir.path(), &address, &cloud.token()).await;
    assert_eq!(code, Some(0), "a join that failed stands in nobody's way: {said}");
    let mut other = command(&["join", "--cloud", &address, "--node", "bergen"]);
    other.arg("--data-dir").arg(dir.path()).env("LEDGE_JOIN_TOKEN", cloud.token());
    let (code, said) = fails(other).await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("belongs to node oslo"), "{said}");
    let shown: Value = serde_json::from_slice(&std::fs::read(dir.path().join("edge.json")).unwrap()).unwrap();
    assert_eq!(shown["node"], "oslo");
}
