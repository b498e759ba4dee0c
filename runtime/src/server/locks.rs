// SPDX-License-Identifier: Apache-2.0
//! Locks that let only one daemon use a directory or a socket.

use gorae_node::Places;
use gorae_node::error::{Error, Kind, Result};
use std::fs::File;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to wait for the locks of a killed daemon: the kernel releases them only once its last thread has exited.
pub(super) const DYING: Duration = Duration::from_secs(2);

/// Locks the root directory and the state directory, so that each has only one daemon. Two daemons would clean up each
/// other's work and take turns overwriting the same network table. Must come before anything in them is read.
pub(super) fn own_directories(places: &Places) -> Result<[File; 2]> {
    let root = lock(&places.root.join("lock"), &places.root, "pass a different --root")?;
    let state = lock(&places.state.join("lock"), &places.state, "pass a different --state")?;
    Ok([root, state])
}

/// Locks a file for as long as it is open. Any process that can open the file can hold the lock, so its mode admits
/// only root: no other user may keep a daemon from starting.
pub(super) fn lock(path: &Path, object: &Path, hint: &str) -> Result<File> {
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|e| Error::io("create", path, &e))?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(|e| Error::io("restrict", path, &e))?;
    let patience = Instant::now() + DYING;
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < patience => std::thread::sleep(DYING / 100),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let why = format!("another goraed uses {}; stop it or {hint}", object.display());
                return Err(Error::new(Kind::AlreadyExists, why));
            }
            Err(errno) => return Err(Error::io("lock", path, &errno.into())),
        }
    }
}
