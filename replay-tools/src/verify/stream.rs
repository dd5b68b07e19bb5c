//! One stream: its current log with the view over it, and its archived logs.

use ledge_core::Chain;
use ledge_core::journal::{FoldError, Folded, fold};
use ledge_core::log::{Reader, RunEntry, StoreError, StreamHead};
use ledge_schemas::{Position, Seq, StreamId, format};

use super::report::{self, Fault, Problem, Report, StreamReport};
use super::rows;

/// Bytes of runs read at once.
const READ: usize = 1024 * 1024;

pub(super) fn check<R: Reader>(reader: &R, stream: &StreamId, report: &mut Report) {
    match reader.archived(stream) {
        Ok(heads) => {
            for head in heads {
                let log = Log { reader, stream, head: &head, archived: true };
                let found = log.genesis().into_iter().chain(log.walk().err()).collect();
                finish(report, &log, 0, found);
            }
        }
        Err(error) => report.problems.push(Problem::of_store(Some(stream), None, None, &error)),
    }
    match reader.head(stream) {
        Ok(Some(head)) => {
            let log = Log { reader, stream, head: &head, archived: false };
            let mut found: Vec<_> = log.genesis().into_iter().collect();
            let rows = log.view(&mut found);
            finish(report, &log, rows, found);
        }
        Ok(None) => {
            let gone = StoreError::NoStream(stream.clone());
            report.problems.push(Problem::of_store(Some(stream), None, None, &gone));
        }
        Err(error) => report.problems.push(Problem::of_store(Some(stream), None, None, &error)),
    }
}

fn finish<R: Reader>(report: &mut Report, log: &Log<'_, R>, rows: usize, found: Vec<Problem>) {
    report.streams.push(StreamReport {
        stream: log.stream.to_string(),
        log_id: log.head.base.log_id,
        archived: log.archived,
        base: log.head.base.position().to_string(),
        tail: log.head.position().to_string(),
        events: log.head.tail.0.saturating_sub(log.head.base.seq.0),
        rows: rows as u64,
        verdict: report::worst(&found),
    });
    report.problems.extend(found);
}

/// One incarnation.
pub(super) struct Log<'a, R> {
    pub(super) reader: &'a R,
    pub(super) stream: &'a StreamId,
    pub(super) head: &'a StreamHead,
    pub(super) archived: bool,
}

impl<R: Reader> Log<'_, R> {
    pub(super) fn runs(&self, after: Seq, max_bytes: usize) -> Result<Vec<RunEntry>, StoreError> {
        match self.archived {
            true => self.reader.archived_runs(self.stream, self.head.base.log_id, after, max_bytes),
            false => self.reader.runs(self.stream, after, max_bytes),
        }
    }

    fn at(&self, seq: Seq) -> Position {
        Position { epoch: self.head.base.epoch, seq }
    }

    pub(super) fn problem(&self, fault: Fault, at: Seq, why: String) -> Problem {
        Problem::new(fault, self.stream, self.head.base.log_id, self.at(at), why)
    }

    pub(super) fn store(&self, at: Seq, error: &StoreError) -> Problem {
        Problem::of_store(Some(self.stream), Some(self.head.base.log_id), Some(self.at(at)), error)
    }

    /// A log that begins at seq 0 is bound to its id and its rows by its first chain.
    fn genesis(&self) -> Option<Problem> {
        let base = &self.head.base;
        let expected = Chain::genesis(base.log_id, Seq::ZERO, base.digest);
        let wrong = base.seq == Seq::ZERO && base.chain != expected;
        let why = || format!("the log begins with chain {}, its id and rows make {expected}", base.chain);
        wrong.then(|| self.problem(Fault::Base, base.seq, why()))
    }

    /// Folds the log and compares the stored view; returns how many rows the fold has.
    fn view(&self, found: &mut Vec<Problem>) -> usize {
        let (head, versions) = (self.head, [self.head.base.view_version, self.head.cursor.view_version]);
        if versions.iter().any(|version| *version != format::VIEW) {
            found.extend(self.walk().err());
            let [base, cursor] = versions;
            let why = format!(
                "base has rows of view version {base}, the view of {cursor}; this build has {}: only the log was \
                 checked",
                format::VIEW
            );
            found.push(self.problem(Fault::ViewVersion, head.cursor.applied, why));
            return 0;
        }
        let folded = match fold(self.reader, self.stream, None) {
            Ok(folded) => folded,
            Err(error) => {
                found.push(self.walk().err().unwrap_or_else(|| self.of_fold(&error)));
                return 0;
            }
        };
        if folded.chain != head.chain {
            found.push(self.walk().err().unwrap_or_else(|| self.tail_chain(folded.chain)));
        }
        self.cursor(&folded, found);
        rows::compare(self, &folded.rows, found);
        folded.rows.len()
    }

    fn of_fold(&self, error: &FoldError) -> Problem {
        match error {
            FoldError::Store(error) => self.store(self.head.base.seq, error),
            FoldError::Broken { at, why } => {
                // The runs were walked without finding anything: it is the base.
                let fault = if *at == self.head.base.seq { Fault::Base } else { Fault::Hole };
                self.problem(fault, *at, why.clone())
            }
        }
    }

    fn cursor(&self, folded: &Folded, found: &mut Vec<Problem>) {
        let (stored, expected) = (self.head.cursor, folded.cursor);
        if stored.applied != expected.applied {
            let why =
                format!("the view has applied {}, the log ends at {}", stored.applied, expected.applied);
            found.push(self.problem(Fault::Cursor, stored.applied, why));
        }
        if stored.digest != expected.digest {
            let why = format!("the view states digest {}, the log makes {}", stored.digest, expected.digest);
            found.push(self.problem(Fault::Cursor, stored.applied, why));
        }
    }

    /// Checks run after run; the first problem, with where it is.
    fn walk(&self) -> Result<(), Problem> {
        let base = &self.head.base;
        let (mut at, mut chain) = (base.seq, base.chain);
        while at < self.head.tail {
            // A page fails as a whole; one run at a time says which it is.
            let page = self.runs(at, READ).or_else(|_| self.runs(at, 1));
            let page = page.map_err(|error| self.store(at.next(), &error))?;
            if page.is_empty() {
                let why = format!("nothing follows; the tail is {}", self.head.tail);
                return Err(self.problem(Fault::Hole, at.next(), why));
            }
            for entry in page {
                chain = self.step(at, chain, &entry)?;
                at = entry.run.last();
            }
        }
        if at != self.head.tail {
            let why = format!("the last run ends at {at}, the head says {}", self.head.tail);
            return Err(self.problem(Fault::Tail, self.head.tail, why));
        }
        if chain != self.head.chain {
            return Err(self.tail_chain(chain));
        }
        Ok(())
    }

    fn tail_chain(&self, chain: Chain) -> Problem {
        let why = format!("the head states chain {}, the runs make {chain}", self.head.chain);
        self.problem(Fault::Tail, self.head.tail, why)
    }

    fn step(&self, at: Seq, chain: Chain, entry: &RunEntry) -> Result<Chain, Problem> {
        let (run, expected) = (&entry.run, at.next());
        if run.first() != expected {
            let why = format!("a run from seq {} follows seq {at}", run.first());
            return Err(self.problem(Fault::Hole, expected, why));
        }
        if run.log_id() != self.head.base.log_id {
            return Err(self.problem(
                Fault::Hole,
                expected,
                format!("a run of log {} stands here", run.log_id()),
            ));
        }
        let chain = chain.then(run.bytes());
        if chain != entry.chain {
            let why = format!(
                "the run {expected} to {} is stored with chain {}, its bytes make {chain}",
                run.last(),
                entry.chain
            );
            return Err(self.problem(Fault::Chain, expected, why));
        }
        run.check_events().map_err(|error| self.problem(Fault::Corrupt, expected, error.to_string()))?;
        Ok(chain)
    }
}
