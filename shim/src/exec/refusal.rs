// SPDX-License-Identifier: Apache-2.0
//! Why an exec's process could not be born: mostly because its container is ending.

use crate::failure::{self, Failure, Kind};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// `PF_EXITING`, of the flags in /proc/PID/stat.
const EXITING: u32 = 4;

/// A container's first process, as the host's /proc shows it: also to who has gone where that is out of reach.
#[derive(Debug)]
pub struct FirstProcess(io::Result<File>);

impl FirstProcess {
    /// To be called while /proc is the host's.
    pub fn of(pid: i32) -> Self {
        Self(File::open(format!("/proc/{pid}/stat")))
    }

    /// What is to be kept open for [`FirstProcess::refusal`].
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().ok().map(AsFd::as_fd)
    }

    /// Why there is no process. For a container that is ending the kernel answers ESRCH, or, when its PID namespace takes
    /// no process any more, ENOMEM: its first process is then exiting, however long that takes.
    pub fn refusal(self, step: &'static str, object: String, error: io::Error) -> Failure {
        let about_the_container = matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOMEM));
        if about_the_container && is_exiting(self.0.and_then(io::read_to_string)) {
            return failure::refused(Kind::FailedPrecondition, step, object, "the container is not running");
        }
        failure::kernel(step, object, error)
    }
}

/// Whether the process of a /proc/PID/stat is on its way out, or gone.
fn is_exiting(stat: io::Result<String>) -> bool {
    let Ok(stat) = stat else { return true };
    // The name may have blanks and parentheses; state and five numbers stand between it and the flags.
    let flags = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(6));
    flags.and_then(|flags| flags.parse::<u32>().ok()).is_some_and(|flags| flags & EXITING != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_a_process_on_its_way_out_is_exiting() {
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        assert!(!is_exiting(Ok(own)));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        rustix::process::waitid(
            rustix::process::WaitId::Pid(rustix::process::Pid::from_child(&child)),
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
        )
        .unwrap();
        let path = format!("/proc/{}/stat", child.id());
        assert!(is_exiting(fs::read_to_string(&path)));
        child.wait().unwrap();
        assert!(is_exiting(fs::read_to_string(&path)));
        let named = "7 (a) b (c) S 1 2 3 0 -1 4194308 0".to_owned();
        assert!(is_exiting(Ok(named.clone())) && !is_exiting(Ok(named.replace("4194308", "4194304"))));
    }
}
