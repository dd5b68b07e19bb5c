//! Whom a listener admits.

use std::time::Duration;

use ledge_pki::PeerIdentity;

/// What becomes of a node that passed TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It gets its link.
    Admit,
    /// 503: it should come back after this time, plus its own jitter.
    RetryAfter(Duration),
    /// 403 with the reason: coming back as it is does not help.
    Refuse(String),
}

/// Decides over each node, after TLS proved who it is and before the upgrade: revocation, an admission
/// window after a restart, a drain. Called from many tasks at once; must not block.
pub trait Admission: Send + Sync {
    /// `live` is the number of links now.
    fn admit(&self, peer: &PeerIdentity, live: usize) -> Verdict;
}

/// Admits every node whose certificate TLS accepted.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdmitAll;

impl Admission for AdmitAll {
    fn admit(&self, _: &PeerIdentity, _: usize) -> Verdict {
        Verdict::Admit
    }
}

impl<F: Fn(&PeerIdentity, usize) -> Verdict + Send + Sync> Admission for F {
    fn admit(&self, peer: &PeerIdentity, live: usize) -> Verdict {
        self(peer, live)
    }
}
