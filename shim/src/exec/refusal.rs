// SPDX-License-Identifier: Apache-2.0
//! Explains why an exec's process could not be created: usually because its container is ending.

use crate::failure::{Failure, Kind};
use gorae_kernel::process::Stat;

/// `PF_EXITING`, among the flags in /proc/PID/stat.
const EXITING: u32 = 4;

/// Rewrites a failure on the way to the program. For a container that is ending the kernel returns ESRCH, or ENOMEM
/// when its PID namespace accepts no more processes: its first process is then exiting, however long that takes.
///
/// - Shapes: `first` is the pid of that process, which has not been reaped.
pub fn explained(failure: Failure, first: i32) -> Failure {
    let may_be_the_container = matches!(failure.errno, libc::ESRCH | libc::ENOMEM);
    if !may_be_the_container || !is_exiting(first) {
        return failure;
    }
    let message = format!("{} {}: the container is not running", failure.step, failure.object);
    Failure { kind: Kind::FailedPrecondition.into(), errno: 0, message, ..failure }
}

/// Whether a process is exiting, or gone.
fn is_exiting(pid: i32) -> bool {
    let stat = u32::try_from(pid).ok().and_then(|pid| Stat::read(pid).ok().flatten());
    let Some(stat) = stat else { return true };
    stat.flags().is_some_and(|flags| flags & EXITING != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_on_its_way_out_is_exiting() {
        assert!(!is_exiting(std::process::id() as i32));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        rustix::process::waitid(
            rustix::process::WaitId::Pid(rustix::process::Pid::from_child(&child)),
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
        )
        .unwrap();
        let pid = child.id() as i32;
        assert!(is_exiting(pid));
        child.wait().unwrap();
        assert!(is_exiting(pid));
    }
}
