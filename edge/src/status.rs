//! What `ledge-edge status` shows, gathered alike by a running process and from a stopped one's directory.

use ledge_core::log::{Reader, StoreError};
use ledge_core::sync::commands::edge::proved;
use ledge_core::view::down;
use ledge_process::Table;
use ledge_schemas::projection::{DEVICES_GROUP, ObjectKey};
use ledge_schemas::{NodeName, StreamId};
use serde::{Deserialize, Serialize};

use crate::edgehub::{HubState, Phase};

/// The state of an edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The node.
    pub node: NodeName,
    /// Whether a process has the directory.
    pub running: bool,
    /// Version of the build that answers.
    pub version: String,
    /// The connection to the cloud.
    pub cloud: HubState,
    /// Both streams.
    pub streams: Vec<StreamStatus>,
    /// Devices of this node.
    pub devices: usize,
    /// The store.
    pub store: StoreStatus,
    /// Unix seconds at which the node's certificate ends; `None` if it cannot be read.
    pub certificate_ends: Option<i64>,
}

/// Where a stream stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamStatus {
    /// Its name.
    pub stream: String,
    /// Its incarnation.
    pub log_id: String,
    /// Number of the incarnation; 0 while no cloud has numbered it: provisional.
    pub epoch: u32,
    /// Oldest event is the one after this.
    pub base: u64,
    /// Last durable event.
    pub head: u64,
    /// Last event that the view holds.
    pub applied: u64,
    /// `up`: last event that the cloud has proved to hold.
    pub proved: Option<u64>,
    /// `up`: events that it has not.
    pub backlog: Option<u64>,
    /// Chain at the head.
    pub chain: String,
    /// Digest of the view's rows.
    pub digest: String,
}

/// How the store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatus {
    /// `ok`, or what is wrong.
    pub health: String,
    /// Bytes on the disk.
    pub used_bytes: u64,
    /// Bytes free on its file system.
    pub free_bytes: u64,
    /// Classes that are refused now.
    pub refused: Vec<String>,
}

impl Status {
    /// Where the streams of a node stand.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn streams(reader: &impl Reader, node: &NodeName) -> Result<Vec<StreamStatus>, StoreError> {
        let mut streams = Vec::new();
        for stream in [StreamId::Up(node.clone()), StreamId::Down(node.clone())] {
            let Some(head) = reader.head(&stream)? else { continue };
            let proved = match stream {
                StreamId::Up(_) => Some(proved(reader, head.base.log_id)?),
                _ => None,
            };
            streams.push(StreamStatus {
                stream: stream.to_string(),
                log_id: head.base.log_id.to_string(),
                epoch: head.base.epoch.0,
                base: head.base.seq.0,
                head: head.tail.0,
                applied: head.cursor.applied.0,
                proved: proved.map(|seq| seq.0),
                backlog: proved.map(|seq| head.tail.0.saturating_sub(seq.0)),
                chain: head.chain.to_string(),
                digest: head.cursor.digest.to_string(),
            });
        }
        Ok(streams)
    }

    /// How many devices a node has.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn devices(reader: &impl Reader, node: &NodeName) -> Result<usize, StoreError> {
        const PAGE: usize = 1024;
        let stream = StreamId::Down(node.clone());
        if reader.head(&stream)?.is_none() {
            return Ok(0);
        }
        let prefix = down::object_key(&ObjectKey::prefix(DEVICES_GROUP, "devices"));
        let (mut count, mut after) = (0, None);
        loop {
            let page = reader.rows(&stream, &prefix, after.as_deref(), PAGE)?;
            let Some(last) = page.last() else { return Ok(count) };
            count += page.len();
            after = Some(last.key.clone());
        }
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new(["WHAT", "VALUE"]);
        table.row(["node", self.node.as_str()]);
        table.row(["running", if self.running { "yes" } else { "no" }]);
        table.row(["cloud".to_owned(), self.cloud_line()]);
        for stream in &self.streams {
            table.row([stream.stream.clone(), stream.line()]);
        }
        table.row(["devices".to_owned(), self.devices.to_string()]);
        let mib = |bytes: u64| bytes >> 20;
        let StoreStatus { health, used_bytes, free_bytes, refused } = &self.store;
        let refused = match refused.is_empty() {
            true => String::new(),
            false => format!("; refuses {}", refused.join(", ")),
        };
        let store =
            format!("{health}, {} MiB used, {} MiB free{refused}", mib(*used_bytes), mib(*free_bytes));
        table.row(["store".to_owned(), store]);
        if let Some(end) = self.certificate_ends.and_then(|end| jiff::Timestamp::from_second(end).ok()) {
            table.row(["certificate".to_owned(), format!("until {end}")]);
        }
        table
    }

    fn cloud_line(&self) -> String {
        let HubState { phase, hub, session, why, .. } = &self.cloud;
        match phase {
            Phase::Live => format!("live with {hub}, session {session}"),
            Phase::Stopped => "stopped".to_owned(),
            phase if why.is_empty() => format!("{} ({hub})", phase.name()),
            phase => format!("{}: {why}", phase.name()),
        }
    }
}

impl StreamStatus {
    fn line(&self) -> String {
        let Self { epoch, base, head, backlog, .. } = self;
        let epoch = if *epoch == 0 { "provisional".to_owned() } else { format!("epoch {epoch}") };
        let backlog =
            backlog.map_or_else(String::new, |backlog| format!(", {backlog} not yet proved by the cloud"));
        match head > base {
            true => format!("{epoch}, events {} to {head}{backlog}", base + 1),
            false => format!("{epoch}, no events after {base}{backlog}"),
        }
    }
}
