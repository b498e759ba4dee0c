// SPDX-License-Identifier: Apache-2.0
//! The socket: taken from no other program, then bound.

use super::locks::{DYING, lock};
use crate::health::checks::Bound;
use gorae_node::error::{Error, Kind, Result};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;
use tokio::net::UnixListener;

/// Makes sure that no other process serves the socket, because binding it would take that server's clients away. A lock
/// file next to the socket excludes another goraed; a trial connection detects any other program.
pub(super) fn own_socket(socket: &Path) -> Result<File> {
    if let Some(dir) = socket.parent() {
        gorae_node::make_dir(dir)?;
    }
    let mut lock_path = socket.as_os_str().to_owned();
    lock_path.push(".lock");
    let file = lock(Path::new(&lock_path), socket, "pass a different --listen")?;
    let patience = Instant::now() + DYING;
    while is_served(socket).map_err(|e| Error::io("check for a listener on", socket, &e.into()))? {
        if Instant::now() < patience {
            std::thread::sleep(DYING / 100);
            continue;
        }
        let why = format!("another program listens on {}; stop it or pass a different --listen", socket.display());
        return Err(Error::new(Kind::AlreadyExists, why));
    }
    Ok(file)
}

/// Whether a process listens on a socket, even one that does not accept connections. Never blocks.
fn is_served(socket: &Path) -> rustix::io::Result<bool> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&probe, &SocketAddrUnix::new(socket)?) {
        // EAGAIN: the listener's backlog is full.
        Ok(()) | Err(rustix::io::Errno::AGAIN) => Ok(true),
        Err(_) => Ok(false),
    }
}

/// Binds the socket, which [`own_socket`] has found to be free.
pub(super) fn listen(socket: &Path) -> Result<(UnixListener, Bound)> {
    match std::fs::remove_file(socket) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove old socket", socket, &e)),
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(|e| Error::io("listen on", socket, &e))?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o660))
        .map_err(|e| Error::io("restrict socket", socket, &e))?;
    let bound = Bound::new(socket).map_err(|e| Error::io("stat socket", socket, &e))?;
    Ok((listener, bound))
}
