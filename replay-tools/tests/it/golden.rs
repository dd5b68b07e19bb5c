//! The output of every command, word for word. `LEDGE_GOLDEN=write` writes the files anew: read the difference.

use std::path::Path;

use ledge_log::SimStore;
use ledge_process::{Exit, Output};
use ledge_replay::commands::{CommandError, cat, ls, state, verify};

use super::fixture::{DEVICE, up, whole_day};

#[track_caller]
fn check(name: &str, print: impl FnOnce(&SimStore, &mut Vec<u8>) -> Result<Exit, CommandError>) {
    let mut out = Vec::new();
    assert_eq!(print(&whole_day(), &mut out).unwrap(), Exit::Done);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("LEDGE_GOLDEN").is_some_and(|what| what == "write") {
        std::fs::write(&path, &out).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(String::from_utf8(out).unwrap(), expected, "{}", path.display());
}

#[test]
fn ls_for_people_and_for_programs() {
    check("ls.txt", |store, out| ls::show(store, Output::Table, out));
    check("ls.json", |store, out| ls::show(store, Output::Json, out));
}

#[test]
fn cat_for_people_and_for_programs() {
    let all = cat::Which::default();
    check("cat.txt", |store, out| cat::show(store, &all, Output::Table, out));
    check("cat.jsonl", |store, out| cat::show(store, &all, Output::Json, out));
    let last = cat::Which { stream: Some(up()), from: Some(5), ..all };
    check("cat.yaml", |store, out| cat::show(store, &last, Output::Yaml, out));
}

#[test]
fn state_for_people_and_for_programs() {
    let now = state::What { stream: Some(up()), ..state::What::default() };
    check("state.txt", |store, out| state::show(store, &now, Output::Table, out));
    let then = state::What { at: Some("1:2".parse().unwrap()), ..now };
    check("state-at.json", |store, out| state::show(store, &then, Output::Json, out));
    check("state-at.yaml", |store, out| state::show(store, &then, Output::Yaml, out));
}

#[test]
fn a_device_for_people_and_for_programs() {
    let now = state::What { device: Some(DEVICE.parse().unwrap()), ..state::What::default() };
    check("device.txt", |store, out| state::show(store, &now, Output::Table, out));
    check("device.json", |store, out| state::show(store, &now, Output::Json, out));
}

#[test]
fn verify_for_people_and_for_programs() {
    let against = whole_day();
    check("verify.txt", |store, out| verify::show(store, Some(&against), Output::Table, out));
    check("verify.json", |store, out| verify::show(store, None::<&SimStore>, Output::Json, out));
}
