//! One process, one directory, one format; and what each refusal says.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ledge_process::data_dir::FORMAT_NEWEST;
use ledge_process::{DataDir, Exit, OpenError, OpenMode, Role, atomic_write, free_space};

fn open(dir: &Path, role: Role, mode: OpenMode) -> Result<DataDir, OpenError> {
    DataDir::open(dir, role, mode)
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_start_makes_the_directory_and_its_identity_stays() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("a/b");
    let first = open(&dir, Role::Edge, OpenMode::Create).unwrap().format().clone();
    assert_eq!(first.role, Role::Edge);
    assert_eq!(first.format, FORMAT_NEWEST);
    assert_eq!(mode_of(&dir), 0o700);
    assert_eq!(mode_of(&dir.join("FORMAT")), 0o600);
    let again = open(&dir, Role::Edge, OpenMode::Existing).unwrap();
    assert_eq!(again.format(), &first);
    assert_eq!(DataDir::peek(&dir).unwrap(), Some(first));
}

#[test]
fn two_new_directories_have_different_identities() {
    let temp = tempfile::tempdir().unwrap();
    let id =
        |name: &str| open(&temp.path().join(name), Role::Cloud, OpenMode::Create).unwrap().format().store_id;
    assert_ne!(id("a"), id("b"));
}

/// The body of the child process below.
#[test]
#[ignore = "no test by itself: the body of a child process"]
fn child_holds_the_directory() {
    let Some(dir) = std::env::var_os("TEST_HOLD_DIR") else { return };
    let _held = open(Path::new(&dir), Role::Edge, OpenMode::Create).unwrap();
    println!("\nheld");
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read_line(&mut String::new());
}

fn child_holding(dir: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child_holds_the_directory", "--nocapture"])
        .env("TEST_HOLD_DIR", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "held"), "the child opened the directory");
    child
}

#[test]
fn a_second_process_is_told_who_has_the_directory_and_gets_it_after_a_kill() {
    let temp = tempfile::tempdir().unwrap();
    let mut child = child_holding(temp.path());
    for mode in [OpenMode::Create, OpenMode::Existing, OpenMode::ReadOnly] {
        let error = open(temp.path(), Role::Edge, mode).unwrap_err();
        let expected = format!(
            "{} is in use by process {}; stop it, or pass another --data-dir",
            temp.path().display(),
            child.id()
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.exit(), Exit::TempFail);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    open(temp.path(), Role::Edge, OpenMode::Existing).unwrap();
}

#[test]
fn a_newer_format_names_both_versions_even_when_its_fields_are_unknown() {
    let temp = tempfile::tempdir().unwrap();
    drop(open(temp.path(), Role::Edge, OpenMode::Create).unwrap());
    let newer = FORMAT_NEWEST + 1;
    fs::write(temp.path().join("FORMAT"), format!(r#"{{"format":{newer},"owner":"someone"}}"#)).unwrap();
    let error = open(temp.path(), Role::Edge, OpenMode::Create).unwrap_err();
    assert!(matches!(error, OpenError::Format { found, newest: FORMAT_NEWEST, .. } if found == newer));
    assert!(error.to_string().contains("holds format v2; this build reads v1 to v1"), "{error}");
}

#[test]
fn the_other_role_s_directory_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    drop(open(temp.path(), Role::Cloud, OpenMode::Create).unwrap());
    let error = open(temp.path(), Role::Edge, OpenMode::Create).unwrap_err();
    assert!(error.to_string().contains("belongs to ledge-cloud, and this is ledge-edge"), "{error}");
}

#[test]
fn a_directory_with_other_files_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("thesis.txt"), "x").unwrap();
    let error = open(temp.path(), Role::Edge, OpenMode::Create).unwrap_err();
    assert!(matches!(error, OpenError::NotEmpty { entry, .. } if entry == "thesis.txt"));
    assert!(!temp.path().join("FORMAT").exists());
}

#[test]
fn a_start_that_was_killed_before_format_was_written_starts_anew() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("LOCK.pid"), "99999\n").unwrap();
    fs::write(temp.path().join(".FORMAT.ledge-tmp-99999-0"), "{\"ro").unwrap();
    open(temp.path(), Role::Edge, OpenMode::Create).unwrap();
    let names: Vec<_> = fs::read_dir(temp.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the half-written file is gone: {names:?}");
}

#[test]
fn tools_do_not_create_directories() {
    let temp = tempfile::tempdir().unwrap();
    let missing = temp.path().join("missing");
    for mode in [OpenMode::Existing, OpenMode::ReadOnly] {
        assert!(matches!(open(&missing, Role::Edge, mode), Err(OpenError::NotADataDir { .. })));
        assert!(matches!(open(temp.path(), Role::Edge, mode), Err(OpenError::NotADataDir { .. })));
    }
    assert!(!missing.exists());
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn a_damaged_format_file_is_a_typed_error() {
    let temp = tempfile::tempdir().unwrap();
    drop(open(temp.path(), Role::Edge, OpenMode::Create).unwrap());
    for bytes in ["", "{}", "not json", r#"{"format":1}"#, r#"{"format":70000}"#, &" ".repeat(5000)] {
        fs::write(temp.path().join("FORMAT"), bytes).unwrap();
        let error = open(temp.path(), Role::Edge, OpenMode::Existing).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{bytes:.20}: {error}");
    }
}

#[test]
fn an_atomic_write_replaces_content_and_mode_and_leaves_nothing_else() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("key.pem");
    atomic_write(&path, b"old, and longer", 0o644).unwrap();
    atomic_write(&path, b"new", 0o600).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(mode_of(&path), 0o600);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
}

#[test]
fn an_atomic_write_that_fails_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("taken");
    fs::create_dir(&path).unwrap();
    assert!(atomic_write(&path, b"x", 0o600).is_err());
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    assert!(atomic_write(&temp.path().join("no/such/dir"), b"x", 0o600).is_err());
}

#[test]
fn free_space_is_known() {
    let space = free_space(Path::new("/")).unwrap();
    assert!(space.total > 0 && space.free <= space.total);
    assert!(free_space(Path::new("/no/such/path")).is_err());
}
