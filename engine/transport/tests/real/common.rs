//! A cloud with a hub, and nodes of it: real sockets on free ports, real mutual TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ledge_pki::{
    CertificateAuthority, JoinRequest, JoinResponse, NodeKey, ServerIdentity, Token, hub_server_config,
    node_client_config,
};
use ledge_transport::{
    Accepted, ConnectError, ConnectTarget, Link, LinkConfig, Listener, ListenerConfig, connect,
};
use rustls::{ClientConfig, ServerConfig};

pub(crate) const DAY: i64 = 86_400;

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

pub(crate) struct Cloud {
    pub(crate) authority: CertificateAuthority,
    identity: ServerIdentity,
}

impl Cloud {
    pub(crate) fn new() -> Self {
        let authority = CertificateAuthority::create(now()).unwrap();
        let sans = ["127.0.0.1".to_owned(), "hub.example".to_owned()];
        let identity = ServerIdentity::issue(&authority, &sans, now()).unwrap();
        Self { authority, identity }
    }

    pub(crate) fn hub_tls(&self) -> Arc<ServerConfig> {
        hub_server_config(&self.identity, self.authority.certificate()).unwrap()
    }

    pub(crate) async fn hub(&self, config: ListenerConfig) -> Listener {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        Listener::bind(any_port, self.hub_tls(), config).await.unwrap()
    }

    pub(crate) fn node(&self, name: &str) -> Arc<ClientConfig> {
        self.node_issued(name, now())
    }

    pub(crate) fn node_issued(&self, name: &str, at: i64) -> Arc<ClientConfig> {
        let key = NodeKey::generate().unwrap();
        let token = Token::generate(&self.authority.ca_hash()).unwrap();
        let request = JoinRequest {
            token: token.to_string(),
            node: name.to_owned(),
            csr_pem: key.signing_request(name).unwrap(),
            store_id: None,
        };
        let valid = JoinRequest::parse(&serde_json::to_vec(&request).unwrap()).unwrap();
        let response = JoinResponse {
            certificate_pem: self.authority.issue_node(&valid.csr_der, name, at).unwrap().pem,
            ca_pem: self.authority.certificate_pem().to_owned(),
            hub: vec!["127.0.0.1:1".to_owned()],
        };
        node_client_config(&response.accept(&token, key, name, at).unwrap()).unwrap()
    }
}

pub(crate) fn target(hub: &Listener) -> ConnectTarget {
    ConnectTarget::hub("127.0.0.1", hub.local_addr().port()).unwrap()
}

pub(crate) async fn dial(hub: &Listener, tls: Arc<ClientConfig>) -> Result<Link, ConnectError> {
    connect(&target(hub), tls, &LinkConfig::default()).await
}

/// A node's link and the hub's end of it.
pub(crate) async fn linked(node: LinkConfig, hub: LinkConfig) -> (Link, Accepted, Listener) {
    let cloud = Cloud::new();
    let mut listener = cloud.hub(ListenerConfig { link: hub, ..ListenerConfig::default() }).await;
    let link = connect(&target(&listener), cloud.node("oslo"), &node).await.unwrap();
    let accepted = listener.accept().await.unwrap();
    (link, accepted, listener)
}

pub(crate) fn filled(length: usize, with: u8) -> Bytes {
    Bytes::from(vec![with; length])
}

/// Fails a test that hangs, instead of hanging the run.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("nothing happened for 20 s")
}
