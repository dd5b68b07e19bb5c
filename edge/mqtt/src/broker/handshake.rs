//! From an accepted socket to a session, or to a refusal.

use std::io;
use std::sync::Arc;

use super::hub::{Hub, Opened};
use crate::codec::encode::{self, ConnAck};
use crate::codec::{CodecError, Connect, Packet, Version, reason};
use crate::handler::Claim;
use crate::socket::{Next, Socket};

/// Largest `CONNECT`, bytes: a will, credentials and properties at their longest fit, and a stranger costs
/// no more than this.
const MAX_CONNECT: usize = 256 * 1024;
/// Longest client id, bytes: it is kept as long as its session.
const MAX_CLIENT_ID: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("connection lost: {0}")]
    Network(#[from] io::Error),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("connect of client {client:?} refused with reason {code:#04x}: {why}")]
    Refused { client: String, code: u8, why: &'static str },
}

/// Reads the `CONNECT`, answers it and opens the session. The `CONNACK` is left in the write buffer.
pub(crate) async fn admit(
    hub: &Arc<Hub>,
    socket: &mut Socket,
) -> Result<(Box<Connect>, Opened), HandshakeError> {
    let mut connect = match read_connect(socket, hub.config.max_packet).await {
        Err(HandshakeError::Codec(error @ CodecError::Unsupported { .. })) => {
            // An older or newer client reads at least this form of the refusal.
            encode::connack(&mut socket.output, Version::V4, &refusal(error.reason()));
            return Err(error.into());
        }
        other => other?,
    };
    let assigned = connect.client_id.is_empty();
    let opened = check(hub, &connect).and_then(|()| {
        if assigned {
            connect.client_id = hub.assign_id();
        }
        let ephemeral = session_expiry(hub, &connect) == 0;
        hub.open(&connect.client_id, connect.clean, ephemeral)
            .map_err(|code| (code, "there is no room for another session"))
    });
    match opened {
        Ok(opened) => {
            let ack = ConnAck {
                session_present: opened.present,
                code: reason::SUCCESS,
                assigned_id: assigned.then_some(connect.client_id.as_str()),
                session_expiry: session_expiry(hub, &connect),
                receive_maximum: hub.config.receive_window,
                maximum_packet: u32::try_from(hub.config.max_packet).unwrap_or(u32::MAX),
            };
            encode::connack(&mut socket.output, connect.version, &ack);
            Ok((connect, opened))
        }
        Err((code, why)) => {
            encode::connack(&mut socket.output, connect.version, &refusal(code));
            Err(HandshakeError::Refused { client: connect.client_id, code, why })
        }
    }
}

fn refusal(code: u8) -> ConnAck<'static> {
    ConnAck {
        session_present: false,
        code,
        assigned_id: None,
        session_expiry: 0,
        receive_maximum: 0,
        maximum_packet: 0,
    }
}

/// Seconds that the session outlives its connection.
pub(crate) fn session_expiry(hub: &Hub, connect: &Connect) -> u32 {
    let longest = u32::try_from(hub.config.session_expiry.as_secs()).unwrap_or(u32::MAX);
    match connect.version {
        Version::V4 if connect.clean => 0,
        Version::V4 => longest,
        Version::V5 => connect.session_expiry.unwrap_or(0).min(longest),
    }
}

async fn read_connect(socket: &mut Socket, max_packet: usize) -> Result<Box<Connect>, HandshakeError> {
    socket.set_max(max_packet.min(MAX_CONNECT));
    loop {
        if let Next::Whole(frame) = socket.peek()? {
            let Packet::Connect(connect) = socket.take(frame, Version::V4)? else {
                return Err(CodecError::Protocol("the first packet is not a connect").into());
            };
            socket.set_max(max_packet);
            return Ok(connect);
        }
        socket.ready(true).await?;
        if socket.fill()?.is_none() {
            return Err(HandshakeError::Network(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

/// `Err` is a reason code and its explanation for the log.
fn check(hub: &Hub, connect: &Connect) -> Result<(), (u8, &'static str)> {
    if connect.enhanced_auth {
        return Err((reason::BAD_AUTHENTICATION, "enhanced authentication is not offered"));
    }
    if !hub.config.credentials.is_empty() {
        let username = connect.username.as_deref().unwrap_or("").as_bytes();
        let password = connect.password.as_deref().unwrap_or(&[]);
        // All are compared, so that the time does not tell which user exists.
        let known =
            hub.config.credentials.iter().fold(false, |known, one| known | one.agree(username, password));
        if !known {
            return Err((reason::BAD_CREDENTIALS, "user name and password are not known"));
        }
    }
    if connect.client_id.len() > MAX_CLIENT_ID {
        return Err((reason::CLIENT_ID_INVALID, "the client id is longer than 1024 bytes"));
    }
    if connect.client_id.is_empty() && connect.version == Version::V4 && !connect.clean {
        return Err((reason::CLIENT_ID_INVALID, "a persistent session needs a client id"));
    }
    if let Some(will) = &connect.will
        && let Claim::Refused(why) = hub.handler.classify(&will.topic)
    {
        return Err((reason::NOT_AUTHORIZED, why));
    }
    Ok(())
}
