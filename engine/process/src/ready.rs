//! The one line on stdout that says "serving", and where.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;

/// Prints exactly one line to stdout, `ready hub=127.0.0.1:1234 api=…`, and flushes it.
/// Call it once, when every listener is bound and the log is open: a parent process waits for it.
pub fn ready_line<A: Display>(addresses: &[(&str, A)]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", render(addresses))?;
    out.flush()
}

fn render<A: Display>(addresses: &[(&str, A)]) -> String {
    let mut line = "ready".to_owned();
    for (name, address) in addresses {
        line.push_str(&format!(" {name}={address}"));
    }
    line
}

/// A parsed ready line: address by listener name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    addresses: BTreeMap<String, String>,
}

/// Why a line is not a ready line, or lacks what was asked of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadyError {
    /// The line does not begin with the word `ready`.
    #[error("not a ready line: {line:?}")]
    NotReady {
        /// The line, cut to 200 characters.
        line: String,
    },
    /// A word after `ready` is not `name=address`.
    #[error("{word:?} in a ready line is not name=address")]
    Word {
        /// The word.
        word: String,
    },
    /// No such listener, or its address is not `IP:PORT`.
    #[error("the ready line has no address {name:?}")]
    Missing {
        /// The name asked for.
        name: String,
    },
}

impl Ready {
    /// Parses one line of stdout; the line end may be there or not.
    pub fn parse(line: &str) -> Result<Self, ReadyError> {
        let mut words = line.split_whitespace();
        if words.next() != Some("ready") {
            return Err(ReadyError::NotReady { line: line.chars().take(200).collect() });
        }
        let mut addresses = BTreeMap::new();
        for word in words {
            match word.split_once('=') {
                Some((name, address)) if !name.is_empty() && !address.is_empty() => {
                    addresses.insert(name.to_owned(), address.to_owned());
                }
                _ => return Err(ReadyError::Word { word: word.to_owned() }),
            }
        }
        Ok(Self { addresses })
    }

    /// The text after `name=`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.addresses.get(name).map(String::as_str)
    }

    /// The socket address of listener `name`.
    pub fn addr(&self, name: &str) -> Result<SocketAddr, ReadyError> {
        let address = self.get(name).and_then(|text| text.parse().ok());
        address.ok_or_else(|| ReadyError::Missing { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_printed_is_what_is_parsed() {
        let line = render(&[("hub", "127.0.0.1:1234"), ("api", "[::1]:6443")]);
        assert_eq!(line, "ready hub=127.0.0.1:1234 api=[::1]:6443");
        let ready = Ready::parse(&line).unwrap();
        assert_eq!(ready.addr("hub").unwrap().port(), 1234);
        assert_eq!(ready.get("api"), Some("[::1]:6443"));
        assert_eq!(ready.addr("mqtt"), Err(ReadyError::Missing { name: "mqtt".into() }));
    }

    #[test]
    fn other_lines_are_refused() {
        assert!(matches!(Ready::parse("readyish hub=1"), Err(ReadyError::NotReady { .. })));
        assert!(matches!(Ready::parse(""), Err(ReadyError::NotReady { .. })));
        assert!(matches!(Ready::parse("ready hub"), Err(ReadyError::Word { .. })));
    }
}
