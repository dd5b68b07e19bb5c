//! What is printed, and `bench.json`.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use ledge_process::{Table, atomic_write};

use super::figure::Figure;

/// For people.
pub(super) fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new(["NAME", "VALUE", "UNIT", "FLOOR", "RATIO", "SPREAD", "GOAL", "HOLDS"]);
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    for figure in figures {
        let spread =
            figure.spread.map_or_else(|| "-".to_owned(), |spread| format!("{:.0} %", spread * 100.0));
        let holds = match figure.holds {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "-",
        };
        table.row([
            figure.name.clone(),
            number(figure.value),
            figure.unit.clone(),
            shown(figure.floor),
            shown(figure.ratio),
            spread,
            figure.goal.clone().unwrap_or_else(|| "-".to_owned()),
            holds.to_owned(),
        ]);
    }
    table
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Puts figures into a `bench.json`: those of the same name are replaced, the others stay.
pub(super) fn merge(path: &Path, figures: &[Figure]) -> anyhow::Result<()> {
    let mut all: Vec<Figure> = match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not a list of figures; move it away", path.display()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    all.retain(|old| figures.iter().all(|new| new.name != old.name));
    all.extend_from_slice(figures);
    let text = serde_json::to_vec_pretty(&all).context("figures as JSON")?;
    atomic_write(path, &text, 0o644).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn later_figures_replace_earlier_ones_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench.json");
        let figure = |name: &str, value| Figure::of(name, "us", &[value]);
        merge(&path, &[figure("a", 1.0), figure("b", 2.0)]).unwrap();
        merge(&path, &[figure("c", 4.0), figure("a", 3.0)]).unwrap();
        let kept: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let values: Vec<_> =
            kept.iter().map(|f| (f["name"].as_str().unwrap(), f["value"].as_f64().unwrap())).collect();
        assert_eq!(values, [("b", 2.0), ("c", 4.0), ("a", 3.0)]);
        let keys: Vec<_> = kept[0].as_object().unwrap().keys().map(String::as_str).collect();
        for key in ["name", "value", "unit", "floor", "ratio", "goal", "holds"] {
            assert!(keys.contains(&key), "{keys:?}");
        }
        assert_eq!(keys.len(), 7);
        fs::write(&path, "not json").unwrap();
        assert!(merge(&path, &[figure("a", 1.0)]).is_err());
    }
}
