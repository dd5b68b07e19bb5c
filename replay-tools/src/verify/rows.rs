//! The stored rows of a view beside those that its log makes.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::iter::Peekable;

use ledge_core::Row;
use ledge_core::log::Reader;
use ledge_core::view::row;

use super::report::{Fault, Problem};
use super::stream::Log;

/// Rows read at once.
const PAGE: usize = 4096;
/// Rows of one view that are named; the rest is counted.
const NAMED: usize = 16;

type Expected<'a> = Peekable<Range<'a, Vec<u8>, Vec<u8>>>;

/// Adds a problem for each row that is missing, extra or different.
pub(super) fn compare<R: Reader>(
    log: &Log<'_, R>,
    folded: &BTreeMap<Vec<u8>, Vec<u8>>,
    found: &mut Vec<Problem>,
) {
    let mut differences = Differences { log, named: Vec::new(), more: 0 };
    let mut expected: Expected<'_> = folded.range::<Vec<u8>, _>(..).peekable();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = match log.reader.rows(log.stream, b"", after.as_deref(), PAGE) {
            Ok(page) => page,
            Err(error) => {
                found.push(log.store(log.head.cursor.applied, &error));
                break;
            }
        };
        let Some(last) = page.last() else {
            expected.for_each(|(key, value)| differences.add(key, value, "is missing"));
            break;
        };
        after = Some(last.key.clone());
        for Row { key, value } in &page {
            while let Some((missing, value)) = expected.next_if(|(next, _)| *next < key) {
                differences.add(missing, value, "is missing");
            }
            match expected.next_if(|(next, _)| *next == key) {
                Some((_, right)) if right == value => {}
                Some((_, right)) => differences.add(key, right, "is not what the log makes of it"),
                None => differences.add(key, value, "is not from the log"),
            }
        }
    }
    found.extend(differences.named);
    if differences.more > 0 {
        let why = format!("{} more rows differ", differences.more);
        found.push(log.problem(Fault::Row, log.head.cursor.applied, why));
    }
}

struct Differences<'a, R> {
    log: &'a Log<'a, R>,
    named: Vec<Problem>,
    more: usize,
}

impl<R: Reader> Differences<'_, R> {
    /// `value` names the event that wrote the row, or should have.
    fn add(&mut self, key: &[u8], value: &[u8], what: &str) {
        if self.named.len() == NAMED {
            self.more += 1;
            return;
        }
        let at = row::split(value).map_or(self.log.head.cursor.applied, |(at, _)| at);
        let why = format!("row {} {what}", String::from_utf8_lossy(key).escape_debug());
        self.named.push(self.log.problem(Fault::Row, at, why));
    }
}
