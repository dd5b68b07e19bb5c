//! What is wrong with the process right now, by name; nothing is the healthy answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Handle to the process's list of problems; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    problems: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Health {
    /// `part` cannot do its work, and why. Replaces what was said of it before.
    pub fn problem(&self, part: &'static str, why: impl Into<String>) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).insert(part, why.into());
    }

    /// `part` works again.
    pub fn resolved(&self, part: &'static str) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).remove(part);
    }

    /// One line a problem, `part: why`; `Err` if there is any.
    pub(super) fn check(&self) -> Result<(), String> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.is_empty() {
            return Ok(());
        }
        Err(problems.iter().map(|(part, why)| format!("{part}: {why}\n")).collect())
    }
}
