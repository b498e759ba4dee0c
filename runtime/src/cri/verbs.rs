// SPDX-License-Identifier: Apache-2.0
//! What calls that change something share.

use gorae_node::error::{Error, Kind, Result};
use std::time::Duration;
use tracing::Instrument;

/// Runs a verb to completion, whether or not the client waits for it. The server drops a handler when its client
/// disconnects, but a verb must end either done or undone. It runs in the call's span.
///
/// # Errors
/// Those of the verb; `Internal` when it panicked.
pub async fn to_completion<T, F>(verb: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    match tokio::spawn(verb.in_current_span()).await {
        Ok(result) => result,
        Err(e) if e.is_panic() => Err(Error::internal("the verb panicked; see the daemon's log")),
        Err(e) => Err(Error::internal(format!("the verb was canceled: {e}"))),
    }
}

/// Allows an object to be absent, for verbs whose goal is that it is gone.
///
/// # Errors
/// Every failure to find the object other than `NotFound`.
pub fn allow_absent<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(object) => Ok(Some(object)),
        Err(e) if e.kind() == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The time that a request gives in seconds; a negative one counts as zero.
pub fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_verb_continues_without_its_client_and_a_panic_is_an_error() {
        let (send, sent) = tokio::sync::oneshot::channel();
        let verb = to_completion(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = send.send(7);
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(1), verb).await.is_err(), "the client disconnects");
        assert_eq!(sent.await, Ok(7));
        let panicked = to_completion(async { panic!("on purpose") }).await.map(|()| 0);
        assert_eq!(panicked.expect_err("an error").kind(), Kind::Internal);
    }

    #[test]
    fn only_not_found_is_allowed_and_no_time_is_negative() {
        assert!(allow_absent::<()>(Err(Error::not_found("x"))).expect("allowed").is_none());
        assert!(allow_absent::<()>(Err(Error::invalid("x"))).is_err());
        assert_eq!((seconds(-1), seconds(3)), (Duration::ZERO, Duration::from_secs(3)));
    }
}
