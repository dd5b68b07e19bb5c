//! What a node holds: its key, and the certificate it got for it.

use std::path::Path;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::UnixSeconds;
use crate::authority::{NODE_USER_PREFIX, NODES_GROUP, generate_key};
use crate::error::PkiError;
use crate::files;
use crate::identity::{CertificateInfo, certificate_from_pem, fingerprint};
use crate::name::validate_node_name;

/// File of a key that waits for its certificate (between `generate` and a successful join), mode 0600.
pub const NODE_KEY_FILE: &str = "node.key";
/// File of key, certificate and CA certificate together, mode 0600. One file, so that a renewal replaces
/// all three at once or not at all.
pub const NODE_CREDENTIALS_FILE: &str = "node.pem";

/// A node's private key. Made at the node; nothing here sends it anywhere.
pub struct NodeKey {
    key: KeyPair,
}

impl NodeKey {
    /// A new P-256 key.
    ///
    /// # Errors
    /// A failure of the cryptographic library.
    pub fn generate() -> Result<Self, PkiError> {
        Ok(Self { key: generate_key()? })
    }

    /// The key in `dir`, or a new one that is stored there before it is returned: a join that was
    /// interrupted goes on with the same key.
    ///
    /// # Errors
    /// A file that cannot be read or written, or that others may read.
    pub fn load_or_generate(dir: &Path) -> Result<Self, PkiError> {
        let path = dir.join(NODE_KEY_FILE);
        if path.exists() {
            return Self::from_pem(&files::read_private(&path)?);
        }
        let key = Self::generate()?;
        files::replace(&path, key.key.serialize_pem().as_bytes(), files::PRIVATE)?;
        Ok(key)
    }

    fn from_pem(pem: &str) -> Result<Self, PkiError> {
        Ok(Self { key: KeyPair::from_pem(pem).map_err(PkiError::crypto("reading the node's key"))? })
    }

    /// A signing request for `node_name`, PEM. The authority takes only the public key from it; the
    /// subject is there for whoever looks at it.
    ///
    /// # Errors
    /// An invalid name, or a failure of the cryptographic library.
    pub fn signing_request(&self, node_name: &str) -> Result<String, PkiError> {
        validate_node_name(node_name)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, NODES_GROUP);
        params.distinguished_name.push(DnType::CommonName, format!("{NODE_USER_PREFIX}{node_name}"));
        let request = params.serialize_request(&self.key);
        request.and_then(|request| request.pem()).map_err(PkiError::crypto("signing a request"))
    }

    /// Whether a certificate is for this key.
    pub(crate) fn belongs_to(&self, certificate: &CertificateInfo) -> bool {
        certificate.public_key == self.key.der_bytes()
    }
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeKey(…)")
    }
}

/// Key, certificate and the CA to verify the cloud by: all a node needs to connect.
#[derive(Debug)]
pub struct NodeCredentials {
    key: NodeKey,
    certificate_pem: String,
    ca_pem: String,
    certificate: CertificateDer<'static>,
    ca: CertificateDer<'static>,
    info: CertificateInfo,
}

impl NodeCredentials {
    /// Puts the three together.
    ///
    /// # Errors
    /// Texts that cannot be read, a certificate for another key, one that is not a node's.
    pub fn new(key: NodeKey, certificate_pem: &str, ca_pem: &str) -> Result<Self, PkiError> {
        let certificate = certificate_from_pem(certificate_pem)?;
        let ca = certificate_from_pem(ca_pem)?;
        let info = CertificateInfo::of(&certificate)?;
        info.node_name()?;
        if !key.belongs_to(&info) {
            return Err(PkiError::certificate("it is for another key than this node's"));
        }
        let (certificate_pem, ca_pem) = (certificate_pem.to_owned(), ca_pem.to_owned());
        Ok(Self { key, certificate_pem, ca_pem, certificate, ca, info })
    }

    /// Loads `node.pem` from `dir`.
    ///
    /// # Errors
    /// A missing file, one that others may read, or one that does not hold all three.
    pub fn load(dir: &Path) -> Result<Self, PkiError> {
        let path = dir.join(NODE_CREDENTIALS_FILE);
        let text = files::read_private(&path)?;
        let content = |reason: &str| PkiError::Content {
            path: path.clone(),
            expected: "key, certificate and CA certificate",
            reason: reason.to_owned(),
        };
        // Written by `store`: the key, then the certificate, then the CA's.
        let mut sections = text.split_inclusive("-----\n").collect::<Vec<_>>().into_iter();
        let mut next = || Some(format!("{}{}", sections.next()?, sections.next()?));
        let (Some(key), Some(certificate), Some(ca)) = (next(), next(), next()) else {
            return Err(content("it has fewer than three PEM sections"));
        };
        Self::new(NodeKey::from_pem(&key)?, &certificate, &ca)
    }

    /// Writes `node.pem` (0600) into `dir`, atomically, and removes the waiting `node.key`.
    ///
    /// # Errors
    /// [`PkiError::File`].
    pub fn store(&self, dir: &Path) -> Result<(), PkiError> {
        let key = self.key.key.serialize_pem();
        let text = [key.as_str(), &self.certificate_pem, &self.ca_pem]
            .map(|section| format!("{}\n", section.trim().replace("\r\n", "\n")))
            .concat();
        files::replace(&dir.join(NODE_CREDENTIALS_FILE), text.as_bytes(), files::PRIVATE)?;
        let waiting = dir.join(NODE_KEY_FILE);
        match std::fs::remove_file(&waiting) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(PkiError::File { path: waiting, doing: "removed", source })
            }
            _ => Ok(()),
        }
    }

    /// The node's name, as its certificate has it.
    #[must_use]
    pub fn node(&self) -> &str {
        // Checked by `new`.
        self.info.user.strip_prefix(NODE_USER_PREFIX).unwrap_or_default()
    }

    /// What the certificate says.
    #[must_use]
    pub fn info(&self) -> &CertificateInfo {
        &self.info
    }

    /// SHA-256 of the CA's DER, hex.
    #[must_use]
    pub fn ca_hash(&self) -> String {
        fingerprint(&self.ca)
    }

    /// The CA certificate as PEM text.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The certificate as PEM text.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The moment at which to renew; see [`crate::renew_at`].
    #[must_use]
    pub fn renew_at(&self, spread: f64) -> UnixSeconds {
        crate::renewal::renew_at(self.info.not_before, self.info.not_after, spread)
    }

    pub(crate) fn ca(&self) -> &CertificateDer<'static> {
        &self.ca
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    pub(crate) fn private_key(&self) -> Result<PrivateKeyDer<'static>, PkiError> {
        PrivateKeyDer::from_pem_slice(self.key.key.serialize_pem().as_bytes())
            .map_err(|error| PkiError::certificate(format!("the node's key cannot be read ({error})")))
    }
}
