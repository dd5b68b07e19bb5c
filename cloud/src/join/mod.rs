//! The join listener: where nodes get their certificates.
//!
//! ```text
//!   POST /v1/join    token, name, signing request ──► one transaction: token, name, certificate ──► certificate
//!   POST /v1/renew   the old certificate in TLS, signing request ──────────────────────────────► certificate
//! ```

mod issue;
mod serve;

pub use issue::Issuer;
pub use serve::run;
