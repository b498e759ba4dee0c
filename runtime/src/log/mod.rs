// SPDX-License-Identifier: Apache-2.0
//! The daemon's log: lines on standard error, as text or as JSON, down to a level that can be changed at any time.
//!
//! A line carries the span of the call that it is logged for. As text: `TIME LEVEL rpc{method="…" pod="…"}: MESSAGE
//! field=value`. As JSON, one object a line: `timestamp`, `level`, `fields` (with `message`), and `span`.

mod threshold;
mod words;

use std::fmt::{Debug, Formatter};
use std::sync::Arc;
use threshold::Threshold;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};
pub use words::{Format, Level};

/// Sets the level of a running log.
type SetLevel = dyn Fn(Level) -> Result<(), String> + Send + Sync;

/// A running log; clones are the same one.
#[derive(Clone)]
pub struct Log(Arc<SetLevel>);

impl Debug for Log {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl Log {
    /// A log whose level is changed by calling `set_level`.
    pub fn new(set_level: impl Fn(Level) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(set_level))
    }

    /// Starts logging to standard error. Must be called only once in a process.
    pub fn to_stderr(level: Level, format: Format) -> Self {
        let threshold = Threshold::new(level);
        tracing_subscriber::registry().with(threshold.clone()).with(lines(format)).init();
        Self::new(move |level| {
            threshold.set(level);
            Ok(())
        })
    }

    /// Sets the level from now on.
    ///
    /// # Errors
    /// When the level cannot be changed; it stays as it is.
    pub fn set_level(&self, level: Level) -> Result<(), String> {
        (self.0)(level).map_err(|e| format!("set the level of the log to {level}: {e}"))
    }
}

fn lines<S>(format: Format) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    match format {
        Format::Text => lines.boxed(),
        // A call has one span, and spans do not nest: a list of spans would repeat everything.
        Format::Json => lines.json().with_current_span(true).with_span_list(false).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_cannot_be_set_says_which() {
        let log = Log::new(|_| Err("gone".into()));
        assert_eq!(log.set_level(Level::Debug), Err("set the level of the log to debug: gone".into()));
    }
}
