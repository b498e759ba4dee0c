// SPDX-License-Identifier: Apache-2.0
//! The container's end, in the order that keeps the record accurate: reap, kill what is left, read all output, decide
//! about OOM, write the record, push it, remove the cgroup.

use super::Shim;
use crate::cgroup;
use crate::clients;
use crate::exec::Ending;
use crate::reap;
use crate::wire::container_state::Phase;
use std::time::{Duration, Instant};

/// How long to wait for output after the end: a process that inherited a pipe and escaped may hold it indefinitely.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// How long the shim stays for slow readers (daemons, viewers) and for execs that are being killed.
const FAREWELL: Duration = Duration::from_secs(10);

impl Shim {
    pub(super) fn on_container_end(&mut self) {
        if self.leave_at.is_some() {
            return;
        }
        let Some(exit_code) = reap::reap(&self.container.pidfd) else { return };
        self.epoll.remove(&self.container.pidfd);
        if self.container.namespaces.shares_pids() {
            let _ = self.container.cgroup.kill();
        }
        self.container.stdio.drain(DRAIN_LIMIT);
        let killed_by_us = self.killed || self.stop.as_ref().is_some_and(|stop| stop.killed);
        let oom_killed = reap::died_of_oom(cgroup::oom_kills(&self.container.cgroup), exit_code, killed_by_us);
        self.change_state(|record| {
            record.phase = Phase::Exited.into();
            record.exit_code = exit_code;
            record.oom_killed = oom_killed;
            record.finished_at_ns = gorae_kernel::clock::now_ns();
            record.stopping = None;
        });
        self.leave_at = Some(Instant::now() + FAREWELL);
        self.stdio_has_changed();
        // Execs have ended with the PID namespace, or are being killed; their ends arrive as events.
        for exec in &mut self.execs {
            exec.end(Ending::WithTree, &self.container);
        }
    }

    pub(super) fn is_done(&self) -> bool {
        let Some(leave_at) = self.leave_at else { return false };
        let nobody_waits = self.execs.is_empty() && self.clients.are_settled() && self.container.stdio.finished();
        nobody_waits || Instant::now() >= leave_at
    }

    /// Does the final steps. When they are all done, the daemon sees the connection close.
    pub(super) fn leave(&mut self) {
        // If this fails, the cgroup is removed together with the container.
        let _ = self.container.cgroup.remove();
        if let Some(hooks) = self.container.hooks.take() {
            self.state.poststop(&hooks);
            self.change_state(|_| {});
        }
        clients::unlink(self.state.run_dir(), clients::SOCKET);
    }
}
