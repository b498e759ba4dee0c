// SPDX-License-Identifier: Apache-2.0
//! One log line for each failed call: its result. The call's span says what was asked, and of which object.
//!
//! A client that fails on purpose cannot fill the disk. The same failure is logged [once a minute](super::repeats), and each
//! method has a budget of lines that is refilled at one a second. Failures over the budget are counted, and their number is
//! logged within a minute. The metrics count every call.

use super::method::{METHODS, Method};
use super::repeats::Repeats;
use super::severity;
use super::subject::Subject;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tonic::Code;
use tracing::Level;

/// The budget of a method, in lines; one is given back each second.
const AT_ONCE: u32 = 100;
/// The delay until the number of failures over the budget is logged.
const REPORT_DELAY: Duration = Duration::from_secs(60);
/// Longest error text that is logged, in bytes.
const LONGEST: usize = 2048;

/// A call that failed.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The method.
    pub method: Method,
    /// What the call was about.
    pub subject: &'a Subject,
    /// The code.
    pub code: Code,
    /// The error text.
    pub error: &'a str,
    /// The duration of the call.
    pub took: Duration,
}

/// The failures that were logged, and the budget of each method. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Failures(Arc<Mutex<Written>>);

#[derive(Debug)]
struct Written {
    repeats: Repeats,
    allowances: [Option<Allowance>; METHODS],
}

#[derive(Debug)]
struct Allowance {
    lines: u32,
    since: Instant,
    left_out: u64,
}

impl Default for Written {
    fn default() -> Self {
        Self { repeats: Repeats::default(), allowances: [const { None }; METHODS] }
    }
}

impl Allowance {
    fn full() -> Self {
        Self { lines: AT_ONCE, since: Instant::now(), left_out: 0 }
    }

    /// Takes a line from the budget, if there is one left.
    fn take(&mut self) -> bool {
        let seconds = Instant::now().duration_since(self.since).as_secs();
        self.since += Duration::from_secs(seconds);
        self.lines = self.lines.saturating_add(u32::try_from(seconds).unwrap_or(u32::MAX)).min(AT_ONCE);
        let is_allowed = self.lines > 0;
        self.lines = self.lines.saturating_sub(1);
        is_allowed
    }
}

impl Failures {
    /// Logs a failure in the call's span, or counts it.
    pub fn log(&self, failure: &Failure<'_>) {
        let Some(repeated) = self.written().repeats.shows(failure.number()) else { return };
        if self.allows(failure.method) {
            write(failure, repeated);
        }
    }

    fn allows(&self, method: Method) -> bool {
        let mut written = self.written();
        let of = written.allowances[method.index()].get_or_insert_with(Allowance::full);
        if of.take() {
            return true;
        }
        of.left_out += 1;
        if of.left_out == 1 {
            tokio::spawn(self.clone().report_left_out(method));
        }
        false
    }

    async fn report_left_out(self, method: Method) {
        tokio::time::sleep(REPORT_DELAY).await;
        let left_out =
            self.written().allowances[method.index()].as_mut().map_or(0, |of| std::mem::take(&mut of.left_out));
        tracing::warn!(method = method.name(), left_out, "more calls failed than are logged one by one");
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure<'_> {
    /// A hash of everything that makes two failures the same.
    fn number(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.method.index(), self.subject, i32::from(self.code), self.error).hash(&mut hasher);
        hasher.finish()
    }
}

/// The log escapes text values, so a text cannot end the line.
fn write(failure: &Failure<'_>, repeated: u64) {
    let took_ms = u64::try_from(failure.took.as_millis()).unwrap_or(u64::MAX);
    let (code, error) = (failure.code, &*bounded(failure.error));
    let repeated = (repeated > 0).then_some(repeated);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(?code, took_ms, repeated, error, "call failed")
        };
    }
    match severity::of(failure.method.kind(), code) {
        Level::ERROR => line!(error),
        Level::WARN => line!(warn),
        _ => line!(info),
    }
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

    fn method(name: &str) -> Method {
        Method::all().find(|method| method.name() == name).expect("known")
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_method_leaves_the_others_their_lines_and_is_counted() {
        let (failures, exec) = (Failures::default(), method("Exec"));
        let left_out = || failures.written().allowances[exec.index()].as_ref().expect("used").left_out;
        assert_eq!((0..1000).filter(|_| failures.allows(exec)).count(), 100);
        assert!(failures.allows(method("Attach")));
        assert_eq!(left_out(), 900);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(failures.allows(exec) && !failures.allows(exec), "one a second");
        tokio::time::sleep(REPORT_DELAY).await;
        assert_eq!(left_out(), 0, "they were reported");
        tokio::time::sleep(REPORT_DELAY * 60).await;
        assert_eq!((0..1000).filter(|_| failures.allows(exec)).count(), 100, "the whole budget again");
    }

    #[test]
    fn two_failures_are_the_same_only_when_everything_that_is_logged_is() {
        let subject = vec![("pod", "a".to_owned())];
        let failure = |method, subject, code, error| Failure { method, subject, code, error, took: Duration::ZERO };
        let first = failure(method("Exec"), &subject, Code::NotFound, "gone").number();
        let again = subject.clone();
        assert_eq!(failure(method("Exec"), &again, Code::NotFound, "gone").number(), first);
        let other = vec![("pod", "b".to_owned())];
        for another in [
            failure(method("Attach"), &subject, Code::NotFound, "gone"),
            failure(method("Exec"), &other, Code::NotFound, "gone"),
            failure(method("Exec"), &subject, Code::Internal, "gone"),
            failure(method("Exec"), &subject, Code::NotFound, "gone away"),
        ] {
            assert_ne!(another.number(), first, "{another:?}");
        }
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let text = "ä".repeat(LONGEST);
        let shown = bounded(&text);
        assert!(shown.starts_with("ää") && shown.ends_with("ä… (4096 bytes)") && shown.len() < LONGEST + 32);
        assert_eq!(bounded("short"), "short");
    }
}
