//! Files that hold keys and certificates: replaced whole, durable, and private where they must be.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rand::TryRngCore;

use crate::error::PkiError;

/// Mode of a private file.
pub(crate) const PRIVATE: u32 = 0o600;
/// Mode of a file anyone may read.
pub(crate) const PUBLIC: u32 = 0o644;

/// No key or certificate file is longer; a longer one is refused before it is read.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// `N` bytes from the operating system.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], PkiError> {
    let mut bytes = [0; N];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(|error| PkiError::Random(error.to_string()))?;
    Ok(bytes)
}

fn file_error(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> PkiError {
    let path = path.to_owned();
    move |source| PkiError::File { path, doing, source }
}

/// Replaces `path` by `content`: after a crash it holds the old or the new content, whole. Returns when
/// the new content and its name survive loss of power.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), PkiError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or_else(|| Path::new("."));
    let suffix = hex::encode(random_bytes::<8>()?);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{suffix}.tmp"));
    let temporary = directory.join(name);
    let written = write_new(&temporary, content, mode)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(directory)?.sync_all());
    if written.is_err() {
        // Best effort: the error that is reported is the one that matters.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(file_error(path, "written"))
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Reads a text file of at most 256 KiB.
pub(crate) fn read(path: &Path) -> Result<String, PkiError> {
    read_open(path, File::open(path).map_err(file_error(path, "read"))?)
}

/// Reads a private key file; refused if group or others have any right to it.
pub(crate) fn read_private(path: &Path) -> Result<String, PkiError> {
    let file = File::open(path).map_err(file_error(path, "read"))?;
    let mode = file.metadata().map_err(file_error(path, "read"))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PkiError::KeyExposed { path: path.to_owned(), mode });
    }
    read_open(path, file)
}

fn read_open(path: &Path, file: File) -> Result<String, PkiError> {
    let mut text = String::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    let read = read.map_err(file_error(path, "read"))?;
    if read as u64 > MAX_FILE_BYTES {
        let reason = format!("it is longer than {MAX_FILE_BYTES} bytes");
        return Err(PkiError::Content { path: path.to_owned(), expected: "PEM", reason });
    }
    Ok(text)
}
