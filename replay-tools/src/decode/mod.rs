//! What bodies and rows hold, as JSON. Nothing is refused: what does not decode is shown as bytes.

mod control;
mod object;
mod row;
mod up;

pub use row::row;

use ledge_schemas::Kind;
use ledge_schemas::kinds::{self, Body, cluster, control as c, down, up as u};

use crate::json::{Fields, Json};

/// A body as JSON. Known kinds give their fields; an unknown one `{"unknown":"<hex>"}`, and a body that does not fit
/// its kind `{"undecodable":"<hex>","why":"…"}`.
///
/// ```
/// use ledge_schemas::kinds::{Body, up::LogBegun};
/// let body = LogBegun { reason: "the tail was lost".into() }.to_body()?;
/// assert_eq!(ledge_replay::decode::body(LogBegun::KIND, &body).as_str(), r#"{"reason":"the tail was lost"}"#);
/// # Ok::<(), ledge_schemas::CodecError>(())
/// ```
#[must_use]
pub fn body(kind: Kind, bytes: &[u8]) -> Json {
    match kind {
        down::ObjectPut::KIND => typed(bytes, object::put),
        down::ObjectRemoved::KIND => typed(bytes, object::removed),
        u::EdgeStarted::KIND => typed(bytes, up::edge_started),
        u::TwinChanged::KIND => typed(bytes, up::twin_changed),
        u::DeviceState::KIND => typed(bytes, up::device_state),
        u::DeviceForgotten::KIND => typed(bytes, |_: u::DeviceForgotten| Fields::default()),
        u::Message::KIND => typed(bytes, up::message),
        u::AdmissionChanged::KIND => typed(bytes, up::admission_changed),
        u::LogBegun::KIND => typed(bytes, |body: u::LogBegun| Fields::default().with("reason", &body.reason)),
        cluster::ObjectWritten::KIND => typed(bytes, object::written),
        cluster::ObjectDeleted::KIND => typed(bytes, object::deleted),
        c::StoreCreated::KIND => typed(bytes, control::store_created),
        c::TokenCreated::KIND => typed(bytes, control::token_created),
        c::TokenUsed::KIND => typed(bytes, |body: c::TokenUsed| Fields::default().with("node", &body.node)),
        c::CertificateIssued::KIND => typed(bytes, control::certificate_issued),
        c::CertificateRevoked::KIND => typed(bytes, control::certificate_revoked),
        c::SessionIssued::KIND => {
            typed(bytes, |body: c::SessionIssued| Fields::default().with("number", &body.number))
        }
        c::SessionConfirmed::KIND => typed(bytes, control::session_confirmed),
        c::LogBound::KIND => typed(bytes, control::log_bound),
        c::NodeQuarantined::KIND => typed(bytes, control::node_quarantined),
        c::NodeResolved::KIND => {
            typed(bytes, |body: c::NodeResolved| Fields::default().with("keep", &body.keep))
        }
        c::StreamRegressed::KIND => typed(bytes, control::stream_regressed),
        c::RecoveringBegun::KIND => {
            typed(bytes, |body: c::RecoveringBegun| Fields::default().with("reason", &body.reason))
        }
        c::RecoveringAccepted::KIND => typed(bytes, |_: c::RecoveringAccepted| Fields::default()),
        c::AuthorityBound::KIND => {
            typed(bytes, |body: c::AuthorityBound| Fields::default().with("uid", &body.uid))
        }
        _ => Fields::default().with("unknown", &hex::encode(bytes)).json(),
    }
}

/// Name of a kind; `kind-<number>` for one that this build does not know.
#[must_use]
pub fn kind(kind: Kind) -> String {
    kinds::name(kind).map_or_else(|| format!("kind-{}", kind.0), str::to_owned)
}

fn typed<B: Body>(bytes: &[u8], fields: impl FnOnce(B) -> Fields) -> Json {
    match B::from_body(bytes) {
        Ok(body) => fields(body).json(),
        Err(error) => undecodable(bytes, &error),
    }
}

fn undecodable(bytes: &[u8], error: &ledge_schemas::CodecError) -> Json {
    Fields::default().with("undecodable", &hex::encode(bytes)).with("why", &error.to_string()).json()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_kind_of_this_build_is_decoded() {
        for (number, name) in kinds::all() {
            let shown = body(number, &[0xff; 3]);
            assert!(!shown.as_str().contains("\"unknown\""), "{name}: {shown}");
            assert_eq!(kind(number), name);
        }
    }

    #[test]
    fn what_does_not_decode_is_shown_as_bytes() {
        assert_eq!(body(Kind(60_000), &[1, 255]).as_str(), r#"{"unknown":"01ff"}"#);
        assert_eq!(kind(Kind(60_000)), "kind-60000");
        let shown = body(u::DeviceState::KIND, &[9]);
        assert!(shown.as_str().starts_with(r#"{"undecodable":"09","why":""#), "{shown}");
    }
}
