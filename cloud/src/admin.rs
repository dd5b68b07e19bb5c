//! `D/admin.kubeconfig`: how `kubectl` reaches the built-in API.

use std::net::SocketAddr;
use std::path::Path;

use ledge_kube_api::kubeconfig::{Kubeconfig, render};
use ledge_pki::{ADMIN_GROUP, CertificateAuthority, PkiError};
use ledge_process::atomic_write;

use crate::clock;

/// Name of the file in the data directory.
pub const ADMIN_KUBECONFIG: &str = "admin.kubeconfig";

/// Why it could not be written.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No certificate.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// Not YAML.
    #[error("cannot write {ADMIN_KUBECONFIG}: {0}")]
    Yaml(#[from] serde_yaml_ng::Error),
    /// The file system says no.
    #[error("cannot write {ADMIN_KUBECONFIG}: {0}")]
    Io(#[from] std::io::Error),
}

/// Writes the file (0600) on the first start, and again when the API is somewhere else than it says.
pub fn ensure(dir: &Path, authority: &CertificateAuthority, api: SocketAddr) -> Result<(), AdminError> {
    let (path, server) = (dir.join(ADMIN_KUBECONFIG), format!("https://{api}"));
    let names_server = |text: String| text.lines().any(|line| line.trim() == format!("server: {server}"));
    if std::fs::read_to_string(&path).is_ok_and(names_server) {
        return Ok(());
    }
    let admin = authority.issue_admin("admin", &[ADMIN_GROUP.to_owned()], clock::unix_seconds())?;
    let yaml = render(&Kubeconfig {
        server: &server,
        ca_pem: authority.certificate_pem(),
        client_cert_pem: &admin.certificate_pem(),
        client_key_pem: &admin.key_pem(),
        context: "ledge",
    })?;
    Ok(atomic_write(&path, yaml.as_bytes(), 0o600)?)
}
