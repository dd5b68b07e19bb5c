//! Reads the protobuf messages that typed Go clients (and `kubectl create namespace`) send for built-in kinds.
//!
//! Schemas of built-in kinds name the number of each field; what they do not name is skipped. As in JSON, empty text, zero
//! and `false` are left out. Answers are never protobuf: those clients accept JSON as well.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::schema::{Schema, Type};

/// What every message begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProtobufError {
    /// Another beginning.
    #[error("the body is not Kubernetes protobuf: it does not begin with k8s and a zero byte")]
    Magic,
    /// It ends too early, or a length or number is wrong.
    #[error("the protobuf message is cut off or damaged")]
    Damaged,
    /// A value is not of its type.
    #[error("field {0} of the protobuf message has a value of another type")]
    WrongType(u64),
}

#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// Reads an envelope and the message in it, which `schema` describes.
pub(crate) fn decode(body: &[u8], schema: &Schema) -> Result<Value, ProtobufError> {
    let mut envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let (mut kind, mut api_version, mut raw) = (json!(""), json!(""), &[][..]);
    while let Some((number, wire)) = field(&mut envelope)? {
        match (number, wire) {
            (1, Wire::Bytes(mut meta)) => {
                while let Some((number, wire)) = field(&mut meta)? {
                    match (number, wire) {
                        (1, Wire::Bytes(text)) => api_version = utf8(text, number)?,
                        (2, Wire::Bytes(text)) => kind = utf8(text, number)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut object = message(raw, schema)?;
    object.insert("apiVersion".to_owned(), api_version);
    object.insert("kind".to_owned(), kind);
    Ok(Value::Object(object))
}

fn message(mut bytes: &[u8], schema: &Schema) -> Result<Map<String, Value>, ProtobufError> {
    let mut object = Map::new();
    while let Some((number, wire)) = field(&mut bytes)? {
        let Some((name, inner)) = schema.properties.iter().find(|(_, inner)| inner.number == Some(number))
        else {
            continue;
        };
        match (inner.kind, inner.items.as_deref(), inner.additional.as_deref()) {
            (Some(Type::Array), Some(item), _) => {
                let element = value(number, wire, item)?.unwrap_or_else(|| json!(""));
                if let Some(items) = object.entry(name.clone()).or_insert_with(|| json!([])).as_array_mut() {
                    items.push(element);
                }
            }
            (Some(Type::Object), _, Some(entry)) => {
                let (key, element) = map_entry(number, wire, entry)?;
                if let Some(fields) = object.entry(name.clone()).or_insert_with(|| json!({})).as_object_mut()
                {
                    fields.insert(key, element);
                }
            }
            _ => {
                if let Some(found) = value(number, wire, inner)? {
                    object.insert(name.clone(), found);
                }
            }
        }
    }
    Ok(object)
}

fn map_entry(number: u64, wire: Wire<'_>, schema: &Schema) -> Result<(String, Value), ProtobufError> {
    let Wire::Bytes(mut bytes) = wire else { return Err(ProtobufError::WrongType(number)) };
    let (mut key, mut element) = (String::new(), json!(""));
    while let Some((part, wire)) = field(&mut bytes)? {
        match (part, wire) {
            (1, Wire::Bytes(text)) => key = utf8(text, number)?.as_str().unwrap_or_default().to_owned(),
            (2, wire) => element = value(number, wire, schema)?.unwrap_or_else(|| json!("")),
            _ => {}
        }
    }
    Ok((key, element))
}

/// One value; `None` when it is what an absent field means.
fn value(number: u64, wire: Wire<'_>, schema: &Schema) -> Result<Option<Value>, ProtobufError> {
    let found = match (schema.kind, wire) {
        (None, Wire::Bytes(mut quantity)) if schema.int_or_string => {
            let mut text = json!("");
            while let Some((part, wire)) = field(&mut quantity)? {
                if let (1, Wire::Bytes(bytes)) = (part, wire) {
                    text = utf8(bytes, number)?;
                }
            }
            text
        }
        (Some(Type::String), Wire::Bytes(bytes)) => match schema.format.as_deref() {
            Some("date-time") => time(bytes)?,
            Some("byte") => json!(STANDARD.encode(bytes)),
            _ => utf8(bytes, number)?,
        },
        // Two's complement, as protobuf encodes negative numbers.
        (Some(Type::Integer), Wire::Number(n)) => json!(n.cast_signed()),
        (Some(Type::Boolean), Wire::Number(n)) => json!(n != 0),
        (Some(Type::Object), Wire::Bytes(bytes)) => Value::Object(message(bytes, schema)?),
        _ => return Err(ProtobufError::WrongType(number)),
    };
    let absent = found.is_null() || found == "" || found == 0 || found == false;
    Ok(if absent { None } else { Some(found) })
}

fn time(mut bytes: &[u8]) -> Result<Value, ProtobufError> {
    let mut seconds = 0;
    while let Some((part, wire)) = field(&mut bytes)? {
        if let (1, Wire::Number(n)) = (part, wire) {
            seconds = n.cast_signed();
        }
    }
    if seconds == 0 {
        return Ok(Value::Null);
    }
    let time = jiff::Timestamp::from_second(seconds).map_err(|_| ProtobufError::Damaged)?;
    Ok(json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}

fn utf8(bytes: &[u8], number: u64) -> Result<Value, ProtobufError> {
    std::str::from_utf8(bytes).map(|text| json!(text)).map_err(|_| ProtobufError::WrongType(number))
}

/// Takes one field off the front; `None` at the end.
fn field<'a>(bytes: &mut &'a [u8]) -> Result<Option<(u64, Wire<'a>)>, ProtobufError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let tag = varint(bytes)?;
    let wire = match tag & 7 {
        0 => Wire::Number(varint(bytes)?),
        1 => take(bytes, 8).map(|_| Wire::Fixed)?,
        2 => {
            let length = usize::try_from(varint(bytes)?).map_err(|_| ProtobufError::Damaged)?;
            Wire::Bytes(take(bytes, length)?)
        }
        5 => take(bytes, 4).map(|_| Wire::Fixed)?,
        _ => return Err(ProtobufError::Damaged),
    };
    Ok(Some((tag >> 3, wire)))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], ProtobufError> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(ProtobufError::Damaged)?;
    *bytes = rest;
    Ok(taken)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, ProtobufError> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(ProtobufError::Damaged)?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ProtobufError::Damaged)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;
    use crate::registry::Registry;

    fn read(body: &[u8], plural: &str) -> Result<Value, ProtobufError> {
        let registry = Registry::standard().unwrap();
        decode(body, &registry.find("", "v1", plural).unwrap().schema)
    }

    fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        field.extend_from_slice(bytes);
        field
    }

    #[test]
    fn a_config_map_is_read() {
        let meta = [
            part(1, b"settings"),
            part(3, b""),
            part(8, b""),
            part(11, &[part(1, b"k"), part(2, b"v")].concat()),
        ]
        .concat();
        let raw = [
            part(1, &meta),
            part(2, &[part(1, b"a"), part(2, b"b")].concat()),
            part(3, &[part(1, b"x"), part(2, &[1, 2])].concat()),
            vec![32, 1],
        ]
        .concat();
        let body =
            [MAGIC.to_vec(), part(1, &[part(1, b"v1"), part(2, b"ConfigMap")].concat()), part(2, &raw)]
                .concat();
        let expected = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings", "labels": { "k": "v" } },
            "data": { "a": "b" }, "binaryData": { "x": "AQI=" }, "immutable": true });
        assert_eq!(read(&body, "configmaps").unwrap(), expected);
    }

    #[test]
    fn damaged_messages_are_refused() {
        assert!(matches!(read(b"{}", "configmaps"), Err(ProtobufError::Magic)));
        for damaged in [
            &b"k8s\0\x12\xff"[..],
            b"k8s\0\x12\x02\x0a\x7f",
            b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert!(read(damaged, "configmaps").is_err());
        }
    }

    proptest! {
        #[test]
        fn no_message_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            for plural in ["nodes", "namespaces", "configmaps"] {
                let _ = read(&[MAGIC, &[0x12, u8::try_from(bytes.len()).unwrap()], &bytes].concat(), plural);
            }
        }
    }
}
