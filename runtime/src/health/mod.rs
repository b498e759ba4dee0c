// SPDX-License-Identifier: Apache-2.0
//! Checks for problems that an operator must act on: a directory that is not writable, a missing shim, a socket that
//! was removed. Monitoring polls them and gets an answer within a second.

pub mod checks;
mod probe;

pub use probe::Probe;

use checks::{Bound, check_executable, check_writable};
use futures_util::future::join_all;
use std::path::Path;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check's name, one word.
    pub check: &'static str,
    /// An error says what is wrong and, where possible, what to do about it.
    pub result: Result<(), String>,
}

/// The checks of one daemon.
#[derive(Debug)]
pub struct Health(Vec<Probe<()>>);

impl Health {
    /// The checks for these paths.
    pub fn new(root: &Path, state: &Path, shim: &Path, socket: Bound) -> Self {
        let (root, state, shim) = (root.to_owned(), state.to_owned(), shim.to_owned());
        Self(vec![
            Probe::new("root", move || check_writable(&root)),
            Probe::new("state", move || check_writable(&state)),
            Probe::new("shim", move || check_executable(&shim)),
            Probe::new("socket", move || socket.check()),
        ])
    }

    /// Runs all checks concurrently.
    pub async fn check(&self) -> Vec<Finding> {
        let finding = async |probe: &Probe<()>| Finding { check: probe.name(), result: probe.run().await };
        join_all(self.0.iter().map(finding)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[tokio::test]
    async fn each_check_that_fails_is_reported_by_its_name() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("socket");
        let _socket = UnixListener::bind(&path).expect("bound");
        let absent = dir.path().join("absent");
        let health = Health::new(dir.path(), &absent, &absent, Bound::new(&path).expect("there"));
        let findings = health.check().await;
        let wrong: Vec<&str> = findings.iter().filter(|f| f.result.is_err()).map(|f| f.check).collect();
        assert_eq!((findings.len(), wrong), (4, vec!["state", "shim"]), "{findings:?}");
    }
}
