//! Connections between edges and the cloud.

use std::collections::BTreeMap;

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    /// Process of the edge.
    pub(super) edge: usize,
    /// Life of that process when it dialled.
    pub(super) edge_life: u64,
    /// Life of the cloud when it accepted.
    pub(super) cloud_life: u64,
    /// Arrival time of the last message, per direction (to cloud, to edge): keeps the order.
    pub(super) last_ms: [u64; 2],
}

/// Which ways of each edge's path are cut.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    cuts: BTreeMap<usize, (u32, u32)>,
}

impl Cuts {
    /// Cuts, or mends, one or both ways. Cuts of several faults add up.
    pub(super) fn set(&mut self, edge: usize, up: bool, down: bool, cut: bool) {
        let (to_cloud, to_edge) = self.cuts.entry(edge).or_default();
        for (way, affected) in [(to_cloud, up), (to_edge, down)] {
            if affected {
                *way = if cut { *way + 1 } else { way.saturating_sub(1) };
            }
        }
    }

    /// Whether messages pass this way.
    #[must_use]
    pub(super) fn passes(&self, edge: usize, to_cloud: bool) -> bool {
        let (up, down) = self.cuts.get(&edge).copied().unwrap_or_default();
        if to_cloud { up == 0 } else { down == 0 }
    }

    /// Everything is mended.
    pub(super) fn clear(&mut self) {
        self.cuts.clear();
    }
}
