// SPDX-License-Identifier: Apache-2.0
//! The filter of the log: one level for our own lines, a higher one for those of libraries.
//!
//! The answer for each place in the code that logs is remembered there until the level changes, so that a call's span and
//! the lines that are not written cost no lock and no comparison of names.

use super::words::Level;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Libraries that log each frame or each handshake. Only their warnings and errors matter to an operator.
const LIBRARIES: [&str; 6] = ["h2", "hyper", "tonic", "rustls", "reqwest", "hickory_proto"];

/// The filter. Clones share the level.
#[derive(Debug, Clone)]
pub struct Threshold(Arc<AtomicU8>);

impl Threshold {
    /// A filter that lets lines of this level and above through.
    pub fn new(level: Level) -> Self {
        Self(Arc::new(AtomicU8::new(level as u8)))
    }

    /// Changes the level from now on.
    pub fn set(&self, level: Level) {
        self.0.store(level as u8, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    fn level(&self) -> LevelFilter {
        const ERROR: u8 = Level::Error as u8;
        const WARN: u8 = Level::Warn as u8;
        const INFO: u8 = Level::Info as u8;
        const DEBUG: u8 = Level::Debug as u8;
        match self.0.load(Ordering::Relaxed) {
            ERROR => LevelFilter::ERROR,
            WARN => LevelFilter::WARN,
            INFO => LevelFilter::INFO,
            DEBUG => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        }
    }

    fn allows(&self, metadata: &Metadata<'_>) -> bool {
        let own = self.level();
        let limit = if is_library(metadata.target()) { own.min(LevelFilter::WARN) } else { own };
        *metadata.level() <= limit
    }
}

/// Whether a target (`crate::module`) belongs to one of the libraries.
fn is_library(target: &str) -> bool {
    let name = target.split("::").next().unwrap_or(target);
    LIBRARIES.contains(&name) || name.starts_with("hyper_")
}

impl<S: Subscriber> Layer<S> for Threshold {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.allows(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.allows(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tracing_subscriber::layer::SubscriberExt;

    /// Collects the messages that pass the filter.
    #[derive(Debug, Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let metadata = event.metadata();
            self.0.lock().expect("no panic").push(format!("{} {}", metadata.level(), metadata.target()));
        }
    }

    /// Logs one line of each level, for us and for a library; the same places in the code each time.
    fn log_everything() {
        macro_rules! lines {
            ($($level:ident)*) => {
                $(tracing::$level!(target: "gorae_node::pod", "ours");
                  tracing::$level!(target: "h2::codec", "a library's");)*
            };
        }
        lines!(error warn info debug trace);
    }

    #[test]
    fn each_level_lets_through_what_is_as_important_and_libraries_only_warn() {
        let (threshold, lines) = (Threshold::new(Level::Info), Lines::default());
        let subscriber = tracing_subscriber::registry().with(threshold.clone()).with(lines.clone());
        let _default = tracing::subscriber::set_default(subscriber);
        for (level, ours, theirs) in [
            (Level::Info, 3, 2),
            (Level::Trace, 5, 2),
            (Level::Error, 1, 1),
            (Level::Debug, 4, 2),
            (Level::Warn, 2, 2),
            (Level::Info, 3, 2),
        ] {
            threshold.set(level);
            lines.0.lock().expect("no panic").clear();
            log_everything();
            let logged = lines.0.lock().expect("no panic").clone();
            let of = |target: &str| logged.iter().filter(|line| line.ends_with(target)).count();
            assert_eq!((of("gorae_node::pod"), of("h2::codec")), (ours, theirs), "{level}: {logged:?}");
        }
    }

    #[test]
    fn a_crate_whose_name_merely_begins_like_a_library_is_not_one() {
        for target in ["h2", "h2::codec", "hyper_util::client", "rustls::conn", "hickory_proto"] {
            assert!(is_library(target), "{target}");
        }
        for target in ["h2o", "gorae_node::h2", "tonic_web", "log", ""] {
            assert!(!is_library(target), "{target}");
        }
    }
}
