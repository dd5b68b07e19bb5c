//! What can go wrong with certificates, keys and their files.

use std::path::PathBuf;

/// Why a certificate, a key or a TLS configuration could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A node name that Kubernetes would not take either.
    #[error(
        "node name {name:?} is not valid: {problem}. Use lower-case letters, digits, '-' and '.', \
         each part beginning and ending with a letter or digit, at most 253 characters"
    )]
    NodeName {
        /// The name as given, cut to 300 characters.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A host name or address that cannot stand in a certificate.
    #[error("{host:?} is neither a host name nor an IP address; correct --advertise")]
    HostName {
        /// The name as given.
        host: String,
    },
    /// A server certificate without a name would verify for nobody.
    #[error("a server certificate needs at least one host name or address; set --advertise")]
    NoHostNames,
    /// The signing request cannot be read, or its signature does not hold.
    #[error("certificate signing request refused: {reason}; make a new one with `ledge-edge join`")]
    SigningRequest {
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate (file or from a peer) that cannot be read or lacks what is needed.
    #[error("certificate not usable: {reason}")]
    Certificate {
        /// What is wrong with it.
        reason: String,
    },
    /// Signing or key generation failed inside the cryptographic library.
    #[error("{doing} failed: {reason}")]
    Crypto {
        /// What was being done.
        doing: &'static str,
        /// The library's words.
        reason: String,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes: {0}; check that getrandom is permitted")]
    Random(String),
    /// A file could not be read or written.
    #[error("{} could not be {doing}: {source}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// `read`, `written`, …
        doing: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// A private key others may read has to be taken for stolen.
    #[error(
        "{} has mode {mode:03o}: others may read this private key. If you trust it still, run \
         `chmod 600` on it; otherwise replace it", .path.display()
    )]
    KeyExposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("{} does not hold {expected}: {reason}", .path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
        /// What was found instead.
        reason: String,
    },
    /// The key and certificate of the authority do not belong together.
    #[error("the authority's key does not belong to its certificate; restore both from the same backup")]
    KeyMismatch,
    /// There is a certificate of the authority, but not its key.
    #[error(
        "{} holds ca.crt but not ca.key. Restore ca.key from a backup; only if no node ever joined this \
         cloud, remove ca.crt and start again", .dir.display()
    )]
    KeyLost {
        /// The directory.
        dir: PathBuf,
    },
    /// rustls would not take a configuration.
    #[error("TLS configuration refused: {0}")]
    Tls(#[from] rustls::Error),
    /// The verifier of client certificates could not be built.
    #[error("verifier of client certificates refused: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

impl PkiError {
    pub(crate) fn certificate(reason: impl ToString) -> Self {
        Self::Certificate { reason: reason.to_string() }
    }

    pub(crate) fn signing_request(reason: impl ToString) -> Self {
        Self::SigningRequest { reason: reason.to_string() }
    }

    pub(crate) fn crypto(doing: &'static str) -> impl FnOnce(rcgen::Error) -> Self {
        move |error| Self::Crypto { doing, reason: error.to_string() }
    }
}
