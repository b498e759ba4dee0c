// SPDX-License-Identifier: Apache-2.0
//! Whether something is wrong that an operator must act on: directories that cannot be written, a shim that is missing, a
//! socket that somebody has removed. Asked for by whoever watches the node, and answered within a second.

pub mod checks;
mod probe;

pub use probe::Probe;

use checks::{Bound, is_program, is_writable};
use futures_util::future::join_all;
use std::path::Path;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check's name, one word.
    pub check: &'static str,
    /// What is wrong, and what to do about it.
    pub result: Result<(), String>,
}

/// The checks of one daemon.
#[derive(Debug)]
pub struct Health(Vec<Probe<()>>);

impl Health {
    /// Checks of these paths.
    pub fn new(root: &Path, state: &Path, shim: &Path, socket: Bound) -> Self {
        let (root, state, shim) = (root.to_owned(), state.to_owned(), shim.to_owned());
        Self(vec![
            Probe::new("root", move || is_writable(&root)),
            Probe::new("state", move || is_writable(&state)),
            Probe::new("shim", move || is_program(&shim)),
            Probe::new("socket", move || socket.is_there()),
        ])
    }

    /// Makes all checks at the same time.
    pub async fn look(&self) -> Vec<Finding> {
        let finding = async |probe: &Probe<()>| Finding { check: probe.name(), result: probe.look().await };
        join_all(self.0.iter().map(finding)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[tokio::test]
    async fn each_check_says_by_its_name_what_is_wrong() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("socket");
        let _socket = UnixListener::bind(&path).expect("bound");
        let absent = dir.path().join("absent");
        let health = Health::new(dir.path(), &absent, &absent, Bound::new(&path).expect("there"));
        let findings = health.look().await;
        let wrong: Vec<&str> = findings.iter().filter(|f| f.result.is_err()).map(|f| f.check).collect();
        assert_eq!((findings.len(), wrong), (4, vec!["state", "shim"]), "{findings:?}");
    }
}
