//! Faults: how each strikes, and how it ends.

use std::collections::BTreeMap;

use ledge_log::SimDisk;
use ledge_log::sim::{Afterwards, Image};
use ledge_schemas::LogId;
use rand::Rng;

use super::agenda::Action;
use super::oracle::{ApiObject, History};
use super::plan::Strike;
use super::process::{Process, Role};
use super::world::World;

/// An older copy of a disk, with what was known of it then.
pub(super) struct Backup {
    process: usize,
    image: Image,
    histories: BTreeMap<(usize, LogId), History>,
    api: BTreeMap<String, ApiObject>,
}

impl World {
    pub(super) fn strike(&mut self, strike: Strike) {
        if !self.faults_on {
            return;
        }
        self.trace.line(self.now_ms, || format!("strike {strike:?}"));
        match strike {
            Strike::Kill { process, down_ms } => {
                self.oracle.coverage.hit("kill");
                self.stop(process, down_ms);
            }
            Strike::PowerLoss { process, down_ms } => {
                self.oracle.coverage.hit("power-loss");
                self.power_off(process);
                self.stop(process, down_ms);
            }
            Strike::FailSync { process, present } => {
                let afterwards = if present { Afterwards::Present } else { Afterwards::Absent };
                self.processes[process].disk.fail_next_sync(afterwards);
            }
            Strike::DiskFull { process, for_ms } => {
                self.processes[process].disk.set_free(Some(0));
                self.plan_in(for_ms, Action::Mend(strike));
            }
            Strike::SlowDisk { process, sync_ms, for_ms } => {
                self.oracle.coverage.hit("slow-disk");
                self.processes[process].sync_ms = sync_ms;
                self.plan_in(for_ms, Action::Mend(strike));
            }
            Strike::Cut { edge, up, down, for_ms } => {
                self.oracle.coverage.hit(if up && down { "cut" } else { "cut-one-way" });
                self.cuts.set(edge, up, down, true);
                self.plan_in(for_ms, Action::Mend(strike));
            }
            Strike::ClockJump { process, by_ms } => {
                self.oracle.coverage.hit("clock-jump");
                self.processes[process].clock_ms += by_ms;
            }
            Strike::CloudAmnesia { down_ms } => {
                self.oracle.coverage.hit("cloud-amnesia");
                self.oracle.cloud_losses += 1;
                self.oracle.confirmed.clear();
                self.stop(0, down_ms);
                self.processes[0].disk = SimDisk::new();
                // In standalone mode the API's objects go with the store.
                if self.rng.random_bool(0.5) {
                    self.oracle.coverage.hit("api-lost");
                    self.oracle.api.clear();
                }
            }
            Strike::Backup { process } => {
                let api = self.oracle.api.clone();
                let image = self.processes[process].disk.snapshot();
                let own = |((p, _), _): &(&(usize, LogId), &History)| *p == process;
                let histories = self.oracle.up.iter().filter(own).map(|(k, v)| (*k, v.clone())).collect();
                self.backup = Some(Backup { process, image, histories, api });
            }
            Strike::Restore { process, down_ms } => self.restore(process, down_ms),
            Strike::Clone { edge } => self.clone_edge(edge),
        }
    }

    pub(super) fn mend(&mut self, strike: Strike) {
        match strike {
            Strike::DiskFull { process, .. } => {
                if self.processes[process].disk.bites().full > 0 {
                    self.oracle.coverage.hit("disk-full");
                }
                self.processes[process].disk.set_free(None);
            }
            Strike::SlowDisk { process, .. } => self.processes[process].sync_ms = 4,
            Strike::Cut { edge, up, down, .. } => self.cuts.set(edge, up, down, false),
            _ => {}
        }
    }

    /// Every fault ends.
    pub(super) fn mend_all(&mut self) {
        self.cuts.clear();
        for process in &mut self.processes {
            process.disk.set_free(None);
            process.sync_ms = 4;
        }
    }

    fn restore(&mut self, process: usize, down_ms: u64) {
        let Some(backup) = self.backup.take().filter(|backup| backup.process == process) else { return };
        self.oracle.coverage.hit(if process == 0 { "cloud-restored" } else { "edge-restored" });
        self.stop(process, down_ms);
        self.processes[process].disk.restore(&backup.image);
        self.oracle.forget_rows(process);
        if process == 0 {
            self.oracle.cloud_losses += 1;
            self.oracle.confirmed.clear();
            if self.rng.random_bool(0.5) {
                self.oracle.coverage.hit("api-restored");
                self.oracle.api = backup.api;
            }
        } else {
            // What this disk confirmed after the backup is gone with it.
            self.oracle.up.retain(|(p, _), _| *p != process);
            self.oracle.up.extend(backup.histories);
        }
    }

    fn clone_edge(&mut self, edge: usize) {
        let Role::Edge(node) = self.processes[edge].role.clone() else { return };
        self.oracle.coverage.hit("clone");
        let disk = SimDisk::new();
        disk.restore(&self.processes[edge].disk.snapshot());
        let clone = self.processes.len();
        self.processes.push(Process::new(Role::Edge(node), disk));
        let histories: Vec<_> = self.oracle.up.iter().filter(|((p, _), _)| *p == edge).collect();
        let copied: Vec<_> = histories.into_iter().map(|((_, log), h)| ((clone, *log), h.clone())).collect();
        self.oracle.up.extend(copied);
        let proved: Vec<_> = self.oracle.proved.iter().filter(|((p, _), _)| *p == edge).collect();
        let copied: Vec<_> = proved.into_iter().map(|((_, log), seq)| ((clone, *log), *seq)).collect();
        self.oracle.proved.extend(copied);
        let soon = self.rng.random_range(10..5_000);
        self.plan_in(soon, Action::Start { process: clone });
        // Both must shake hands again for the copy to show; the first one does so now.
        self.stop(edge, 200);
    }

    fn power_off(&mut self, process: usize) {
        let lost = self.processes[process].disk.crash();
        if lost > 0 {
            self.trace.line(self.now_ms, || format!("{lost} confirmed batches lost"));
        }
    }
}
