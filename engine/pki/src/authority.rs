//! The certificate authority of one cloud.

use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};

use crate::UnixSeconds;
use crate::error::PkiError;
use crate::files;
use crate::identity::{CertificateInfo, certificate_from_pem, fingerprint};
use crate::name::validate_node_name;

/// File of the authority's private key, mode 0600.
pub const CA_KEY_FILE: &str = "ca.key";
/// File of the authority's certificate.
pub const CA_CERTIFICATE_FILE: &str = "ca.crt";
/// Group (organisation) of every node.
pub const NODES_GROUP: &str = "system:nodes";
/// What stands before the node name in a node's common name.
pub const NODE_USER_PREFIX: &str = "system:node:";
/// Group that may do everything in the Kubernetes-style API.
pub const ADMIN_GROUP: &str = "system:masters";

const DAY: i64 = 24 * 3600;
const CA_VALIDITY: i64 = 3650 * DAY;
const LEAF_VALIDITY: i64 = 365 * DAY;
/// Certificates begin this much before now, for clocks that are a little behind.
const BACKDATE: i64 = 3600;
/// No signing request of ours is longer than a few hundred bytes.
const MAX_CSR_BYTES: usize = 8 * 1024;
/// Last second that fits into a certificate here: 9999-12-31T23:59:59Z.
const LAST_SECOND: i64 = 253_402_300_799;

/// A key pair and the self-signed certificate that every node of this cloud trusts. P-256.
///
/// `Debug` shows the hash, never the key.
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
}

/// A certificate together with its private key, which was made here.
pub struct Credentials {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Credentials {
    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// The certificate as PEM text.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The private key as PKCS#8 PEM text.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The private key.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.serialize_der().into())
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", fingerprint(self.certificate.der()))
    }
}

/// A certificate issued to a node; the key is at the node and was never here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCertificate {
    /// The certificate as PEM text.
    pub pem: String,
    /// What it says: serial number, fingerprint, validity.
    pub info: CertificateInfo,
}

impl CertificateAuthority {
    /// Makes a new authority, valid for about ten years.
    ///
    /// # Errors
    /// No randomness, or a failure of the cryptographic library.
    pub fn create(now: UnixSeconds) -> Result<Self, PkiError> {
        let key = generate_key()?;
        let mut params = new_params("ledge", &[], now, CA_VALIDITY)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(PkiError::crypto("signing the CA certificate"))?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            certificate: certificate.into(),
            issuer: Issuer::new(params, key),
        })
    }

    /// From PEM texts, as a further replica or `--ca-secret` gives them.
    ///
    /// # Errors
    /// Texts that are not a P-256 key and a CA certificate, or do not belong together.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(key_pem).map_err(PkiError::crypto("reading the CA key"))?;
        let certificate = certificate_from_pem(certificate_pem)?;
        let info = CertificateInfo::of(&certificate)?;
        if info.public_key != key.der_bytes() {
            return Err(PkiError::KeyMismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(PkiError::crypto("reading the CA certificate"))?;
        Ok(Self { issuer, certificate, certificate_pem: certificate_pem.to_owned() })
    }

    /// Loads the authority in `dir`; if there is none yet, makes one and stores it. A certificate without
    /// its key is an error, never a reason for a new authority, which no node would trust.
    ///
    /// # Errors
    /// As [`Self::load`] and [`Self::store`]; [`PkiError::KeyLost`].
    pub fn load_or_create(dir: &Path, now: UnixSeconds) -> Result<Self, PkiError> {
        let exists = |file: &str| {
            let path = dir.join(file);
            path.try_exists().map_err(|source| PkiError::File { path, doing: "looked for", source })
        };
        match (exists(CA_KEY_FILE)?, exists(CA_CERTIFICATE_FILE)?) {
            (true, _) => Self::load(dir),
            (false, true) => Err(PkiError::KeyLost { dir: dir.to_owned() }),
            (false, false) => {
                let authority = Self::create(now)?;
                authority.store(dir)?;
                Ok(authority)
            }
        }
    }

    /// Loads `ca.key` and `ca.crt` from `dir`.
    ///
    /// # Errors
    /// Missing or unreadable files, a key that others may read, a key of another certificate.
    pub fn load(dir: &Path) -> Result<Self, PkiError> {
        let key_path = dir.join(CA_KEY_FILE);
        let key_pem = files::read_private(&key_path)?;
        let certificate_pem = files::read(&dir.join(CA_CERTIFICATE_FILE))?;
        Self::from_pem(&certificate_pem, &key_pem)
    }

    /// Writes `ca.crt` (0644), then `ca.key` (0600) into `dir`. Where `ca.key` is, the pair is complete.
    ///
    /// # Errors
    /// [`PkiError::File`].
    pub fn store(&self, dir: &Path) -> Result<(), PkiError> {
        let certificate = dir.join(CA_CERTIFICATE_FILE);
        files::replace(&certificate, self.certificate_pem.as_bytes(), files::PUBLIC)?;
        files::replace(&dir.join(CA_KEY_FILE), self.key_pem().as_bytes(), files::PRIVATE)
    }

    /// SHA-256 of the certificate's DER, 64 hex digits: what join tokens carry.
    #[must_use]
    pub fn ca_hash(&self) -> String {
        fingerprint(&self.certificate)
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate as PEM text.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key as PEM text, for a further replica, which gets it encrypted to its own key.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate for a listener reached under `sans` (host names and IP addresses), with a new key.
    /// Valid 365 days.
    ///
    /// # Errors
    /// No name, or one that is neither host name nor address.
    pub fn issue_server(&self, sans: &[String], now: UnixSeconds) -> Result<Credentials, PkiError> {
        if sans.is_empty() {
            return Err(PkiError::NoHostNames);
        }
        let mut params = new_params("ledge-cloud", &[], now, LEAF_VALIDITY)?;
        params.subject_alt_names = sans.iter().map(|san| subject_alt_name(san)).collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue_with_new_key(params)
    }

    /// A certificate for the node `node_name`, valid 365 days, over the public key of a signing request.
    /// Nothing else is taken from the request: subject and usages are always ours.
    ///
    /// # Errors
    /// An invalid name; a request that cannot be read, is not signed by its own key, or has no P-256 key.
    pub fn issue_node(
        &self,
        csr_der: &[u8],
        node_name: &str,
        now: UnixSeconds,
    ) -> Result<NodeCertificate, PkiError> {
        validate_node_name(node_name)?;
        if csr_der.len() > MAX_CSR_BYTES {
            let reason = format!("{} bytes are more than {MAX_CSR_BYTES}", csr_der.len());
            return Err(PkiError::signing_request(reason));
        }
        // `from_der` verifies the request's signature by the key inside it: proof of possession.
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr_der))
            .map_err(PkiError::signing_request)?;
        if PublicKeyData::algorithm(&request.public_key) != &PKCS_ECDSA_P256_SHA256 {
            return Err(PkiError::signing_request("its key is not P-256"));
        }
        let user = format!("{NODE_USER_PREFIX}{node_name}");
        let mut params = new_params(&user, &[NODES_GROUP.to_owned()], now, LEAF_VALIDITY)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params
            .signed_by(&request.public_key, &self.issuer)
            .map_err(PkiError::crypto("signing a node certificate"))?;
        Ok(NodeCertificate { info: CertificateInfo::of(certificate.der())?, pem: certificate.pem() })
    }

    /// A client certificate for a person or tool at the Kubernetes-style API, with a new key, valid 365
    /// days. `groups` usually is [`ADMIN_GROUP`].
    ///
    /// # Errors
    /// A user that would pass for a node, no randomness, or a failure of the cryptographic library.
    pub fn issue_admin(
        &self,
        user: &str,
        groups: &[String],
        now: UnixSeconds,
    ) -> Result<Credentials, PkiError> {
        if user.is_empty() || user.starts_with(NODE_USER_PREFIX) || groups.iter().any(|g| g == NODES_GROUP) {
            return Err(PkiError::certificate(format!(
                "user {user:?} is empty or would pass for a node; nodes get theirs by joining"
            )));
        }
        let mut params = new_params(user, groups, now, LEAF_VALIDITY)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue_with_new_key(params)
    }

    fn issue_with_new_key(&self, params: CertificateParams) -> Result<Credentials, PkiError> {
        let key = generate_key()?;
        let certificate =
            params.signed_by(&key, &self.issuer).map_err(PkiError::crypto("signing a certificate"))?;
        Ok(Credentials { certificate, key })
    }
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CertificateAuthority({})", self.ca_hash())
    }
}

/// A new P-256 key.
pub(crate) fn generate_key() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::crypto("making a key"))
}

/// Subject, validity and a random serial number; no usages yet.
fn new_params(
    user: &str,
    groups: &[String],
    now: UnixSeconds,
    validity: i64,
) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    // One organisation: rcgen keeps one value per attribute, and one group is all that is ever needed.
    match groups {
        [] => {}
        [group] => subject.push(DnType::OrganizationName, group.as_str()),
        _ => return Err(PkiError::certificate("more than one group cannot be put into a certificate")),
    }
    subject.push(DnType::CommonName, user);
    params.distinguished_name = subject;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_1970(now.saturating_sub(BACKDATE));
    params.not_after = epoch + since_1970(now.saturating_add(validity));
    params.serial_number = Some(serial_number()?);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// 128 random bits, made positive by clearing the first and nonzero by setting the second.
fn serial_number() -> Result<SerialNumber, PkiError> {
    let mut bytes = files::random_bytes::<16>()?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// How long after 1970 `at` is, clamped to 1970..=9999.
fn since_1970(at: UnixSeconds) -> Duration {
    Duration::from_secs(at.clamp(0, LAST_SECOND).unsigned_abs())
}

fn subject_alt_name(san: &str) -> Result<SanType, PkiError> {
    let host_error = || PkiError::HostName { host: san.chars().take(300).collect() };
    if let Ok(address) = san.parse() {
        return Ok(SanType::IpAddress(address));
    }
    // rustls has the stricter idea of a host name, and it is rustls that has to match it.
    rustls::pki_types::DnsName::try_from(san).map_err(|_| host_error())?;
    Ok(SanType::DnsName(san.try_into().map_err(|_| host_error())?))
}
