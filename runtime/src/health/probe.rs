// SPDX-License-Identifier: Apache-2.0
//! A look at a file system that may never answer: whoever asks has a word within a second, and a look that hangs costs one
//! thread, however often it is asked for.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::fmt::{Debug, Formatter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long an asker waits.
pub const PATIENCE: Duration = Duration::from_secs(1);

type Look<T> = Shared<BoxFuture<'static, Result<T, String>>>;

/// Something that can be looked at.
pub struct Probe<T> {
    name: &'static str,
    work: Arc<dyn Fn() -> Result<T, String> + Send + Sync>,
    under_way: Mutex<Option<Look<T>>>,
}

impl<T> Debug for Probe<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Probe").field(&self.name).finish()
    }
}

impl<T: Clone + Send + Sync + 'static> Probe<T> {
    /// A probe; `work` runs on a thread that may wait.
    pub fn new(name: &'static str, work: impl Fn() -> Result<T, String> + Send + Sync + 'static) -> Self {
        Self { name, work: Arc::new(work), under_way: Mutex::default() }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Looks, or joins the look that is under way.
    ///
    /// # Errors
    /// Those of the work; a sentence when there is no answer within `PATIENCE`.
    pub async fn look(&self) -> Result<T, String> {
        let look = self.join();
        tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| {
            Err(format!("no answer within {} s: the file system does not respond", PATIENCE.as_secs()))
        })
    }

    fn join(&self) -> Look<T> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = under_way.as_ref().filter(|look| look.peek().is_none()) {
            return look.clone();
        }
        let work = self.work.clone();
        let thread = tokio::task::spawn_blocking(move || work());
        let look = thread.map(|ended| ended.unwrap_or_else(|e| Err(format!("the look failed: {e}"))));
        under_way.insert(look.boxed().shared()).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Instant;

    #[tokio::test]
    async fn a_look_that_hangs_is_told_in_time_and_does_not_pile_up() {
        let (release, held) = mpsc::channel::<()>();
        let (held, looks) = (Mutex::new(held), Arc::new(AtomicUsize::new(0)));
        let count = looks.clone();
        let probe = Probe::new("disk", move || {
            count.fetch_add(1, Ordering::SeqCst);
            held.lock().expect("no panic").recv().map_err(|e| e.to_string())
        });
        let begun = Instant::now();
        let both = tokio::join!(probe.look(), probe.look());
        let third = probe.look().await;
        assert!(begun.elapsed() < PATIENCE * 3, "{:?}", begun.elapsed());
        for answer in [both.0, both.1, third] {
            assert!(answer.expect_err("hangs").contains("no answer within 1 s"));
        }
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        release.send(()).expect("somebody waits");
        release.send(()).expect("somebody will");
        while probe.look().await.is_err() {}
        assert!((1..=2).contains(&looks.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn each_answer_is_new_and_a_panic_is_one() {
        let looks = AtomicUsize::new(0);
        let probe = Probe::new("count", move || match looks.fetch_add(1, Ordering::SeqCst) {
            1 => panic!("on purpose"),
            number => Ok(number),
        });
        assert_eq!(probe.look().await, Ok(0));
        assert!(probe.look().await.expect_err("panics").contains("the look failed"));
        assert_eq!(probe.look().await, Ok(2));
    }
}
