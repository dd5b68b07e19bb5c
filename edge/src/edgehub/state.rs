//! What is known of the connection, for status, metrics and tests.

use serde::{Deserialize, Serialize};

use crate::address::HostPort;

/// Where the connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The process does not run.
    #[default]
    Stopped,
    /// Dialling, or shaking hands.
    Connecting,
    /// Events flow.
    Live,
    /// Not connected; the next attempt comes by itself.
    Waiting,
    /// The cloud does not take this node until an operator has decided. Attempts go on, slowly.
    Quarantined,
}

impl Phase {
    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Waiting => "waiting",
            Self::Quarantined => "quarantined",
        }
    }
}

/// The connection to the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubState {
    /// Where it is.
    pub phase: Phase,
    /// Hub that was dialled last.
    pub hub: String,
    /// Number of the live session, or of the last one; 0 for none since the start of the process.
    pub session: u64,
    /// Sessions that were live since the start of the process.
    pub sessions: u64,
    /// Why there is no connection; for a quarantined node with the command to type. Empty while live.
    pub why: String,
    /// Clock of the cloud minus ours, milliseconds, at the last handshake.
    pub clock_offset_ms: i64,
}

impl HubState {
    pub(super) fn connecting(&mut self, hub: &HostPort) {
        // Whoever was sent away stays so until taken in again.
        if self.phase != Phase::Quarantined {
            self.phase = Phase::Connecting;
        }
        self.hub = hub.to_string();
    }

    pub(super) fn live(&mut self, session: u64) {
        self.phase = Phase::Live;
        self.session = session;
        self.sessions += 1;
        self.why.clear();
    }

    pub(super) fn waiting(&mut self, quarantined: bool, why: String) {
        // A hub that cannot be reached says nothing about a quarantine.
        let stays = self.phase == Phase::Quarantined && !quarantined;
        if !stays {
            self.phase = if quarantined { Phase::Quarantined } else { Phase::Waiting };
            self.why = why;
        }
    }
}
