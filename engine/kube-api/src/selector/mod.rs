//! Label and field selectors.

pub(crate) mod field;
pub(crate) mod label;

/// Why a selector cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectorError {
    /// It cannot be read.
    #[error("unable to parse requirement: {0}")]
    Syntax(String),
    /// A field that cannot be selected by.
    #[error("{0}")]
    Field(String),
}
