// SPDX-License-Identifier: Apache-2.0
//! The spec files of a node's directories.

use super::spec::{Format, Spec};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes; files of real machines are far smaller.
const MAX_FILE: u64 = 4 << 20;
/// Largest number of files in one directory; the others are ignored with a warning.
const MAX_FILES: usize = 1024;

/// A spec file that passed the checks.
pub(super) struct Readable {
    /// Where it is.
    pub path: PathBuf,
    /// Index of its directory; the higher one wins.
    pub priority: usize,
    /// Its content.
    pub spec: Spec,
}

/// The spec files of all directories.
pub(super) struct Found {
    /// The files that passed the checks.
    pub specs: Vec<Readable>,
    /// The files that are broken; the reason is logged.
    pub refused: Vec<PathBuf>,
}

/// Reads all `.json` and `.yaml` files. A missing directory counts as empty.
pub(super) fn read(directories: &[PathBuf]) -> Found {
    let mut found = Found { specs: Vec::new(), refused: Vec::new() };
    for (priority, directory) in directories.iter().enumerate() {
        for path in list(directory) {
            match read_one(&path) {
                Ok(spec) => found.specs.push(Readable { path, priority, spec }),
                Err(why) => {
                    tracing::warn!(file = %path.display(), %why, "ignoring a broken CDI spec file");
                    found.refused.push(path);
                }
            }
        }
    }
    found
}

/// The spec files of a directory, in the order of their names.
fn list(directory: &Path) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(e) => {
            tracing::warn!(directory = %directory.display(), error = %e, "cannot list a CDI directory");
            return Vec::new();
        }
    };
    let is_spec = |path: &PathBuf| path.extension().is_some_and(|e| e == "json" || e == "yaml");
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).filter(is_spec).take(MAX_FILES + 1).collect();
    paths.sort();
    if paths.len() > MAX_FILES {
        tracing::warn!(directory = %directory.display(), "more than {MAX_FILES} CDI spec files; ignoring the others");
        paths.truncate(MAX_FILES);
    }
    paths
}

fn read_one(path: &Path) -> Result<Spec, String> {
    // Non-blocking: if the file is a FIFO, opening it must not block this thread.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(|e| e.to_string())?;
    let text = bounded(&file)?;
    let format = if path.extension().is_some_and(|e| e == "yaml") { Format::Yaml } else { Format::Json };
    Spec::parse(&text, format)
}

fn bounded(file: &File) -> Result<String, String> {
    if !file.metadata().map_err(|e| e.to_string())?.is_file() {
        return Err("not a regular file".into());
    }
    let mut text = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > MAX_FILE {
        return Err(format!("larger than {MAX_FILE} bytes"));
    }
    String::from_utf8(text).map_err(|_| "not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_a_spec_is_refused_alone() {
        let dir = tempfile::tempdir().expect("dir");
        let good = r#"{"cdiVersion": "0.5.0", "kind": "v/c", "devices": []}"#;
        std::fs::write(dir.path().join("good.json"), good).expect("write");
        std::fs::write(dir.path().join("text.txt"), "not a spec").expect("write");
        std::fs::write(dir.path().join("huge.yaml"), " ".repeat(MAX_FILE as usize + 1)).expect("write");
        std::fs::write(dir.path().join("bytes.json"), [0xff]).expect("write");
        std::fs::create_dir(dir.path().join("directory.json")).expect("mkdir");
        let found = read(&[dir.path().to_owned(), "/no/such/directory".into()]);
        assert_eq!((found.specs.len(), found.refused.len()), (1, 3));
    }
}
