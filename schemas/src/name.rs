//! Names: of nodes, of devices, of logs and of streams.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::limits;

/// A name from outside that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not an RFC 1123 subdomain.
    #[error(
        "node name {0:?} is not an RFC 1123 subdomain: at most 253 lower-case letters, digits, '-' and '.', \
         beginning and ending with a letter or digit"
    )]
    Node(String),
    /// Not `<namespace>/<name>`.
    #[error("device id {0:?} is not <namespace>/<name>, two RFC 1123 names with one slash between them")]
    Device(String),
    /// Not a stream.
    #[error("stream {0:?} is none of control, cluster, up/<node>, down/<node>")]
    Stream(String),
    /// Not a log id.
    #[error("log id {0:?} is not 32 hexadecimal digits")]
    LogId(String),
}

/// A label or subdomain as RFC 1123 and Kubernetes define them.
fn is_subdomain(name: &str, longest: usize) -> bool {
    let good = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    !name.is_empty() && name.len() <= longest && name.split('.').all(good)
}

/// Kubernetes node name of one edge host. Always valid: every way in checks it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

impl NodeName {
    /// Checks and takes a name.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if is_subdomain(&name, limits::NODE_NAME) { Ok(Self(name)) } else { Err(NameError::Node(name)) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeName {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        Self::new(s)
    }
}

impl TryFrom<String> for NodeName {
    type Error = NameError;
    fn try_from(s: String) -> Result<Self, NameError> {
        Self::new(s)
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0
    }
}

/// A device: `<namespace>/<name>`, as in the MQTT topics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct DeviceName {
    /// Kubernetes namespace of the Device object.
    pub namespace: String,
    /// Name of the Device object.
    pub name: String,
}

impl DeviceName {
    /// Checks and takes both parts.
    pub fn new(namespace: &str, name: &str) -> Result<Self, NameError> {
        if is_subdomain(namespace, 63) && is_subdomain(name, limits::NODE_NAME) {
            Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
        } else {
            Err(NameError::Device(format!("{namespace}/{name}")))
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for DeviceName {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        match s.split_once('/') {
            Some((namespace, name)) => Self::new(namespace, name),
            None => Err(NameError::Device(s.to_owned())),
        }
    }
}

/// Random 128-bit name of one physical incarnation of a stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct LogId(pub [u8; 16]);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

impl FromStr for LogId {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        let mut id = [0; 16];
        hex::decode_to_slice(s, &mut id).map_err(|_| NameError::LogId(s.to_owned()))?;
        Ok(Self(id))
    }
}

impl Serialize for LogId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An ordered sequence of events with exactly one writer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum StreamId {
    /// Membership, log ids, sessions, tokens, certificates. Written by the cloud.
    Control,
    /// Objects of the built-in API. Written by the cloud.
    Cluster,
    /// What a node must know. Written by the cloud.
    Down(NodeName),
    /// What a node did and saw. Written by that node.
    Up(NodeName),
}

impl StreamId {
    /// The node of an `up` or `down` stream.
    #[must_use]
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Down(node) | Self::Up(node) => Some(node),
            Self::Control | Self::Cluster => None,
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control => f.write_str("control"),
            Self::Cluster => f.write_str("cluster"),
            Self::Down(node) => write!(f, "down/{node}"),
            Self::Up(node) => write!(f, "up/{node}"),
        }
    }
}

impl FromStr for StreamId {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        match s.split_once('/') {
            None if s == "control" => Ok(Self::Control),
            None if s == "cluster" => Ok(Self::Cluster),
            Some(("down", node)) => Ok(Self::Down(node.parse()?)),
            Some(("up", node)) => Ok(Self::Up(node.parse()?)),
            _ => Err(NameError::Stream(s.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_round_trip_through_text() {
        for text in ["control", "cluster", "down/oslo", "up/shop-7.north"] {
            assert_eq!(text.parse::<StreamId>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("down/".parse::<StreamId>(), Err(NameError::Node(String::new())));
        assert_eq!("sideways/x".parse::<StreamId>(), Err(NameError::Stream("sideways/x".into())));
    }

    #[test]
    fn node_names_are_rfc_1123() {
        for good in ["a", "edge-1", "a.b-c.d9"] {
            assert!(NodeName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "a..b", "a/b", &"x".repeat(254)] {
            assert!(NodeName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_device_in_namespace_dev_is_a_device_like_any_other() {
        assert_eq!(DeviceName::new("dev", "pump").map(|d| d.to_string()), Ok("dev/pump".into()));
        assert!("dev/a/b".parse::<DeviceName>().is_err());
    }
}
