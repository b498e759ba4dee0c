// SPDX-License-Identifier: Apache-2.0
//! The execs of a running container, driven by events.

use super::Shim;
use super::requests::{no_such_exec, not_running};
use crate::epoll::{Epoll, Token, Wanted};
use crate::exec::{self, Ending, Exec, Report};
use crate::failure::Result;
use crate::fault::Outcome;
use crate::reap;
use crate::setup::Container;
use crate::wire::{ExecExited, ExecStarted, push, reply::Body};
use std::os::fd::OwnedFd;
use std::time::Instant;

impl Shim {
    /// Starts an exec. The reply is sent once its child has become the program.
    pub(super) fn start_exec(&mut self, asker: (u64, u64), asked: exec::Request, fds: Vec<OwnedFd>) -> Result<()> {
        let id = self.next_exec;
        self.next_exec += 1;
        let exec = exec::start(&self.container, id, asker, asked, fds)?;
        if let Report::Owed { watcher, .. } = &exec.report {
            self.epoll.add(watcher, Token::Fault(id), Wanted::Input)?;
        }
        if let Some(middle) = &exec.middle {
            self.epoll.add(middle, Token::Exec(id), Wanted::Input)?;
        }
        self.execs.push(exec);
        Ok(())
    }

    /// Handles an event of an exec's fault channel.
    pub(super) fn on_exec_fault(&mut self, id: u64) {
        // A process that has become the program has already been reported.
        self.meet_exec(id);
        let Some(exec) = self.execs.iter_mut().find(|e| e.id == id) else { return };
        let Report::Owed { request, watcher } = &exec.report else { return };
        let (request, over) = (*request, self.leave_at.is_some());
        // Without a program there is no exit to report.
        let (report, body) = match watcher.look() {
            Outcome::Pending if !exec.life.has_ended() => return,
            // The container's end has killed the middle process as well.
            Outcome::Running | Outcome::Pending if exec.life.is_unborn() && over => {
                (Report::Done, Body::Failure(not_running()))
            }
            // Pending although it has ended: a process that traced it may still hold the other end of the channel.
            Outcome::Running | Outcome::Pending => {
                (Report::Started, Body::ExecStarted(ExecStarted { exec: id, pid: exec.pid as u32 }))
            }
            Outcome::Failed(_) if over => (Report::Done, Body::Failure(not_running())),
            Outcome::Failed(failure) => (Report::Done, Body::Failure(exec::explained(failure, self.container.pid))),
        };
        exec.report = report;
        let master = exec.master.take().filter(|_| matches!(body, Body::ExecStarted(_)));
        let client = exec.client;
        self.clients.reply(&self.epoll, client, request, body, master.into_iter().collect());
    }

    /// Handles the end of an exec's process, or of the middle process before it.
    pub(super) fn on_exec_end(&mut self, id: u64) {
        self.on_exec_fault(id);
        self.end_middle(id);
        self.look_for_lost(id);
        self.end_process(id);
        self.settle_execs(Instant::now());
    }

    fn end_process(&mut self, id: u64) {
        let Some(exec) = self.execs.iter_mut().find(|e| e.id == id) else { return };
        let Some(pidfd) = exec.life.pidfd() else { return };
        let Some(exit_code) = reap::reap(pidfd) else { return };
        self.epoll.remove(pidfd);
        exec.ended(&self.container, exit_code, Instant::now());
        // It may have become the program and ended since the last check.
        self.on_exec_fault(id);
    }

    /// Starts to watch an exec's process once its pid is known.
    fn meet_exec(&mut self, id: u64) {
        let known = self.known();
        let Some(exec) = self.execs.iter_mut().find(|e| e.id == id) else { return };
        if exec.meet(&self.container, &known, Instant::now()) {
            watch(&self.epoll, exec, &self.container);
        }
    }

    fn end_middle(&mut self, id: u64) {
        let Some(exec) = self.execs.iter_mut().find(|e| e.id == id) else { return };
        let Some(middle) = &exec.middle else { return };
        if reap::reap(middle).is_some() {
            self.epoll.remove(middle);
            exec.middle = None;
            self.meet_exec(id);
        }
    }

    /// Looks for a process that a killed middle process made but could not report.
    fn look_for_lost(&mut self, id: u64) {
        let is_lost = |e: &Exec| e.life.is_unborn() && e.middle.is_none();
        let Some(at) = self.execs.iter().position(|e| e.id == id && is_lost(e)) else { return };
        let others_come = self.execs.iter().any(|e| e.life.is_unborn() && e.middle.is_some());
        let (stray, now) = (self.stray(), Instant::now());
        let exec = &mut self.execs[at];
        match stray {
            // It may be the one that another middle process is about to report.
            Some(_) if others_come => exec.look_again(now),
            Some(pid) => {
                if exec.adopt_stray(pid, &self.container, now) {
                    watch(&self.epoll, exec, &self.container);
                }
            }
            // A middle process that reports nothing can only have been ended by SIGKILL.
            None => exec.ended(&self.container, 128 + libc::SIGKILL, now),
        }
    }

    /// A child of this process that nothing else accounts for.
    fn stray(&self) -> Option<i32> {
        let known = self.known();
        reap::children().into_iter().find(|pid| !known.contains(pid))
    }

    fn known(&self) -> Vec<i32> {
        let execs = self.execs.iter().filter(|e| !e.life.has_ended());
        execs.map(|e| e.pid).chain([self.container.pid]).collect()
    }

    pub(super) fn end_exec(&mut self, id: u64) -> Result<()> {
        let exec = self.execs.iter_mut().find(|e| e.id == id).ok_or_else(|| no_such_exec(id))?;
        exec.end(Ending::Killed, &self.container);
        Ok(())
    }

    /// Ends the execs of closed connections, whose output and exit have no reader any more. Processes that a finished exec
    /// left behind are not affected.
    fn end_orphans(&mut self) {
        let running = |e: &&mut Exec| e.ending != Ending::Orphaned && !e.life.has_ended();
        for exec in self.execs.iter_mut().filter(running).filter(|e| !self.clients.contains(e.client)) {
            exec.end(Ending::Orphaned, &self.container);
        }
    }

    pub(super) fn execs_on_time(&mut self, now: Instant) {
        self.leftovers.on_time(&self.container.cgroup, now);
        if self.execs.is_empty() {
            return;
        }
        self.end_orphans();
        let mut lost = Vec::new();
        for exec in &mut self.execs {
            if exec.deadline.is_some_and(|at| at <= now) {
                exec.deadline = None;
                exec.end(Ending::TimedOut, &self.container);
            }
            if exec.retry_at.is_some_and(|at| at <= now) {
                match exec.life.has_ended() {
                    true => exec.retry(&self.container, now),
                    false => {
                        exec.retry_at = None;
                        lost.push(exec.id);
                    }
                }
            }
        }
        for id in lost {
            self.on_exec_end(id);
        }
        self.settle_execs(now);
    }

    /// Reports the exits that can be reported, and drops the execs that are finished.
    fn settle_execs(&mut self, now: Instant) {
        for exec in &mut self.execs {
            let Some(exit_code) = exec.to_tell(now) else { continue };
            exec.report = Report::Done;
            let exited = ExecExited { exec: exec.id, exit_code, timed_out: exec.ending == Ending::TimedOut };
            self.clients.push(&self.epoll, Some(exec.client), &push::Body::ExecExited(exited));
        }
        let before = self.execs.len();
        let left = &mut self.leftovers;
        self.execs.retain(|exec| {
            if exec.is_over() && exec.has_cgroup() {
                left.take(exec.id, now);
            }
            !exec.is_over()
        });
        if self.execs.len() < before {
            left.look(&self.container.cgroup, now);
        }
    }
}

/// Watches for the end of an exec's process. One that cannot be watched is killed, and polled instead.
fn watch(epoll: &Epoll, exec: &mut Exec, container: &Container) {
    let watched = exec.life.pidfd().is_some_and(|pidfd| epoll.add(pidfd, Token::Exec(exec.id), Wanted::Input).is_ok());
    if !watched {
        exec.end(Ending::Killed, container);
        exec.look_again(Instant::now());
    }
}
