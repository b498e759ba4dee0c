// SPDX-License-Identifier: Apache-2.0
//! Why an exec's process could not be born: mostly because its container is ending.

use crate::failure::{Failure, Kind};
use std::fs;
use std::io;

/// `PF_EXITING`, of the flags in /proc/PID/stat.
const EXITING: u32 = 4;

/// What is told of a failure on the way to the program. For a container that is ending the kernel answers ESRCH, or,
/// when its PID namespace takes no process any more, ENOMEM: its first process is then exiting, however long that takes.
///
/// - Shapes: `first` is that process, which this one has not reaped.
pub fn explained(failure: Failure, first: i32) -> Failure {
    let may_be_the_container = matches!(failure.errno, libc::ESRCH | libc::ENOMEM);
    if !may_be_the_container || !is_exiting(fs::read_to_string(format!("/proc/{first}/stat"))) {
        return failure;
    }
    let message = format!("{} {}: the container is not running", failure.step, failure.object);
    Failure { kind: Kind::FailedPrecondition.into(), errno: 0, message, ..failure }
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
