//! While the links are cut: devices go on, wishes wait, and processes are killed.

use std::time::{Duration, Instant};

use super::begin::{devices, ready};
use super::{AtCut, Demo, FIRST_TARGET, PATIENCE};
use crate::stack::edge::Edge;
use crate::stack::manifests::{TARGET, TEMPERATURE};
use crate::stack::thermostat::Record;
use crate::stack::{StackError, until};

/// Wishes while the links are cut.
const WISHES: usize = 10;
/// Reports around the kill of an edge: after the first ones are answered it is killed.
const AROUND_A_KILL: (usize, usize) = (50, 200);

impl Demo<'_> {
    pub(super) async fn the_links_are_cut(&mut self) -> Result<(), StackError> {
        self.story.step(&format!(
            "both links are cut; each thermostat reports {} times, {WISHES} wishes are made meanwhile",
            self.reports
        ));
        let Self { stack, story, at_cut, target, reports } = self;
        for (edge, thermostat) in stack.edges.iter().zip(&stack.thermostats) {
            let head = quiet(edge).await?;
            let record = thermostat.record();
            let last = |property| record.last(property).unwrap_or_default().to_owned();
            story.fact(format!("{} is cut off at {head} of up/{}", edge.node, edge.node));
            at_cut.push(AtCut { head, temperature: last(TEMPERATURE), target: last(TARGET) });
            edge.link.cut();
        }
        let cut = Instant::now();
        for edge in &stack.edges {
            let (_, phase) = until(&format!("{} to see that it is cut off", edge.node), PATIENCE, || async {
                let status = edge.status().await.map_err(|error| error.to_string())?;
                if status.live { Err(status.phase) } else { Ok(status.phase) }
            })
            .await?;
            story.fact(format!("{} says: {phase}", edge.node));
        }
        let before: Vec<Record> = stack.thermostats.iter().map(|thermostat| thermostat.record()).collect();
        let began = Instant::now();
        for thermostat in &stack.thermostats {
            thermostat.report(*reports).await?;
        }
        for number in 1..=WISHES {
            *target = format!("22.{number:02}");
            stack.kube.apply(&devices(stack, target)).await?;
        }
        story.measure(format!("{WISHES} wishes for each device, by {}", stack.kube.who()), began.elapsed());
        for (thermostat, before) in stack.thermostats.iter().zip(&before) {
            let all = before.reports.len() + *reports;
            thermostat.answered(all).await?;
            let record = thermostat.record();
            story.check(
                format!("{}: every report is answered by its edge alone", thermostat.name),
                all,
                record.answered(),
            );
            let (p50, p99) = percentiles(&record, before.reports.len());
            story.measure(format!("{}: report → result, p50", thermostat.name), p50);
            story.measure(format!("{}: report → result, p99", thermostat.name), p99);
            let still = thermostat.setting();
            story.check("no wish got through", Some(FIRST_TARGET.to_owned()), still);
        }
        for edge in &stack.edges {
            let backlog = edge.status().await?.backlog;
            story.check(format!("{} keeps them for the cloud", edge.node), *reports as u64, backlog);
            until(&format!("{} to be shown as away", edge.node), PATIENCE, || async {
                let node = stack.kube.peek("Node", &edge.node).await.map_err(|error| error.to_string())?;
                let ready = node.as_ref().map_or_else(|| "no Node".to_owned(), ready);
                if ready == "Unknown" { Ok(()) } else { Err(format!("Ready is {ready}")) }
            })
            .await?;
            story.measure(format!("cut → Ready of {} is Unknown", edge.node), cut.elapsed());
        }
        Ok(())
    }

    pub(super) async fn an_edge_is_killed(&mut self) -> Result<(), StackError> {
        self.story.step("an edge that is cut off is killed with SIGKILL in the middle of reports");
        let Self { stack, story, .. } = self;
        let (Some(edge), Some(thermostat)) = (stack.edges.first_mut(), stack.thermostats.first()) else {
            return Ok(());
        };
        let (first, all) = AROUND_A_KILL;
        let before = thermostat.record();
        thermostat.report(all).await?;
        thermostat.answered_at_least(before.answered() + first).await?;
        let pid = edge.process.pid().unwrap_or_default();
        edge.process.kill().await?;
        let killed = Instant::now();
        let at = thermostat.record();
        let (sent, answered) = (at.reports.len() - before.reports.len(), at.answered() - before.answered());
        story.fact(format!(
            "{} (process {pid}) is dead; {sent} of {all} sent, {answered} answered",
            edge.node
        ));
        edge.start_again().await?;
        story.measure(format!("{} serves again, without a cloud, after", edge.node), killed.elapsed());
        thermostat.answered(before.reports.len() + all).await?;
        story.measure(format!("{}: all are answered after", thermostat.name), killed.elapsed());
        let record = thermostat.record();
        story.check(
            format!(
                "{}: all {all} are answered, those that were under way after they were sent again",
                thermostat.name
            ),
            record.reports.len(),
            record.answered(),
        );
        let twin = thermostat.twin().await?;
        let found = [&twin[TEMPERATURE]["actual"]["value"], &twin[TARGET]["expected"]["value"]];
        let last = record.last(TEMPERATURE).unwrap_or_default();
        story.check("twin/get has the last report and the last wish that came", [last, FIRST_TARGET], found);
        Ok(())
    }

    pub(super) async fn the_cloud_is_killed(&mut self) -> Result<(), StackError> {
        self.story.step("the cloud is killed with SIGKILL");
        let Self { stack, story, target, .. } = self;
        let pid = stack.cloud.process.pid().unwrap_or_default();
        stack.cloud.process.kill().await?;
        let killed = Instant::now();
        story.fact(format!("ledge-cloud (process {pid}) is dead"));
        stack.cloud.start_again().await?;
        story.measure("ledge-cloud serves again after", killed.elapsed());
        for (thermostat, at_cut) in stack.thermostats.iter().zip(&self.at_cut) {
            let device = stack.kube.get("Device", &thermostat.name).await?;
            let wish = &device["spec"]["properties"][0]["desired"]["value"];
            story.check(format!("get device {}: the last wish", thermostat.name), target.as_str(), wish);
            let status = stack.kube.get("DeviceStatus", &thermostat.name).await?;
            let shown = super::begin::twin(&status, TEMPERATURE);
            story.check("and what it had reported before the cut", Some(at_cut.temperature.clone()), shown);
        }
        Ok(())
    }
}

/// Waits until the cloud has everything, and says where that is.
pub(super) async fn quiet(edge: &Edge) -> Result<String, StackError> {
    let (_, head) = until(&format!("the cloud to have all of {}", edge.node), PATIENCE, || async {
        let status = edge.status().await.map_err(|error| error.to_string())?;
        match (status.live, status.backlog) {
            (true, 0) => Ok(status.head),
            (_, backlog) => Err(format!("{}, {backlog} events to go", status.phase)),
        }
    })
    .await?;
    Ok(head)
}

/// Of the reports from an index on.
fn percentiles(record: &Record, from: usize) -> (Duration, Duration) {
    let latencies = record.latencies_from(from);
    let at = |part: usize| latencies.get(latencies.len() * part / 100).copied().unwrap_or_default();
    (at(50), at(99))
}
