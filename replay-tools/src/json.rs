//! JSON whose fields stand in the order in which they were written, with stored JSON passed through as it is.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// One JSON value as text: compact, on one line.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Any value; `null` for what JSON cannot hold, which no value here is.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        Self(serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// Stored JSON, on one line but otherwise as it is; `None` if it is not JSON.
    #[must_use]
    pub fn stored(bytes: &[u8]) -> Option<Self> {
        let stored: &RawValue = serde_json::from_slice(bytes).ok()?;
        if !stored.get().contains(['\n', '\r']) {
            return Some(Self(stored.to_owned()));
        }
        // Line ends inside strings are escaped in JSON, so these are only white space.
        let line = stored.get().replace(['\n', '\r'], " ");
        RawValue::from_string(line).ok().map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

/// A JSON object under construction.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(&'static str, Json)>);

impl Fields {
    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &impl Serialize) -> Self {
        self.0.push((name, Json::of(value)));
        self
    }

    /// Adds a field if it has a value.
    #[must_use]
    pub fn maybe(self, name: &'static str, value: Option<&impl Serialize>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds bytes that are meant to be JSON; what is not goes as `otherwise`, in hexadecimal.
    #[must_use]
    pub fn stored(self, name: &'static str, otherwise: &'static str, bytes: &[u8]) -> Self {
        match Json::stored(bytes) {
            Some(json) => self.with(name, &json),
            None => self.with(otherwise, &hex::encode(bytes)),
        }
    }

    /// The object.
    #[must_use]
    pub fn json(&self) -> Json {
        Json::of(self)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn fields_keep_their_order_and_stored_numbers_their_digits() {
        let fields = Fields::default().with("z", &1).maybe("gone", None::<&u8>);
        let fields = fields.stored("object", "objectHex", b"{\"b\":1.50,\n\"a\":1e400}");
        assert_eq!(fields.json().as_str(), r#"{"z":1,"object":{"b":1.50, "a":1e400}}"#);
    }

    #[test]
    fn bytes_that_are_not_json_are_shown_as_bytes() {
        assert_eq!(Fields::default().stored("o", "oHex", b"\xff{").json().as_str(), r#"{"oHex":"ff7b"}"#);
        assert!(Json::stored(b"{} {}").is_none());
    }
}
