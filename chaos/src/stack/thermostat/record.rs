//! What a thermostat sent and what it was answered.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// One report.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its event id, which no other report has.
    pub event_id: String,
    /// Which property.
    pub property: String,
    /// Its value.
    pub value: String,
    /// When it was given to the MQTT client.
    pub sent: Instant,
    /// When its `result` came first.
    pub answered: Option<Instant>,
}

/// All of them, in the order in which they were sent.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The reports.
    pub reports: Vec<Report>,
    /// What it was told to hold, and when, if it was not the same as before.
    pub told: Vec<(String, Instant)>,
    /// Answers that came once more: to reports that were sent again.
    pub repeated: usize,
    /// Times that the connection was made.
    pub connections: usize,
    /// The first answer that was a refusal.
    pub rejection: Option<String>,
    answered: usize,
    by_id: HashMap<String, usize>,
}

impl Record {
    /// Reports that were answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.answered
    }

    /// The last reported value of a property.
    #[must_use]
    pub fn last(&self, property: &str) -> Option<&str> {
        let found = self.reports.iter().rev().find(|report| report.property == property);
        found.map(|report| report.value.as_str())
    }

    /// How long the answers to the reports from an index on took, ascending.
    #[must_use]
    pub fn latencies_from(&self, from: usize) -> Vec<Duration> {
        let latency = |report: &Report| Some(report.answered?.duration_since(report.sent));
        let mut latencies: Vec<_> = self.reports.iter().skip(from).filter_map(latency).collect();
        latencies.sort_unstable();
        latencies
    }

    pub(super) fn sent(&mut self, report: Report) {
        self.by_id.insert(report.event_id.clone(), self.reports.len());
        self.reports.push(report);
    }

    /// Whether this is the first answer to a report.
    pub(super) fn answer(&mut self, event_id: &str) -> bool {
        let report = self.by_id.get(event_id).and_then(|index| self.reports.get_mut(*index));
        let Some(report) = report else { return false };
        if report.answered.is_some() {
            self.repeated += 1;
            return false;
        }
        report.answered = Some(Instant::now());
        self.answered += 1;
        true
    }

    /// Reports of these ids, for tests.
    #[cfg(test)]
    pub(crate) fn of_ids(ids: &[&str]) -> Self {
        let mut record = Self::default();
        for id in ids {
            let (event_id, property, value) = ((*id).to_owned(), String::new(), String::new());
            record.sent(Report { event_id, property, value, sent: Instant::now(), answered: None });
        }
        record
    }
}
