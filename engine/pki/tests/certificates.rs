//! What the authority issues, whatever it is asked for, and what the files may look like.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ledge_pki::{
    CA_KEY_FILE, CertificateAuthority, CertificateInfo, JoinErrorCode, JoinRequest, JoinResponse,
    NODE_CREDENTIALS_FILE, NODE_KEY_FILE, NodeCertificate, NodeCredentials, NodeKey, PeerIdentity, PkiError,
    RevocationList, Token, node_name_of,
};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ED25519,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, X509Certificate};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn authority() -> CertificateAuthority {
    CertificateAuthority::create(NOW).unwrap()
}

fn csr(key: &KeyPair, ask: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    ask(&mut params);
    params.serialize_request(key).unwrap().der().to_vec()
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn a_request_for_another_name_and_other_usages_gets_ours() {
    let key = KeyPair::generate().unwrap();
    let request = csr(&key, |params| {
        params.distinguished_name.push(DnType::CommonName, "system:node:victim");
        params.distinguished_name.push(DnType::OrganizationName, "system:masters");
        params.subject_alt_names = vec![rcgen::SanType::DnsName("cloud.example".try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any];
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let issued = authority().issue_node(&request, "oslo", NOW).unwrap();

    assert_eq!(issued.info.user, "system:node:oslo");
    assert_eq!(issued.info.groups, ["system:nodes"]);
    assert_eq!(issued.info.node_name().unwrap(), "oslo");
    assert_eq!(issued.info.not_after, NOW + 365 * DAY);
    let der = der(&issued.pem);
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let usages = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usages.client_auth && !usages.server_auth && !usages.any);
    assert!(!certificate.key_usage().unwrap().unwrap().value.key_cert_sign());
    assert!(!certificate.is_ca());
    assert!(certificate.subject_alternative_name().unwrap().is_none());
}

#[test]
fn serial_numbers_are_128_random_bits() {
    let (authority, key) = (authority(), KeyPair::generate().unwrap());
    let request = csr(&key, |_| {});
    let one = authority.issue_node(&request, "oslo", NOW).unwrap().info.serial;
    let other = authority.issue_node(&request, "oslo", NOW).unwrap().info.serial;
    assert_ne!(one, other);
    assert_eq!((one.len(), other.len()), (32, 32));
}

/// Every byte of the signed part counts. Around it, two bits mean nothing to the parser (a tag, and the
/// number of unused bits of the signature); a certificate over another key never comes out.
#[test]
fn a_tampered_request_is_refused() {
    let authority = authority();
    let request = csr(&KeyPair::generate().unwrap(), |_| {});
    let signed_part = {
        let (_, parsed) = X509CertificationRequest::from_der(&request).unwrap();
        let length = parsed.certification_request_info.raw.len();
        let begin = request.windows(length).position(|at| at == parsed.certification_request_info.raw);
        begin.unwrap()..begin.unwrap() + length
    };
    let key_in = |issued: NodeCertificate| {
        let der = der(&issued.pem);
        X509Certificate::from_der(&der).unwrap().1.public_key().raw.to_vec()
    };
    let expected = key_in(authority.issue_node(&request, "oslo", NOW).unwrap());
    let mut accepted = Vec::new();
    for at in 0..request.len() {
        let mut tampered = request.clone();
        tampered[at] ^= 1;
        if let Ok(issued) = authority.issue_node(&tampered, "oslo", NOW) {
            assert!(!signed_part.contains(&at), "byte {at} is signed");
            assert_eq!(key_in(issued), expected, "byte {at}");
            accepted.push(at);
        }
    }
    assert!(signed_part.len() > 80 && accepted.len() <= 2, "{accepted:?}");
}

#[test]
fn other_keys_and_long_requests_are_refused() {
    let authority = authority();
    let other_key = csr(&KeyPair::generate_for(&PKCS_ED25519).unwrap(), |_| {});
    for request in [other_key, vec![0; 9000], Vec::new()] {
        let refused = authority.issue_node(&request, "oslo", NOW);
        assert!(matches!(refused, Err(PkiError::SigningRequest { .. })), "{refused:?}");
    }
}

#[test]
fn invalid_node_names_get_no_certificate() {
    let request = csr(&KeyPair::generate().unwrap(), |_| {});
    for name in ["", "Oslo", "a/b", "oslo\0"] {
        assert!(matches!(authority().issue_node(&request, name, NOW), Err(PkiError::NodeName { .. })));
    }
}

#[test]
fn an_administrator_is_not_a_node() {
    let authority = authority();
    let admin = authority.issue_admin("admin", &["system:masters".to_owned()], NOW).unwrap();
    let info = CertificateInfo::of(&admin.certificate()).unwrap();
    assert_eq!((info.user.as_str(), info.groups.as_slice()), ("admin", &["system:masters".to_owned()][..]));
    assert!(node_name_of(&admin.certificate()).is_err());
    assert!(admin.key_pem().contains("PRIVATE KEY"));
    assert!(authority.issue_admin("system:node:oslo", &[], NOW).is_err());
    assert!(authority.issue_admin("x", &["system:nodes".to_owned()], NOW).is_err());
}

#[test]
fn the_authority_survives_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let made = authority();
    made.store(dir.path()).unwrap();
    let loaded = CertificateAuthority::load(dir.path()).unwrap();
    assert_eq!(loaded.ca_hash(), made.ca_hash());
    assert_eq!(loaded.key_pem(), made.key_pem());
    let mode = fs::metadata(dir.path().join(CA_KEY_FILE)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file is left");

    let info = CertificateInfo::of(loaded.certificate()).unwrap();
    assert_eq!(info.not_after, NOW + 3650 * DAY);
}

#[test]
fn a_new_authority_is_made_once_and_never_in_place_of_a_lost_one() {
    let dir = tempfile::tempdir().unwrap();
    let first = CertificateAuthority::load_or_create(dir.path(), NOW).unwrap();
    let second = CertificateAuthority::load_or_create(dir.path(), NOW).unwrap();
    assert_eq!(first.ca_hash(), second.ca_hash());
    fs::remove_file(dir.path().join(CA_KEY_FILE)).unwrap();
    let refused = CertificateAuthority::load_or_create(dir.path(), NOW);
    assert!(matches!(refused, Err(PkiError::KeyLost { .. })), "{refused:?}");
}

#[test]
fn a_key_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    authority().store(dir.path()).unwrap();
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(dir.path().join(CA_KEY_FILE), fs::Permissions::from_mode(mode)).unwrap();
        let refused = CertificateAuthority::load(dir.path()).unwrap_err();
        assert!(matches!(refused, PkiError::KeyExposed { mode: found, .. } if found == mode), "{refused}");
    }
}

#[test]
fn key_and_certificate_of_two_authorities_do_not_mix() {
    let (one, other) = (authority(), authority());
    let mixed = CertificateAuthority::from_pem(one.certificate_pem(), &other.key_pem());
    assert!(matches!(mixed, Err(PkiError::KeyMismatch)));
}

fn join(authority: &CertificateAuthority, key: &NodeKey, node: &str) -> JoinResponse {
    let body = serde_json::to_vec(&JoinRequest {
        token: Token::generate(&authority.ca_hash()).unwrap().to_string(),
        node: node.to_owned(),
        csr_pem: key.signing_request(node).unwrap(),
        store_id: None,
    });
    let valid = JoinRequest::parse(&body.unwrap()).unwrap();
    let issued = authority.issue_node(&valid.csr_der, &valid.node, NOW).unwrap();
    JoinResponse {
        certificate_pem: issued.pem,
        ca_pem: authority.certificate_pem().to_owned(),
        hub: vec!["cloud.example:10000".to_owned()],
    }
}

#[test]
fn a_join_ends_in_one_private_file() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority();
    let token = Token::generate(&authority.ca_hash()).unwrap();
    let key = NodeKey::load_or_generate(dir.path()).unwrap();
    let again = NodeKey::load_or_generate(dir.path()).unwrap();
    let response = join(&authority, &key, "oslo");
    let response = JoinResponse::parse(&serde_json::to_vec(&response).unwrap()).unwrap();
    // A join that was interrupted goes on with the same key.
    let credentials = response.accept(&token, again, "oslo", NOW).unwrap();
    credentials.store(dir.path()).unwrap();

    let loaded = NodeCredentials::load(dir.path()).unwrap();
    assert_eq!(loaded.node(), "oslo");
    assert_eq!(loaded.ca_hash(), authority.ca_hash());
    assert_eq!(loaded.info(), credentials.info());
    assert!(!dir.path().join(NODE_KEY_FILE).exists());
    let path = dir.path().join(NODE_CREDENTIALS_FILE);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(NodeCredentials::load(dir.path()), Err(PkiError::KeyExposed { .. })));
}

#[test]
fn a_node_takes_only_its_own_certificate_from_its_own_cloud() {
    let (ours, theirs) = (authority(), authority());
    let token = Token::generate(&ours.ca_hash()).unwrap();
    let key = || NodeKey::generate().unwrap();

    let (mine, other) = (key(), key());
    assert!(join(&ours, &other, "oslo").accept(&token, mine, "oslo", NOW).is_err(), "another key");
    let mine = key();
    assert!(join(&ours, &mine, "bergen").accept(&token, mine, "oslo", NOW).is_err(), "another node");
    let mine = key();
    assert!(join(&theirs, &mine, "oslo").accept(&token, mine, "oslo", NOW).is_err(), "another CA");
    let mine = key();
    let mut forged = join(&theirs, &mine, "oslo");
    forged.ca_pem = ours.certificate_pem().to_owned();
    assert!(forged.accept(&token, mine, "oslo", NOW).is_err(), "not signed by the CA shown");
    let mine = key();
    let late = join(&ours, &mine, "oslo").accept(&token, mine, "oslo", NOW + 366 * DAY);
    assert!(late.is_err(), "expired");
    let mine = key();
    assert!(join(&ours, &mine, "oslo").accept(&token, mine, "oslo", NOW).is_ok());
}

#[test]
fn malformed_joins_are_refused_with_a_reason() {
    let token = Token::generate(&"ab".repeat(32)).unwrap().to_string();
    let csr = NodeKey::generate().unwrap().signing_request("oslo").unwrap();
    let body = |token: &str, node: &str, csr: &str| {
        serde_json::json!({"token": token, "node": node, "csr_pem": csr}).to_string().into_bytes()
    };
    for (body, code) in [
        (b"{".to_vec(), JoinErrorCode::BadRequest),
        (vec![b' '; 70_000], JoinErrorCode::BadRequest),
        (body("x", "oslo", &csr), JoinErrorCode::BadRequest),
        (body(&token, "Oslo!", &csr), JoinErrorCode::BadRequest),
        (body(&token, "oslo", "-----BEGIN"), JoinErrorCode::SigningRequest),
        (body(&token, "oslo", &"x".repeat(20_000)), JoinErrorCode::BadRequest),
    ] {
        let refused = JoinRequest::parse(&body).unwrap_err();
        assert_eq!(refused.code, code, "{refused}");
        assert_eq!(refused.status(), 400);
        assert!(!refused.message.contains(&token[90..]), "the secret is not repeated");
    }
}

#[test]
fn a_revoked_certificate_is_refused_by_serial_number() {
    let authority = authority();
    let key = NodeKey::generate().unwrap();
    let der = der(&join(&authority, &key, "oslo").certificate_pem);
    let peer = PeerIdentity::from_chain(Some(&[der])).unwrap();
    assert_eq!(peer.node, "oslo");
    let revoked = RevocationList::default();
    assert!(revoked.check(&peer).is_ok());
    let shared = revoked.clone();
    shared.revoke(&peer.serial);
    assert!(revoked.check(&peer).unwrap_err().to_string().contains("--rejoin"));
    assert!(PeerIdentity::from_chain(None).is_err());
}
