//! Field selectors: `metadata.name=x,spec.nodeName!=y`, with `\,`, `\=` and `\\` in values.

use serde_json::Value;

use super::SelectorError;
use crate::{jsonpath::JsonPath, registry::Resource};

/// What fields an object must have. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    name: String,
    path: JsonPath,
    equal: bool,
    value: String,
}

impl FieldSelector {
    /// Reads a selector for objects of `resource`; empty text selects everything.
    pub(crate) fn parse(text: &str, resource: &Resource) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        for term in split(text) {
            if term.is_empty() {
                continue;
            }
            let (name, equal, raw) = operator(term).ok_or_else(|| {
                SelectorError::Field(format!("invalid selector: '{text}'; can't understand '{term}'"))
            })?;
            let path = path_of(name, resource)?;
            requirements.push(Requirement {
                name: name.to_owned(),
                path,
                equal,
                value: unescape(raw, text)?,
            });
        }
        Ok(Self(requirements))
    }

    /// The selector of one name.
    pub(crate) fn name(name: &str) -> Self {
        let path = JsonPath::fields(&["metadata", "name"]);
        Self(vec![Requirement {
            name: "metadata.name".to_owned(),
            path,
            equal: true,
            value: name.to_owned(),
        }])
    }

    /// Whether everything is selected.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `object` is selected. An absent field is the empty text, `false` for `spec.unschedulable`.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|one| {
            let found = match one.path.first(object) {
                None | Some(Value::Null) if one.name == "spec.unschedulable" => "false".into(),
                None | Some(Value::Null) => "".into(),
                Some(Value::String(text)) => std::borrow::Cow::Borrowed(text.as_str()),
                Some(other) => other.to_string().into(),
            };
            (found == one.value) == one.equal
        })
    }
}

fn path_of(name: &str, resource: &Resource) -> Result<JsonPath, SelectorError> {
    match name {
        "metadata.name" => return Ok(JsonPath::fields(&["metadata", "name"])),
        "metadata.namespace" if resource.namespaced || !resource.is_builtin() => {
            return Ok(JsonPath::fields(&["metadata", "namespace"]));
        }
        _ => {}
    }
    if let Some((_, path)) = resource.selectable.iter().find(|(field, _)| field == name) {
        return Ok(path.clone());
    }
    Err(SelectorError::Field(if resource.is_builtin() && resource.selectable.is_empty() {
        format!(r#""{name}" is not a known field selector: only "metadata.name", "metadata.namespace""#)
    } else {
        format!("field label not supported: {name}")
    }))
}

/// Terms between commas that are not escaped.
fn split(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn operator(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find(['=', '!'])?;
    let (name, rest) = term.split_at(at);
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some(value) = rest.strip_prefix(operator) {
            return Some((name, equal, value));
        }
    }
    None
}

fn unescape(raw: &str, whole: &str) -> Result<String, SelectorError> {
    let mut value = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next @ ('\\' | ',' | '=')) => value.push(next),
                _ => {
                    return Err(SelectorError::Field(format!(
                        "invalid selector: '{whole}'; bad escape sequence"
                    )));
                }
            },
            ',' | '=' => {
                return Err(SelectorError::Field(format!(
                    "invalid selector: '{whole}'; unescaped '{c}' in a value"
                )));
            }
            _ => value.push(c),
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::registry::Registry;

    fn parse(text: &str, plural: &str) -> Result<FieldSelector, SelectorError> {
        let registry = Registry::standard().unwrap();
        let resource = registry.resources().find(|r| r.id.plural == plural).unwrap();
        FieldSelector::parse(text, resource)
    }

    #[test]
    fn fields_select() {
        let object =
            json!({ "metadata": { "name": "a,b", "namespace": "n" }, "spec": { "nodeName": "edge" } });
        for (text, expected) in [
            ("", true),
            ("spec.nodeName=edge", true),
            ("spec.nodeName==edge,metadata.namespace=n", true),
            ("spec.nodeName!=edge", false),
            (r"metadata.name=a\,b", true),
            ("metadata.name=a", false),
        ] {
            assert_eq!(parse(text, "devices").unwrap().matches(&object), expected, "{text}");
        }
    }

    #[test]
    fn a_node_is_schedulable_unless_it_says_otherwise() {
        assert!(parse("spec.unschedulable=false", "nodes").unwrap().matches(&json!({ "spec": {} })));
        assert!(
            !parse("spec.unschedulable=false", "nodes")
                .unwrap()
                .matches(&json!({ "spec": { "unschedulable": true } }))
        );
    }

    #[test]
    fn unsupported_fields_are_refused_as_a_kubernetes_server_does() {
        assert_eq!(
            parse("spec.x=1", "devices").unwrap_err().to_string(),
            "field label not supported: spec.x"
        );
        assert_eq!(
            parse("data.x=1", "configmaps").unwrap_err().to_string(),
            r#""data.x" is not a known field selector: only "metadata.name", "metadata.namespace""#
        );
        assert!(parse("metadata.name", "devices").is_err());
        assert!(parse(r"metadata.name=a\b", "devices").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z.=!,\\\\]{0,40}|\\PC{0,40}") {
            let _ = parse(&text, "devices");
        }
    }
}
