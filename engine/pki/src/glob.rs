//! Patterns over node names: `*` any characters (also none), `?` exactly one.

/// Whether all of `text` matches `pattern`. Time is at most pattern × text; there is no recursion.
#[must_use]
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stood, and up to where in the text it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, swallowed)) => {
                    star = Some((at, swallowed + 1));
                    p = at + 1;
                    t = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "oslo", true),
            ("oslo", "oslo", true),
            ("oslo", "oslo1", false),
            ("shop-*", "shop-12", true),
            ("shop-*", "shop-", true),
            ("shop-*", "shap-12", false),
            ("shop-??", "shop-12", true),
            ("shop-??", "shop-1", false),
            ("*.oslo", "gw.oslo", true),
            ("*.oslo", "gw.oslo.no", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("**a**", "bab", true),
            ("?", "", false),
            ("?", "ø", true),
            ("*aaab", "aaaaaaaaaaaaaaaaaaaaaaab", true),
        ] {
            assert_eq!(glob_matches(pattern, text), expected, "{pattern:?} on {text:?}");
        }
    }
}
