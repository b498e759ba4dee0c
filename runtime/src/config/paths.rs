// SPDX-License-Identifier: Apache-2.0
//! Paths in the configuration: the daemon's directories, its socket and its shim.

use super::raw::{Overrides, RawConfig};
use std::path::{Component, Path, PathBuf};

/// Default of `root`.
pub const DEFAULT_ROOT: &str = "/var/lib/gorae";
/// Default of `state`.
pub const DEFAULT_STATE: &str = "/run/gorae";
/// Longest path of a unix socket that the kernel accepts, without the final NUL.
const MAX_SOCKET_PATH: usize = 107;

/// The paths that a daemon needs, checked: absolute, and without `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Where pods, containers and images are kept.
    pub root: PathBuf,
    /// Where state that does not survive a reboot is kept.
    pub state: PathBuf,
    /// The CRI socket.
    pub socket: PathBuf,
    /// The shim binary.
    pub shim: PathBuf,
}

/// Checks the paths of the file and of the command line.
///
/// # Errors
/// A sentence that begins with the key.
pub fn check(raw: &RawConfig, over: &Overrides) -> Result<Paths, String> {
    let chosen = |over: &Option<PathBuf>, raw: &Option<PathBuf>, default: &str| {
        over.clone().or_else(|| raw.clone()).unwrap_or_else(|| default.into())
    };
    let root = absolute("root", chosen(&over.root, &raw.root, DEFAULT_ROOT))?;
    let state = absolute("state", chosen(&over.state, &raw.state, DEFAULT_STATE))?;
    if root == state {
        return Err(format!("root and state are both {}: they must be different directories", root.display()));
    }
    let socket = match over.listen.as_ref().or(raw.listen.as_ref()) {
        Some(listen) => socket("listen", listen)?,
        None => socket_path("listen", state.join("gorae.sock"))?,
    };
    let shim = match raw.shim.clone() {
        Some(path) => absolute("shim", path)?,
        None => next_to_this_program()?,
    };
    Ok(Paths { root, state, socket, shim })
}

/// Parses the path of a socket from `unix:///PATH`.
///
/// # Errors
/// A sentence that begins with the key.
pub fn socket(key: &str, listen: &str) -> Result<PathBuf, String> {
    let path =
        listen.strip_prefix("unix://").ok_or_else(|| format!("{key}: {listen:?} is not of the form unix:///PATH"))?;
    socket_path(key, path.into())
}

/// Checks that a path can be that of a socket.
///
/// # Errors
/// A sentence that begins with the key.
pub fn socket_path(key: &str, path: PathBuf) -> Result<PathBuf, String> {
    let path = absolute(key, path)?;
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        return Err(format!("{key}: {} is longer than {MAX_SOCKET_PATH} bytes", path.display()));
    }
    Ok(path)
}

/// Checks that a path means the same from any working directory, and has no `..`.
///
/// # Errors
/// A sentence that begins with the key.
pub fn absolute(key: &str, path: PathBuf) -> Result<PathBuf, String> {
    let climbs = |path: &Path| path.components().any(|part| matches!(part, Component::ParentDir));
    if path.is_absolute() && !climbs(&path) {
        Ok(path)
    } else {
        Err(format!("{key}: {} is not an absolute path without \"..\"", path.display()))
    }
}

/// [`absolute`] for each path of a list.
///
/// # Errors
/// A sentence that begins with the key, about the first path that fails.
pub fn all_absolute(key: &str, paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, String> {
    paths.into_iter().map(|path| absolute(key, path)).collect()
}

fn next_to_this_program() -> Result<PathBuf, String> {
    let me = std::env::current_exe().map_err(|e| format!("find the path of this program: {e}"))?;
    Ok(me.with_file_name("gorae-shim"))
}
