// SPDX-License-Identifier: Apache-2.0
//! What calls that change something have in common.

use gorae_node::error::{Error, Kind, Result};
use std::time::Duration;
use tracing::Instrument;

/// Runs a verb to its end whether or not the client waits for it: the server drops a handler when its client goes away,
/// and a verb must end in done or in undone. The call's span goes along.
///
/// # Errors
/// Those of the verb; `Internal` when it panicked.
pub async fn to_the_end<T, F>(verb: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    match tokio::spawn(verb.in_current_span()).await {
        Ok(result) => result,
        Err(e) if e.is_panic() => Err(Error::internal("the verb panicked; see the daemon's log")),
        Err(e) => Err(Error::internal(format!("the verb was cut off: {e}"))),
    }
}

/// Unknown ids are fine for verbs whose end is that the object is gone.
///
/// # Errors
/// Every failure to find the object but `NotFound`.
pub fn absent_is_fine<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(object) => Ok(Some(object)),
        Err(e) if e.kind() == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The time that a request gives in seconds; less than none is none.
pub fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_verb_goes_on_without_its_client_and_a_panic_is_an_error() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let verb = to_the_end(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = tell.send(7);
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(1), verb).await.is_err(), "the client leaves");
        assert_eq!(told.await, Ok(7));
        let panicked = to_the_end(async { panic!("on purpose") }).await.map(|()| 0);
        assert_eq!(panicked.expect_err("an error").kind(), Kind::Internal);
    }

    #[test]
    fn only_what_is_not_there_is_fine_and_no_time_is_negative() {
        assert!(absent_is_fine::<()>(Err(Error::not_found("x"))).expect("fine").is_none());
        assert!(absent_is_fine::<()>(Err(Error::invalid("x"))).is_err());
        assert_eq!((seconds(-1), seconds(3)), (Duration::ZERO, Duration::from_secs(3)));
    }
}
