//! Trees of settings and the dotted paths of their leaves.

use serde_yaml_ng::{Mapping, Value};

/// The path and value of every leaf, in the struct's order.
pub(super) fn leaves(tree: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    if let Value::Mapping(map) = tree {
        walk(map, "", &mut found);
    }
    found
}

fn walk(map: &Mapping, prefix: &str, found: &mut Vec<(String, Value)>) {
    for (key, value) in map {
        let path = join(prefix, &text(key));
        match section(value) {
            Some(map) => walk(map, &path, found),
            None => found.push((path, value.clone())),
        }
    }
}

/// A section is a map that has keys by default; an empty one is free-form, and so a leaf.
pub(super) fn section(value: &Value) -> Option<&Mapping> {
    value.as_mapping().filter(|map| !map.is_empty())
}

pub(super) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

/// A key as text; YAML also allows numbers and bools as keys.
pub(super) fn text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        other => serde_yaml_ng::to_string(other).unwrap_or_default().trim_end().to_owned(),
    }
}

/// Sets the leaf at a path that [`leaves`] gave for a tree of the same shape.
pub(super) fn set(tree: &mut Value, path: &str, value: Value) {
    let mut at = tree;
    for key in path.split('.') {
        let Value::Mapping(map) = at else { return };
        at = map.entry(Value::String(key.to_owned())).or_insert(Value::Null);
    }
    *at = value;
}

/// `LEDGE_HUB_LISTEN` for `hub.listen`; what is no letter or digit becomes `_`.
pub(super) fn variable(path: &str) -> String {
    let name: String =
        path.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    format!("LEDGE_{name}")
}

/// The known path that needs the fewest edits, if it is near enough to be meant.
pub(super) fn nearest<'a>(path: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let ranked = known.into_iter().map(|candidate| (distance(path, candidate), candidate));
    let (edits, best) = ranked.min()?;
    (edits <= (path.chars().count() / 3).max(2)).then(|| best.to_owned())
}

/// Levenshtein distance in characters. Texts are cut to 64 characters: keys are short, input may not be.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replace = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in [("", "", 0), ("", "ab", 2), ("listen", "lisen", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_key_is_offered_only_when_near() {
        let known = ["hub.listen", "api.listen", "data_dir"];
        assert_eq!(nearest("hub.lisen", known).as_deref(), Some("hub.listen"));
        assert_eq!(nearest("telemetry", known), None);
    }

    #[test]
    fn variables_are_upper_snake() {
        assert_eq!(variable("hub.max-frame_size"), "LEDGE_HUB_MAX_FRAME_SIZE");
    }
}
