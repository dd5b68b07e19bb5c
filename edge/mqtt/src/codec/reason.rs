//! MQTT 5 reason codes (OASIS MQTT 5.0, 2.4), and what the few that 3.1.1 knows become there.

pub(crate) const SUCCESS: u8 = 0x00;
pub(crate) const DISCONNECT_WITH_WILL: u8 = 0x04;
pub(crate) const NO_SUBSCRIPTION: u8 = 0x11;
pub(crate) const UNSPECIFIED: u8 = 0x80;
pub(crate) const MALFORMED: u8 = 0x81;
pub(crate) const PROTOCOL_ERROR: u8 = 0x82;
pub(crate) const UNSUPPORTED_VERSION: u8 = 0x84;
pub(crate) const CLIENT_ID_INVALID: u8 = 0x85;
pub(crate) const BAD_CREDENTIALS: u8 = 0x86;
pub(crate) const NOT_AUTHORIZED: u8 = 0x87;
pub(crate) const SHUTTING_DOWN: u8 = 0x8B;
pub(crate) const BAD_AUTHENTICATION: u8 = 0x8C;
pub(crate) const KEEP_ALIVE: u8 = 0x8D;
pub(crate) const TAKEN_OVER: u8 = 0x8E;
pub(crate) const FILTER_INVALID: u8 = 0x8F;
pub(crate) const TOPIC_NAME_INVALID: u8 = 0x90;
pub(crate) const PACKET_ID_NOT_FOUND: u8 = 0x92;
pub(crate) const RECEIVE_MAXIMUM: u8 = 0x93;
pub(crate) const TOPIC_ALIAS_INVALID: u8 = 0x94;
pub(crate) const PACKET_TOO_LARGE: u8 = 0x95;
pub(crate) const QUOTA: u8 = 0x97;
pub(crate) const PAYLOAD_INVALID: u8 = 0x99;
pub(crate) const NO_SHARED_SUBSCRIPTIONS: u8 = 0x9E;

/// The 3.1.1 `CONNACK` return code that says most of what a v5 code says (3.2.2.3 there).
pub(crate) fn connack_v4(code: u8) -> u8 {
    match code {
        SUCCESS => 0,
        UNSUPPORTED_VERSION => 1,
        CLIENT_ID_INVALID => 2,
        BAD_CREDENTIALS => 4,
        NOT_AUTHORIZED | BAD_AUTHENTICATION => 5,
        _ => 3,
    }
}
