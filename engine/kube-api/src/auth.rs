//! Who asks, and whether they may.

/// The group that may do everything.
pub const MASTERS: &str = "system:masters";

/// Who a request comes from. `serve` puts it into the request's extensions; so must any other listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Common name of the client certificate.
    pub user: String,
    /// Organizations of the client certificate.
    pub groups: Vec<String>,
}

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: &'a str,
    /// API group, "" for the core group.
    pub group: &'a str,
    /// Plural.
    pub resource: &'a str,
    /// `status` or another part; "" for the object.
    pub subresource: &'a str,
    /// Namespace; "" for all or none.
    pub namespace: &'a str,
    /// Name; "" for a collection.
    pub name: &'a str,
}

/// Decides what identities may do. Discovery, OpenAPI and health are open to everyone who is known.
pub trait Authorizer: Send + Sync {
    /// Whether `identity` may do what `attributes` describe.
    fn allows(&self, identity: &Identity, attributes: &Attributes<'_>) -> bool;
}

/// Group `system:masters` may do everything, others nothing.
#[derive(Clone, Copy, Debug)]
pub struct MastersOnly;

impl Authorizer for MastersOnly {
    fn allows(&self, identity: &Identity, _attributes: &Attributes<'_>) -> bool {
        identity.groups.iter().any(|group| group == MASTERS)
    }
}
