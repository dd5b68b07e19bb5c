//! Reading the cloud's own records: the view over `control`.

use bincode::Decode;
use ledge_core::Row;
use ledge_core::log::{Reader, StoreError};
use ledge_core::view::control::{self, AuthorityRow, NodeRow, RecoveringRow, StoreRow, TokenRow};
use ledge_core::view::row;
use ledge_pki::RevocationList;
use ledge_schemas::{NodeName, StreamId};

/// Rows read at once.
const PAGE: usize = 1024;

/// Every row of a stream's view under a prefix; none if the stream is not here.
pub fn rows<R: Reader>(reader: &R, stream: &StreamId, prefix: &[u8]) -> Result<Vec<Row>, StoreError> {
    let mut all: Vec<Row> = Vec::new();
    loop {
        let page = match reader.rows(stream, prefix, all.last().map(|row| &row.key[..]), PAGE) {
            Ok(page) => page,
            Err(StoreError::NoStream(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let full = page.len() == PAGE;
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}

fn read<T: Decode<()>>(key: &[u8], bytes: &[u8]) -> Result<T, StoreError> {
    let corrupt = |error: ledge_schemas::CodecError| StoreError::Corrupt {
        place: format!("control {}", String::from_utf8_lossy(key)),
        why: error.to_string(),
    };
    row::decode(bytes).map(|(_, body)| body).map_err(corrupt)
}

fn one<R: Reader, T: Decode<()>>(reader: &R, key: &[u8]) -> Result<Option<T>, StoreError> {
    reader.row(&StreamId::Control, key)?.map(|bytes| read(key, &bytes)).transpose()
}

/// What is known of a node; `None` if it never came.
pub fn node<R: Reader>(reader: &R, node: &NodeName) -> Result<Option<NodeRow>, StoreError> {
    one(reader, &control::node_key(node.as_str()))
}

/// Whether a node is one of ours: it has a certificate, or had a session, which takes one. The latter is
/// all that a cloud knows that lost its records.
#[must_use]
pub fn has_joined(node: &NodeRow) -> bool {
    node.certificate.is_some() || node.issued > 0
}

/// Every node, ascending by name.
pub fn nodes<R: Reader>(reader: &R) -> Result<Vec<(NodeName, NodeRow)>, StoreError> {
    let mut nodes = Vec::new();
    for Row { key, value } in rows(reader, &StreamId::Control, control::NODE.as_bytes())? {
        let name = key.strip_prefix(control::NODE.as_bytes()).and_then(|name| std::str::from_utf8(name).ok());
        if let Some(name) = name.and_then(|name| NodeName::new(name).ok()) {
            nodes.push((name, read(&key, &value)?));
        }
    }
    Ok(nodes)
}

/// The identity of the store.
pub fn store<R: Reader>(reader: &R) -> Result<Option<StoreRow>, StoreError> {
    one(reader, control::STORE.as_bytes())
}

/// The API server that the objects come from, once it is known.
pub fn authority<R: Reader>(reader: &R) -> Result<Option<AuthorityRow>, StoreError> {
    one(reader, control::AUTHORITY.as_bytes())
}

/// Why nothing may be removed, if so.
pub fn recovering<R: Reader>(reader: &R) -> Result<Option<RecoveringRow>, StoreError> {
    one(reader, control::RECOVERING.as_bytes())
}

/// A token.
pub fn token<R: Reader>(reader: &R, id: &str) -> Result<Option<TokenRow>, StoreError> {
    one(reader, format!("{}{id}", control::TOKEN).as_bytes())
}

/// Adds every revocation to the list that listeners ask.
pub fn load_revoked<R: Reader>(reader: &R, list: &RevocationList) -> Result<(), StoreError> {
    for Row { key, .. } in rows(reader, &StreamId::Control, control::REVOKED.as_bytes())? {
        let serial = key.strip_prefix(control::REVOKED.as_bytes()).and_then(|s| std::str::from_utf8(s).ok());
        serial.into_iter().for_each(|serial| list.revoke(serial));
    }
    Ok(())
}
