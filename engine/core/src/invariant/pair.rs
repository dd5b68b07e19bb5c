//! Invariants between an edge and the cloud.

use ledge_schemas::{LogId, Seq, StreamId};

use super::{Invariant, Violation};
use crate::log::{Reader, StoreError};

/// I10: both sides of a stream end equal, log and view.
pub fn converged<A: Reader, B: Reader>(edge: &A, cloud: &B, stream: &StreamId) -> Result<(), Violation> {
    let read = |error: StoreError| Violation::new(Invariant::Convergence, stream, error);
    let (edge, cloud) = (edge.head(stream).map_err(read)?, cloud.head(stream).map_err(read)?);
    let (Some(edge), Some(cloud)) = (edge, cloud) else {
        return Err(Violation::new(Invariant::Convergence, stream, "one side does not have it"));
    };
    let pairs = [
        ("log ids", edge.base.log_id.to_string(), cloud.base.log_id.to_string()),
        ("epochs", edge.base.epoch.0.to_string(), cloud.base.epoch.0.to_string()),
        ("tails", edge.tail.to_string(), cloud.tail.to_string()),
        ("chains", edge.chain.to_string(), cloud.chain.to_string()),
        ("digests", edge.cursor.digest.to_string(), cloud.cursor.digest.to_string()),
    ];
    match pairs.iter().find(|(_, edge, cloud)| edge != cloud) {
        None => Ok(()),
        Some((what, edge, cloud)) => {
            let what = format!("{what} differ: edge {edge}, cloud {cloud}");
            Err(Violation::new(Invariant::Convergence, stream, what))
        }
    }
}

/// I4: what an edge was told is proved can be read in the cloud, in the current incarnation of the
/// stream or an archived one.
pub fn cloud_durable<R: Reader>(
    cloud: &R,
    stream: &StreamId,
    log_id: LogId,
    proved: Seq,
) -> Result<(), Violation> {
    let read = |error: StoreError| Violation::new(Invariant::CloudDurable, stream, error);
    let current = cloud.head(stream).map_err(read)?;
    let archived = cloud.archived(stream).map_err(read)?;
    let found = current.into_iter().chain(archived).find(|head| head.base.log_id == log_id);
    let tail = found.map_or(Seq::ZERO, |head| head.tail);
    if tail >= proved {
        return Ok(());
    }
    let what = format!("log {log_id} was proved through {proved}, the cloud has it through {tail}");
    Err(Violation::new(Invariant::CloudDurable, stream, what))
}
