// SPDX-License-Identifier: Apache-2.0
//! Checks of what the daemon needs on disk. Each error says what is wrong and, where possible, what to do about it.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file that is written to test whether a directory is writable.
const TRIAL: &str = ".written-by-health-check";

/// Checks that a file can be created and written in a directory.
///
/// # Errors
/// The kernel's error, with the path.
pub fn check_writable(dir: &Path) -> Result<(), String> {
    let path = dir.join(TRIAL);
    let failed = |what: &str, e: &std::io::Error| format!("{what} {}: {e}", path.display());
    let mut file = File::create(&path).map_err(|e| failed("create", &e))?;
    let written = file.write_all(b"x").and_then(|()| file.flush()).map_err(|e| failed("write", &e));
    let removed = std::fs::remove_file(&path).map_err(|e| failed("remove", &e));
    written.and(removed)
}

/// Checks that the shim is an executable file.
///
/// # Errors
/// A sentence that says what is wrong, and what to do when the file cannot be found.
pub fn check_executable(shim: &Path) -> Result<(), String> {
    match std::fs::metadata(shim) {
        Ok(meta) if meta.is_file() && meta.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => Err(format!("{} is not an executable file", shim.display())),
        Err(e) => {
            let hint = "install gorae-shim next to goraed, or set `shim` in the configuration";
            Err(format!("shim {}: {e}; {hint}", shim.display()))
        }
    }
}

/// A socket that is listened on, with the identity that its file had when it was bound.
#[derive(Debug, Clone)]
pub struct Bound {
    path: PathBuf,
    identity: (u64, u64),
}

impl Bound {
    /// Records the identity of a socket that was just bound.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn new(path: &Path) -> std::io::Result<Self> {
        let meta = std::fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), identity: (meta.dev(), meta.ino()) })
    }

    /// Checks that clients that connect to the path reach this socket.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what to do about it.
    pub fn check(&self) -> Result<(), String> {
        let path = self.path.display();
        match std::fs::symlink_metadata(&self.path) {
            Ok(meta) if meta.file_type().is_socket() && (meta.dev(), meta.ino()) == self.identity => Ok(()),
            Ok(_) => Err(format!("{path} is not the socket that goraed listens on; restart goraed")),
            Err(e) => Err(format!("{path}: {e}; clients cannot connect; restart goraed")),
        }
    }
}

/// Counts the objects in the directory for those whose records are damaged.
///
/// # Errors
/// The kernel's error, with the path.
pub fn count_damaged(dir: &Path) -> Result<u64, String> {
    match std::fs::read_dir(dir) {
        Ok(entries) => Ok(u64::try_from(entries.count()).unwrap_or(u64::MAX)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(format!("read {}: {e}", dir.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_directory_is_writable_when_it_exists_and_nothing_is_left_in_it() {
        let dir = tempfile::tempdir().expect("tempdir");
        check_writable(dir.path()).expect("writable");
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
        let absent = dir.path().join("absent");
        let error = check_writable(&absent).expect_err("not there");
        assert!(error.contains("create") && error.contains("absent"), "{error}");
    }

    #[test]
    fn a_shim_is_an_executable_file() {
        let dir = tempfile::tempdir().expect("tempdir");
        let shim = dir.path().join("shim");
        assert!(check_executable(&shim).expect_err("absent").contains("install gorae-shim"));
        std::fs::write(&shim, "x").expect("written");
        assert!(check_executable(&shim).expect_err("no mode").contains("is not an executable file"));
        assert!(check_executable(dir.path()).is_err(), "a directory");
        std::fs::set_permissions(&shim, std::fs::Permissions::from_mode(0o755)).expect("set");
        check_executable(&shim).expect("a program");
    }

    #[test]
    fn a_socket_that_was_removed_or_replaced_is_detected() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("socket");
        let _ours = UnixListener::bind(&path).expect("bound");
        let bound = Bound::new(&path).expect("there");
        bound.check().expect("ours");
        std::fs::rename(&path, dir.path().join("away")).expect("moved");
        assert!(bound.check().expect_err("gone").contains("restart goraed"));
        let _theirs = UnixListener::bind(&path).expect("bound");
        assert!(bound.check().expect_err("another's").contains("is not the socket"));
    }

    #[test]
    fn damaged_objects_are_counted_and_an_absent_directory_has_none() {
        let dir = tempfile::tempdir().expect("tempdir");
        let damaged = dir.path().join("damaged");
        assert_eq!(count_damaged(&damaged), Ok(0));
        std::fs::create_dir_all(damaged.join("pod-a")).expect("made");
        assert_eq!(count_damaged(&damaged), Ok(1));
    }
}
