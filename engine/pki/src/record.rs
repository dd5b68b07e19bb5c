//! What the cloud keeps of a token, and when it admits a node.

use serde::{Deserialize, Serialize};

use crate::UnixSeconds;
use crate::glob::glob_matches;
use crate::token::Token;

/// Which nodes may join by a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenScope {
    /// Exactly this node.
    Node(String),
    /// Every node whose name matches (`*` any characters, `?` one).
    Match(String),
    /// Any name.
    Any,
}

impl TokenScope {
    fn covers(&self, node: &str) -> bool {
        match self {
            Self::Node(name) => name == node,
            Self::Match(pattern) => glob_matches(pattern, node),
            Self::Any => true,
        }
    }
}

impl std::fmt::Display for TokenScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Node(name) => write!(f, "node {name:?}"),
            Self::Match(pattern) => write!(f, "nodes matching {pattern:?}"),
            Self::Any => write!(f, "any node"),
        }
    }
}

/// What the cloud stores of a token: plain data, kept as events elsewhere. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// [`Token::id`].
    pub id: String,
    /// BLAKE3 of the secret's text, 64 hex digits. A plain hash is enough: the secret is 128 random bits.
    pub secret_hash: String,
    /// Who may join by it.
    pub scope: TokenScope,
    /// Joins left; 0 is used up.
    pub uses_left: u32,
    /// The first second at which it is no longer valid.
    pub expires_unix: UnixSeconds,
    /// Whether it may replace the certificate of a node that has one.
    pub rejoin: bool,
}

/// Why a token does not admit a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No such token, or another secret: the same answer, so that ids cannot be tried out.
    #[error("this token is not known here; make one with `ledge-cloud token create` on this cloud")]
    Unknown,
    /// Its time is over.
    #[error("token {id} expired at {at}; make another with `ledge-cloud token create`")]
    Expired {
        /// The token.
        id: String,
        /// RFC 3339 time, UTC.
        at: String,
    },
    /// All its uses were used.
    #[error("token {id} is used up; make another with `ledge-cloud token create` (--uses N for several)")]
    UsedUp {
        /// The token.
        id: String,
    },
    /// Made for other nodes.
    #[error(
        "token {id} is for {scope}, not for node {node:?}; \
         join under a name it covers or make one with `ledge-cloud token create --node {node}`"
    )]
    NotForNode {
        /// The token.
        id: String,
        /// Who it is for.
        scope: TokenScope,
        /// Who came.
        node: String,
    },
    /// The name is taken, and the token may not replace its certificate.
    #[error(
        "node {node:?} has a certificate already; if this machine replaces it, use a token made with \
         `ledge-cloud token create --node {node} --rejoin` (it revokes the old certificate)"
    )]
    RejoinRequired {
        /// The name.
        node: String,
    },
}

impl TokenRecord {
    /// The record of a new token.
    #[must_use]
    pub fn new(token: &Token, scope: TokenScope, uses: u32, expires_unix: UnixSeconds, rejoin: bool) -> Self {
        Self {
            id: token.id.clone(),
            secret_hash: secret_hash(&token.secret).to_hex().to_string(),
            scope,
            uses_left: uses,
            expires_unix,
            rejoin,
        }
    }

    /// Whether whoever knows `secret` may join as `node` at `now`. The secret is compared first and in
    /// constant time: without it nothing else about the token is told.
    ///
    /// # Errors
    /// The reason, worded for the person at the node.
    pub fn check(&self, secret: &str, node: &str, now: UnixSeconds) -> Result<(), TokenError> {
        let Ok(expected) = blake3::Hash::from_hex(&self.secret_hash) else {
            return Err(TokenError::Unknown);
        };
        // `blake3::Hash` compares in constant time.
        if secret_hash(secret) != expected {
            return Err(TokenError::Unknown);
        }
        let id = self.id.clone();
        if now >= self.expires_unix {
            return Err(TokenError::Expired { id, at: rfc3339(self.expires_unix) });
        }
        if self.uses_left == 0 {
            return Err(TokenError::UsedUp { id });
        }
        if !self.scope.covers(node) {
            return Err(TokenError::NotForNode { id, scope: self.scope.clone(), node: node.to_owned() });
        }
        Ok(())
    }

    /// Whether this token may be used for a name that has (`has_certificate`) a certificate that is
    /// neither expired nor revoked.
    ///
    /// # Errors
    /// [`TokenError::RejoinRequired`].
    pub fn check_rejoin(&self, node: &str, has_certificate: bool) -> Result<(), TokenError> {
        if has_certificate && !self.rejoin {
            return Err(TokenError::RejoinRequired { node: node.to_owned() });
        }
        Ok(())
    }
}

fn secret_hash(secret: &str) -> blake3::Hash {
    blake3::hash(secret.as_bytes())
}

fn rfc3339(at: UnixSeconds) -> String {
    jiff::Timestamp::from_second(at).map_or_else(|_| format!("unix time {at}"), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const NOW: UnixSeconds = 1_800_000_000;

    fn issued(scope: TokenScope, uses: u32) -> (Token, TokenRecord) {
        let token = Token::generate(&"cd".repeat(32)).unwrap();
        let record = TokenRecord::new(&token, scope, uses, NOW + 3600, false);
        (token, record)
    }

    #[track_caller]
    fn check(scope: TokenScope, uses: u32, node: &str, now: UnixSeconds, expected: Option<&str>) {
        let (token, record) = issued(scope, uses);
        let said = record.check(&token.secret, node, now).err().map(|error| error.to_string());
        match (said, expected) {
            (None, None) => {}
            (Some(said), Some(part)) if said.contains(part) => {}
            (said, expected) => panic!("said {said:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn table() {
        let node = || TokenScope::Node("oslo".into());
        let shops = || TokenScope::Match("shop-*".into());
        check(TokenScope::Any, 1, "oslo", NOW, None);
        check(node(), 1, "oslo", NOW, None);
        check(shops(), 5, "shop-7", NOW + 3599, None);
        check(node(), 1, "bergen", NOW, Some("is for node \"oslo\", not for node \"bergen\""));
        check(shops(), 1, "gw-7", NOW, Some("nodes matching \"shop-*\""));
        check(TokenScope::Any, 1, "oslo", NOW + 3600, Some("expired at 2027-01-15T09:00:00Z"));
        check(TokenScope::Any, 0, "oslo", NOW, Some("used up"));
    }

    #[test]
    fn without_the_secret_nothing_is_told() {
        let (token, mut record) = issued(TokenScope::Node("oslo".into()), 0);
        record.expires_unix = 0;
        for secret in ["", "x", &token.id, &token.secret[1..], &token.secret.to_uppercase()] {
            if secret != token.secret {
                assert_eq!(record.check(secret, "bergen", NOW), Err(TokenError::Unknown));
            }
        }
        record.secret_hash = "not hex".into();
        assert_eq!(record.check(&token.secret, "oslo", NOW), Err(TokenError::Unknown));
    }

    #[test]
    fn a_taken_name_needs_a_rejoin_token() {
        let (_, mut record) = issued(TokenScope::Any, 1);
        assert!(record.check_rejoin("oslo", false).is_ok());
        assert!(record.check_rejoin("oslo", true).unwrap_err().to_string().contains("--rejoin"));
        record.rejoin = true;
        assert!(record.check_rejoin("oslo", true).is_ok());
    }

    #[test]
    fn the_record_holds_no_secret() {
        let (token, record) = issued(TokenScope::Any, 1);
        let json = serde_json::to_string(&record).unwrap();
        assert!(!json.contains(&token.secret));
        assert_eq!(serde_json::from_str::<TokenRecord>(&json).unwrap(), record);
    }
}
