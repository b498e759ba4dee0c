// SPDX-License-Identifier: Apache-2.0
//! Where the listener is, and one connection after the other from there.

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
    place: Place,
}

/// Either kind of listener.
#[derive(Debug)]
pub enum Socket {
    /// For root alone.
    Unix(UnixListener),
    /// For everybody on this machine.
    Tcp(TcpListener),
}

/// Who can be at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Root: the socket is for nobody else.
    Root,
    /// Everybody on this machine, and every web page that somebody's browser here has open.
    Anybody,
}

/// A connection of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The path of a socket; removed when this is dropped.
#[derive(Debug)]
pub struct Place(Option<PathBuf>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What is there at the next start is removed then.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Listener {
    /// Listens where the configuration says; `None` when it says nowhere.
    ///
    /// # Errors
    /// The kernel's, with the path or address and the key to change.
    pub async fn bind(admin: &Admin) -> Result<Option<Self>> {
        match admin {
            Admin::Off => Ok(None),
            Admin::Unix(path) => unix(path).map(Some).map_err(|e| e.during("admin.listen")),
            Admin::Loopback(address) => loopback(*address).await.map(Some),
        }
    }

    /// The socket and its place.
    pub(super) fn into_parts(self) -> (Socket, Place) {
        (self.socket, self.place)
    }
}

/// A socket that was bound is for everybody until its mode is set: it gets its name only then.
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
    let place = Place(Some(hidden.clone()));
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o600))
        .map_err(|e| Error::io("restrict socket", path, &e))?;
    std::fs::rename(&hidden, path).map_err(|e| Error::io("name socket", path, &e))?;
    drop(place);
    tracing::info!(socket = %path.display(), "serving operators");
    Ok(Listener { socket: Socket::Unix(socket), place: Place(Some(path.to_owned())) })
}

async fn loopback(address: SocketAddr) -> Result<Listener> {
    let failed = |e: std::io::Error| Error::precondition(format!("admin.listen: listen on {address}: {e}"));
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    tracing::info!(%address, "serving operators");
    Ok(Listener { socket: Socket::Tcp(socket), place: Place(None) })
}

impl Socket {
    /// The next connection.
    ///
    /// # Errors
    /// The kernel's, as when no descriptor is free.
    pub async fn accept(&self) -> std::io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer::Root))
            }
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer::Anybody))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_for_its_owner_alone_takes_the_place_of_an_old_one_and_goes() {
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
    async fn an_address_that_is_taken_is_named_with_its_key() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = taken.local_addr().expect("known");
        let error = Listener::bind(&Admin::Loopback(address)).await.expect_err("taken").to_string();
        assert!(error.contains("admin.listen") && error.contains(&address.to_string()), "{error}");
        assert!(Listener::bind(&Admin::Off).await.expect("fine").is_none());
    }
}
