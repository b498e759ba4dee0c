// SPDX-License-Identifier: Apache-2.0
//! Work on the daemon's own directories, which may wait for a disk.
//!
//! A disk that stalls keeps the thread that waits for it, in the kernel and without end. The threads that answer
//! requests are few, one a processor: two records on such a disk would stop every list and every status of the node.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does `work` at once, on this thread; when that is one of those that answer requests, another takes its place
/// first. Costs some microseconds, so several steps belong into one call.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        // Nobody else is answered by this thread: it is none of the runtime's, or that of a test.
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    /// Most that is waited for what has to happen.
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
