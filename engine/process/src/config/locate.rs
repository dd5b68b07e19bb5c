//! On which line of a YAML file a key is. The parser does not keep positions, so block-style keys are found by
//! their indentation; what is written in flow style is located at the key above it.

/// (dotted path, line from 1) of each block-style key, in file order.
pub(super) fn lines(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut above: Vec<(usize, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        let Some(key) = key(content) else { continue };
        above.retain(|(outer, _)| *outer < indent);
        let path = above.last().map_or_else(|| key.to_owned(), |(_, outer)| format!("{outer}.{key}"));
        found.push((path.clone(), number + 1));
        above.push((indent, path));
    }
    found
}

/// `key` of `key: value` and of `"key":`.
fn key(content: &str) -> Option<&str> {
    if content.starts_with(['#', '-', '{', '[', '%']) {
        return None;
    }
    let (key, rest) = content.split_once(':')?;
    let key = key.trim_end().trim_matches(['"', '\'']);
    (!key.is_empty() && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some(key)
}

/// The line of a path, or of the nearest key above it.
pub(super) fn line_of(lines: &[(String, usize)], path: &str) -> Option<usize> {
    let mut path = path;
    loop {
        if let Some((_, line)) = lines.iter().find(|(known, _)| known == path) {
            return Some(*line);
        }
        path = path.rsplit_once('.')?.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_indentation() {
        let lines = lines(
            "# settings\nhub:\n  listen: a:1 # b: c\n\n  lanes:\n    - x: 1\napi: {listen: b}\n\"q\": 1\n",
        );
        let expected = [("hub", 2), ("hub.listen", 3), ("hub.lanes", 5), ("api", 7), ("q", 8)];
        assert_eq!(lines, expected.map(|(path, line)| (path.to_owned(), line)));
        assert_eq!(line_of(&lines, "hub.listen"), Some(3));
        assert_eq!(line_of(&lines, "api.listen"), Some(7));
        assert_eq!(line_of(&lines, "other"), None);
    }
}
