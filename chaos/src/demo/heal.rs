//! When the links are whole again: both sides catch up.

use std::time::{Duration, Instant};

use super::begin::{reported, twin};
use super::part::quiet;
use super::{Demo, PATIENCE};
use crate::stack::manifests::{TARGET, TEMPERATURE};
use crate::stack::{Stack, StackError};

impl Demo<'_> {
    pub(super) async fn the_links_are_healed(&mut self) -> Result<(), StackError> {
        self.story.step("the links are healed");
        let Self { stack, story, target, .. } = self;
        let began = Instant::now();
        stack.edges.iter().for_each(|edge| edge.link.heal());
        let (shown, told, caught_up) = tokio::join!(
            latest_is_shown(stack, began),
            wish_is_told(stack, target, began),
            all_is_there(stack, began)
        );
        story.measure("heal → every DeviceStatus shows the last temperature", shown?);
        story.measure("heal → every thermostat is told the last wish", told?);
        story.measure("heal → the cloud has every event, chains compared", caught_up?);
        for (thermostat, edge) in stack.thermostats.iter().zip(&stack.edges) {
            thermostat.answered(0).await?;
            let record = thermostat.record();
            let confirmed = record.last(TARGET).map(str::to_owned);
            story.check(format!("{} holds the last wish", thermostat.name), Some(target.clone()), confirmed);
            reported(stack, &thermostat.name, TARGET, target).await?;
            quiet(edge).await?;
            let local = thermostat.twin().await?;
            let local = [&local[TARGET]["expected"]["value"], &local[TARGET]["actual"]["value"]];
            story.check(format!("{}: twin/get agrees", edge.node), [target.as_str(); 2], local);
            let status = stack.kube.get("DeviceStatus", &thermostat.name).await?;
            let said = [TEMPERATURE, TARGET].map(|property| record.last(property).map(str::to_owned));
            let shown = [TEMPERATURE, TARGET].map(|property| twin(&status, property));
            story.check(
                format!("get devicestatus {}: what the device said last", thermostat.name),
                said,
                shown,
            );
        }
        Ok(())
    }
}

async fn latest_is_shown(stack: &Stack, began: Instant) -> Result<Duration, StackError> {
    for thermostat in &stack.thermostats {
        let record = thermostat.record();
        let last = record.last(TEMPERATURE).unwrap_or_default();
        reported(stack, &thermostat.name, TEMPERATURE, last).await?;
    }
    Ok(began.elapsed())
}

async fn wish_is_told(stack: &Stack, target: &str, began: Instant) -> Result<Duration, StackError> {
    for thermostat in &stack.thermostats {
        thermostat.told(target, PATIENCE).await?;
    }
    Ok(began.elapsed())
}

async fn all_is_there(stack: &Stack, began: Instant) -> Result<Duration, StackError> {
    for edge in &stack.edges {
        quiet(edge).await?;
    }
    Ok(began.elapsed())
}
