// SPDX-License-Identifier: Apache-2.0
//! Looks at paths that are not ours: mount sources, devices, profiles, log directories.
//!
//! Such a path may be on a file system whose server is gone, and then the look never ends. It runs on a thread that can
//! be abandoned (`threads`); the request gets an error in time. What takes a path for a container is not here but in its
//! shim.

mod threads;

use crate::error::{Error, Kind, Result};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// Looks at the same time, hung ones included. A hung look costs a thread; a container has one at the most.
const MOST: usize = 256;
/// How long one may take, the wait for its turn included.
pub const DEADLINE: Duration = Duration::from_secs(20);

static TURNS: Semaphore = Semaphore::const_new(MOST);

/// Runs `work`, which touches paths of others; `what` says which, for the error.
///
/// - Cancel: the work goes on, on its own.
///
/// # Errors
/// Those of the work; `DeadlineExceeded` when it hangs.
pub async fn probe<T, F>(what: &str, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    in_time(what, probe_to_the_end(what, work)).await
}

/// Waits for a look that others may have begun, as long as one may take.
///
/// # Errors
/// Those of the look; `DeadlineExceeded` when it hangs.
pub async fn in_time<T>(what: &str, look: impl Future<Output = Result<T>>) -> Result<T> {
    at_most(DEADLINE, what, look).await
}

async fn at_most<T>(deadline: Duration, what: &str, look: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(deadline, look).await.unwrap_or_else(|_| {
        let why = format!("{what}: no answer within {deadline:?}; a file system does not respond");
        Err(Error::new(Kind::DeadlineExceeded, why))
    })
}

/// [`probe`] for an operation that others can join and nobody has to wait for: it takes as long as it takes.
///
/// # Errors
/// Those of the work.
pub async fn probe_to_the_end<T, F>(what: &str, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    let failed = |e: &dyn std::fmt::Display| Error::internal(format!("{what}: {e}"));
    let turn = TURNS.acquire().await.map_err(|e| failed(&e))?;
    let (tell, told) = oneshot::channel();
    let looked = threads::run(work, move |result| {
        drop(turn);
        // Nobody listens any more when the request was given up.
        let _ = tell.send(result);
    });
    looked.map_err(|e| failed(&e))?;
    let result = told.await.ok().flatten();
    result.unwrap_or_else(|| Err(Error::internal(format!("{what}: the look panicked; see the daemon's log"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_that_hangs_is_abandoned_with_its_name() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let hung = probe_to_the_end("mount sources", move || {
            let _ = held.recv();
            Ok(())
        });
        let hung = at_most(Duration::from_millis(20), "mount sources", hung);
        let error = hung.await.expect_err("hangs");
        assert_eq!(error.kind(), Kind::DeadlineExceeded);
        assert!(error.to_string().contains("mount sources"), "{error}");
        assert_eq!(probe("others", || Ok(7)).await.expect("a thread is left"), 7);
        drop(release);
    }

    #[tokio::test]
    async fn a_look_that_panics_is_an_error_and_costs_no_turn() {
        for _ in 0..2 * MOST {
            let error = probe("devices", || -> Result<()> { panic!("on purpose") }).await.expect_err("panics");
            assert!(error.to_string().contains("devices"), "{error}");
        }
    }
}
