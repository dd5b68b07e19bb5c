//! The three layers above the defaults, each as a list of leaves that were given.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_yaml_ng::{Mapping, Value};

use super::{ConfigError, Origin, RESERVED, leaf, locate};

/// Longest configuration file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// One leaf that a layer sets.
pub(super) struct Given {
    pub(super) key: String,
    /// What the text can mean, most likely first; only variables leave a choice.
    pub(super) candidates: Vec<Value>,
    pub(super) origin: Origin,
}

/// The file's leaves. Every key must be one that the defaults have.
pub(super) fn file(path: &Path, defaults: &Value) -> Result<Vec<Given>, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ConfigError::TooLong { path: path.to_owned(), limit: MAX_FILE });
    }
    let syntax = |reason: String| ConfigError::Syntax { path: path.to_owned(), reason };
    let text = String::from_utf8(bytes).map_err(|_| syntax("it is not UTF-8".to_owned()))?;
    let tree: Value = serde_yaml_ng::from_str(&text).map_err(|error| syntax(error.to_string()))?;
    let lines = locate::lines(&text);
    let origin = |key: &str| Origin::File { path: path.to_owned(), line: locate::line_of(&lines, key) };
    match tree {
        Value::Null => Ok(Vec::new()),
        Value::Mapping(map) => given(&map, defaults, "", &origin),
        _ => Err(syntax("the document is not a map".to_owned())),
    }
}

/// What the command line set; nulls say nothing.
pub(super) fn flags(flags: &Value, defaults: &Value) -> Result<Vec<Given>, ConfigError> {
    let mut tree = Value::Mapping(Mapping::new());
    for (path, value) in leaf::leaves(flags) {
        if !value.is_null() {
            nest(&mut tree, &path, value);
        }
    }
    given(tree.as_mapping().unwrap_or(&Mapping::new()), defaults, "", &|_| Origin::Flag)
}

/// Sets a dotted path, making the sections on the way.
fn nest(tree: &mut Value, path: &str, value: Value) {
    let mut at = tree;
    for key in path.split('.') {
        if !at.is_mapping() {
            *at = Value::Mapping(Mapping::new());
        }
        let Value::Mapping(map) = at else { return };
        at = map.entry(Value::String(key.to_owned())).or_insert(Value::Null);
    }
    *at = value;
}

fn given(
    map: &Mapping,
    defaults: &Value,
    prefix: &str,
    origin: &impl Fn(&str) -> Origin,
) -> Result<Vec<Given>, ConfigError> {
    let mut found = Vec::new();
    for (key, value) in map {
        let key = leaf::text(key);
        let path = leaf::join(prefix, &key);
        let Some(default) = defaults.get(&key) else {
            let siblings: Vec<String> = keys(defaults).map(|known| leaf::join(prefix, &known)).collect();
            let nearest = leaf::nearest(&path, siblings.iter().map(String::as_str));
            return Err(ConfigError::UnknownKey { origin: origin(&path), key: path, nearest });
        };
        match (leaf::section(default), value) {
            (Some(_), Value::Mapping(map)) => found.extend(given(map, default, &path, origin)?),
            // `hub:` with nothing below it: every key of the section is commented out.
            (Some(_), Value::Null) => {}
            (Some(section), _) => {
                let known: Vec<String> = section.keys().map(leaf::text).collect();
                let reason = format!("is a section with the keys {}", known.join(", "));
                return Err(ConfigError::Value { origin: origin(&path), key: path, reason });
            }
            (None, value) => {
                found.push(Given { origin: origin(&path), key: path, candidates: vec![value.clone()] });
            }
        }
    }
    Ok(found)
}

fn keys(tree: &Value) -> impl Iterator<Item = String> {
    tree.as_mapping().into_iter().flat_map(Mapping::keys).map(leaf::text)
}

/// The variables that name a leaf, and the names of `LEDGE_…` variables that do not.
pub(super) fn env(
    env: &[(OsString, OsString)],
    known: &[(String, Value)],
    aliases: &[(&str, &str)],
) -> Result<(Vec<Given>, Vec<String>), ConfigError> {
    let (mut plain, mut aliased, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in env {
        let Some(name) = name.to_str().filter(|name| name.starts_with("LEDGE_")) else { continue };
        let alias = aliases.iter().find(|(variable, _)| *variable == name).map(|(_, key)| *key);
        let is_meant = |key: &str| match alias {
            Some(alias) => key == alias,
            None => !RESERVED.contains(&name) && leaf::variable(key) == name,
        };
        let Some((key, default)) = known.iter().find(|(key, _)| is_meant(key)) else {
            if !RESERVED.contains(&name) {
                ignored.push(name.to_owned());
            }
            continue;
        };
        let origin = Origin::Env(name.to_owned());
        let Some(text) = value.to_str() else {
            return Err(ConfigError::Value { origin, key: key.clone(), reason: "is not UTF-8".to_owned() });
        };
        let given = Given { key: key.clone(), candidates: meanings(text, default), origin };
        if alias.is_some() { aliased.push(given) } else { plain.push(given) }
    }
    ignored.sort();
    aliased.extend(plain);
    Ok((aliased, ignored))
}

/// Text where text is the default; otherwise YAML, and text where that does not fit (`Option<String>` holding `8080`).
/// A list may be written `a,b` as well as `[a, b]`.
fn meanings(text: &str, default: &Value) -> Vec<Value> {
    let plain = Value::String(text.to_owned());
    let yaml = serde_yaml_ng::from_str::<Value>(text).ok();
    let commas =
        || text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(|item| item.to_owned().into());
    match default {
        Value::String(_) => [Some(plain), yaml].into_iter().flatten().collect(),
        Value::Sequence(_) => {
            let yaml = yaml.filter(Value::is_sequence);
            yaml.into_iter().chain([Value::Sequence(commas().collect())]).collect()
        }
        Value::Null => yaml.into_iter().chain([plain, Value::Sequence(commas().collect())]).collect(),
        _ => yaml.into_iter().chain([plain]).collect(),
    }
}

/// The first meaning that the configuration accepts when nothing else differs from the defaults: so an error is
/// reported at the one value that causes it.
pub(super) fn choose<C: DeserializeOwned>(
    defaults: &Value,
    key: &str,
    candidates: Vec<Value>,
    origin: &Origin,
) -> Result<Value, ConfigError> {
    let mut first_reason = None;
    for value in candidates {
        let mut tree = defaults.clone();
        leaf::set(&mut tree, key, value.clone());
        match serde_yaml_ng::from_value::<C>(tree) {
            Ok(_) => return Ok(value),
            Err(error) => first_reason = first_reason.or(Some(reason(&error, key))),
        }
    }
    let reason = first_reason.unwrap_or_else(|| "has no value".to_owned());
    Err(ConfigError::Value { origin: origin.clone(), key: key.to_owned(), reason })
}

/// serde repeats the path in front of its message; ours is there already.
fn reason(error: &serde_yaml_ng::Error, key: &str) -> String {
    let text = error.to_string();
    text.strip_prefix(key).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text).to_owned()
}
