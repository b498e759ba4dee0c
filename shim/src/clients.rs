// SPDX-License-Identifier: Apache-2.0
//! The connected daemons: the one that started the container, and any that connects later through the socket in the run
//! directory.

use crate::connection::{Connection, Incoming};
use crate::epoll::{Epoll, Token, Wanted};
use crate::failure::{self, Result};
use crate::wire::{push, reply};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// The name of a container's socket in its run directory.
pub const SOCKET: &str = "shim.sock";

/// The most connections at once: a daemon, the one that replaces it, and people who debug.
const MAX_CLIENTS: usize = 32;

/// All connections, and the socket for new ones.
#[derive(Debug)]
pub struct Clients {
    listener: OwnedFd,
    list: Vec<Client>,
    next: u64,
}

#[derive(Debug)]
struct Client {
    id: u64,
    connection: Connection,
    wanted: Wanted,
}

impl Clients {
    /// Listens in `run_dir`, on a socket of this name.
    ///
    /// # Errors
    /// The kernel's error, with the socket's path.
    pub fn listen(run_dir: &Path, socket: &str) -> Result<Self> {
        let fail = |e| failure::kernel("listen on", run_dir.join(socket).display().to_string(), e);
        let _ = fs::remove_file(run_dir.join(socket));
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(fail)?;
        // Through the directory's descriptor: an address has room for 107 bytes only.
        let dir = fs::File::open(run_dir).map_err(|e| failure::kernel("open", run_dir.display().to_string(), e))?;
        let address = SocketAddrUnix::new(format!("/proc/self/fd/{}/{socket}", dir.as_raw_fd())).map_err(fail)?;
        let umask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let bound = bind(&listener, &address);
        rustix::process::umask(umask);
        bound.map_err(fail)?;
        listen(&listener, 16).map_err(fail)?;
        Ok(Self { listener, list: Vec::new(), next: 1 })
    }

    /// Registers the listening socket.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn watch(&self, epoll: &Epoll) -> Result<()> {
        epoll.add(&self.listener, Token::Listener, Wanted::Input)
    }

    /// Adds a connection; returns its number.
    ///
    /// # Errors
    /// The kernel's error; the connection is then closed.
    pub fn admit(&mut self, epoll: &Epoll, connection: Connection) -> Result<u64> {
        let id = self.next;
        self.next += 1;
        let wanted = Wanted::of_socket(connection.has_output());
        epoll.add(&connection, Token::Client(id), wanted)?;
        self.list.push(Client { id, connection, wanted });
        Ok(id)
    }

    /// Accepts all pending connections, and keeps those from root.
    pub fn accept(&mut self, epoll: &Epoll) {
        while let Ok(socket) = accept_with(&self.listener, SocketFlags::CLOEXEC) {
            let is_root = rustix::net::sockopt::socket_peercred(&socket).is_ok_and(|peer| peer.uid.is_root());
            if is_root && self.list.len() < MAX_CLIENTS {
                let _ = self.admit(epoll, Connection::new(socket));
            }
        }
    }

    /// The next complete request of a connection. `Err` when the connection has ended and been dropped.
    ///
    /// # Errors
    /// [`Gone`]: it was closed, or what it sent is not a request.
    pub fn receive(&mut self, id: u64) -> std::result::Result<Option<Incoming>, Gone> {
        let Some(client) = self.list.iter_mut().find(|c| c.id == id) else { return Ok(None) };
        match client.connection.try_receive() {
            Ok(incoming) => Ok(incoming),
            Err(_) => {
                self.list.retain(|c| c.id != id);
                Err(Gone)
            }
        }
    }

    /// Replies to a request; it is not an error if the connection is gone by then.
    pub fn reply(&mut self, epoll: &Epoll, id: u64, request: u64, body: reply::Body, descriptors: Vec<OwnedFd>) {
        let mut once = Some((body, descriptors));
        self.send(epoll, Some(id), |connection| {
            once.take().is_none_or(|(body, fds)| connection.queue_reply(request, body, fds).is_ok())
        });
    }

    /// Sends a push message to one connection (`Some`) or to all (`None`).
    pub fn push(&mut self, epoll: &Epoll, to: Option<u64>, body: &push::Body) {
        self.send(epoll, to, |connection| connection.queue_push(body.clone()).is_ok());
    }

    /// Sends queued output when a connection can take more.
    pub fn flush(&mut self, epoll: &Epoll, id: u64) {
        self.send(epoll, Some(id), |connection| connection.flush().is_ok());
    }

    /// Whether the connection still exists.
    pub fn contains(&self, id: u64) -> bool {
        self.list.iter().any(|c| c.id == id)
    }

    /// Whether there is no connection.
    pub fn are_none(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether everything has been sent to every connection.
    pub fn are_settled(&self) -> bool {
        self.list.iter().all(|c| !c.connection.has_output())
    }

    fn send(&mut self, epoll: &Epoll, to: Option<u64>, mut action: impl FnMut(&mut Connection) -> bool) {
        self.list.retain_mut(|client| {
            if to.is_some_and(|id| id != client.id) {
                return true;
            }
            if !action(&mut client.connection) {
                return false;
            }
            let wanted = Wanted::of_socket(client.connection.has_output());
            if wanted != client.wanted {
                client.wanted = wanted;
                return epoll.modify(client.connection.as_fd(), Token::Client(client.id), wanted).is_ok();
            }
            true
        });
    }
}

/// The connection has ended.
#[derive(Debug)]
pub struct Gone;

/// Removes the socket's path.
pub fn unlink(run_dir: &Path, socket: &str) {
    let _ = fs::remove_file(run_dir.join(socket));
}
