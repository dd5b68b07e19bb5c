//! Which handshakes succeed: rustls against rustls, in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ledge_pki::{
    CertificateAuthority, JoinResponse, NodeKey, PeerIdentity, ServerIdentity, Token, api_server_config,
    hub_server_config, join_client_config, join_server_config, node_client_config, server_name,
};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

const DAY: i64 = 86_400;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

struct Cloud {
    authority: CertificateAuthority,
    identity: ServerIdentity,
}

fn cloud_at(time: i64) -> Cloud {
    let authority = CertificateAuthority::create(time).unwrap();
    let sans = ["cloud.example".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let identity = ServerIdentity::issue(&authority, &sans, time).unwrap();
    Cloud { authority, identity }
}

impl Cloud {
    fn hub(&self) -> Arc<ServerConfig> {
        hub_server_config(&self.identity, self.authority.certificate()).unwrap()
    }

    fn node_at(&self, time: i64) -> Arc<ClientConfig> {
        let key = NodeKey::generate().unwrap();
        let token = Token::generate(&self.authority.ca_hash()).unwrap();
        let csr = key.signing_request("oslo").unwrap();
        let csr = {
            use rustls::pki_types::{CertificateSigningRequestDer, pem::PemObject};
            CertificateSigningRequestDer::from_pem_slice(csr.as_bytes()).unwrap()
        };
        let issued = self.authority.issue_node(&csr, "oslo", time).unwrap();
        let response = JoinResponse {
            certificate_pem: issued.pem,
            ca_pem: self.authority.certificate_pem().to_owned(),
            hub: Vec::new(),
        };
        node_client_config(&response.accept(&token, key, "oslo", time).unwrap()).unwrap()
    }
}

/// Runs both ends until neither has anything to say.
fn handshake(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    host: &str,
) -> Result<ServerConnection, rustls::Error> {
    let mut client = ClientConnection::new(client, server_name(host).unwrap()).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    for _ in 0..8 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            server.read_tls(&mut wire).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            client.read_tls(&mut wire).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(server)
}

#[test]
fn a_node_and_its_hub_know_each_other() {
    let cloud = cloud_at(now());
    for host in ["cloud.example", "127.0.0.1", "[::1]"] {
        let server = handshake(cloud.node_at(now()), cloud.hub(), host).unwrap();
        assert_eq!(PeerIdentity::from_chain(server.peer_certificates()).unwrap().node, "oslo");
        assert_eq!(server.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    }
}

#[test]
fn the_hub_is_verified_by_name() {
    let cloud = cloud_at(now());
    let refused = handshake(cloud.node_at(now()), cloud.hub(), "other.example");
    assert!(matches!(refused, Err(rustls::Error::InvalidCertificate(_))), "{refused:?}");
}

#[test]
fn strangers_do_not_get_in() {
    let (cloud, other) = (cloud_at(now()), cloud_at(now()));
    let hub = |cloud: &Cloud| cloud.hub();
    assert!(handshake(other.node_at(now()), hub(&cloud), "cloud.example").is_err(), "another CA");
    let token = Token::generate(&cloud.authority.ca_hash()).unwrap();
    let nobody = join_client_config(&token).unwrap();
    assert!(handshake(nobody, hub(&cloud), "cloud.example").is_err(), "no certificate");
    let expired = cloud.node_at(now() - 366 * DAY);
    assert!(handshake(expired, hub(&cloud), "cloud.example").is_err(), "expired");
}

#[test]
fn a_joining_node_knows_the_cloud_by_its_hash_alone() {
    let cloud = cloud_at(now());
    let token = Token::generate(&cloud.authority.ca_hash()).unwrap();
    for host in ["cloud.example", "10.9.8.7", "unadvertised.example"] {
        let server = join_server_config(&cloud.identity).unwrap();
        assert!(handshake(join_client_config(&token).unwrap(), server, host).is_ok(), "{host}");
    }
}

#[test]
fn another_authority_of_the_same_name_does_not_get_the_token() {
    let (cloud, imposter) = (cloud_at(now()), cloud_at(now()));
    let token = Token::generate(&cloud.authority.ca_hash()).unwrap();
    let server = join_server_config(&imposter.identity).unwrap();
    let refused = handshake(join_client_config(&token).unwrap(), server, "cloud.example");
    assert!(matches!(refused, Err(rustls::Error::InvalidCertificate(_))), "{refused:?}");
}

#[test]
fn showing_the_right_ca_behind_another_leaf_does_not_help() {
    let (cloud, imposter) = (cloud_at(now()), cloud_at(now()));
    let token = Token::generate(&cloud.authority.ca_hash()).unwrap();
    let leaf = imposter.authority.issue_server(&["cloud.example".to_owned()], now()).unwrap();
    let node = cloud.authority.issue_admin("admin", &[], now()).unwrap();
    for (certificate, key) in [(leaf.certificate(), leaf.key()), (node.certificate(), node.key())] {
        let chain = vec![certificate, cloud.authority.certificate().clone()];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let refused = handshake(join_client_config(&token).unwrap(), Arc::new(server), "cloud.example");
        assert!(matches!(refused, Err(rustls::Error::InvalidCertificate(_))), "{refused:?}");
    }
}

#[test]
fn an_expired_server_gets_no_token() {
    let cloud = cloud_at(now() - 366 * DAY);
    let token = Token::generate(&cloud.authority.ca_hash()).unwrap();
    let attempt = || {
        let server = join_server_config(&cloud.identity).unwrap();
        handshake(join_client_config(&token).unwrap(), server, "cloud.example")
    };
    assert!(attempt().is_err());
    cloud.identity.renew(&cloud.authority, now()).unwrap();
    assert!(attempt().is_ok(), "a renewed certificate is used by the next handshake");
}

#[test]
fn the_api_takes_clients_with_and_without_certificates_but_no_foreign_ones() {
    let (cloud, other) = (cloud_at(now()), cloud_at(now()));
    let api = || api_server_config(&cloud.identity, cloud.authority.certificate()).unwrap();
    let token = Token::generate(&cloud.authority.ca_hash()).unwrap();
    let nobody = handshake(join_client_config(&token).unwrap(), api(), "cloud.example").unwrap();
    assert!(nobody.peer_certificates().is_none());
    let node = handshake(cloud.node_at(now()), api(), "cloud.example").unwrap();
    assert!(node.peer_certificates().is_some());
    assert!(handshake(other.node_at(now()), api(), "cloud.example").is_err());
}
