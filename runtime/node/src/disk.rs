// SPDX-License-Identifier: Apache-2.0
//! Work on the daemon's own directories, which may have to wait for a disk.
//!
//! A thread that waits for a stalled disk is blocked in the kernel indefinitely. Only a few threads serve requests, one per
//! CPU: a few records on such a disk could block every list and every status of the node. The state directory is on tmpfs, and
//! cgroups are in memory: a look at either needs none of this.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Runs `work` on this thread. If it is a runtime worker, its other tasks are moved to another worker first. That costs
/// some microseconds, so several steps belong in one call.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        // This thread serves nobody else: it is not a runtime worker, or it is a test's.
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    /// How long the test waits for the expected result.
    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn the_only_thread_waits_and_others_are_answered() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("runtime");
        let (answer, disk) = mpsc::channel();
        runtime.spawn(async move { blocking(|| disk.recv_timeout(PATIENCE)) });
        let (done, seen) = mpsc::channel();
        runtime.spawn(async move { done.send(()) });
        seen.recv_timeout(PATIENCE / 2).expect("a task beside the one that waits");
        answer.send(()).expect("it still waits");
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_just_works_on() {
        assert_eq!(blocking(|| 7), 7);
    }

    #[test]
    fn no_runtime_is_needed() {
        assert_eq!(blocking(|| 7), 7);
    }
}
