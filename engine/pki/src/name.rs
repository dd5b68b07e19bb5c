//! Node names: RFC 1123 subdomains, as Kubernetes has them.

use crate::error::PkiError;

/// Longest node name, in bytes.
pub const MAX_NODE_NAME: usize = 253;

/// Checks that `name` is an RFC 1123 subdomain of at most 253 characters.
///
/// # Errors
/// [`PkiError::NodeName`] with what is wrong.
pub fn validate_node_name(name: &str) -> Result<(), PkiError> {
    match problem_of(name) {
        None => Ok(()),
        Some(problem) => Err(PkiError::NodeName { name: name.chars().take(300).collect(), problem }),
    }
}

fn problem_of(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > MAX_NODE_NAME {
        return Some("it is longer than 253 characters");
    }
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    for part in name.split('.') {
        let bytes = part.as_bytes();
        let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
            return Some("a part between dots is empty");
        };
        if !bytes.iter().all(|&byte| alphanumeric(byte) || byte == b'-') {
            return Some("it has a character other than a-z, 0-9, '-' and '.'");
        }
        if !alphanumeric(first) || !alphanumeric(last) {
            return Some("a part begins or ends with '-'");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_kubernetes_takes_are_taken() {
        for name in ["oslo", "shop-12", "a", "0", "gw1.oslo.example.com", &"a".repeat(253)] {
            assert!(validate_node_name(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "",
            "Oslo",
            "-a",
            "a-",
            "a..b",
            ".a",
            "a.",
            "a_b",
            "a b",
            "a/b",
            "ø",
            "a\n",
            "a.-b",
            &"a".repeat(254),
        ] {
            assert!(validate_node_name(name).is_err(), "{name:?}");
        }
    }
}
