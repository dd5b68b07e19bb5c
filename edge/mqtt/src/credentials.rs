//! A user name with its password: what the broker asks for and the bridge shows.

/// A user name with its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// At most 65,535 bytes.
    pub username: String,
    /// At most 65,535 bytes; never printed.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Whether both agree, in a time that depends on the lengths alone.
    pub(crate) fn agree(&self, username: &[u8], password: &[u8]) -> bool {
        let user = same(self.username.as_bytes(), username);
        let pass = same(self.password.as_bytes(), password);
        user & pass
    }
}

fn same(ours: &[u8], theirs: &[u8]) -> bool {
    let mut difference = u8::from(ours.len() != theirs.len());
    for (at, byte) in theirs.iter().enumerate() {
        difference |= byte ^ ours.get(at).copied().unwrap_or(!byte);
    }
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_must_agree_in_full() {
        let known = Credentials { username: "pump".into(), password: "secret".into() };
        assert!(known.agree(b"pump", b"secret"));
        for (username, password) in
            [("pump", "secre"), ("pump", "secrets"), ("pum", "secret"), ("", ""), ("pump", "")]
        {
            assert!(!known.agree(username.as_bytes(), password.as_bytes()), "{username} {password}");
        }
        assert!(!format!("{known:?}").contains("secret"), "the password is printed");
    }
}
