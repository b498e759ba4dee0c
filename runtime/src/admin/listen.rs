// SPDX-License-Identifier: Apache-2.0
//! Binds the listener and accepts its connections.

use crate::config::Admin;
use gorae_node::error::{Error, Result};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

/// A listener that clients can connect to.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    path: SocketPath,
}

/// Either kind of listener.
#[derive(Debug)]
pub enum Socket {
    /// For root only.
    Unix(UnixListener),
    /// For every user of this machine.
    Tcp(TcpListener),
}

/// Who can be at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Root: no other user can connect to the socket.
    Root,
    /// Any user of this machine, and any web page that is open in a browser on it.
    Anyone,
}

/// A connection of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The path of a unix socket, `None` for TCP. The socket is removed when this is dropped.
#[derive(Debug)]
pub struct SocketPath(Option<PathBuf>);

impl Drop for SocketPath {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // A socket that is left behind is removed at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Listener {
    /// Listens where the configuration says; `None` when the listener is off.
    ///
    /// # Errors
    /// The kernel's error, with the path or address and the key to change.
    pub async fn bind(admin: &Admin) -> Result<Option<Self>> {
        match admin {
            Admin::Off => Ok(None),
            Admin::Unix(path) => unix(path).map(Some).map_err(|e| e.during("admin.listen")),
            Admin::Loopback(address) => loopback(*address).await.map(Some),
        }
    }

    /// The socket and its path.
    pub(super) fn into_parts(self) -> (Socket, SocketPath) {
        (self.socket, self.path)
    }
}

/// Binds a hidden path first: any user can connect to a new socket until its mode is set, so it is renamed only then.
fn unix(path: &Path) -> Result<Listener> {
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(".new");
    let hidden = PathBuf::from(hidden);
    for old in [&hidden, path] {
        match std::fs::remove_file(old) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove old socket", old, &e));
            }
            _ => {}
        }
    }
    let socket = UnixListener::bind(&hidden).map_err(|e| Error::io("listen on", path, &e))?;
    let guard = SocketPath(Some(hidden.clone()));
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o600))
        .map_err(|e| Error::io("restrict socket", path, &e))?;
    std::fs::rename(&hidden, path).map_err(|e| Error::io("rename socket to", path, &e))?;
    drop(guard);
    tracing::info!(socket = %path.display(), "serving operators");
    Ok(Listener { socket: Socket::Unix(socket), path: SocketPath(Some(path.to_owned())) })
}

async fn loopback(address: SocketAddr) -> Result<Listener> {
    let failed = |e: std::io::Error| Error::precondition(format!("admin.listen: listen on {address}: {e}"));
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    tracing::info!(%address, "serving operators");
    Ok(Listener { socket: Socket::Tcp(socket), path: SocketPath(None) })
}

impl Socket {
    /// Accepts the next connection.
    ///
    /// # Errors
    /// The kernel's error, for example when no descriptor is free.
    pub async fn accept(&self) -> std::io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer::Root))
            }
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer::Anyone))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_for_its_owner_only_replaces_an_old_one_and_is_removed() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("an old one"));
        let listener = Listener::bind(&Admin::Unix(path.clone())).await.expect("bound").expect("one");
        let mode = std::fs::symlink_metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
        drop(listener);
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
    }

    #[tokio::test]
    async fn an_address_that_is_in_use_is_reported_with_its_key() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = taken.local_addr().expect("known");
        let error = Listener::bind(&Admin::Loopback(address)).await.expect_err("taken").to_string();
        assert!(error.contains("admin.listen") && error.contains(&address.to_string()), "{error}");
        assert!(Listener::bind(&Admin::Off).await.expect("fine").is_none());
    }
}
