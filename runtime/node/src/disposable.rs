// SPDX-License-Identifier: Apache-2.0
//! Probes of paths that are not ours: mount sources, devices, profiles, log directories.
//!
//! Such a path may be on a file system whose server is gone, and then the probe never ends. It runs on a disposable thread
//! (`gorae-disposable`), and the request gets an error in time. The paths themselves are opened for a container by the shim.

pub use gorae_disposable::PlainData;

use crate::error::{Error, Kind, Result};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// The most probes at one time, hung ones included. A hung probe costs a thread, and a container has at most one.
const MOST: usize = 256;
/// How long a probe may take, including the wait for a free slot.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// It is a kind and a sentence.
impl PlainData for Error {}

static SLOTS: Semaphore = Semaphore::const_new(MOST);

/// Runs `work`, which touches paths that are not ours; `what` names them in the error.
///
/// - Shapes: `work` is a function, not a closure that captures, so that it has only `input`.
/// - Cancel: the probe continues by itself.
///
/// # Errors
/// The errors of the work; `DeadlineExceeded` when it hangs.
pub async fn probe<I: PlainData, T: PlainData>(what: &str, input: I, work: fn(I) -> Result<T>) -> Result<T> {
    in_time(what, probe_to_the_end(what, input, work)).await
}

/// Waits for a probe that another request may have begun, for as long as a probe may take.
///
/// # Errors
/// The errors of the probe; `DeadlineExceeded` when it hangs.
pub async fn in_time<T>(what: &str, probe: impl Future<Output = Result<T>>) -> Result<T> {
    at_most(DEADLINE, what, probe).await
}

async fn at_most<T>(deadline: Duration, what: &str, probe: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(deadline, probe).await.unwrap_or_else(|_| {
        let why = format!("{what}: no answer within {deadline:?}; a file system does not respond");
        Err(Error::new(Kind::DeadlineExceeded, why))
    })
}

/// [`probe`] without a deadline, for an operation that other requests can join.
///
/// # Errors
/// The errors of the work.
pub async fn probe_to_the_end<I: PlainData, T: PlainData>(what: &str, input: I, work: fn(I) -> Result<T>) -> Result<T> {
    let failed = |e: &dyn std::fmt::Display| Error::internal(format!("{what}: {e}"));
    let slot = SLOTS.acquire().await.map_err(|e| failed(&e))?;
    let (tell, told) = oneshot::channel();
    let started = gorae_disposable::run(input, work, move |result| {
        drop(slot);
        // Nobody listens any more if the request was given up.
        let _ = tell.send(result);
    });
    started.map_err(|e| failed(&e))?;
    let result = told.await.ok().flatten();
    result.unwrap_or_else(|| Err(Error::internal(format!("{what}: the probe panicked; see the daemon's log"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    /// Plain: a channel of the standard library has no descriptor.
    struct Held(Receiver<()>);

    impl PlainData for Held {}

    #[tokio::test]
    async fn a_probe_that_hangs_is_abandoned_with_its_name() {
        let (release, held) = channel();
        let hung = probe_to_the_end("mount sources", Held(held), |held| {
            let _ = held.0.recv();
            Ok(())
        });
        let hung = at_most(Duration::from_millis(20), "mount sources", hung);
        let error = hung.await.expect_err("hangs");
        assert_eq!(error.kind(), Kind::DeadlineExceeded);
        assert!(error.to_string().contains("mount sources"), "{error}");
        let answer = probe("others", "7".to_owned(), |text| Ok(text + "!")).await;
        assert_eq!(answer.expect("a thread is left"), "7!");
        drop(release);
    }

    #[tokio::test]
    async fn a_probe_that_panics_is_an_error_and_costs_no_slot() {
        for _ in 0..2 * MOST {
            let error = probe("devices", (), |()| -> Result<()> { panic!("on purpose") }).await.expect_err("panics");
            assert!(error.to_string().contains("devices"), "{error}");
        }
    }
}
