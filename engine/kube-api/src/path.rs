//! What a URL path names.

/// A path below `/api/VERSION` or `/apis/GROUP/VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    /// API group, "" for the core group.
    pub(crate) group: String,
    /// Version.
    pub(crate) version: String,
    /// Namespace, if the path names one.
    pub(crate) namespace: Option<String>,
    /// Plural.
    pub(crate) plural: String,
    /// Object; `None` for a collection.
    pub(crate) name: Option<String>,
    /// Part of the object, such as `status`.
    pub(crate) subresource: Option<String>,
    /// Whether the path is of the older form `/watch/…`.
    pub(crate) watch: bool,
}

impl ResourcePath {
    /// Reads a path; `None` if it names no resource.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let segments: Vec<String> =
            path.split('/').filter(|s| !s.is_empty()).map(decode).collect::<Option<_>>()?;
        let mut parts = segments.into_iter();
        let group = match parts.next()?.as_str() {
            "api" => String::new(),
            "apis" => parts.next()?,
            _ => return None,
        };
        let version = parts.next()?;
        let mut parts: std::collections::VecDeque<String> = parts.collect();
        let watch = parts.front().is_some_and(|part| part == "watch");
        if watch {
            parts.pop_front();
        }
        // `namespaces/NAME` is an object; `namespaces/NAME/status` and `/finalize` are parts of it; more is inside of it.
        let inside = parts.front().is_some_and(|part| part == "namespaces")
            && parts.len() > 2
            && !(group.is_empty() && parts.len() == 3 && matches!(parts[2].as_str(), "status" | "finalize"));
        let namespace = if inside {
            parts.pop_front();
            parts.pop_front()
        } else {
            None
        };
        let plural = parts.pop_front()?;
        let (name, subresource) = (parts.pop_front(), parts.pop_front());
        if !parts.is_empty() {
            return None;
        }
        Some(Self { group, version, namespace, plural, name, subresource, watch })
    }
}

/// Undoes percent encoding; `None` for what is not UTF-8 afterwards or not encoded well.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let hex = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = (&'a str, Option<&'a str>, &'a str, Option<&'a str>, Option<&'a str>);

    #[track_caller]
    fn check(path: &str, expected: Option<Parts<'_>>) {
        let found = ResourcePath::parse(path);
        let parts = found.as_ref().map(|p| {
            (
                p.group.as_str(),
                p.namespace.as_deref(),
                p.plural.as_str(),
                p.name.as_deref(),
                p.subresource.as_deref(),
            )
        });
        assert_eq!(parts, expected, "{path}");
    }

    #[test]
    fn paths() {
        check("/api/v1/nodes", Some(("", None, "nodes", None, None)));
        check("/api/v1/nodes/a/status", Some(("", None, "nodes", Some("a"), Some("status"))));
        check("/api/v1/namespaces/a", Some(("", None, "namespaces", Some("a"), None)));
        check("/api/v1/namespaces/a/finalize", Some(("", None, "namespaces", Some("a"), Some("finalize"))));
        check("/api/v1/namespaces/a/configmaps", Some(("", Some("a"), "configmaps", None, None)));
        check("/apis/g/v1/namespaces/a/things/b%2Ec", Some(("g", Some("a"), "things", Some("b.c"), None)));
        check("/api/v1", None);
        check("/apis/g/v1/namespaces/a/things/b/c/d", None);
        check("/api/v1/nodes/%zz", None);
        assert!(ResourcePath::parse("/api/v1/watch/nodes").is_some_and(|path| path.watch));
    }
}
