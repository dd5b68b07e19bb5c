//! Results on stdout: a table for people, JSON or YAML for programs.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

/// The value of `-o`. Every command that a program may read takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Aligned columns.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

impl Output {
    /// Prints `value` to stdout: as JSON or YAML, or as the table that `table` makes of it.
    pub fn print<T: Serialize>(self, value: &T, table: impl FnOnce(&T) -> Table) -> io::Result<()> {
        self.write(&mut io::stdout().lock(), value, table)
    }

    /// As [`Output::print`], to any writer.
    pub fn write<T: Serialize>(
        self,
        out: &mut impl Write,
        value: &T,
        table: impl FnOnce(&T) -> Table,
    ) -> io::Result<()> {
        match self {
            Self::Table => write!(out, "{}", table(value))?,
            Self::Json => {
                serde_json::to_writer_pretty(&mut *out, value)?;
                out.write_all(b"\n")?;
            }
            Self::Yaml => serde_yaml_ng::to_writer(&mut *out, value).map_err(io::Error::other)?,
        }
        out.flush()
    }
}

/// Rows under a header, columns aligned to the left, three spaces apart, never wrapped or cut.
/// Control characters in a cell (names and values come from devices) are shown escaped, so that no
/// cell can move the reader's cursor or break a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows. An empty header prints no header line.
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds one row; it may be shorter or longer than the header.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) -> &mut Self {
        self.rows.push(cells.into_iter().map(|cell| escape(&cell.into())).collect());
        self
    }
}

fn escape(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    for c in cell.chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = (!self.header.is_empty()).then_some(&self.header);
        let lines = || header.into_iter().chain(&self.rows);
        let mut widths: Vec<usize> = Vec::new();
        for line in lines() {
            widths.resize(widths.len().max(line.len()), 0);
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for line in lines() {
            let mut text = String::new();
            for (width, cell) in widths.iter().zip(line) {
                text.push_str(&format!("{cell:<width$}   "));
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn nodes() -> Table {
        let mut table = Table::new(["NODE", "READY"]);
        table.row(["oslo-shop-17", "yes"]).row(["ål", ""]);
        table
    }

    #[test]
    fn columns_are_aligned_by_characters_and_lines_end_without_spaces() {
        assert_eq!(nodes().to_string(), "NODE           READY\noslo-shop-17   yes\nål\n");
    }

    #[test]
    fn a_cell_cannot_reach_the_terminal() {
        let mut table = Table::new(["V"]);
        table.row(["\u{1b}[2J\nx"]);
        assert_eq!(table.to_string(), "V\n\\u{1b}[2J\\nx\n");
    }

    #[test]
    fn json_and_yaml_print_the_value_and_not_the_table() {
        let mut out = Vec::new();
        Output::Json.write(&mut out, &["a"], |_| nodes()).unwrap();
        Output::Yaml.write(&mut out, &["a"], |_| nodes()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "[\n  \"a\"\n]\n- a\n");
    }
}
