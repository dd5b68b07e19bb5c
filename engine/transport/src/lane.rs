//! Lanes: what may overtake what.

/// A lane of a link. Within a lane messages keep their order; between lanes the more urgent goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Lane {
    /// Hello, heartbeats, acknowledgements, credit: small, and never behind anything.
    Liveness = 0,
    /// What happens now: new events, latest rows.
    Live = 1,
    /// Logs, exec and the like. Takes turns with history, so that neither starves the other.
    Tunnel = 2,
    /// Catching up.
    History = 3,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 4] = [Self::Liveness, Self::Live, Self::Tunnel, Self::History];

    /// Its name in metrics and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Live => "live",
            Self::Tunnel => "tunnel",
            Self::History => "history",
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}
