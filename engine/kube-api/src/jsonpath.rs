//! The part of JSONPath that printer columns and selectable fields use: `.a.b`, `.a['b.c']`, `[0]`, `[*]`, and
//! `[?(@.type=="Ready")]`.

use serde_json::Value;

/// A path, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Where { field: Vec<String>, equals: String },
}

/// Why a path cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unexpected {found:?} at byte {at}; use .field, ['field'], [0], [*] or [?(@.field==\"value\")]")]
pub struct PathError {
    at: usize,
    found: String,
}

impl JsonPath {
    /// The path through these fields.
    pub fn fields(names: &[&str]) -> Self {
        Self(names.iter().map(|name| Step::Field((*name).to_owned())).collect())
    }

    /// Reads a path, with or without `{}` around it.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let text = text.trim();
        let text = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
        let mut steps = Vec::new();
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        while !rest.is_empty() {
            let error = || PathError { at: text.len() - rest.len(), found: rest.chars().take(8).collect() };
            if let Some(after) = rest.strip_prefix('[') {
                let end = closing(after).ok_or_else(error)?;
                let inner = &after[..end];
                steps.push(bracket(inner).ok_or_else(error)?);
                rest = &after[end + 1..];
            } else if let Some(after) = rest.strip_prefix('.') {
                let (name, length) = field_name(after);
                match name.as_str() {
                    "" if after.starts_with('[') => {}
                    "" => return Err(error()),
                    "*" => steps.push(Step::All),
                    _ => steps.push(Step::Field(name)),
                }
                rest = &after[length..];
            } else {
                return Err(error());
            }
        }
        Ok(Self(steps))
    }

    /// The first value at the path.
    pub fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        first(value, &self.0)
    }
}

fn first<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match step {
        Step::Field(name) => first(value.get(name)?, rest),
        Step::Index(index) => {
            let items = value.as_array()?;
            let at = if *index < 0 {
                items.len().checked_add_signed(isize::try_from(*index).ok()?)?
            } else {
                usize::try_from(*index).ok()?
            };
            first(items.get(at)?, rest)
        }
        Step::All => match value {
            Value::Array(items) => items.iter().find_map(|item| first(item, rest)),
            Value::Object(fields) => fields.values().find_map(|field| first(field, rest)),
            _ => None,
        },
        Step::Where { field, equals } => value.as_array()?.iter().find_map(|item| {
            let found = field.iter().try_fold(item, |at, name| at.get(name))?;
            let same = match found {
                Value::String(text) => text == equals,
                other => serde_json::from_str::<Value>(equals).is_ok_and(|wanted| wanted == *other),
            };
            if same { first(item, rest) } else { None }
        }),
    }
}

/// Index of the `]` that ends a bracket, outside of quotes.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, ']') => return Some(at),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

fn bracket(inner: &str) -> Option<Step> {
    let inner = inner.trim();
    if inner == "*" {
        return Some(Step::All);
    }
    if let Some(name) = unquote(inner) {
        return Some(Step::Field(name.to_owned()));
    }
    if let Some(condition) = inner.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        let (left, right) = condition.split_once("==")?;
        let field = left.trim().strip_prefix("@.")?.split('.').map(str::to_owned).collect();
        let right = right.trim();
        let equals = unquote(right).unwrap_or(right).to_owned();
        return Some(Step::Where { field, equals });
    }
    inner.parse().ok().map(Step::Index)
}

fn unquote(text: &str) -> Option<&str> {
    ['\'', '"'].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

/// A field name up to the next `.` or `[`, with `\.` for a dot inside, and how many bytes it takes.
fn field_name(text: &str) -> (String, usize) {
    let mut name = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '.' | '[' if !escaped => return (name, at),
            _ => {
                name.push(c);
                escaped = false;
            }
        }
    }
    (name, text.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<Value>) {
        let object =
            json!({ "a": { "b.c": 1, "d": [ { "type": "X", "v": "x" }, { "type": "Ready", "v": "yes" } ] } });
        assert_eq!(JsonPath::parse(path).unwrap().first(&object), expected.as_ref(), "{path}");
    }

    #[test]
    fn paths_find_the_first_value() {
        check(".a['b.c']", Some(json!(1)));
        check(r".a.b\.c", Some(json!(1)));
        check("{.a.d[0].v}", Some(json!("x")));
        check(".a.d[-1].v", Some(json!("yes")));
        check(".a.d[*].type", Some(json!("X")));
        check(r#".a.d[?(@.type=="Ready")].v"#, Some(json!("yes")));
        check(".a.d[7].v", None);
        check(".a.nothing.there", None);
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        for wrong in ["a.b", ".a[", ".a[x]", ".a..b", ".a[?(@.x>1)]"] {
            assert!(JsonPath::parse(wrong).is_err(), "{wrong}");
        }
    }
}
