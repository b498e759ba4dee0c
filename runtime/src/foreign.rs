// SPDX-License-Identifier: Apache-2.0
//! Looks at paths that are not ours: mount sources, devices, profiles, log directories.
//!
//! Such a path may be on a file system whose server is gone, and then the look never ends. It runs on a spare thread
//! that can be abandoned; the request gets an error in time. Not more threads than [`MOST`] can be lost that way, so
//! that the rest of the daemon always has some. What takes a path for a container is not here but in its shim.

use crate::error::{Error, Kind, Result};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Looks at the same time; half of the spare threads.
const MOST: usize = 32;
/// How long one may take, the wait for its turn included.
const DEADLINE: Duration = Duration::from_secs(20);

static TURNS: Semaphore = Semaphore::const_new(MOST);

/// Runs `work`, which touches paths of others; `what` says which, for the error.
///
/// - Cancel: the work goes on, on its own.
///
/// # Errors
/// Those of the work; `DeadlineExceeded` when it hangs.
pub async fn look<T, F>(what: &str, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    within(DEADLINE, what, work).await
}

async fn within<T, F>(deadline: Duration, what: &str, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    let looked = async {
        let turn = TURNS.acquire().await.map_err(|e| Error::internal(format!("{what}: {e}")))?;
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        });
        task.await.unwrap_or_else(|e| Err(Error::internal(format!("{what}: {e}"))))
    };
    tokio::time::timeout(deadline, looked).await.unwrap_or_else(|_| {
        let why = format!("{what}: no answer within {deadline:?}; a file system does not respond");
        Err(Error::new(Kind::DeadlineExceeded, why))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_that_hangs_is_abandoned_with_its_name() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let hung = within(Duration::from_millis(20), "mount sources", move || {
            let _ = held.recv();
            Ok(())
        });
        let error = hung.await.expect_err("hangs");
        assert_eq!(error.kind(), Kind::DeadlineExceeded);
        assert!(error.to_string().contains("mount sources"), "{error}");
        assert_eq!(look("others", || Ok(7)).await.expect("a thread is left"), 7);
        drop(release);
    }
}
