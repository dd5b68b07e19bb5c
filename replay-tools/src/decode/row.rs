//! Rows of the views.

use ledge_core::view::control::{
    self, AuthorityRow, BindingRow, NodeRow, RecoveringRow, RevokedRow, StoreRow, TokenRow,
};
use ledge_core::view::down::{self, Desired};
use ledge_core::view::row as bytes;
use ledge_core::view::up::{self, InfoRow, StateRow, TwinRow};
use ledge_schemas::{CodecError, Seq, StreamId};

use super::control::{certificate, quarantine};
use super::{object, undecodable, up as fields};
use crate::json::{Fields, Json};
use crate::time::rfc3339;

/// Prefix of the bindings of log ids in `control`.
const BINDING: &str = "binding/";

/// A row's JSON, and the seq of the event that wrote it (zero: it came with the base). Keys that no view of this
/// build writes give `{"unknown":"<hex>"}`.
#[must_use]
pub fn row(stream: &StreamId, key: &[u8], value: &[u8]) -> (Seq, Json) {
    let shown = bytes::split(value).and_then(|(at, body)| Ok((at, fields_of(stream, key, value, body)?)));
    shown.unwrap_or_else(|error| (Seq::ZERO, undecodable(value, &error)))
}

fn fields_of(stream: &StreamId, key: &[u8], value: &[u8], body: &[u8]) -> Result<Json, CodecError> {
    let is = |prefix: &str| key.starts_with(prefix.as_bytes());
    Ok(match stream {
        StreamId::Cluster | StreamId::Down(_) if is(down::OBJECT) => object::object(body),
        StreamId::Down(_) if is(down::DESIRED) => {
            Fields::default().with("value", &bytes::decode::<Desired>(value)?.1.value)
        }
        StreamId::Up(_) if is(up::TWIN) => twin(&bytes::decode(value)?.1),
        StreamId::Up(_) if is(up::STATE) => state(&bytes::decode(value)?.1),
        StreamId::Up(_) if key == up::INFO.as_bytes() => info(&bytes::decode(value)?.1),
        StreamId::Control => control_row(key, value, body)?,
        _ => unknown(body),
    }
    .json())
}

fn unknown(body: &[u8]) -> Fields {
    Fields::default().with("unknown", &hex::encode(body))
}

fn twin(row: &TwinRow) -> Fields {
    let expected = row.expected.as_ref().map(|expected| {
        let fields = Fields::default().with("value", &expected.value);
        fields.with("time", &rfc3339(expected.timestamp_ms)).with("seen", &expected.seen.to_string())
    });
    Fields::default()
        .maybe("expected", expected.as_ref())
        .maybe("actual", row.actual.as_ref().map(fields::value).as_ref())
        .with("type", &row.value_type)
        .with("optional", &row.optional)
        .maybe("deleted", row.deleted.then_some(&true))
        .with("expectedVersion", &row.expected_version)
        .with("actualVersion", &row.actual_version)
        .with("edgeTime", &rfc3339(row.edge_time_ms))
}

fn state(row: &StateRow) -> Fields {
    fields::state(&row.state, row.last_online_ms).with("edgeTime", &rfc3339(row.edge_time_ms))
}

fn info(row: &InfoRow) -> Fields {
    Fields::default().with("version", &row.version).with("started", &rfc3339(row.started_ms))
}

fn control_row(key: &[u8], value: &[u8], body: &[u8]) -> Result<Fields, CodecError> {
    let is = |prefix: &str| key.starts_with(prefix.as_bytes());
    let fields = Fields::default();
    Ok(match () {
        () if is(control::NODE) => node(&bytes::decode(value)?.1),
        () if is(BINDING) => fields.with("epoch", &bytes::decode::<BindingRow>(value)?.1.epoch),
        () if is(control::TOKEN) => {
            let (_, token) = bytes::decode::<TokenRow>(value)?;
            fields.with("used", &token.used).stored("record", "recordHex", &token.record)
        }
        () if is(control::REVOKED) => {
            let (_, revoked) = bytes::decode::<RevokedRow>(value)?;
            fields.with("node", &revoked.node).with("reason", &revoked.reason)
        }
        () if key == control::STORE.as_bytes() => {
            fields.with("storeId", &bytes::decode::<StoreRow>(value)?.1.store_id)
        }
        () if key == control::AUTHORITY.as_bytes() => {
            fields.with("uid", &bytes::decode::<AuthorityRow>(value)?.1.uid)
        }
        () if key == control::RECOVERING.as_bytes() => {
            fields.with("reason", &bytes::decode::<RecoveringRow>(value)?.1.reason)
        }
        () => unknown(body),
    })
}

fn node(row: &NodeRow) -> Fields {
    let refused = row.quarantine.as_ref().map(|q| quarantine(&q.log_id, q.number, &q.reason));
    let card = row.certificate.as_ref().map(|c| certificate(&c.serial, &c.fingerprint, c.not_after));
    Fields::default()
        .with("issued", &row.issued)
        .with("confirmed", &row.confirmed)
        .maybe("upLog", row.up_log.as_ref())
        .with("upEpoch", &row.up_epoch)
        .with("downEpoch", &row.down_epoch)
        .maybe("quarantine", refused.as_ref())
        .maybe("keep", row.keep.as_ref())
        .maybe("certificate", card.as_ref())
        .with("regressions", &row.regressions)
}
