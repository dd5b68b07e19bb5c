//! What the logs say afterwards, read with `ledge-replay` while the processes run.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::{AtCut, Demo};
use crate::stack::manifests::{TARGET, TEMPERATURE};
use crate::stack::thermostat::{Record, Thermostat};
use crate::stack::tool::{Done, command, run};
use crate::stack::{Stack, StackError};

/// How the reports of a device stand in a log.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    lost: usize,
    doubled: usize,
    foreign: usize,
    in_order: bool,
}

impl Demo<'_> {
    pub(super) async fn nothing_is_lost_doubled_or_reordered(&mut self) -> Result<(), StackError> {
        self.story.step("the logs: every report once and in order, chains equal");
        let Self { stack, story, .. } = self;
        for (thermostat, edge) in stack.thermostats.iter().zip(&stack.edges) {
            let record = thermostat.record();
            let stream = format!("up/{}", edge.node);
            let logged = reports(stack, &stack.cloud.dir, &stream, thermostat).await?;
            let expected = Found { lost: 0, doubled: 0, foreign: 0, in_order: true };
            story.check(
                format!("{stream} in the cloud: the {} reports of {}", record.reports.len(), thermostat.name),
                expected,
                compare(&record, &logged),
            );
            if record.repeated > 0 {
                story.fact(format!(
                    "{} of them were sent twice by the device, as MQTT wants it",
                    record.repeated
                ));
            }
        }
        let dirs = stack.edges.iter().map(|edge| (edge.node.clone(), edge.dir.clone()));
        for (name, dir) in [("ledge-cloud".to_owned(), stack.cloud.dir.clone())].into_iter().chain(dirs) {
            let done = replay(stack, &["verify", "-o", "json"], &dir, &[]).await?;
            story.check(
                format!("{name}: ledge-replay verify"),
                (Some(0), "good".to_owned()),
                verdict(&done)?,
            );
        }
        for edge in &stack.edges {
            let cloud = stack.cloud.dir.display().to_string();
            let done = replay(stack, &["verify", "-o", "json"], &edge.dir, &["--against", &cloud]).await?;
            let answer = done.json()?;
            let logs = answer["against"]["logs"].as_array().cloned().unwrap_or_default();
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let relations: BTreeMap<String, String> =
                logs.iter().map(|log| (text(&log["stream"]), text(&log["relation"]))).collect();
            let expected = ["down", "up"].map(|way| (format!("{way}/{}", edge.node), "equal".to_owned()));
            story.check(
                format!("{} against the cloud: both streams, chain by chain", edge.node),
                (Some(0), BTreeMap::from(expected)),
                (done.code, relations),
            );
        }
        Ok(())
    }

    pub(super) async fn the_past_can_be_seen(&mut self) -> Result<(), StackError> {
        self.story.step("time travel: the twins as they were at the cut");
        let Self { stack, story, at_cut, target, .. } = self;
        let each = stack.thermostats.iter().zip(&stack.edges).zip(at_cut.iter());
        for ((thermostat, edge), AtCut { head, temperature, target: held }) in each {
            let (stream, device) = (format!("up/{}", edge.node), thermostat.device());
            for (place, dir) in [(edge.node.as_str(), &edge.dir), ("the cloud", &stack.cloud.dir)] {
                let which = ["--stream", stream.as_str(), "--device", device.as_str()];
                let then =
                    replay(stack, &["state", "-o", "json", "--at", head], dir, &which).await?.good()?;
                story.check(
                    format!("{}: {device} at {head}, by {place}'s log", "ledge-replay state"),
                    [temperature.as_str(), held, held],
                    values(&then)?,
                );
                let now = replay(stack, &["state", "-o", "json"], dir, &which).await?.good()?;
                let record = thermostat.record();
                let last = record.last(TEMPERATURE).unwrap_or_default();
                story.check("and as it is now", [last, target, target], values(&now)?);
            }
        }
        Ok(())
    }
}

async fn replay(stack: &Stack, verb: &[&str], dir: &Path, rest: &[&str]) -> Result<Done, StackError> {
    let mut command = command(&stack.binaries.replay);
    command.args(verb).arg("--data-dir").arg(dir).args(rest);
    run(command, None).await
}

/// Event ids of a device's reports in a log, in its order.
async fn reports(
    stack: &Stack,
    dir: &Path,
    stream: &str,
    thermostat: &Thermostat,
) -> Result<Vec<String>, StackError> {
    let device = thermostat.device();
    let which = ["--stream", stream, "--kind", "twin-changed", "--key", &device];
    let done = replay(stack, &["cat", "-o", "json"], dir, &which).await?.good()?;
    let mut ids = Vec::new();
    for line in done.stdout.lines() {
        let answer = |why: String| StackError::answer(format!("the output of `{}`", done.command), why);
        let event: Value = serde_json::from_str(line).map_err(|error| answer(error.to_string()))?;
        // `--key` is a prefix.
        if event["key"] == device.as_str() {
            let id =
                event["body"]["eventId"].as_str().ok_or_else(|| answer(format!("no event id in {line}")))?;
            ids.push(id.to_owned());
        }
    }
    Ok(ids)
}

fn compare(record: &Record, logged: &[String]) -> Found {
    let sent: Vec<&str> = record.reports.iter().map(|report| report.event_id.as_str()).collect();
    let mut counts: BTreeMap<&str, usize> = sent.iter().map(|id| (*id, 0)).collect();
    let mut foreign = 0;
    for id in logged {
        match counts.get_mut(id.as_str()) {
            Some(count) => *count += 1,
            None => foreign += 1,
        }
    }
    let lost = counts.values().filter(|count| **count == 0).count();
    let doubled = counts.values().filter(|count| **count > 1).count();
    Found { lost, doubled, foreign, in_order: sent.iter().eq(logged.iter()) }
}

fn verdict(done: &Done) -> Result<(Option<i32>, String), StackError> {
    let verdict = done.json()?["verdict"].as_str().unwrap_or_default().to_owned();
    Ok((done.code, verdict))
}

/// Last temperature, last confirmed target, and what the device was to hold.
fn values(done: &Done) -> Result<[String; 3], StackError> {
    let state = done.json()?;
    let at = |property: &str, side: &str| {
        state["properties"][property][side]["value"].as_str().unwrap_or("nothing").to_owned()
    };
    Ok([at(TEMPERATURE, "actual"), at(TARGET, "actual"), at(TARGET, "effective")])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[track_caller]
    fn check(logged: &[&str], lost: usize, doubled: usize, foreign: usize, in_order: bool) {
        let record = Record::of_ids(&["a", "b", "c"]);
        let logged: Vec<String> = logged.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(compare(&record, &logged), Found { lost, doubled, foreign, in_order });
    }

    #[test]
    fn what_differs_is_counted() {
        check(&["a", "b", "c"], 0, 0, 0, true);
        check(&["a", "c"], 1, 0, 0, false);
        check(&["a", "b", "b", "c"], 0, 1, 0, false);
        check(&["b", "a", "c"], 0, 0, 0, false);
        check(&["a", "b", "c", "x"], 0, 0, 1, false);
    }
}
