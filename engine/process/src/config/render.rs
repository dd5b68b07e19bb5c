//! `--print-config`: YAML, block style, one `# from …` after each leaf.

use std::fmt;

use serde_yaml_ng::{Mapping, Value};

use super::leaf;

/// Column at which comments begin, where the value leaves room.
const COMMENT: usize = 40;

pub(super) fn render(
    f: &mut fmt::Formatter<'_>,
    tree: &Value,
    origin: &dyn Fn(&str) -> String,
) -> fmt::Result {
    match tree {
        Value::Mapping(map) => section(f, map, "", 0, origin),
        _ => Ok(()),
    }
}

fn section(
    f: &mut fmt::Formatter<'_>,
    map: &Mapping,
    prefix: &str,
    indent: usize,
    origin: &dyn Fn(&str) -> String,
) -> fmt::Result {
    for (key, value) in map {
        let key = leaf::text(key);
        let path = leaf::join(prefix, &key);
        match leaf::section(value) {
            // A free-form map that was filled is one leaf, whose origin is its own.
            Some(inner) if origin(&path) == super::Origin::Default.to_string() => {
                writeln!(f, "{:indent$}{key}:", "")?;
                section(f, inner, &path, indent + 2, origin)?;
            }
            _ => {
                let line = format!("{:indent$}{key}: {}", "", flow(value));
                writeln!(f, "{line:<COMMENT$} # from {}", origin(&path))?;
            }
        }
    }
    Ok(())
}

/// A value on one line. JSON is YAML too, and needs no block.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        value => serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()),
    }
}

/// Reads back as the same text without quotes.
fn is_plain(text: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ':');
    text.chars().all(safe)
        && serde_yaml_ng::from_str::<Value>(text).is_ok_and(|value| value.as_str() == Some(text))
}
