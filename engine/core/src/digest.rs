//! Digest of a view's rows: the sum modulo 2²⁵⁶ of BLAKE3(key ‖ row), so that one changed row costs
//! one subtraction and one addition, in any order.

use std::fmt;

use bincode::{Decode, Encode};
use serde::Serialize;

/// See the module. Little-endian; zero for no rows.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Counts a row in.
    pub fn add(&mut self, key: &[u8], row: &[u8]) {
        let mut carry = 0_u16;
        for (byte, other) in self.0.iter_mut().zip(row_hash(key, row)) {
            let sum = u16::from(*byte) + u16::from(other) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
    }

    /// Counts a row out.
    pub fn remove(&mut self, key: &[u8], row: &[u8]) {
        let mut borrow = 0_i16;
        for (byte, other) in self.0.iter_mut().zip(row_hash(key, row)) {
            let difference = i16::from(*byte) - i16::from(other) - borrow;
            borrow = i16::from(difference < 0);
            *byte = difference.to_le_bytes()[0];
        }
    }

    /// Digest of all given rows.
    pub fn of<'a>(rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut digest = Self::default();
        for (key, row) in rows {
            digest.add(key, row);
        }
        digest
    }
}

fn row_hash(key: &[u8], row: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(row);
    *hasher.finalize().as_bytes()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({:02x}{:02x}{:02x}{:02x})", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn adding_and_removing_in_any_order_leaves_what_is_there(
            rows in proptest::collection::btree_map(any::<Vec<u8>>(), any::<Vec<u8>>(), 0..20),
            gone in proptest::collection::btree_map(any::<Vec<u8>>(), any::<Vec<u8>>(), 0..20),
        ) {
            let mut digest = Digest::default();
            gone.iter().for_each(|(k, v)| digest.add(k, v));
            rows.iter().rev().for_each(|(k, v)| digest.add(k, v));
            gone.iter().for_each(|(k, v)| digest.remove(k, v));
            prop_assert_eq!(digest, Digest::of(rows.iter().map(|(k, v)| (&k[..], &v[..]))));
        }
    }
}
