// SPDX-License-Identifier: Apache-2.0
//! The verbs of a running container's shim.

use super::Shim;
use super::verbs::{self, Resize, Signal, Target, Update};
use crate::exec;
use crate::failure::{self, Kind, Result};
use crate::oom_score;
use crate::stop::Stop;
use crate::sys;
use crate::terminal;
use crate::wire::{self, Attached, Done, reply::Body, request::Verb};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// A reply's body and descriptors.
type Answer = (Body, Vec<OwnedFd>);

impl Shim {
    /// Serves all requests that a connection has sent.
    pub(super) fn on_client(&mut self, id: u64) {
        self.clients.flush(&self.epoll, id);
        loop {
            match self.clients.receive(id) {
                Ok(Some(incoming)) => {
                    let request = incoming.request.id;
                    let answer = self.answer((id, request), incoming.request.verb, incoming.descriptors);
                    let answer = answer.unwrap_or_else(|failure| Some((Body::Failure(failure), Vec::new())));
                    if let Some((body, descriptors)) = answer {
                        self.clients.reply(&self.epoll, id, request, body, descriptors);
                    }
                }
                Ok(None) | Err(crate::clients::Gone) => return,
            }
        }
    }

    /// Serves one request. `None`: the reply is sent later.
    fn answer(&mut self, asker: (u64, u64), verb: Option<Verb>, descriptors: Vec<OwnedFd>) -> Result<Option<Answer>> {
        let verb =
            verb.ok_or_else(|| failure::refused(Kind::Unimplemented, "serve", "request", "unknown to this shim"))?;
        if let Verb::GetState(_) = verb {
            return Ok(Some((Body::State(self.state.record().clone()), Vec::new())));
        }
        if self.leave_at.is_some() {
            return self.answer_after_the_end(&verb).map(Some);
        }
        match verb {
            Verb::Exec(exec) => {
                return self.start_exec(asker, exec::Request::checked(exec)?, descriptors).map(|()| None);
            }
            Verb::EndExec(end) => self.end_exec(end.exec)?,
            Verb::Signal(signal) => self.signal(&Signal::checked(signal)?)?,
            Verb::Stop(stop) => self.begin_stop(&verbs::Stop::checked(stop)?)?,
            Verb::ResizeTty(resize) => self.resize(&resize.into())?,
            Verb::UpdateResources(update) => self.update(&Update::checked(update)?)?,
            Verb::ReopenLog(_) => self.reopen_log()?,
            Verb::Attach(attach) => return self.attach(&attach).map(Some),
            _ => {
                return Err(failure::refused(Kind::InvalidArgument, "serve", "request", "not for a running container"));
            }
        }
        Ok(Some((Body::Done(Done {}), Vec::new())))
    }

    /// Idempotent requests succeed, because their work is already done; the others come too late.
    fn answer_after_the_end(&self, verb: &Verb) -> Result<Answer> {
        match verb {
            Verb::Stop(_) | Verb::EndExec(_) => Ok((Body::Done(Done {}), Vec::new())),
            _ => Err(not_running()),
        }
    }

    fn signal(&mut self, &Signal { target, number }: &Signal) -> Result<()> {
        let fail = |e| failure::kernel("signal", number.to_string(), e);
        // Set before the signal is sent, because the container may end at once.
        self.killed |= number == libc::SIGKILL && target == Target::Container;
        let pidfd = match target {
            Target::Container => &self.container.pidfd,
            Target::Exec(id) => {
                let exec = self.execs.iter().find(|e| e.id == id);
                exec.and_then(|exec| exec.life.pidfd()).ok_or_else(|| no_such_exec(id))?
            }
        };
        sys::pidfd_send_signal(pidfd.as_fd(), number).map_err(fail)
    }

    fn update(&mut self, Update { resources, oom_score_adj }: &Update) -> Result<()> {
        let Some(score) = *oom_score_adj else { return self.container.cgroup.update(resources) };
        let before = oom_score::change(|| self.container.cgroup.processes(), score)?;
        self.container.cgroup.update(resources).inspect_err(|_| before.put_back())?;
        self.container.oom_score_adj = Some(score);
        Ok(())
    }

    fn begin_stop(&mut self, asked: &verbs::Stop) -> Result<()> {
        let now = Instant::now();
        match &mut self.stop {
            Some(stop) => stop.shorten(asked.grace_ms, now),
            None => self.stop = Some(Stop::begin(&self.container, asked.signal, asked.grace_ms, now)?),
        }
        if self.state.record().stopping.is_none() {
            let stopping = wire::Stopping { since_ns: gorae_kernel::clock::now_ns(), stuck: String::new() };
            self.change_state(|record| record.stopping = Some(stopping));
        }
        Ok(())
    }

    pub(super) fn stop_on_time(&mut self, now: Instant) {
        let Some(stop) = self.stop.as_mut().filter(|stop| self.leave_at.is_none() && stop.deadline <= now) else {
            return;
        };
        let stuck = match stop.on_time(&self.container, now) {
            Ok(stuck) => stuck.unwrap_or_default(),
            Err(failure) => failure.message,
        };
        let since_ns = self.state.record().stopping.as_ref().map_or(0, |s| s.since_ns);
        self.change_state(|record| record.stopping = Some(wire::Stopping { since_ns, stuck }));
    }

    fn resize(&self, &Resize { target, rows, columns }: &Resize) -> Result<()> {
        let no_terminal = || failure::refused(Kind::FailedPrecondition, "resize", "terminal", "the process has none");
        match target {
            Target::Container => {
                terminal::resize(self.container.stdio.master().ok_or_else(no_terminal)?, rows, columns)
            }
            Target::Exec(id) => {
                let exec = self.execs.iter().find(|e| e.id == id).ok_or_else(|| no_such_exec(id))?;
                terminal::resize(exec.slave.as_ref().ok_or_else(no_terminal)?, rows, columns)
            }
        }
    }

    fn reopen_log(&mut self) -> Result<()> {
        let reopened = self.container.stdio.reopen();
        reopened.map_err(|e| failure::refused(Kind::Internal, "reopen log", "log", &e.to_string()))
    }

    fn attach(&mut self, attach: &wire::Attach) -> Result<Answer> {
        let descriptors = self.container.stdio.attach(attach).map_err(|e| failure::kernel("attach", "stdio", e))?;
        self.stdio_has_changed();
        let tty = self.container.stdio.terminal();
        Ok((Body::Attached(Attached { tty }), descriptors))
    }
}

/// The failure of a request that needs a running container, after its end.
pub(super) fn not_running() -> failure::Failure {
    failure::refused(Kind::FailedPrecondition, "serve", "request", "the container is not running")
}

pub(super) fn no_such_exec(exec: u64) -> failure::Failure {
    failure::refused(Kind::NotFound, "find exec", exec.to_string(), "it has ended or never existed")
}
