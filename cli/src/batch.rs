// SPDX-License-Identifier: Apache-2.0
//! One request for each of several objects, some of them in flight at the same time.

use crate::failure;
use crate::output::{self, Output};
use anyhow::Result;
use futures_util::StreamExt;
use tonic::Code;

/// Requests in flight at most: enough to hide the round trips, and to stop containers without one waiting for the
/// grace period of another; few enough to leave the daemon room.
pub const AT_ONCE: usize = 16;

/// Requests the state of each object and returns the results, in the order of the objects. An object that is gone by
/// now (`NOT_FOUND`) is left out.
///
/// # Errors
/// The first other error, in the order of the objects.
pub async fn look_at_all<T, R, F>(objects: Vec<T>, look: impl Fn(T) -> F) -> Result<Vec<R>>
where
    F: Future<Output = Result<R>>,
{
    let mut looks = futures_util::stream::iter(objects).map(look).buffered(AT_ONCE);
    let mut found = Vec::new();
    while let Some(result) = looks.next().await {
        match result {
            Ok(value) => found.push(value),
            Err(error) if failure::code(&error) == Some(Code::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Applies one action to each named object, `at_once` of them concurrently, and continues after a failure. Returns the
/// program's exit code: 1 when any of them failed.
///
/// Failures are printed as they happen; then the names that worked, in the order in which they were typed.
///
/// # Errors
/// When the names cannot be printed.
pub async fn act_on_each<'a, F: Future<Output = Result<()>>>(
    names: &'a [String],
    output: &Output,
    at_once: usize,
    act: impl Fn(&'a str) -> F,
) -> Result<u8> {
    let (mut done, mut failed) = (Vec::new(), 0_usize);
    let mut results = futures_util::stream::iter(names).map(async |name| (name, act(name).await)).buffered(at_once);
    while let Some((name, result)) = results.next().await {
        match result {
            Ok(()) => done.push(name.clone()),
            Err(error) => {
                failed += 1;
                output::remark(&format!("gorae: {error:#}"));
            }
        }
    }
    output.done(&done)?;
    Ok(u8::from(failed > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::refused;
    use tonic::Status;

    async fn look(number: u64) -> Result<u64> {
        // The later ones finish first.
        tokio::time::sleep(std::time::Duration::from_millis(20 - number)).await;
        match number {
            3 => Err(refused(|| "look at 3")(Status::not_found("gone"))),
            20 => Err(refused(|| "look at 20")(Status::internal("broken"))),
            _ => Ok(number),
        }
    }

    #[tokio::test]
    async fn what_is_gone_is_left_out_and_the_order_is_kept() {
        assert_eq!(look_at_all(vec![1, 2, 3, 4], look).await.expect("looks"), [1, 2, 4]);
        let error = look_at_all(vec![1, 20, 2], look).await.expect_err("broken");
        assert_eq!(error.to_string(), "look at 20: broken");
    }
}
