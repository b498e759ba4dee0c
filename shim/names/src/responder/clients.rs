// SPDX-License-Identifier: Apache-2.0
//! The containers that ask, each with the sockets in its own network namespace.

use super::Responder;
use super::held::Client;
use crate::bucket::Bucket;
use crate::poll::{Token, Wanted};
use rustix::net::SocketType;
use rustix::net::sockopt::{socket_acceptconn, socket_type};
use std::io::{self, ErrorKind};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Instant;

impl Responder {
    /// Adds a container, or gives it new sockets: one for datagrams, and one that listens.
    ///
    /// # Errors
    /// They are other sockets, or the kernel has no room. The container is not a client then.
    pub fn add_client(&mut self, container: &str, datagrams: OwnedFd, listener: OwnedFd) -> io::Result<()> {
        self.remove_client(container);
        if socket_type(&datagrams)? != SocketType::DGRAM || !socket_acceptconn(&listener)? {
            return Err(ErrorKind::InvalidInput.into());
        }
        let (datagrams, listener) = (UdpSocket::from(datagrams), TcpListener::from(listener));
        datagrams.set_nonblocking(true)?;
        listener.set_nonblocking(true)?;
        let number = self.number();
        self.poll.add(&datagrams, Token::Datagrams(number), Wanted::Input)?;
        self.poll.add(&listener, Token::Listener(number), Wanted::Input)?;
        let (container, view) = (container.to_owned(), self.table.view(container));
        let bucket = Bucket::new(Instant::now());
        let (open, connections, queries, pauses) = (0, 0, 0, 0);
        let client = Client { container, datagrams, listener, view, bucket, open, connections, queries, pauses };
        self.clients.insert(number, client);
        Ok(())
    }

    /// Forgets a container and closes its sockets. Returns whether it was there.
    pub fn remove_client(&mut self, container: &str) -> bool {
        let Some(&number) = self.clients.iter().find(|(_, c)| c.container == container).map(|(number, _)| number)
        else {
            return false;
        };
        self.relays.retain(|_, relay| relay.client != number);
        self.streams.retain(|_, stream| stream.client != number);
        self.clients.remove(&number);
        true
    }

    /// Whether there is anybody to answer.
    pub fn has_clients(&self) -> bool {
        !self.clients.is_empty()
    }
}
