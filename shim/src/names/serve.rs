// SPDX-License-Identifier: Apache-2.0
//! The node's name server: one thread and one loop, until nobody needs it any more.
//!
//! It goes on with what it was told last while no daemon is connected. It answers in the host's network namespace, so
//! that a server of the host's that listens on loopback only can be asked, and has no files open.

use super::request::{self, Place};
use crate::clients::{self, Clients};
use crate::connection::{Connection, Incoming};
use crate::detach::detach;
use crate::epoll::{Epoll, Token, Wanted};
use crate::failure::{self, Failure, Kind, Result};
use crate::malformed::Malformed;
use crate::wire::{Done, Request, ServeNames, reply, request::Verb};
use gorae_names::Responder;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// The socket's name in the state directory.
const SOCKET: &str = "names.sock";

#[derive(Debug)]
struct Server {
    epoll: Epoll,
    daemons: Clients,
    responder: Responder,
    place: Place,
    /// Since when there is nobody.
    alone: Option<Instant>,
}

/// Serves until there was nobody for a while.
///
/// # Errors
/// It cannot be begun; the daemon has been told why.
pub fn serve(mut connection: Connection, id: u64, request: ServeNames) -> Result<()> {
    let begun = request::place(request).and_then(Server::begin);
    let mut server = begun.inspect_err(|failure| {
        let _ = connection.reply(id, reply::Body::Failure(failure.clone()), Vec::new());
    })?;
    detach();
    allow_many_descriptors();
    // If the daemon has gone in the meantime, the next one connects.
    let _ = connection.queue_reply(id, reply::Body::Done(Done {}), Vec::new());
    server.daemons.admit(&server.epoll, connection)?;
    server.run();
    clients::unlink(&server.place.state_dir, SOCKET);
    Ok(())
}

/// A socket for each question, and two for each container: more than a process usually may have.
fn allow_many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

impl Server {
    fn begin(place: Place) -> Result<Self> {
        refuse_a_second_one(&place)?;
        let epoll = Epoll::new()?;
        let responder = Responder::new().map_err(|e| failure::kernel("make", "name server", e))?;
        epoll.add(&responder, Token::Names, Wanted::Input)?;
        let daemons = Clients::listen(&place.state_dir, SOCKET)?;
        daemons.watch(&epoll)?;
        Ok(Self { epoll, daemons, responder, place, alone: None })
    }

    fn run(&mut self) {
        loop {
            let leave = self.alone.map(|since| since + self.place.linger);
            let until = leave.into_iter().chain(self.responder.next_turn()).min();
            for token in self.epoll.wait(until) {
                match token {
                    Token::Listener => self.daemons.accept(&self.epoll),
                    Token::Client(daemon) => self.on_daemon(daemon),
                    _ => {}
                }
            }
            self.responder.turn();
            let now = Instant::now();
            let is_needed = self.responder.has_clients() || !self.daemons.are_none();
            self.alone = if is_needed { None } else { self.alone.or(Some(now)) };
            if self.alone.is_some_and(|since| since + self.place.linger <= now) {
                return;
            }
        }
    }

    fn on_daemon(&mut self, daemon: u64) {
        self.daemons.flush(&self.epoll, daemon);
        while let Ok(Some(Incoming { request: Request { id, verb }, descriptors })) = self.daemons.receive(daemon) {
            let body = self.obey(verb, descriptors).unwrap_or_else(reply::Body::Failure);
            self.daemons.reply(&self.epoll, daemon, id, body, Vec::new());
        }
    }

    fn obey(&mut self, verb: Option<Verb>, descriptors: Vec<OwnedFd>) -> Result<reply::Body> {
        match verb {
            Some(Verb::SetNames(set)) => {
                let (networks, upstream) = request::names(set)?;
                self.responder.set(networks, upstream);
            }
            Some(Verb::AddNameClient(add)) => {
                let container = request::client(add)?;
                let [datagrams, listener] = <[OwnedFd; 2]>::try_from(descriptors)
                    .map_err(|other| Malformed::new("descriptors", format!("there are {}, not 2", other.len())))?;
                let added = self.responder.add_client(&container, datagrams, listener);
                added.map_err(|e| failure::kernel("answer names for", container, e))?;
            }
            Some(Verb::RemoveNameClient(remove)) => {
                self.responder.remove_client(&remove.container_id);
            }
            Some(Verb::CountNames(_)) => {
                return Ok(reply::Body::NameCounters(request::counters(self.responder.counters())));
            }
            _ => return Err(foreign()),
        }
        Ok(reply::Body::Done(Done {}))
    }
}

/// A second one would take the socket away, and the containers of the first one could not be reached any more.
fn refuse_a_second_one(place: &Place) -> Result<()> {
    let path = || place.state_dir.join(SOCKET).display().to_string();
    let dir = std::fs::File::open(&place.state_dir).map_err(|e| failure::kernel("serve names at", path(), e))?;
    // Through the directory's descriptor: an address has room for 107 bytes only.
    match UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd())) {
        Ok(_) => Err(failure::refused(Kind::AlreadyExists, "serve names at", path(), "another process does")),
        Err(_) => Ok(()),
    }
}

fn foreign() -> Failure {
    failure::refused(Kind::InvalidArgument, "serve", "names", "the request does not belong to this role")
}
