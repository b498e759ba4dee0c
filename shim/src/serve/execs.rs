// SPDX-License-Identifier: Apache-2.0
//! The execs of a running container, by event.

use super::Shim;
use super::requests::no_such_exec;
use crate::epoll::Token;
use crate::exec::{self, Exec};
use crate::exits;
use crate::failure::Result;
use crate::fault::Outcome;
use crate::wire::{self, ExecExited, ExecStarted, push, reply::Body};
use std::os::fd::OwnedFd;
use std::time::Instant;

impl Shim {
    /// Starts one; its answer is sent when its child has become the program.
    pub(super) fn start_exec(&mut self, asker: (u64, u64), asked: &wire::Exec, fds: Vec<OwnedFd>) -> Result<()> {
        let id = self.next_exec;
        self.next_exec += 1;
        let exec = exec::start(&self.container, id, asker, asked, fds)?;
        if let Some((_, watcher)) = &exec.unanswered {
            self.epoll.add(watcher, Token::Fault(id), false)?;
        }
        self.epoll.add(&exec.pidfd, Token::Exec(id), false)?;
        self.execs.push(exec);
        Ok(())
    }

    /// The fault channel has something to say.
    pub(super) fn on_exec_fault(&mut self, id: u64) {
        let Some(exec) = self.execs.iter_mut().find(|e| e.id == id) else { return };
        let Some((request, watcher)) = exec.unanswered.take() else { return };
        let body = match watcher.look() {
            Outcome::Pending => {
                exec.unanswered = Some((request, watcher));
                return;
            }
            Outcome::Running => Body::ExecStarted(ExecStarted { exec: id, pid: exec.pid as u32 }),
            Outcome::Failed(failure) => {
                // There was no program, so there is no exit to tell.
                exec.told = true;
                Body::Failure(failure)
            }
        };
        let master = exec.master.take().filter(|_| matches!(body, Body::ExecStarted(_)));
        let client = exec.client;
        self.clients.reply(&self.epoll, client, request, body, master.into_iter().collect());
    }

    /// The process has ended.
    pub(super) fn on_exec_end(&mut self, id: u64) {
        self.on_exec_fault(id);
        let Some(exec) = self.execs.iter_mut().find(|e| e.id == id && e.exit_code.is_none()) else { return };
        let Some(exit_code) = exits::reap(&exec.pidfd) else { return };
        self.epoll.remove(&exec.pidfd);
        exec.ended(&self.container, exit_code, Instant::now());
        self.settle_execs(Instant::now());
    }

    pub(super) fn end_exec(&mut self, id: u64) -> Result<()> {
        let exec = self.execs.iter().find(|e| e.id == id).ok_or_else(|| no_such_exec(id))?;
        exec.kill(&self.container);
        Ok(())
    }

    /// Ends the execs of connections that are gone: nobody reads their output or waits for their exit.
    fn end_orphans(&mut self) {
        for exec in self.execs.iter_mut().filter(|e| !e.orphaned && !self.clients.contains(e.client)) {
            exec.orphaned = true;
            exec.kill_tree = true;
            exec.kill(&self.container);
        }
    }

    pub(super) fn execs_on_time(&mut self, now: Instant) {
        if self.execs.is_empty() {
            return;
        }
        self.end_orphans();
        for exec in &mut self.execs {
            if exec.deadline.is_some_and(|at| at <= now) {
                exec.deadline = None;
                exec.timed_out = true;
                exec.kill(&self.container);
            }
            if exec.retry_at.is_some_and(|at| at <= now) {
                exec.retry(&self.container, now);
            }
        }
        self.settle_execs(now);
    }

    /// Tells what can be told and forgets what is over.
    fn settle_execs(&mut self, now: Instant) {
        for exec in self.execs.iter_mut().filter(|e| e.can_be_told(now)) {
            exec.told = true;
            let (id, timed_out) = (exec.id, exec.timed_out);
            let exited = ExecExited { exec: id, exit_code: exec.exit_code.unwrap_or_default(), timed_out };
            self.clients.push(&self.epoll, Some(exec.client), &push::Body::ExecExited(exited));
        }
        self.execs.retain(|e| !Exec::is_over(e));
    }
}
