//! Two stores that hold the same logs: an edge and its cloud.

use std::collections::VecDeque;
use std::fmt;

use ledge_core::Chain;
use ledge_core::log::{Reader, RunEntry, StreamHead};
use ledge_schemas::{LogId, Seq, StreamId};
use serde::Serialize;

use super::report::{Fault, Problem, Verdict, worst};
use super::stream::Log;

/// Bytes of runs read at once.
const READ: usize = 1024 * 1024;

/// How the two copies of one log stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// The same events.
    Equal,
    /// The second is a prefix of the first, shorter by so many events.
    FirstAhead(u64),
    /// The first is a prefix of the second, shorter by so many events.
    SecondAhead(u64),
    /// They differ from the run that begins at this seq.
    Parted(Seq),
    /// No position is in both: one begins where the other has not come to.
    Disjoint,
    /// The second does not have this log.
    OnlyFirst,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal => f.write_str("equal"),
            Self::FirstAhead(by) => write!(f, "first ahead by {by}"),
            Self::SecondAhead(by) => write!(f, "second ahead by {by}"),
            Self::Parted(at) => write!(f, "parted at {at}"),
            Self::Disjoint => f.write_str("disjoint"),
            Self::OnlyFirst => f.write_str("only in the first"),
        }
    }
}

/// One log of the first store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogComparison {
    /// Its stream.
    pub stream: String,
    /// Its id.
    pub log_id: LogId,
    /// How the copies stand to each other.
    pub relation: Relation,
}

/// What [`compare`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Every log of the first store, archived ones included.
    pub logs: Vec<LogComparison>,
    /// Everything that is wrong or could not be told.
    pub problems: Vec<Problem>,
}

impl Comparison {
    /// The worst of everything.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        worst(&self.problems)
    }
}

/// Compares every log of `first` with the one of the same id in `second`, by their chains. One may be ahead; where both
/// have events they must be the same ones. Stored chains are believed: [`super::verify`] checks them.
pub fn compare<A: Reader, B: Reader>(first: &A, second: &B) -> Comparison {
    let mut comparison = Comparison::default();
    let streams = match first.streams() {
        Ok(streams) => streams,
        Err(error) => {
            comparison.problems.push(Problem::of_store(None, None, None, &error));
            return comparison;
        }
    };
    for stream in streams {
        compare_stream(first, second, &stream, &mut comparison);
    }
    let shared = comparison.logs.iter().any(|log| log.relation != Relation::OnlyFirst);
    if !shared && comparison.problems.is_empty() {
        let why = "the two stores share no log; do they belong to each other?".to_owned();
        let (stream, log_id, position) = (None, None, None);
        comparison.problems.push(Problem { fault: Fault::NothingShared, stream, log_id, position, why });
    }
    comparison
}

fn compare_stream<A: Reader, B: Reader>(
    first: &A,
    second: &B,
    stream: &StreamId,
    comparison: &mut Comparison,
) {
    let (ours, theirs) =
        match incarnations(first, stream).and_then(|a| Ok((a, incarnations(second, stream)?))) {
            Ok(both) => both,
            Err(problem) => return comparison.problems.push(problem),
        };
    for (head, archived) in &ours {
        let a = Log { reader: first, stream, head, archived: *archived };
        let twin = theirs.iter().find(|(other, _)| other.base.log_id == head.base.log_id);
        let relation = match twin {
            None => Ok(Relation::OnlyFirst),
            Some((head, archived)) => {
                let b = Log { reader: second, stream, head, archived: *archived };
                relate(&a, &b, &mut comparison.problems)
            }
        };
        match relation {
            Ok(relation) => {
                let (stream, log_id) = (stream.to_string(), head.base.log_id);
                comparison.logs.push(LogComparison { stream, log_id, relation });
            }
            Err(problem) => comparison.problems.push(problem),
        }
    }
}

/// Every incarnation of a stream and whether it is archived; none if the stream is not here.
fn incarnations<R: Reader>(reader: &R, stream: &StreamId) -> Result<Vec<(StreamHead, bool)>, Problem> {
    let failed = |error| Problem::of_store(Some(stream), None, None, &error);
    let Some(head) = reader.head(stream).map_err(failed)? else { return Ok(Vec::new()) };
    let archived = reader.archived(stream).map_err(failed)?;
    Ok(archived.into_iter().map(|head| (head, true)).chain([(head, false)]).collect())
}

fn relate<A: Reader, B: Reader>(
    a: &Log<'_, A>,
    b: &Log<'_, B>,
    problems: &mut Vec<Problem>,
) -> Result<Relation, Problem> {
    let start = a.head.base.seq.max(b.head.base.seq);
    let end = a.head.tail.min(b.head.tail);
    if start > end {
        let why = format!(
            "one copy begins at {start}, the other ends at {end}: nothing of this log is in both, so it cannot be \
             compared"
        );
        problems.push(a.problem(Fault::NothingShared, start, why));
        return Ok(Relation::Disjoint);
    }
    if let Some(parted) = first_difference(a, b, start, end)? {
        let why = format!("the copies differ from the run that holds {parted}; before it they are the same");
        problems.push(a.problem(Fault::Parted, parted, why));
        return Ok(Relation::Parted(parted));
    }
    let (ours, theirs) = (a.head.tail.0, b.head.tail.0);
    if ours != theirs {
        return Ok(match ours > theirs {
            true => Relation::FirstAhead(ours - theirs),
            false => Relation::SecondAhead(theirs - ours),
        });
    }
    let (x, y) = (a.head.cursor, b.head.cursor);
    if !a.archived && !b.archived && x.view_version == y.view_version && x.digest != y.digest {
        let why = format!("the logs are the same, the views are not: digest {} and {}", x.digest, y.digest);
        problems.push(a.problem(Fault::Diverged, end, why));
    }
    Ok(Relation::Equal)
}

/// The first seq of the first run in which the copies differ between two positions.
fn first_difference<A: Reader, B: Reader>(
    a: &Log<'_, A>,
    b: &Log<'_, B>,
    start: Seq,
    end: Seq,
) -> Result<Option<Seq>, Problem> {
    if !a.archived && !b.archived {
        let ours = a.reader.chain_at(a.stream, end).map_err(|error| a.store(end, &error))?;
        let theirs = b.reader.chain_at(b.stream, end).map_err(|error| b.store(end, &error))?;
        if ours.is_some() && ours == theirs {
            return Ok(None);
        }
    }
    let (mut a, mut b) = (Walk::new(a), Walk::new(b));
    a.pass(start)?;
    b.pass(start)?;
    if (a.at, a.chain) != (b.at, b.chain) {
        return Ok(Some(start));
    }
    while a.at < end {
        let from = a.at.next();
        a.step()?;
        b.step()?;
        if (a.at, a.chain) != (b.at, b.chain) {
            return Ok(Some(from));
        }
    }
    Ok(None)
}

/// From boundary to boundary.
struct Walk<'a, R> {
    log: &'a Log<'a, R>,
    at: Seq,
    chain: Chain,
    page: VecDeque<RunEntry>,
}

impl<'a, R: Reader> Walk<'a, R> {
    fn new(log: &'a Log<'a, R>) -> Self {
        Self { log, at: log.head.base.seq, chain: log.head.base.chain, page: VecDeque::new() }
    }

    /// Goes on to the first boundary at or after `seq`.
    fn pass(&mut self, seq: Seq) -> Result<(), Problem> {
        while self.at < seq {
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Problem> {
        if self.page.is_empty() {
            let page = self.log.runs(self.at, READ).or_else(|_| self.log.runs(self.at, 1));
            self.page = page.map_err(|error| self.log.store(self.at.next(), &error))?.into();
        }
        match self.page.pop_front() {
            Some(entry) if entry.run.first() == self.at.next() => {
                (self.at, self.chain) = (entry.run.last(), entry.chain);
                Ok(())
            }
            _ => {
                let why = format!("no run follows; the tail is {}", self.log.head.tail);
                Err(self.log.problem(Fault::Hole, self.at.next(), why))
            }
        }
    }
}
