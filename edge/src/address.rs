//! `HOST:PORT`: a host name, an IPv4 address, or an IPv6 address in brackets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// A text that is not `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not HOST:PORT, for example cloud.example.com:10002 or [2001:db8::1]:10002")]
pub struct AddressError(String);

impl FromStr for HostPort {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.chars().take(300).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        let is_bare_v6 = bracketed.is_none() && host.contains(':');
        if host.is_empty() || host.len() > 253 || is_bare_v6 || host.contains(['/', '@', '[', ']']) {
            return Err(wrong());
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl TryFrom<String> for HostPort {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(address: HostPort) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_they_are_written() {
        for text in ["cloud:10002", "127.0.0.1:1", "[::1]:10002"] {
            assert_eq!(text.parse::<HostPort>().map(|address| address.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "cloud", "cloud:", ":1", "::1:1", "cloud:0", "cloud:70000", "a/b:1", "https://a:1"] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }
}
