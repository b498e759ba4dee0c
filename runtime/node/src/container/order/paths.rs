// SPDX-License-Identifier: Apache-2.0
//! Paths inside a container, as they appear in requests, images and CDI specs.

use crate::error::{Error, Result};

/// Largest number of entries in a list of paths.
const MAX_PATHS: usize = 1024;
/// The longest path that the kernel accepts, in bytes.
const MAX_PATH: usize = 4096;

/// Cleans each path of a list; see [`clean`].
///
/// # Errors
/// `InvalidArgument` for a list that is too long; those of [`clean`].
pub fn clean_all(field: &str, list: &[String]) -> Result<Vec<String>> {
    if list.len() > MAX_PATHS {
        return Err(Error::invalid(format!("{field}: more than {MAX_PATHS} paths")));
    }
    list.iter().map(|path| clean(field, path)).collect()
}

/// Normalizes a path inside the container: absolute, and without `.`, `..` and doubled slashes.
///
/// # Errors
/// `InvalidArgument` when it is relative, has a NUL, or is over 4096 bytes.
pub fn clean(field: &str, path: &str) -> Result<String> {
    if path.len() > MAX_PATH {
        return Err(Error::invalid(format!("{field}: a path of {} bytes is longer than {MAX_PATH}", path.len())));
    }
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Error::invalid(format!("{field}: {path:?} is not an absolute path")));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_cannot_leave_the_root() {
        for (given, cleaned) in [("/a/b", "/a/b"), ("/a//b/./c/", "/a/b/c"), ("/../../etc", "/etc"), ("/", "/")] {
            assert_eq!(clean("x", given).expect("absolute"), cleaned);
        }
        for bad in ["", "a", "./a", "/a\0"] {
            assert!(clean("x", bad).is_err(), "{bad:?}");
        }
        let error = clean("x", &format!("/{}", "a".repeat(1 << 20))).expect_err("too long").to_string();
        assert!(error.len() < 100, "{error:.200}");
        assert!(clean_all("x", &vec!["/a".into(); MAX_PATHS + 1]).is_err());
    }
}
