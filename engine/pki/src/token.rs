//! The join token an operator carries from the cloud to a node.

use std::fmt;
use std::str::FromStr;

use crate::error::PkiError;
use crate::files::random_bytes;

const PREFIX: &str = "ledge1";
const CA_HASH_CHARS: usize = 64;
const ID_CHARS: usize = 16;
const SECRET_CHARS: usize = 32;
/// `ledge1.` + CA hash + `.` + id + `.` + secret.
const TOKEN_CHARS: usize = PREFIX.len() + 3 + CA_HASH_CHARS + ID_CHARS + SECRET_CHARS;

/// A join token: text form `ledge1.<CA hash>.<id>.<secret>`, all lower-case hex.
///
/// `Debug` hides the secret; [`fmt::Display`] shows it, since printing the token is how it is handed over.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Names the token's record in the cloud, 16 hex digits. Not a secret.
    pub id: String,
    /// What proves possession, 32 hex digits (128 random bits).
    pub secret: String,
    /// SHA-256 of the CA certificate's DER, 64 hex digits: what the edge verifies the cloud by.
    pub ca_hash: String,
}

impl Token {
    /// A new token for the cloud whose CA has this hash (64 hex digits).
    ///
    /// # Errors
    /// [`PkiError::Random`] when the system gives no randomness.
    pub fn generate(ca_hash: &str) -> Result<Self, PkiError> {
        Ok(Self {
            id: hex::encode(random_bytes::<{ ID_CHARS / 2 }>()?),
            secret: hex::encode(random_bytes::<{ SECRET_CHARS / 2 }>()?),
            ca_hash: ca_hash.to_owned(),
        })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}.{}.{}.{}", self.ca_hash, self.id, self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({PREFIX}.{}.{}.…)", self.ca_hash, self.id)
    }
}

/// Why a text is not a join token. Never repeats the text: it may hold a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenParseError {
    /// Cut off, or with something added.
    #[error(
        "a join token has {TOKEN_CHARS} characters, this has {found}; \
         paste the whole line that `ledge-cloud token create` printed"
    )]
    Length {
        /// Characters given.
        found: usize,
    },
    /// Another kind of token, or one of a later version.
    #[error("a join token begins with \"{PREFIX}.\"; get one with `ledge-cloud token create`")]
    Prefix,
    /// Not four parts.
    #[error("a join token has the form {PREFIX}.<ca hash>.<id>.<secret>; this has {found} parts")]
    Parts {
        /// Parts found.
        found: usize,
    },
    /// A part with the wrong length or characters.
    #[error("the {part} of the join token is not {expected} lower-case hex digits; copy the token again")]
    Part {
        /// Which part.
        part: &'static str,
        /// Digits it should have.
        expected: usize,
    },
}

impl FromStr for Token {
    type Err = TokenParseError;

    fn from_str(text: &str) -> Result<Self, TokenParseError> {
        let text = text.trim();
        if !text.starts_with(PREFIX) || text.as_bytes().get(PREFIX.len()) != Some(&b'.') {
            return Err(TokenParseError::Prefix);
        }
        if text.len() != TOKEN_CHARS {
            return Err(TokenParseError::Length { found: text.chars().count() });
        }
        let parts: Vec<&str> = text.split('.').collect();
        let &[_, ca_hash, id, secret] = parts.as_slice() else {
            return Err(TokenParseError::Parts { found: parts.len() });
        };
        Ok(Self {
            id: hex_part("id", id, ID_CHARS)?,
            secret: hex_part("secret", secret, SECRET_CHARS)?,
            ca_hash: hex_part("CA hash", ca_hash, CA_HASH_CHARS)?,
        })
    }
}

fn hex_part(part: &'static str, text: &str, expected: usize) -> Result<String, TokenParseError> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == expected && text.bytes().all(hex) {
        Ok(text.to_owned())
    } else {
        Err(TokenParseError::Part { part, expected })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn token() -> Token {
        Token::generate(&"ab".repeat(32)).unwrap()
    }

    #[test]
    fn a_token_reads_back_as_printed() {
        let token = token();
        assert_eq!(token.to_string().parse::<Token>().unwrap(), token);
        assert_eq!(format!(" {token}\n").parse::<Token>().unwrap(), token);
    }

    #[test]
    fn two_tokens_share_nothing() {
        let (one, other) = (token(), token());
        assert_ne!(one.id, other.id);
        assert_ne!(one.secret, other.secret);
    }

    #[test]
    fn debug_hides_the_secret() {
        let token = token();
        assert!(!format!("{token:?}").contains(&token.secret));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = token().to_string();
        let cases = [
            (String::new(), TokenParseError::Prefix),
            ("ledge2".to_owned() + &good[6..], TokenParseError::Prefix),
            (good[..good.len() - 1].to_owned(), TokenParseError::Length { found: TOKEN_CHARS - 1 }),
            (good.replacen('.', "a", 1), TokenParseError::Prefix),
            (format!("{}G", &good[..good.len() - 1]), TokenParseError::Part { part: "secret", expected: 32 }),
            (
                format!("ledge1.{}.{}.{}", "a".repeat(63), "b".repeat(17), "c".repeat(32)),
                TokenParseError::Part { part: "id", expected: 16 },
            ),
            (format!("ledge1.{}.{}", "a".repeat(64), "b".repeat(49)), TokenParseError::Parts { found: 3 }),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Token>().unwrap_err(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(text in "\\PC{0,200}") {
            let _ = text.parse::<Token>();
        }

        #[test]
        fn text_of_the_right_length_parses_or_is_refused(text in "ledge1\\.[a-f0-9.é]{114,116}") {
            if let Ok(token) = text.parse::<Token>() {
                prop_assert_eq!(token.to_string(), text);
            }
        }
    }
}
