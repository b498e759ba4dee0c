// SPDX-License-Identifier: Apache-2.0
//! Writing a cgroup's files.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// Writes a value in one call of write(2); an empty one as a lone newline.
///
/// - Errors: `NotFound` for a file that this kernel has not. (`fs::write` asks for it to be created, and a cgroup file
///   system answers that with `EACCES`.)
pub fn write(path: &Path, value: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(if value.is_empty() { b"\n" } else { value.as_bytes() })
}

#[cfg(test)]
mod tests {
    use super::write;

    #[test]
    fn a_file_that_is_missing_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory.max");
        assert_eq!(write(&path, "1").unwrap_err().kind(), std::io::ErrorKind::NotFound);
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        write(&path, "").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "\n");
    }
}
