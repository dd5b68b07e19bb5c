//! Reads request bodies: JSON or YAML, noticing fields that are given twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::{
    protobuf::{self, ProtobufError},
    schema::{Schema, prune::join},
};

/// Most duplicate fields that are remembered of one body.
const MAX_DUPLICATES: usize = 50;
/// Deepest nesting of YAML (JSON has a limit of its own, 128).
const MAX_DEPTH: usize = 128;

/// Encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`: what typed Go clients send for built-in kinds.
    Protobuf,
}

/// A body that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decoded {
    /// The value; of fields given twice, the last.
    pub(crate) value: Value,
    /// Paths of fields that were given twice.
    pub(crate) duplicates: Vec<String>,
}

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// Not JSON.
    #[error("the body is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Not YAML.
    #[error("the body is not YAML: {0}")]
    Yaml(#[from] serde_yaml_ng::Error),
    /// Not protobuf.
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
}

/// Reads `body`. YAML is one document; protobuf is a message of what `schema` describes.
pub(crate) fn decode(body: &[u8], encoding: Encoding, schema: &Schema) -> Result<Decoded, DecodeError> {
    let mut duplicates = Vec::new();
    let seed = Node { at: "", depth: 0, duplicates: &mut duplicates };
    let value = match encoding {
        Encoding::Json => {
            let mut reader = serde_json::Deserializer::from_slice(body);
            let value = seed.deserialize(&mut reader)?;
            reader.end()?;
            value
        }
        Encoding::Yaml => seed.deserialize(serde_yaml_ng::Deserializer::from_slice(body))?,
        Encoding::Protobuf => protobuf::decode(body, schema)?,
    };
    Ok(Decoded { value, duplicates })
}

struct Node<'a> {
    at: &'a str,
    depth: usize,
    duplicates: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth > MAX_DEPTH {
            return Err(serde::de::Error::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom(format_args!("{value} is not a number")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let at = format!("{}[{}]", self.at, items.len());
            let node = Node { at: &at, depth: self.depth + 1, duplicates: &mut *self.duplicates };
            match access.next_element_seed(node)? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(Key(name)) = access.next_key()? {
            let at = join(self.at, &name);
            let node = Node { at: &at, depth: self.depth + 1, duplicates: &mut *self.duplicates };
            let value = access.next_value_seed(node)?;
            if fields.insert(name, value).is_some() && self.duplicates.len() < MAX_DUPLICATES {
                self.duplicates.push(at);
            }
        }
        Ok(Value::Object(fields))
    }
}

/// A field name; YAML allows numbers and booleans there, which become text.
struct Key(String);

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }

            fn visit_str<E>(self, value: &str) -> Result<Key, E> {
                Ok(Key(value.to_owned()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Key, E> {
                Ok(Key(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Key, E> {
                Ok(Key(value.to_string()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Key, E> {
                Ok(Key(value.to_string()))
            }
        }
        deserializer.deserialize_any(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(body: &[u8], encoding: Encoding) -> Result<Decoded, DecodeError> {
        decode(body, encoding, &Schema::anything())
    }

    #[test]
    fn json_and_yaml_give_the_same_value() {
        let expected = json!({ "a": [1, -2, 1.5, true, null, "x"], "b": { "c": "d" } });
        let yaml = "a: [1, -2, 1.5, true, null, x]\nb:\n  c: d\n";
        assert_eq!(read(expected.to_string().as_bytes(), Encoding::Json).unwrap().value, expected);
        assert_eq!(read(yaml.as_bytes(), Encoding::Yaml).unwrap().value, expected);
    }

    #[test]
    fn a_field_given_twice_is_named_and_the_last_one_counts() {
        let decoded = read(br#"{"a":[{"b":1,"b":2}],"c":1,"c":3}"#, Encoding::Json).unwrap();
        assert_eq!(decoded.duplicates, ["a[0].b", "c"]);
        assert_eq!(decoded.value, json!({ "a": [{ "b": 2 }], "c": 3 }));
    }

    #[test]
    fn yaml_keys_that_are_not_text_become_text() {
        assert_eq!(read(b"1: x\ntrue: y\n", Encoding::Yaml).unwrap().value, json!({ "1": "x", "true": "y" }));
    }

    #[test]
    fn endless_nesting_and_aliases_are_refused() {
        assert!(read("[".repeat(100_000).as_bytes(), Encoding::Json).is_err());
        assert!(read("[".repeat(10_000).as_bytes(), Encoding::Yaml).is_err());
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..10 {
            let refs = vec![format!("*a{}", n - 1); 10].join(",");
            bomb.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
        }
        assert!(read(bomb.as_bytes(), Encoding::Yaml).is_err());
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body, Encoding::Json);
            let _ = read(&body, Encoding::Yaml);
            let _ = read(&body, Encoding::Protobuf);
        }
    }
}
