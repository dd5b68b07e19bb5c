//! Work of the writers, and the API with its controller and its operator.

use std::collections::{BTreeMap, BTreeSet};

use ledge_core::desired::{self, Gone, Standing, Wanted};
use ledge_core::journal::Draft;
use ledge_core::log::StoreError;
use ledge_core::sync::commands::{self, Fresh, Side};
use ledge_core::view::{control, down, row};
use ledge_core::{Base, BaseReason, Digest};
use ledge_schemas::kinds::control::{NodeResolved, RecoveringAccepted, StoreCreated};
use ledge_schemas::kinds::down::{ObjectPut, ObjectRemoved, RemovalReason};
use ledge_schemas::kinds::up::{Change, PropertyChange, TwinChanged, TwinValue};
use ledge_schemas::projection::ObjectKey;
use ledge_schemas::{Epoch, LogId, NodeName, Position, StreamId};
use rand::Rng;

use super::agenda::Action;
use super::oracle::ApiObject;
use super::process::{Job, JobResult, Role, SimTxn};
use super::world::World;

/// Runs one job inside the transaction; its changes are taken back if it errs.
pub(super) fn execute(
    txn: &mut SimTxn<'_>,
    role: &Role,
    job: &Job,
    api: &BTreeMap<String, ApiObject>,
    removable: &BTreeSet<(NodeName, Vec<u8>)>,
    keep: u64,
) -> JobResult {
    match (job, role) {
        (Job::Session { node, command, fresh, .. }, _) => {
            let side = if *role == Role::Cloud { Side::Cloud } else { Side::Edge };
            let (command, fresh) = (command.clone(), Fresh { log_id: *fresh });
            JobResult::Session(txn.command(|txn| commands::run(side, txn, node, fresh, command)))
        }
        (Job::Report { serial }, Role::Edge(node)) => {
            JobResult::Reported(txn.command(|txn| report(txn, node, *serial)))
        }
        (Job::Trim, Role::Edge(node)) => other(txn.command(|txn| commands::edge::trim_up(txn, node, keep))),
        (Job::BeginUp { fresh, first: true }, Role::Edge(node)) => {
            other(txn.command(|txn| commands::edge::begin_first(txn, node, Fresh { log_id: *fresh })))
        }
        (Job::BeginUp { fresh, first: false }, Role::Cloud) => {
            other(txn.command(|txn| first_start(txn, *fresh)))
        }
        (Job::Desired { node, fresh }, Role::Cloud) => {
            other(txn.command(|txn| bring_down(txn, node, *fresh, api, removable)))
        }
        (Job::Resolve { node, keep }, Role::Cloud) => other(
            txn.command(|txn| commands::cloud::record(txn, node.as_str(), &NodeResolved { keep: *keep })),
        ),
        (Job::Accept, Role::Cloud) => {
            other(txn.command(|txn| commands::cloud::record(txn, "", &RecoveringAccepted {})))
        }
        _ => JobResult::Other,
    }
}

fn other<T>(_: Result<T, StoreError>) -> JobResult {
    JobResult::Other
}

fn draft<B: ledge_schemas::kinds::Body>(key: &str, body: &B) -> Result<Draft, StoreError> {
    Draft::new(key, body).map_err(|error| StoreError::Failed(error.to_string()))
}

fn report(txn: &mut SimTxn<'_>, node: &NodeName, serial: u64) -> Result<(LogId, Position), StoreError> {
    let up = StreamId::Up(node.clone());
    let head = txn.head(&up).ok_or_else(|| StoreError::NoStream(up.clone()))?;
    let actual = Some(TwinValue { value: serial.to_string(), timestamp_ms: txn.now_ms() });
    let change = Change::Set { expected: None, actual, optional: None, value_type: "string".into() };
    let changes = vec![PropertyChange { name: format!("p{}", serial % 7), change }];
    let body = TwinChanged { event_id: serial.to_string(), changes };
    let seen = txn.head(&StreamId::Down(node.clone())).map(|down| down.position());
    let draft = Draft { seen, ..draft(&format!("default/d{}", serial % 5), &body)? };
    Ok((head.base.log_id, txn.append(&up, draft)?))
}

fn first_start(txn: &mut SimTxn<'_>, store_id: LogId) -> Result<(), StoreError> {
    let base = Base::begin(store_id, Epoch(1), Digest::default(), BaseReason::New);
    txn.begin(&StreamId::Control, base, Vec::new())?;
    commands::cloud::record(txn, "", &StoreCreated { store_id })
}

/// Brings `down/<node>` to what the API says; removes only what left it for a recorded reason.
fn bring_down(
    txn: &mut SimTxn<'_>,
    node: &NodeName,
    fresh: LogId,
    api: &BTreeMap<String, ApiObject>,
    removable: &BTreeSet<(NodeName, Vec<u8>)>,
) -> Result<(), StoreError> {
    commands::cloud::ensure_down(txn, node, Fresh { log_id: fresh })?;
    let stream = StreamId::Down(node.clone());
    let rows = txn.rows(&stream, down::OBJECT.as_bytes())?;
    let current: BTreeMap<String, Vec<u8>> = rows
        .iter()
        .filter_map(|(key, value)| {
            let key = std::str::from_utf8(key.get(down::OBJECT.len()..)?).ok()?;
            Some((key.to_owned(), row::split(value).ok()?.1.to_vec()))
        })
        .collect();
    let own = api.iter().filter(|(_, object)| object.node == *node);
    let wanted =
        own.map(|(key, object)| (key.clone(), Wanted { object: Some(object.json.clone()), cause: None }));
    let recorded = current.keys().filter(|key| removable.contains(&(node.clone(), down::object_key(key))));
    let gone = recorded.map(|key| (key.clone(), Gone { reason: RemovalReason::Deleted, cause: None }));
    let recovering = commands::cloud::is_recovering(txn)?;
    let standing = Standing { complete: true, same_authority: false, recovering, accepted: false };
    let pass = desired::reconcile(&current, &wanted.collect(), &gone.collect(), current.len(), standing);
    for (key, object, _) in pass.puts {
        txn.append(&stream, draft(&key, &ObjectPut { object })?)?;
    }
    for (key, reason, _) in pass.removals {
        txn.append(&stream, draft(&key, &ObjectRemoved { reason })?)?;
    }
    Ok(())
}

impl World {
    /// The cloud's first actions.
    pub(super) fn begin_cloud(&mut self) {
        let new = self.processes[0]
            .running
            .as_ref()
            .is_some_and(|running| running.journal.head(&StreamId::Control).is_none());
        if new {
            let fresh = self.fresh();
            self.submit(0, Job::BeginUp { fresh, first: false });
        }
    }

    /// The controller looks at every node that the cloud knows of.
    pub(super) fn reconcile_all(&mut self) {
        let Some(running) = &self.processes[0].running else { return };
        let rows = ledge_core::log::Reader::rows(
            running.journal.store(),
            &StreamId::Control,
            control::NODE.as_bytes(),
            None,
            usize::MAX,
        );
        let names = rows.unwrap_or_default();
        for row in names {
            let name = String::from_utf8_lossy(&row.key[control::NODE.len()..]).into_owned();
            // After a loss nothing is written before the node's own hello.
            let met = row::decode::<control::NodeRow>(&row.value).is_ok_and(|(_, node)| node.confirmed > 0);
            if met && let Ok(node) = NodeName::new(name) {
                let fresh = self.fresh();
                self.submit(0, Job::Desired { node, fresh });
            }
        }
    }

    /// The operator took the API as the truth: what it does not hold may go.
    pub(super) fn allow_all_removals(&mut self) {
        for process in &self.processes {
            let (Some(running), Some(node)) = (&process.running, process.node()) else { continue };
            let stream = StreamId::Down(node.clone());
            let rows = ledge_core::log::Reader::rows(
                running.journal.store(),
                &stream,
                down::OBJECT.as_bytes(),
                None,
                usize::MAX,
            );
            for row in rows.unwrap_or_default() {
                self.oracle.removable.insert((node.clone(), row.key));
            }
        }
    }

    /// Somebody types `kubectl`.
    pub(super) fn change(&mut self) {
        if !self.faults_on {
            return;
        }
        let next = self.rng.random_range(1..=2 * self.plan.change_every_ms);
        self.plan_in(next, Action::Change);
        let edge = self.rng.random_range(1..=self.plan.edges);
        let Ok(node) = NodeName::new(format!("edge-{edge}")) else { return };
        let name = format!("d{}", self.rng.random_range(0..12));
        let key = ObjectKey::device("default", &name).to_string();
        let row_key = down::object_key(&key);
        self.objects += 1;
        let (delete, value) = (self.rng.random_bool(0.25), self.objects);
        // A move or a deletion lets the object leave the node that it was on.
        if let Some(old) = self.oracle.api.get(&key)
            && (delete || old.node != node)
        {
            self.oracle.removable.insert((old.node.clone(), row_key));
        }
        if delete {
            self.oracle.api.remove(&key);
        } else {
            let json = format!(
                r#"{{"metadata":{{"name":"{name}","namespace":"default"}},"spec":{{"properties":[{{"desired":{{"value":"{value}"}},"name":"p1"}}]}}}}"#
            );
            self.oracle.api.insert(key.clone(), ApiObject { node, json: json.into_bytes() });
        }
        self.oracle.coverage.hit("api-change");
        self.trace.line(self.now_ms, || format!("api {key} delete {delete} value {value}"));
        self.reconcile_all();
    }
}
