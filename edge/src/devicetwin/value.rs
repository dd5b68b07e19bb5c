//! Names and values of twin properties: which text they may be.

use super::Rejection;

/// Longest property name, in bytes.
pub const NAME_BYTES: usize = 128;
/// Longest value, in bytes.
pub const VALUE_BYTES: usize = 512;
/// Type of a property whose message names none.
pub const DEFAULT_TYPE: &str = "string";
/// Type by which KubeEdge marks tombstones.
const DELETED: &str = "deleted";

fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.,:/@#".contains(&b))
}

/// Whether a text may name a property: 1 to 128 of `a-z A-Z 0-9 - _ . , : / @ #`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES).contains(&text.len()) && is_plain(text)
}

/// Whether a text may be a value: at most 512 of the same characters; empty means cleared.
#[must_use]
pub fn is_value(text: &str) -> bool {
    text.len() <= VALUE_BYTES && is_plain(text)
}

/// Checks the type that a message gives to a new property.
pub fn check_type(property: &str, value_type: &str) -> Result<(), Rejection> {
    match value_type {
        "" | "string" | "int" | "integer" | "float" | "boolean" => Ok(()),
        DELETED => Err(Rejection::Tombstone { property: property.to_owned() }),
        _ => Err(Rejection::Type { property: property.to_owned(), value_type: value_type.to_owned() }),
    }
}

/// Checks a value against its property's type.
pub fn check_value(property: &str, value_type: &str, value: &str) -> Result<(), Rejection> {
    let (fits, wanted) = match value_type {
        "" | "string" | DELETED => (true, ""),
        "int" | "integer" => (value.parse::<i64>().is_ok(), "the value is not int or integer"),
        "float" => (value.parse::<f64>().is_ok(), "the value is not float"),
        "boolean" => (matches!(value, "true" | "false"), "the bool value must be true or false"),
        _ => return check_type(property, value_type),
    };
    let misfit = || Rejection::Misfit { property: property.to_owned(), value: value.to_owned(), wanted };
    if fits { Ok(()) } else { Err(misfit()) }
}
