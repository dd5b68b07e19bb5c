//! Metrics of this crate.

/// Requests answered, by `verb` and `code` (HTTP status). A watch counts when it starts.
pub const REQUESTS: &str = "kube_api.requests.total";
/// Time until the answer began, seconds, by `verb`.
pub const REQUEST_TIME: &str = "kube_api.request.duration.seconds";
/// Watches that are open.
pub const WATCHES: &str = "kube_api.watches.open";
/// Watches closed by the server, by `reason`: slow | lagged | expired | unavailable.
pub const WATCHES_CLOSED: &str = "kube_api.watches.closed.total";
/// Connections that are open.
pub const CONNECTIONS: &str = "kube_api.connections.open";
/// Connections refused or ended before a request, by `reason`: full | handshake | timeout.
pub const CONNECTIONS_REFUSED: &str = "kube_api.connections.refused.total";
/// Objects deleted in the background, by `reason`: owner | namespace.
pub const COLLECTED: &str = "kube_api.collected.objects.total";
