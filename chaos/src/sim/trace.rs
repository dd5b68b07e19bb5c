//! What happened, as lines, and as one hash that two runs of a seed must share.

use ledge_core::Chain;
use ledge_schemas::{LogId, Seq};

/// Lines kept for a failing seed.
const KEEP: usize = 400;

/// The trace of a run.
#[derive(Debug)]
pub(super) struct Trace {
    hash: Chain,
    lines: std::collections::VecDeque<String>,
    print: bool,
    steps: u64,
}

impl Trace {
    /// An empty trace; prints each line if asked.
    #[must_use]
    pub(super) fn new(print: bool) -> Self {
        let hash = Chain::genesis(LogId([0; 16]), Seq(0), ledge_core::Digest::default());
        Self { hash, lines: std::collections::VecDeque::new(), print, steps: 0 }
    }

    /// Adds a line.
    pub(super) fn line(&mut self, now_ms: u64, text: impl FnOnce() -> String) {
        let line = format!("{now_ms:>8} {}", text());
        self.hash = self.hash.then(line.as_bytes());
        self.steps += 1;
        if self.print {
            println!("{line}");
        }
        if self.lines.len() == KEEP {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// Hash over all lines.
    #[must_use]
    pub(super) fn hash(&self) -> Chain {
        self.hash
    }

    /// Number of lines.
    #[must_use]
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// The last lines.
    pub(super) fn tail(&self, lines: usize) -> impl Iterator<Item = &str> {
        self.lines.iter().skip(self.lines.len().saturating_sub(lines)).map(String::as_str)
    }
}
