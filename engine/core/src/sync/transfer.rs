//! Bases in parts: cutting them for the wire, putting them together with bounded memory.

use ledge_schemas::limits;

use super::message::{BaseChunk, Direction};
use crate::{Base, Digest, Row};

/// Cuts a base into messages.
pub(super) fn cut(direction: Direction, base: &Base, rows: Vec<Row>) -> Vec<BaseChunk> {
    let mut chunks = Vec::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    let chunk = |index: usize, last: bool, rows: Vec<Row>| {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        BaseChunk { direction, index, last, base: base.clone(), rows }
    };
    for row in rows {
        let size = row.key.len() + row.value.len() + 16;
        if bytes + size > limits::BASE_CHUNK_BYTES && !part.is_empty() {
            chunks.push(chunk(chunks.len(), false, std::mem::take(&mut part)));
            bytes = 0;
        }
        bytes += size;
        part.push(row);
    }
    chunks.push(chunk(chunks.len(), true, part));
    chunks
}

/// A base that is arriving.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Assembly {
    parts: Option<(Base, u32, Vec<Row>)>,
    bytes: usize,
}

impl Assembly {
    /// Takes the next part; gives base and rows after the last. Errors end the session.
    pub(super) fn take(&mut self, chunk: BaseChunk) -> Result<Option<(Base, Vec<Row>)>, String> {
        let BaseChunk { index, last, base, rows, .. } = chunk;
        if index == 0 {
            *self = Self { parts: Some((base.clone(), 0, Vec::new())), bytes: 0 };
        }
        let Some((begun, next, all)) = &mut self.parts else {
            return Err(format!("part {index} of a base whose first part never came"));
        };
        if *begun != base || *next != index {
            return Err(format!("part {index} of a base does not continue it; {next} is next"));
        }
        self.bytes += rows.iter().map(|row| row.key.len() + row.value.len()).sum::<usize>();
        if self.bytes > limits::BASE_BYTES {
            return Err(format!("base is over {} bytes", limits::BASE_BYTES));
        }
        *next += 1;
        all.extend(rows);
        if !last {
            return Ok(None);
        }
        let Some((base, _, rows)) = self.parts.take() else { return Ok(None) };
        if !rows.windows(2).all(|pair| pair[0].key < pair[1].key) {
            return Err("rows of a base do not ascend".into());
        }
        let digest = Digest::of(rows.iter().map(|row| (&row.key[..], &row.value[..])));
        if digest != base.digest {
            return Err(format!("base states digest {}, its rows have {digest}", base.digest));
        }
        Ok(Some((base, rows)))
    }
}

#[cfg(test)]
mod tests {
    use ledge_schemas::{Epoch, LogId};

    use super::*;
    use crate::BaseReason;

    fn rows(n: u32) -> Vec<Row> {
        (0..n).map(|i| Row { key: i.to_be_bytes().to_vec(), value: vec![1; 100_000] }).collect()
    }

    fn base(rows: &[Row]) -> Base {
        let digest = Digest::of(rows.iter().map(|row| (&row.key[..], &row.value[..])));
        Base::begin(LogId([1; 16]), Epoch(1), digest, BaseReason::New)
    }

    #[test]
    fn a_base_arrives_whole_in_bounded_parts() {
        for n in [0, 1, 7] {
            let (all, mut assembly, mut whole) = (rows(n), Assembly::default(), None);
            for chunk in cut(Direction::Up, &base(&all), all.clone()) {
                assert!(whole.is_none());
                whole = assembly.take(chunk).unwrap_or_default();
            }
            assert_eq!(whole, Some((base(&all), all)));
        }
    }

    #[test]
    fn a_missing_or_foreign_part_is_an_error() {
        let all = rows(7);
        let chunks = cut(Direction::Up, &base(&all), all);
        assert!(Assembly::default().take(chunks[1].clone()).is_err());
        let mut assembly = Assembly::default();
        assert_eq!(assembly.take(chunks[0].clone()), Ok(None));
        assert!(assembly.take(chunks[2].clone()).is_err());
    }
}
