//! Before anything breaks: nodes are there, wishes go down, reports come up.

use std::time::Instant;

use serde_json::Value;

use super::{Demo, PATIENCE};
use crate::stack::manifests::{TARGET, TEMPERATURE, device, model};
use crate::stack::{Stack, StackError, until};

/// Reports of each thermostat while everything works.
const REPORTS: usize = 20;

impl Demo<'_> {
    pub(super) async fn nodes_are_ready(&mut self) -> Result<(), StackError> {
        let Self { stack, story, .. } = self;
        story.measure("ledge-cloud serves after", stack.cloud.process.start_took());
        for edge in &stack.edges {
            story.measure(format!("{} serves after", edge.node), edge.process.start_took());
        }
        let names: Vec<String> = stack.edges.iter().map(|edge| edge.node.clone()).collect();
        let (took, ()) = until("nodes to be Ready", PATIENCE, || async {
            for name in &names {
                let node = stack.kube.peek("Node", name).await.map_err(|error| error.to_string())?;
                let ready = node.as_ref().map(ready);
                if ready.as_deref() != Some("True") {
                    return Err(format!("Ready of {name} is {ready:?}"));
                }
            }
            Ok(())
        })
        .await?;
        story.measure("from the last start until both nodes are Ready", took);
        story.fact(format!("through {}", stack.kube.who()));
        for line in stack.kube.show(&["nodes"]).await? {
            story.fact(line);
        }
        let listed = stack.kube.list("Node").await?;
        let listed: Vec<(String, String)> = listed.iter().map(|node| (name(node), ready(node))).collect();
        let expected: Vec<(String, String)> =
            names.into_iter().map(|name| (name, "True".to_owned())).collect();
        story.check("get nodes: all are there and Ready", expected, listed);
        Ok(())
    }

    pub(super) async fn a_wish_reaches_the_device_and_its_report_the_user(
        &mut self,
    ) -> Result<(), StackError> {
        self.story.step("a wish goes to the devices, their reports come back");
        let Self { stack, story, target, .. } = self;
        let mut objects = vec![model()];
        objects.extend(devices(stack, target));
        let began = Instant::now();
        let said = stack.kube.apply(&objects).await?;
        said.lines().for_each(|line| story.fact(format!("apply: {line}")));
        for thermostat in &stack.thermostats {
            thermostat.told(target, PATIENCE).await?;
            let told = thermostat.record().told.last().map_or_else(Instant::now, |(_, at)| *at);
            story
                .measure(format!("apply → {} is told {target}", thermostat.name), told.duration_since(began));
        }
        for thermostat in &stack.thermostats {
            reported(stack, &thermostat.name, TARGET, target).await?;
            story.measure(
                format!("apply → DeviceStatus of {} says {target}", thermostat.name),
                began.elapsed(),
            );
        }
        for thermostat in &stack.thermostats {
            thermostat.report(REPORTS).await?;
        }
        for thermostat in &stack.thermostats {
            thermostat.answered(REPORTS + 1).await?;
            let record = thermostat.record();
            let last = record.last(TEMPERATURE).unwrap_or_default();
            reported(stack, &thermostat.name, TEMPERATURE, last).await?;
            let sent = record.reports.last().map_or(began, |report| report.sent);
            story.measure(format!("last report of {} → DeviceStatus", thermostat.name), sent.elapsed());
        }
        for thermostat in &stack.thermostats {
            let status = stack.kube.get("DeviceStatus", &thermostat.name).await?;
            let record = thermostat.record();
            let said = [TEMPERATURE, TARGET].map(|property| record.last(property).map(str::to_owned));
            let shown = [TEMPERATURE, TARGET].map(|property| twin(&status, property));
            story.check(format!("get devicestatus {}: what the device said", thermostat.name), said, shown);
            let ledge = &status["status"]["extensions"]["ledge"];
            story.fact(format!(
                "as of {} of up, {} by the edge's clock",
                ledge["observedPosition"], ledge["edgeTime"]
            ));
        }
        Ok(())
    }
}

/// A device per edge, with that wish.
pub(super) fn devices(stack: &Stack, target: &str) -> Vec<Value> {
    let pairs = stack.thermostats.iter().zip(&stack.edges);
    pairs.map(|(thermostat, edge)| device(&thermostat.name, &edge.node, target)).collect()
}

/// Waits until the API shows a reported value.
pub(super) async fn reported(
    stack: &Stack,
    device: &str,
    property: &str,
    value: &str,
) -> Result<(), StackError> {
    let what = format!("DeviceStatus of {device} to show {property} {value}");
    let found = until(&what, PATIENCE, || async {
        let status = stack.kube.peek("DeviceStatus", device).await.map_err(|error| error.to_string())?;
        let found = status.as_ref().and_then(|status| twin(status, property));
        if found.as_deref() == Some(value) { Ok(()) } else { Err(format!("{property} {found:?}")) }
    });
    found.await.map(drop)
}

/// A reported value of a DeviceStatus.
pub(super) fn twin(status: &Value, property: &str) -> Option<String> {
    let twins = status["status"]["twins"].as_array()?;
    let twin = twins.iter().find(|twin| twin["propertyName"] == property)?;
    twin["reported"]["value"].as_str().map(str::to_owned)
}

/// The Ready condition of a Node.
pub(super) fn ready(node: &Value) -> String {
    let conditions = node["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    ready.and_then(|ready| ready["status"].as_str()).unwrap_or("not there").to_owned()
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}
