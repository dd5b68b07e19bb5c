//! The cloud's own records.

use ledge_schemas::kinds::control::{
    CertificateIssued, CertificateRevoked, Direction, LogBound, NodeQuarantined, SessionConfirmed,
    StoreCreated, StreamRegressed, TokenCreated,
};

use crate::json::Fields;
use crate::time::rfc3339;

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

/// Unix seconds, as certificates have them.
pub(super) fn not_after(seconds: u64) -> String {
    rfc3339(seconds.saturating_mul(1000))
}

pub(super) fn store_created(body: StoreCreated) -> Fields {
    Fields::default().with("storeId", &body.store_id)
}

pub(super) fn token_created(body: TokenCreated) -> Fields {
    Fields::default().stored("record", "recordHex", &body.record)
}

pub(super) fn certificate_issued(body: CertificateIssued) -> Fields {
    certificate(&body.serial, &body.fingerprint, body.not_after)
}

pub(super) fn certificate(serial: &str, fingerprint: &str, seconds: u64) -> Fields {
    let fields = Fields::default().with("serial", &serial).with("fingerprint", &fingerprint);
    fields.with("notAfter", &not_after(seconds))
}

pub(super) fn certificate_revoked(body: CertificateRevoked) -> Fields {
    Fields::default().with("serial", &body.serial).with("reason", &body.reason)
}

pub(super) fn session_confirmed(body: SessionConfirmed) -> Fields {
    Fields::default().with("number", &body.number).with("upLog", &body.up_log)
}

pub(super) fn log_bound(body: LogBound) -> Fields {
    let fields = Fields::default().with("direction", &direction(body.direction));
    fields.with("logId", &body.log_id).with("epoch", &body.epoch)
}

pub(super) fn node_quarantined(body: NodeQuarantined) -> Fields {
    quarantine(&body.log_id, body.number, &body.reason)
}

pub(super) fn quarantine(log_id: &ledge_schemas::LogId, number: u64, reason: &str) -> Fields {
    Fields::default().with("logId", log_id).with("session", &number).with("reason", &reason)
}

pub(super) fn stream_regressed(body: StreamRegressed) -> Fields {
    let fields = Fields::default().with("direction", &direction(body.direction));
    fields.with("accepted", &body.accepted).with("found", &body.found)
}
