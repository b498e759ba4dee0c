// SPDX-License-Identifier: Apache-2.0
//! One line of the log for each failed request: what was asked, of which object, what became of it.
//!
//! Whoever fails on purpose fills no disk with it: a method has so many lines at once and then one each second. What was
//! left out is counted, and told within a minute.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tonic::Code;

/// Lines of one method at once; each second gives one back.
const AT_ONCE: u32 = 100;
/// How often it is told how many were left out.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// Methods that are counted apart. The CRI has some fifty; who makes names up shares one count.
const METHODS: usize = 100;
/// Longest error that is shown, in bytes.
const LONGEST: usize = 2048;

/// A request that failed.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The last part of its path.
    pub method: &'a str,
    /// What it was about.
    pub subject: Vec<(&'static str, String)>,
    /// How it failed.
    pub code: Code,
    /// The same in words.
    pub error: &'a str,
    /// How long it took.
    pub took: Duration,
}

/// How many lines each method has left.
#[derive(Debug, Clone, Default)]
pub struct Failures(Arc<Mutex<HashMap<String, Allowance>>>);

#[derive(Debug)]
struct Allowance {
    lines: u32,
    since: Instant,
    left_out: u64,
}

impl Failures {
    /// Writes the line, or counts it.
    pub fn tell(&self, failure: &Failure<'_>) {
        if self.allows(failure.method) {
            write(failure);
        }
    }

    fn allows(&self, method: &str) -> bool {
        let mut methods = self.methods();
        let method = if methods.len() < METHODS || methods.contains_key(method) { method } else { "others" };
        let now = Instant::now();
        let full = || Allowance { lines: AT_ONCE, since: now, left_out: 0 };
        let of = methods.entry(method.to_owned()).or_insert_with(full);
        let seconds = now.duration_since(of.since).as_secs();
        of.since += Duration::from_secs(seconds);
        of.lines = of.lines.saturating_add(u32::try_from(seconds).unwrap_or(u32::MAX)).min(AT_ONCE);
        if of.lines > 0 {
            of.lines -= 1;
            return true;
        }
        of.left_out += 1;
        if of.left_out == 1 {
            tokio::spawn(self.clone().tell_left_out(method.to_owned()));
        }
        false
    }

    async fn tell_left_out(self, method: String) {
        tokio::time::sleep(TOLD_EVERY).await;
        let left_out = self.methods().get_mut(&method).map_or(0, |of| std::mem::take(&mut of.left_out));
        tracing::info!(method, left_out, "more requests failed, too many for a line each");
    }

    fn methods(&self) -> MutexGuard<'_, HashMap<String, Allowance>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Text values are escaped by the log: none ends the line.
fn write(failure: &Failure<'_>) {
    let of = |word| failure.subject.iter().find(|(of, _)| *of == word).map(|(_, value)| value.as_str());
    let took_ms = u64::try_from(failure.took.as_millis()).unwrap_or(u64::MAX);
    let (method, code, error) = (failure.method, failure.code, &*bounded(failure.error));
    tracing::info!(
        method,
        namespace = of("namespace"),
        pod = of("pod"),
        container = of("container"),
        image = of("image"),
        ?code,
        took_ms,
        error,
        "request failed"
    );
}

fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return text.into();
    }
    let end = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
    format!("{}… ({} bytes)", &text[..end], text.len()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_method_leaves_the_others_their_lines_and_is_counted() {
        let failures = Failures::default();
        let shown = (0..1000).filter(|_| failures.allows("Exec")).count();
        assert_eq!(shown, 100);
        assert!(failures.allows("Attach"));
        assert_eq!(failures.methods()["Exec"].left_out, 900);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(failures.allows("Exec") && !failures.allows("Exec"), "one a second");
        tokio::time::sleep(TOLD_EVERY).await;
        assert_eq!(failures.methods()["Exec"].left_out, 0, "they were told");
        tokio::time::sleep(TOLD_EVERY * 60).await;
        assert_eq!((0..1000).filter(|_| failures.allows("Exec")).count(), 100, "as many as at first");
    }

    #[tokio::test]
    async fn methods_that_nobody_has_do_not_fill_the_memory() {
        let failures = Failures::default();
        for n in 0..10_000 {
            failures.allows(&format!("Made-up-{n}"));
        }
        assert_eq!(failures.methods().len(), METHODS + 1);
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let text = "ä".repeat(LONGEST);
        let shown = bounded(&text);
        assert!(shown.starts_with("ää") && shown.ends_with("ä… (4096 bytes)") && shown.len() < LONGEST + 32);
        assert_eq!(bounded("short"), "short");
    }
}
