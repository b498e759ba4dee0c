// SPDX-License-Identifier: Apache-2.0
//! The interfaces of others whose `route_localnet` we switched on: `ROOT/loopback`.
//!
//! While it is on, only the table's guard keeps pods and neighbours from the services on the node's 127.0.0.1, so it must
//! not outlive the guard, nor the daemon's memory. Each interface is recorded before the switch. The page cache is enough:
//! a power cut resets the sysctl, too. Host ends of our own are not recorded, because they go with their pods.

use crate::error::NetworkError;
use crate::sysctl;
use gorae_kernel::checked::{self, Unusable};
use gorae_kernel::record_file::{self, Durability};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const KIND: &str = "loopback";
const VERSION: u32 = 1;

/// The interfaces, in memory and in the file. Every method blocks.
#[derive(Debug)]
pub struct Switched {
    root: PathBuf,
    interfaces: BTreeSet<String>,
}

impl Switched {
    /// Reads what the last daemon switched on. A damaged file counts as empty, because nothing else has the names.
    ///
    /// # Errors
    /// [`NetworkError::Record`] when it cannot be read; [`NetworkError::ForeignRecord`].
    pub fn load(root: &Path) -> Result<Self, NetworkError> {
        let path = root.join(KIND);
        let none = Self { root: root.to_owned(), interfaces: BTreeSet::new() };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(none),
            Err(e) => return Err(NetworkError::Record { path, why: e.to_string() }),
        };
        match checked::read(&path, KIND, VERSION, &bytes, |body| serde_json::from_slice(body)) {
            Ok(interfaces) => Ok(Self { interfaces, ..none }),
            Err(Unusable::Foreign(foreign)) => Err(NetworkError::ForeignRecord(foreign)),
            Err(Unusable::Damaged(why)) => {
                let path = path.display();
                tracing::error!(%path, %why, "unknown which interfaces have route_localnet because of us; look at them");
                Ok(none)
            }
        }
    }

    /// Those that are not in `wanted`.
    pub fn all_but(&self, wanted: &BTreeSet<String>) -> Vec<String> {
        self.interfaces.difference(wanted).cloned().collect()
    }

    /// Switches an interface on, unless it is.
    ///
    /// # Errors
    /// [`NetworkError::Record`], then it is off; [`NetworkError::Sysctl`].
    pub fn on(&mut self, interface: &str) -> Result<(), NetworkError> {
        if !sysctl::drops_loopback(interface) {
            return Ok(());
        }
        if !self.interfaces.contains(interface) {
            let mut next = self.interfaces.clone();
            next.insert(interface.to_owned());
            self.save(next)?;
        }
        sysctl::route_loopback(interface, true)
    }

    /// Switches an interface off if it was off before us.
    ///
    /// # Errors
    /// [`NetworkError::Sysctl`], then it stays recorded; [`NetworkError::Record`].
    pub fn off(&mut self, interface: &str) -> Result<(), NetworkError> {
        if !self.interfaces.contains(interface) {
            return Ok(());
        }
        sysctl::route_loopback(interface, false)?;
        let mut next = self.interfaces.clone();
        next.remove(interface);
        self.save(next)
    }

    fn save(&mut self, next: BTreeSet<String>) -> Result<(), NetworkError> {
        let path = self.root.join(KIND);
        let written = if next.is_empty() {
            std::fs::remove_file(&path).or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) })
        } else {
            let body = serde_json::to_vec(&next).map_err(std::io::Error::from);
            let bytes = body.map(|body| checked::encode(KIND, VERSION, &body));
            bytes.and_then(|bytes| record_file::replace(&self.root, KIND, &bytes, Durability::Process))
        };
        written.map_err(|e| NetworkError::Record { path, why: e.to_string() })?;
        self.interfaces = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(root: &Path) -> Vec<String> {
        Switched::load(root).expect("readable").all_but(&BTreeSet::new())
    }

    #[test]
    fn what_is_switched_on_is_known_to_the_next_daemon_and_an_empty_list_is_no_file() {
        let root = tempfile::tempdir().expect("directory");
        let mut switched = Switched::load(root.path()).expect("none yet");
        switched.save(["cni0", "lan1"].map(str::to_owned).into()).expect("writable");
        assert_eq!(load(root.path()), ["cni0", "lan1"]);
        assert_eq!(switched.all_but(&BTreeSet::from(["lan1".to_owned()])), ["cni0"]);
        switched.save(BTreeSet::new()).expect("removed");
        switched.save(BTreeSet::new()).expect("somebody removed it before");
        assert!(load(root.path()).is_empty() && !root.path().join(KIND).exists());
    }

    #[test]
    fn a_damaged_list_is_empty_and_one_of_another_version_is_an_error() {
        let root = tempfile::tempdir().expect("directory");
        std::fs::write(root.path().join(KIND), b"?").expect("writable");
        assert!(load(root.path()).is_empty());
        std::fs::write(root.path().join(KIND), checked::encode(KIND, VERSION + 1, b"[]")).expect("writable");
        assert!(matches!(Switched::load(root.path()), Err(NetworkError::ForeignRecord(_))));
    }
}
