// SPDX-License-Identifier: Apache-2.0
//! The container's shim after the start: one thread and one loop, until the container has ended and every client has been
//! informed.
//!
//! Requests get their replies at once, in order of arrival. Only `Exec` gets its reply later, once the program runs; the
//! loop does not block on it. An idle shim never wakes up: every wait is for an event or for a deadline in use.

mod container_exit;
mod execs;
mod leftovers;
mod requests;
mod verbs;

use crate::clients::{self, Clients, SOCKET};
use crate::connection::Connection;
use crate::detach;
use crate::epoll::{Epoll, Token, Wanted};
use crate::exec::Exec;
use crate::failure::Result;
use crate::keyring;
use crate::malformed::Malformed;
use crate::order::Order;
use crate::setup::{self, Container};
use crate::state::State;
use crate::stop::Stop;
use crate::sys::{self, Single};
use crate::wire::{ContainerState, Start, Started, push, reply};
use leftovers::Leftovers;
use std::os::fd::OwnedFd;
use std::time::Instant;

/// A container's shim.
#[derive(Debug)]
pub struct Shim {
    epoll: Epoll,
    /// Watches the descriptors of the stdio; recreated when they change.
    stdio_epoll: Epoll,
    stdio_changes: u64,
    clients: Clients,
    container: Container,
    state: State,
    stop: Option<Stop>,
    /// Whether a Signal request sent SIGKILL to the container.
    killed: bool,
    execs: Vec<Exec>,
    next_exec: u64,
    leftovers: Leftovers,
    /// Set once the container has ended: when the shim exits, even if clients still wait.
    leave_at: Option<Instant>,
}

/// Starts the container and serves it until it ends.
///
/// - Shapes: `descriptors` came with the request.
///
/// # Errors
/// The failure of the start, which has already been reported to the daemon and recorded.
pub fn run(
    mut connection: Connection,
    request: u64,
    start: Start,
    descriptors: Vec<OwnedFd>,
    single: Single,
) -> Result<()> {
    detach::detach();
    let mut state = State::starting(&start.container_id, &start.run_dir);
    let run_dir = state.run_dir().to_owned();
    let alone = keyring::join_new();
    let started = alone.and_then(|()| Clients::listen(&run_dir, SOCKET)).and_then(|clients| {
        let container = start_container(start, descriptors, &mut state, single)?;
        Ok((clients, container))
    });
    let (clients, mut container) = started.inspect_err(|failure| {
        clients::unlink(&run_dir, SOCKET);
        let _ = connection.reply(request, reply::Body::Failure(failure.clone()), Vec::new());
    })?;
    // If the daemon has died in the meantime, the next one reads the record.
    let device_program = container.device_program.take();
    let started = Started { state: Some(state.record().clone()), device_program: device_program.is_some() };
    let _ = connection.queue_reply(request, reply::Body::Started(started), device_program.into_iter().collect());
    let mut shim = Shim::new(clients, container, state)?;
    shim.clients.admit(&shim.epoll, connection)?;
    sys::release_heap();
    sys::release_stack();
    shim.serve();
    Ok(())
}

fn start_container(start: Start, descriptors: Vec<OwnedFd>, state: &mut State, single: Single) -> Result<Container> {
    // The reason also goes into the record.
    let order = Order::checked(start).inspect_err(|failure| drop(state.start_failed(failure)))?;
    let device_program = match (order.has_device_program, descriptors.into_iter().next()) {
        (true, None) => return Err(Malformed::new("device_program", "was not passed with the request").into()),
        (true, program) => program,
        (false, _) => None,
    };
    setup::start(&order, device_program, state, single)
}

impl Shim {
    fn new(clients: Clients, container: Container, state: State) -> Result<Self> {
        let epoll = Epoll::new()?;
        clients.watch(&epoll)?;
        epoll.add(&container.pidfd, Token::Container, Wanted::Input)?;
        let stdio_epoll = Epoll::new()?;
        let mut shim = Self {
            epoll,
            stdio_epoll,
            stdio_changes: u64::MAX,
            clients,
            container,
            state,
            stop: None,
            killed: false,
            execs: Vec::new(),
            next_exec: 1,
            leftovers: Leftovers::default(),
            leave_at: None,
        };
        shim.watch_stdio()?;
        Ok(shim)
    }

    fn serve(&mut self) {
        while !self.is_done() {
            for token in self.epoll.wait(self.next_time()) {
                self.on_event(token);
            }
            self.on_time(Instant::now());
        }
        self.leave();
    }

    fn on_event(&mut self, token: Token) {
        match token {
            Token::Listener => self.clients.accept(&self.epoll),
            Token::Stdio => self.on_stdio(),
            Token::Container => self.on_container_end(),
            Token::Client(id) => self.on_client(id),
            Token::Fault(id) => self.on_exec_fault(id),
            Token::Exec(id) => self.on_exec_end(id),
            Token::Names => {}
        }
    }

    fn on_stdio(&mut self) {
        for token in self.stdio_epoll.wait_raw(Some(Instant::now())) {
            self.container.stdio.on_ready(token as u32);
        }
        self.stdio_has_changed();
    }

    /// Must be called after anything that may have opened or closed a descriptor of the stdio.
    fn stdio_has_changed(&mut self) {
        if self.container.stdio.changes() != self.stdio_changes {
            // If it fails, output is not read any more; the next change tries again.
            let _ = self.watch_stdio();
        }
    }

    /// Makes a new epoll each time: closed descriptors have no number any more to remove them from the old one by.
    fn watch_stdio(&mut self) -> Result<()> {
        let fresh = Epoll::new()?;
        for interest in self.container.stdio.interests() {
            fresh.add_raw(interest.fd, interest.token.into(), interest.readable, interest.writable)?;
        }
        self.epoll.add(&fresh, Token::Stdio, Wanted::Input)?;
        self.stdio_epoll = fresh;
        self.stdio_changes = self.container.stdio.changes();
        Ok(())
    }

    fn next_time(&self) -> Option<Instant> {
        let running = self.leave_at.is_none();
        let stop = self.stop.as_ref().filter(|_| running).map(|stop| stop.deadline);
        let execs = self.execs.iter().filter_map(Exec::next_time).min();
        let left = self.leftovers.next_time().filter(|_| running);
        [stop, execs, left, self.container.stdio.deadline(), self.leave_at].into_iter().flatten().min()
    }

    fn on_time(&mut self, now: Instant) {
        if self.container.stdio.deadline().is_some_and(|at| at <= now) {
            self.container.stdio.on_time(now);
            self.stdio_has_changed();
        }
        self.stop_on_time(now);
        self.execs_on_time(now);
    }

    /// Writes the record, then pushes it to every daemon.
    fn change_state(&mut self, change: impl FnOnce(&mut ContainerState)) {
        // The record is pushed even if the disk is full or broken: the daemon must learn the actual state.
        let _ = self.state.change(change);
        let body = push::Body::State(self.state.record().clone());
        self.clients.push(&self.epoll, None, &body);
    }
}
